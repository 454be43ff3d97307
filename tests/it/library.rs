//! Videos and thumbnails over the real surface: what comes in, what is refused, what is shown to whom, what it costs.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::clip::{clip, made};
use crate::support::scratch;
use crate::support::server::{ADMIN, Answer, Client, PASSWORD, Server};

fn small() -> PathBuf {
    clip(2, 50, true, "320x180")
}

async fn uploaded(client: &Client, name: &str, path: &Path) -> Value {
    let answer = client.upload("/api/v1/videos", &[], &[(name, path)]).await.expect(201);
    answer.json()["items"][0].clone()
}

/// Sends bytes as one `file` field.
async fn send_bytes(client: &Client, path: &str, name: &str, bytes: &[u8]) -> Answer {
    let form = Form::new().part("file", Part::bytes(bytes.to_vec()).file_name(name.to_owned()));
    client.send(client.request(Method::POST, path).multipart(form)).await
}

/// Files below a folder of the home with their lengths, by path relative to it.
fn files(server: &Server, folder: &str) -> BTreeMap<String, u64> {
    let root = server.home().join(folder);
    let walk = walkdir::WalkDir::new(&root).into_iter().map(|entry| entry.unwrap());
    walk.filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(server.home()).unwrap().to_str().unwrap().to_owned();
            (path, entry.metadata().unwrap().len())
        })
        .collect()
}

fn bytes_in(server: &Server, folder: &str) -> u64 {
    files(server, folder).values().sum()
}

async fn usage(client: &Client) -> Value {
    client.get("/api/v1/usage").await.expect(200).json()["storage"].clone()
}

/// The ledger of a user says what lies on the disk, and nothing is reserved or half arrived.
async fn books_are_right(server: &Server, client: &Client, tenant: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let said = usage(client).await;
        let (videos, thumbnails) =
            (bytes_in(server, &format!("videos/{tenant}")), bytes_in(server, &format!("thumbnails/{tenant}")));
        let arriving = files(server, &format!("data/{tenant}/uploads"));
        let right = said["by_kind"]["uploads"] == videos
            && said["by_kind"]["thumbnails"] == thumbnails
            && said["used"] == videos + thumbnails
            && said["reserved"] == 0
            && arriving.is_empty();
        if right {
            return;
        }
        assert!(Instant::now() < deadline, "{said}, {videos} and {thumbnails} on disk, {arriving:?} arriving");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_video_comes_in_is_judged_found_changed_and_deleted() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let path = small();
    let answer = al.upload("/api/v1/videos", &[], &[("Morning rain.mp4", &path)]).await.expect(201);
    let video = answer.json()["items"][0].clone();
    let id = video["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/videos/{id}"));
    assert_eq!(video["title"], "Morning rain");
    assert_eq!(video["original_name"], "Morning rain.mp4");
    assert_eq!(video["size"], path.metadata().unwrap().len());
    assert_eq!((&video["width"], &video["height"], &video["state"]), (&json!(320), &json!(180), &json!("ready")));
    assert_eq!((&video["video_codec"], &video["audio_codec"]), (&json!("h264"), &json!("aac")));
    assert_eq!((&video["owner"], &video["created_by"]), (&json!("al"), &json!("al")));
    assert_eq!(video["verdict"]["ready"], true, "{video}");
    assert!(video["thumbnail_id"].is_string());
    let hash = std::process::Command::new("sha256sum").arg(&path).output().unwrap().stdout;
    assert!(String::from_utf8(hash).unwrap().starts_with(video["sha256"].as_str().unwrap()));
    assert_eq!(usage(&al).await["by_kind"]["uploads"], path.metadata().unwrap().len());

    // Eight seconds between keyframes are too many.
    let wide = uploaded(&al, "wide.mp4", &clip(17, 200, false, "320x180")).await;
    let codes: Vec<&str> =
        wide["verdict"]["findings"].as_array().unwrap().iter().map(|found| found["code"].as_str().unwrap()).collect();
    assert!(wide["verdict"]["ready"] == false && codes.contains(&"keyframes") && codes.contains(&"silent"), "{wide}");
    let same = uploaded(&al, "again.mp4", &path).await;
    assert_eq!(same["duplicate_of"], video["id"]);
    let empty = tempfile::NamedTempFile::new().unwrap();
    let refused = al.upload("/api/v1/videos", &[], &[("nothing.mp4", empty.path())]).await.expect(415).text();
    assert!(refused.contains("The file is empty"), "{refused}");

    let titles = async |query: &str| -> Vec<String> {
        let list = al.get(&format!("/api/v1/videos?{query}")).await.expect(200).json();
        let items = list["items"].as_array().unwrap();
        assert!(list["next"].is_string() || list["total"].as_u64().unwrap() as usize >= items.len());
        items.iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles("").await, ["again", "wide", "Morning rain"]);
    assert_eq!(titles("sort=title").await, ["again", "Morning rain", "wide"]);
    assert_eq!(titles("sort=-duration&limit=1").await, ["wide"]);
    assert_eq!(titles("q=RAIN").await, ["Morning rain"]);
    assert_eq!(titles("filter=trouble").await, ["wide"]);
    assert_eq!(titles("filter=unused&sort=oldest").await.len(), 3);
    al.get("/api/v1/videos?sort=colour").await.expect(400);
    al.get("/api/v1/videos?filter=colour").await.expect(400);

    let address = format!("/api/v1/videos/{id}");
    let shown = al.get(&address).await.expect(200);
    let tag = shown.header("etag").to_owned();
    let changed = al
        .patch(&address, &json!({"title": "  Evening\u{202e} rain ", "tags": ["Night", "night", "calm"]}))
        .await
        .expect(200);
    assert_eq!(
        (&changed.json()["title"], &changed.json()["tags"]),
        (&json!("Evening rain"), &json!(["Night", "calm"]))
    );
    assert_ne!(changed.header("etag"), tag);
    let stale = al.request(Method::PATCH, &address).header("if-match", &tag).json(&json!({"title": "x"}));
    al.send(stale).await.expect(412);
    for (body, status) in [
        (json!({"owner": "bo"}), 400),
        (json!({"id": id, "title": "x"}), 400),
        (json!({"title": ""}), 422),
        (json!({"title": "x".repeat(201)}), 422),
        (json!({"thumbnail_id": id}), 422),
        (json!({"title": 7}), 400),
    ] {
        al.patch(&address, &body).await.expect(status);
    }
    assert_eq!(al.get(&address).await.json()["owner"], "al");
    assert_eq!(titles("q=calm").await, ["Evening rain"]);

    for id in [id, wide["id"].as_str().unwrap(), same["id"].as_str().unwrap()] {
        al.delete(&format!("/api/v1/videos/{id}")).await.expect(204);
        al.get(&format!("/api/v1/videos/{id}")).await.expect(404);
        al.delete(&format!("/api/v1/videos/{id}")).await.expect(404);
    }
    assert_eq!(titles("").await, Vec::<String>::new());
    books_are_right(&server, &al, "al").await;
    assert_eq!(usage(&al).await["used"], 0);
}

#[tokio::test]
async fn a_form_without_script_brings_many_files_each_with_its_own_outcome() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.login("al", PASSWORD).await;
    let path = small();
    let answer = al.upload("/videos", &[("back", "/videos?sort=title")], &[("a.mp4", &path), ("b.mp4", &path)]).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/videos?sort=title"), "{}", answer.text());
    let page = al.get("/videos").await.expect(200).text();
    assert!(page.contains(">a<") && page.contains(">b<") && page.contains("2 files are uploaded"), "{page}");

    let folder = scratch("files");
    let bad = folder.path().join("bad.mp4");
    std::fs::write(&bad, "#EXTM3U\n").unwrap();
    let mixed = al.upload("/videos", &[], &[("c.mp4", &path), ("bad.mp4", &bad), ("d.mp4", &path)]).await.expect(200);
    assert!(mixed.text().contains("bad.mp4: ") && mixed.text().contains(">d<"), "{}", mixed.text());
    al.upload("/videos", &[], &[("bad.mp4", &bad)]).await.expect(415);
    al.upload("/videos", &[], &[]).await.expect(422);
    al.upload("/videos", &[("owner", "bo")], &[("e.mp4", &path)]).await.expect(400);

    // The token has to come before the first file.
    let mut stranger = al.clone();
    stranger.csrf = "0".repeat(64);
    stranger.upload("/videos", &[], &[("f.mp4", &path)]).await.expect(403);
    let bytes = std::fs::read(&path).unwrap();
    let late = Form::new().part("file", Part::bytes(bytes).file_name("g.mp4")).text("csrf", al.csrf.clone());
    al.send(al.request(Method::POST, "/videos").multipart(late)).await.expect(403);

    // A script is answered in JSON.
    let form =
        Form::new().text("title", "Given").part("file", Part::bytes(std::fs::read(&path).unwrap()).file_name("h"));
    let request = al.request(Method::POST, "/videos").header("accept", "application/json");
    let answer = al.send(request.header("x-csrf-token", &al.csrf).multipart(form)).await.expect(201);
    assert_eq!(answer.json()["items"][0]["title"], "Given");
    let api = server.api("al", PASSWORD).await;
    let list = api.get("/api/v1/videos?sort=oldest").await.json();
    let titles: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap()).collect();
    assert_eq!((titles, &list["total"]), (vec!["a", "b", "c", "d", "Given"], &json!(5)));
    let answer = api.upload("/api/v1/videos", &[], &[("bad.mp4", &bad), ("i.mp4", &path)]).await.expect(201).json();
    assert_eq!((&answer["items"][0]["title"], &answer["errors"][0]["field"]), (&json!("i"), &json!("bad.mp4")));

    // The gallery's own acts.
    let ids: Vec<&str> = list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    let edit = format!("/videos/{}", ids[0]);
    let page = al.get(&edit).await.expect(200).text();
    assert!(page.contains("<video") && page.contains("a.mp4"), "{page}");
    let fields = [("title", "Renamed"), ("description", "notes"), ("tags", "one, two")];
    assert_eq!(al.form(&edit, &fields).await.status, 303);
    let refused = al.form(&edit, &[("title", ""), ("description", "typed notes"), ("tags", "")]).await.expect(422);
    assert!(refused.text().contains("typed notes"), "what was typed stays");
    al.form(&edit, &[("title", "x"), ("description", ""), ("tags", ""), ("owner", "bo")]).await.expect(400);
    assert_eq!(al.form(&format!("{edit}/frame"), &[("seconds", "0.5")]).await.expect(303).header("location"), edit);
    al.form(&format!("{edit}/frame"), &[("seconds", "later")]).await.expect(422);
    al.form(&format!("{edit}/frame"), &[("seconds", "3600")]).await.expect(422);
    assert_eq!(al.form("/videos/delete", &[("id", ids[0]), ("id", ids[1])]).await.status, 303);
    assert_eq!(al.form(&format!("/videos/{}/delete", ids[2]), &[]).await.status, 303);
    assert_eq!(api.get("/api/v1/videos").await.json()["total"], 3);
    books_are_right(&server, &api, "al").await;
}

/// THREATS 1, 13, 14.
#[tokio::test]
async fn a_disguised_playlist_is_refused_and_shows_nothing_of_a_neighbour() {
    let server = Server::start().await;
    server.user("al").await;
    server.user("bo").await;
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let secret = uploaded(&bo, "secret.mp4", &small()).await;
    let secret = format!("videos/bo/{}.mp4", secret["id"].as_str().unwrap());
    let absolute = server.home().join(&secret);
    let absolute = absolute.to_str().unwrap();
    let relative = format!("../../../{secret}");
    let mut tries: Vec<(&str, String)> = Vec::new();
    for target in [absolute, &relative, "/etc/passwd", &format!("file://{absolute}"), "http://127.0.0.1:1/x.ts"] {
        tries.push(("hls.mp4", format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n")));
        tries.push(("list.ffconcat", format!("ffconcat version 1.0\nfile '{target}'\n")));
        tries.push(("concat.mp4", format!("file {target}\n")));
        tries.push(("subfile.mkv", format!("subfile,,start,0,end,0,,:{target}")));
        tries.push((
            "dash.mpd",
            format!(
                "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\"><Period>\
                 <AdaptationSet><Representation id=\"1\"><BaseURL>{target}</BaseURL></Representation>\
                 </AdaptationSet></Period></MPD>"
            ),
        ));
    }
    tries.push((
        "call.sdp",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n".into(),
    ));
    tries.push(("page.mp4", "<!doctype html><script>alert(1)</script>".into()));
    tries.push(("frames-%d.png", "x".into()));
    tries.push(("empty.mp4", String::new()));
    tries.push(("short.mp4", "\0\0\0\u{18}ftypmp42\0\0\0\0mp42isom".into()));
    for (name, text) in &tries {
        let answer = send_bytes(&al, "/api/v1/videos", name, text.as_bytes()).await;
        assert_eq!(answer.status, 415, "{name}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(!answer.text().contains(absolute), "{}", answer.text());
    }
    assert_eq!(files(&server, "videos/al"), BTreeMap::new());
    assert_eq!(files(&server, "thumbnails/al"), BTreeMap::new());
    books_are_right(&server, &al, "al").await;
    assert_eq!(al.get("/api/v1/videos").await.json()["total"], 0);
}

/// THREATS 4, 7; H1.
#[tokio::test]
async fn odd_names_are_kept_as_names_and_never_become_paths() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let bytes = std::fs::read(small()).unwrap();
    let names = [
        "../../../../etc/passwd.mp4",
        r"..\..\windows\system.mp4",
        "/absolute.mp4",
        "CON",
        ".",
        "..",
        "%2e%2e%2f.mp4",
        "-y.mp4",
        "$(touch x).mp4",
        "cafe\u{301}.mp4",
        "\u{202e}4pm.gpj",
        "<script>alert(1)</script>.mp4",
        "name.tar.gz.exe",
        &format!("{}.mp4", "n".repeat(250)),
    ];
    for name in names {
        let answer = send_bytes(&al, "/api/v1/videos", name, &bytes).await;
        assert_eq!(answer.status, 201, "{name:?}: {}", answer.text());
        let video = &answer.json()["items"][0];
        let kept = video["original_name"].as_str().unwrap();
        assert!(!kept.contains(['/', '\\', '\0', '\u{202e}']) && !kept.is_empty(), "{name:?} → {kept:?}");
        assert!(!video["title"].as_str().unwrap().is_empty());
    }
    let composed = al.get("/api/v1/videos?q=caf%C3%A9").await.json();
    assert_eq!(composed["total"], 1, "{composed}");
    let page = server.login("al", PASSWORD).await.get("/videos").await.text();
    assert!(!page.contains("<script>alert"), "{page}");

    let allowed = |path: &str| {
        let parts: Vec<&str> = path.split('/').collect();
        let is_object = |name: &str, extensions: &[&str]| {
            let Some((id, extension)) = name.split_once('.') else { return false };
            id.len() == 36
                && id.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-')
                && extensions.contains(&extension)
        };
        match parts.as_slice() {
            ["videos", "al", name] => is_object(name, &["mp4"]),
            ["thumbnails", "al", name] => is_object(name, &["jpg", "png"]),
            ["data", "al" | "admin", "library.redb"] | ["data", "platform.redb" | "master.key" | ".lock"] => true,
            ["server.log"] => true,
            _ => false,
        }
    };
    let strange: Vec<String> = files(&server, "").into_keys().filter(|path| !allowed(path)).collect();
    assert_eq!(strange, Vec::<String>::new());
    books_are_right(&server, &al, "al").await;
}

#[tokio::test]
async fn a_video_is_served_in_parts_and_to_its_owner_alone() {
    let server = Server::start().await;
    for name in ["al", "bo"] {
        server.user(name).await;
    }
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    // Large enough to be read ahead.
    let path = clip(20, 50, true, "640x360");
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 600_000);
    // Two users, the same name.
    let video = uploaded(&al, "Tag & \"Nacht\" ü.mp4", &path).await;
    let other = uploaded(&bo, "Tag & \"Nacht\" ü.mp4", &path).await;
    assert!(video["id"] != other["id"] && other["duplicate_of"].is_null(), "doubles are never told across tenants");
    let id = video["id"].as_str().unwrap();
    let address = format!("/api/v1/videos/{id}/content");
    let part = async |range: &str| {
        let request = al.request(Method::GET, &address).header("range", range);
        al.send(request).await
    };
    let whole = al.get(&address).await.expect(200);
    assert_eq!(whole.body, bytes);
    for (name, value) in [
        ("content-type", "video/mp4"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cross-origin-resource-policy", "same-origin"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-cache"),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    let tag = whole.header("etag").to_owned();
    let size = bytes.len();
    for (range, from, to) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=10-299999".into(), 10, 299_999),
        ("bytes=300001-".into(), 300_001, size - 1),
        ("bytes=-5".into(), size - 5, size - 1),
        (format!("bytes=5-{}", size * 2), 5, size - 1),
    ] {
        let answer = part(&range).await.expect(206);
        assert_eq!(answer.header("content-range"), format!("bytes {from}-{to}/{size}"), "{range}");
        assert!(answer.body == bytes[from..=to], "{range}");
    }
    let beyond = part(&format!("bytes={size}-")).await.expect(416);
    assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
    assert_eq!(part("lines=1-2").await.expect(200).body.len(), size);
    let same = al.request(Method::GET, &address).header("range", "bytes=0-9").header("if-range", &tag);
    assert_eq!(al.send(same).await.expect(206).body, bytes[..10]);
    let other_tag = al.request(Method::GET, &address).header("range", "bytes=0-9").header("if-range", "\"other\"");
    assert_eq!(al.send(other_tag).await.expect(200).body.len(), size);
    let known = al.request(Method::GET, &address).header("if-none-match", &tag);
    assert!(al.send(known).await.expect(304).body.is_empty());
    let head = al.send(al.request(Method::HEAD, &address)).await.expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), (&*size.to_string(), 0));

    let page = server.login("al", PASSWORD).await;
    let download = page.get(&format!("/videos/{id}/download")).await.expect(200);
    assert_eq!(
        download.header("content-disposition"),
        "attachment; filename=\"Tag_&__Nacht___.mp4\"; filename*=UTF-8''Tag%20&%20%22Nacht%22%20%C3%BC.mp4"
    );
    assert_eq!(page.get(&format!("/videos/{id}/content")).await.expect(200).body, bytes);
    let picture = page.get(&format!("/videos/{id}/thumbnail")).await.expect(200);
    assert_eq!((picture.header("content-type"), picture.header("cache-control")), ("image/jpeg", "private, no-cache"));

    // Not yours is the same as not there; nobody logged in gets no further than the login.
    let made_up = uuid::Uuid::now_v7();
    let thumbnail = video["thumbnail_id"].as_str().unwrap();
    let bo_page = server.login("bo", PASSWORD).await;
    for (path, id) in [
        ("/api/v1/videos/{}", id),
        ("/api/v1/videos/{}/content", id),
        ("/api/v1/videos/{}/thumbnail", id),
        ("/api/v1/thumbnails/{}", thumbnail),
        ("/api/v1/thumbnails/{}/content", thumbnail),
    ] {
        let foreign = bo.get(&path.replace("{}", id)).await.expect(404);
        let absent = bo.get(&path.replace("{}", &made_up.to_string())).await.expect(404);
        assert_eq!(foreign.body, absent.body);
        server.stranger().get(&path.replace("{}", id)).await.expect(401);
    }
    for path in [format!("/videos/{id}"), format!("/videos/{id}/content"), format!("/videos/{id}/download")] {
        let absent = bo_page.get(&path.replace(id, &made_up.to_string())).await.expect(404);
        let foreign = bo_page.get(&path).await.expect(404).text();
        assert_eq!(foreign.replace(id, ""), absent.text().replace(&made_up.to_string(), ""));
        assert_eq!(server.stranger().get(&path).await.status, 303);
    }
    bo.patch(&format!("/api/v1/videos/{id}"), &json!({"title": "mine"})).await.expect(404);
    bo.delete(&format!("/api/v1/videos/{id}")).await.expect(404);
    bo_page.form(&format!("/videos/{id}/delete"), &[]).await.expect(404);
    bo_page.form(&format!("/videos/{id}/frame"), &[("seconds", "1")]).await.expect(404);
    bo_page.form("/videos/delete", &[("id", id)]).await.expect(303);
    let own = other["id"].as_str().unwrap();
    bo.patch(&format!("/api/v1/videos/{own}"), &json!({"thumbnail_id": thumbnail})).await.expect(422);
    assert_eq!(al.get(&address).await.expect(200).body, bytes);
    books_are_right(&server, &bo, "bo").await;
}

#[tokio::test]
async fn thumbnails_are_drawn_anew_chosen_and_fall_back() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let picture = |name: &str, size: &str| {
        made(&format!("picture-{size}-{name}"), |command| {
            command.args(["-f", "lavfi", "-i", &format!("testsrc2=size={size}"), "-frames:v", "1"]);
        })
    };
    let video = uploaded(&al, "a.mp4", &small()).await;
    let video_address = format!("/api/v1/videos/{}", video["id"].as_str().unwrap());
    for (name, size, shown) in [
        ("a.png", "640x360", (640, 360)),
        ("b.jpg", "640x360", (640, 360)),
        ("c.webp", "640x360", (640, 360)),
        ("large.png", "2560x1440", (1280, 720)),
    ] {
        let path = picture(name, size);
        let answer = al.upload("/api/v1/thumbnails", &[("title", "Cover")], &[(name, &path)]).await.expect(201);
        let item = answer.json()["items"][0].clone();
        assert_eq!((&item["width"], &item["height"]), (&json!(shown.0), &json!(shown.1)), "{name}");
        assert_eq!(item["title"], "Cover");
        let served = al.get(&format!("{}/content", answer.header("location"))).await.expect(200);
        assert!(served.header("content-type").starts_with("image/"));
        assert_eq!(item["size"], served.body.len());
        assert!(served.body != std::fs::read(&path).unwrap(), "never the bytes that came in");
    }
    let svg = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    for (name, bytes) in [
        ("page.png", b"<!doctype html><script>alert(1)</script>".as_slice()),
        ("drawing.svg", svg.as_bytes()),
        ("cut.png", &std::fs::read(picture("a.png", "640x360")).unwrap()[..200]),
        ("a.gif", b"GIF89a\x01\0\x01\0\0\0\0;"),
        ("empty.png", b""),
    ] {
        let answer = send_bytes(&al, "/api/v1/thumbnails", name, bytes).await;
        assert_eq!(answer.status, 415, "{name}: {}", answer.text());
    }
    let mut endless = vec![0xff_u8; 21 << 20];
    endless[1] = 0xd8;
    send_bytes(&al, "/api/v1/thumbnails", "endless.png", &endless).await.expect(413);
    send_bytes(&al, "/api/v1/videos", "picture.mp4", &std::fs::read(picture("a.png", "640x360")).unwrap())
        .await
        .expect(415);

    let list = al.get("/api/v1/thumbnails?automatic=false").await.json();
    assert_eq!((list["items"].as_array().unwrap().len(), &list["total"]), (4, &json!(4)));
    assert_eq!(al.get("/api/v1/thumbnails").await.json()["total"], 5, "with the one made from the video");
    let chosen = list["items"][0]["id"].as_str().unwrap();
    let changed = al.patch(&video_address, &json!({"thumbnail_id": chosen})).await.expect(200).json();
    assert_eq!(changed["thumbnail_id"], chosen);
    let frame = al.post(&format!("{video_address}/frame"), &json!({"seconds": 1})).await.expect(201).json();
    assert_eq!((&frame["video_id"], &frame["automatic"]), (&video["id"], &json!(false)));
    assert_eq!(al.get(&video_address).await.json()["thumbnail_id"], frame["id"]);
    al.post(&format!("{video_address}/frame"), &json!({"seconds": 99})).await.expect(422);
    al.post(&format!("{video_address}/frame"), &json!({"seconds": -1})).await.expect(422);
    // Deleting the one that is shown brings back the frame made at first; after that there is none.
    al.delete(&format!("/api/v1/thumbnails/{}", frame["id"].as_str().unwrap())).await.expect(204);
    assert_eq!(al.get(&video_address).await.json()["thumbnail_id"], video["thumbnail_id"]);
    al.delete(&format!("/api/v1/thumbnails/{}", video["thumbnail_id"].as_str().unwrap())).await.expect(204);
    assert!(al.get(&video_address).await.json()["thumbnail_id"].is_null());
    al.get(&format!("{video_address}/thumbnail")).await.expect(404);

    let page = server.login("al", PASSWORD).await;
    let shown = page.get("/thumbnails").await.expect(200).text();
    assert_eq!(shown.matches("class=\"tile\"").count(), 4, "{shown}");
    let answer = page.upload("/thumbnails", &[], &[("new.png", &picture("a.png", "640x360"))]).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/thumbnails"));
    let address = format!("/thumbnails/{chosen}");
    assert_eq!(page.form(&address, &[("title", "Other"), ("back", "/thumbnails?q=o")]).await.status, 303);
    assert!(page.form(&address, &[("title", "  ")]).await.expect(422).text().contains("is-invalid"));
    assert_eq!(page.form(&format!("{address}/delete"), &[]).await.status, 303);
    page.form(&format!("{address}/delete"), &[]).await.expect(404);
    books_are_right(&server, &al, "al").await;
}

/// THREATS 26.
#[tokio::test]
async fn two_hundred_uploads_at_once_fill_the_quota_to_the_last_file_and_no_byte_more() {
    let server = Server::start().await;
    const MIB: u64 = 1 << 20;
    server.user_with("al", json!({"storage_limit": 100 * MIB})).await;
    let al = server.api("al", PASSWORD).await;
    // A video of exactly 10 MiB: what follows the last box of an mp4 is padding.
    let folder = scratch("ten");
    let path = folder.path().join("ten.mp4");
    let mut bytes = std::fs::read(small()).unwrap();
    let rest = 10 * MIB as usize - bytes.len();
    bytes.extend((rest as u32).to_be_bytes());
    bytes.extend(b"free");
    bytes.resize(10 * MIB as usize, 0);
    std::fs::write(&path, &bytes).unwrap();
    let bytes = bytes::Bytes::from(bytes);
    let tries = (0..200).map(|number| {
        let (al, bytes) = (al.clone(), bytes.clone());
        async move {
            let length = bytes.len() as u64;
            let part = Part::stream_with_length(bytes, length).file_name(format!("{number}.mp4"));
            let request = al.request(Method::POST, "/api/v1/videos").multipart(Form::new().part("file", part));
            // A server that refuses may close before everything was sent.
            match request.send().await {
                Ok(answer) => answer.status().as_u16(),
                Err(_) => 0,
            }
        }
    });
    let mut counted = BTreeMap::<u16, usize>::new();
    for tried in futures_util::future::join_all(tries).await {
        *counted.entry(tried).or_default() += 1;
    }
    assert_eq!(counted.get(&201), Some(&10), "{counted:?}");
    assert!(counted.keys().all(|status| matches!(status, 0 | 201 | 429 | 507)), "{counted:?}");
    assert!(counted.contains_key(&507), "{counted:?}");
    books_are_right(&server, &al, "al").await;
    assert_eq!(usage(&al).await["used"], 100 * MIB);
    send_bytes(&al, "/api/v1/videos", "one.mp4", &std::fs::read(small()).unwrap()).await.expect(507);
}

/// THREATS 27, 28, 31, 37.
#[tokio::test]
async fn limits_of_size_number_disk_and_concurrency_are_kept() {
    let clip = clip(20, 50, true, "640x360");
    let size = clip.metadata().unwrap().len();
    assert!(size > 1 << 20);
    let limits = [("JADWAL_LIMITS_UPLOAD_MIB", "1"), ("JADWAL_LIMITS_FILES", "3")];
    let server = Server::start_with(&limits, &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    al.upload("/api/v1/videos", &[], &[("large.mp4", &clip)]).await.expect(413);
    // A video and its picture, then a video without one, then nothing more.
    assert!(uploaded(&al, "1.mp4", &small()).await["thumbnail_id"].is_string());
    assert!(uploaded(&al, "2.mp4", &small()).await["thumbnail_id"].is_null());
    let full = al.upload("/api/v1/videos", &[], &[("3.mp4", &small())]).await.expect(507);
    assert!(full.json()["detail"].as_str().unwrap().contains('3'));
    books_are_right(&server, &al, "al").await;
    drop(server);

    let server = Server::start_with(&[("JADWAL_LIMITS_DISK_FLOOR_MIB", "1000000000")], &["--no-demo"]).await;
    let admin = server.api("admin", ADMIN).await;
    let refused = admin.upload("/api/v1/videos", &[], &[("a.mp4", &small())]).await.expect(507);
    assert!(refused.json()["detail"].as_str().unwrap().contains("disk"), "{}", refused.text());
    books_are_right(&server, &admin, "admin").await;
    drop(server);

    let server = Server::start_with(&[("JADWAL_LIMITS_UPLOADS_PER_TENANT", "1")], &["--no-demo"]).await;
    let admin = server.api("admin", ADMIN).await;
    let slow = half_an_upload(&server, &admin, 1 << 20);
    wait_for_reserved(&admin, true).await;
    let busy = admin.upload("/api/v1/videos", &[], &[("a.mp4", &small())]).await.expect(429);
    assert!(!busy.header("retry-after").is_empty());
    drop(slow);
    books_are_right(&server, &admin, "admin").await;
    uploaded(&admin, "b.mp4", &small()).await;
}

/// Begins an upload that says it has `announced` bytes, sends the beginning of a video, and keeps the line open.
fn half_an_upload(server: &Server, client: &Client, announced: u64) -> TcpStream {
    let mut line = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    let token = client.token.as_ref().unwrap();
    let head = format!(
        "POST /api/v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {announced}\r\n\
         content-type: multipart/form-data; boundary=edge\r\n\r\n--edge\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"half.mp4\"\r\n\r\n"
    );
    line.write_all(head.as_bytes()).unwrap();
    line.write_all(&std::fs::read(small()).unwrap()[..20_000]).unwrap();
    line.flush().unwrap();
    line
}

async fn wait_for_reserved(client: &Client, is_reserved: bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while (usage(client).await["reserved"] != 0) != is_reserved {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn whoever_goes_away_in_the_middle_leaves_nothing_behind() {
    let mut server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    // Politely, and by a reset.
    for reset in [false, true] {
        let line = half_an_upload(&server, &admin, 50 << 20);
        wait_for_reserved(&admin, true).await;
        if reset {
            let socket = socket_reset_on_close(&line);
            assert!(socket);
        }
        drop(line);
        wait_for_reserved(&admin, false).await;
        books_are_right(&server, &admin, "admin").await;
    }
    // A body that ends before it says so.
    let mut line = half_an_upload(&server, &admin, 20_000 + 500);
    line.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = line.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    books_are_right(&server, &admin, "admin").await;

    // The whole server goes, with an upload in the middle and one that came whole.
    let kept = uploaded(&admin, "kept.mp4", &small()).await;
    let line = half_an_upload(&server, &admin, 50 << 20);
    wait_for_reserved(&admin, true).await;
    assert_eq!(files(&server, "data/admin/uploads").len(), 1);
    server.kill9();
    drop(line);
    // As if it had gone between a file's name and its row.
    let orphan = uuid::Uuid::now_v7();
    std::fs::write(server.home().join(format!("videos/admin/{orphan}.mp4")), "x").unwrap();
    server.restart().await;
    let admin = server.api("admin", ADMIN).await;
    books_are_right(&server, &admin, "admin").await;
    let list = admin.get("/api/v1/videos").await.json();
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &kept["id"]));
}

/// Makes the kernel send a reset instead of a polite end.
fn socket_reset_on_close(line: &TcpStream) -> bool {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(line, nix::sys::socket::sockopt::Linger, &linger).is_ok()
}

#[tokio::test]
async fn a_chunked_body_of_unknown_length_is_booked_as_it_comes() {
    let server = Server::start().await;
    server.user_with("al", json!({"storage_limit": 3 << 20})).await;
    let al = server.api("al", PASSWORD).await;
    let bytes = std::fs::read(clip(20, 50, true, "640x360")).unwrap();
    let send = async |bytes: &[u8]| {
        let mut body = b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"c.mp4\"\r\n\r\n".to_vec();
        body.extend(bytes);
        body.extend(b"\r\n--edge--\r\n");
        let pieces: Vec<std::io::Result<Vec<u8>>> = body.chunks(10_000).map(|piece| Ok(piece.to_vec())).collect();
        let request = al.request(Method::POST, "/api/v1/videos");
        let request = request.header("content-type", "multipart/form-data; boundary=edge");
        al.send(request.body(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)))).await
    };
    let video = send(&bytes).await.expect(201).json();
    assert_eq!(video["items"][0]["size"], bytes.len());
    let mut large = bytes.clone();
    large.resize(4 << 20, 0);
    send(&large).await.expect(507);
    books_are_right(&server, &al, "al").await;
    // Lengths that lie.
    for (length, statuses) in [("18446744073709551615", "507"), ("99999999999999999999", "400"), ("-1", "400")] {
        let mut line = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
        let token = al.token.as_ref().unwrap();
        let head = format!(
            "POST /api/v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\
             content-type: multipart/form-data; boundary=edge\r\n\r\n--edge\r\n\
             content-disposition: form-data; name=\"file\"; filename=\"x.mp4\"\r\n\r\n"
        );
        line.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        line.read_exact(&mut answer).unwrap();
        assert_eq!(std::str::from_utf8(&answer[9..]).unwrap(), statuses, "{length}");
    }
    books_are_right(&server, &al, "al").await;
    // What is no form at all.
    for (kind, body) in [
        ("application/json", "{}"),
        ("multipart/form-data", "x"),
        ("multipart/form-data; boundary=edge", "--edge\r\n\r\nx\r\n--edge--\r\n"),
        (
            "multipart/form-data; boundary=edge",
            "--edge\r\ncontent-disposition: form-data; name=\"owner\"\r\n\r\nbo\r\n--edge--\r\n",
        ),
        ("multipart/form-data; boundary=edge", "nothing of the kind"),
    ] {
        let request = al.request(Method::POST, "/api/v1/videos").header("content-type", kind).body(body.to_owned());
        let answer = al.send(request).await;
        assert_eq!(answer.status, 400, "{kind} {body}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_demo_has_samples_that_nobody_can_touch() {
    let server = Server::start_with(&[], &[]).await;
    let demo = server.stranger();
    assert_eq!(demo.form("/login/demo", &[]).await.status, 303);
    let deadline = Instant::now() + Duration::from_secs(60);
    let page = loop {
        let page = demo.get("/videos").await.expect(200).text();
        if page.matches("class=\"tile\"").count() == 3 {
            break page;
        }
        assert!(Instant::now() < deadline, "{page}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(page.contains("Slow dawn"), "{page}");
    while !demo.get("/thumbnails").await.expect(200).text().contains("Evening sky") {
        assert!(Instant::now() < deadline, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut demo = demo;
    demo.read_csrf().await;
    demo.upload("/videos", &[], &[("a.mp4", &small())]).await.expect(403);
    let id = page.split_once("href=\"/videos/").unwrap().1.get(..36).unwrap();
    demo.get(&format!("/videos/{id}/content")).await.expect(200);
    demo.form(&format!("/videos/{id}/delete"), &[]).await.expect(403);
    demo.form("/videos/delete", &[("id", id)]).await.expect(403);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !files(&server, "data/demo/temp").is_empty() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// THREATS 33.
#[tokio::test]
async fn a_video_that_a_schedule_wants_is_only_deleted_on_purpose() {
    let server = crate::streams::server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = crate::streams::video(&al, 4).await;
    let other = crate::streams::video(&al, 4).await;
    let stream = crate::streams::stream(&al, "Rain & wind", &video, "rtmp://127.0.0.1:1935/live", "abcd-efgh").await;
    let unused = al.get("/api/v1/videos?filter=unused").await.json();
    assert_eq!((&unused["total"], &unused["items"][0]["id"]), (&json!(1), &json!(other)));
    let schedule = json!({"stream_id": stream, "starts_at": "2099-01-01T10:00", "time_zone": "Asia/Jakarta",
                          "duration": 60});
    let schedule = al.post("/api/v1/schedules", &schedule).await.expect(201).json();
    let page = server.login("al", PASSWORD).await;
    let shown = page.get(&format!("/videos/{video}")).await.expect(200).text();
    assert!(shown.contains("Rain &amp; wind") && shown.contains("1 schedule"), "{shown}");
    let address = format!("/api/v1/videos/{video}");
    let refused = al.delete(&address).await.expect(409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("Rain & wind"), "{}", refused.text());
    al.get(&address).await.expect(200);
    al.delete(&format!("{address}?force=true")).await.expect(204);
    al.get(&address).await.expect(404);
    // Without a schedule nothing is in the way; the stream only has one video less.
    al.delete(&format!("/api/v1/schedules/{}", schedule["id"].as_str().unwrap())).await.expect(204);
    let second = crate::streams::stream(&al, "Wind", &other, "rtmp://127.0.0.1:1935/live", "ijkl-mnop").await;
    al.delete(&format!("/api/v1/videos/{other}")).await.expect(204);
    al.get(&format!("/api/v1/streams/{second}")).await.expect(200);
    page.get(&format!("/streams/{second}")).await.expect(200);
    books_are_right(&server, &al, "al").await;
}

/// The server is killed at one moment after the other, while files come and go.
#[tokio::test]
async fn a_killed_server_loses_no_acknowledged_file_and_keeps_its_books() {
    let mut server = Server::start().await;
    let path = small();
    let mut there: Vec<String> = Vec::new();
    for round in 0..6_u64 {
        let admin = server.api("admin", ADMIN).await;
        let came = parking_lot::Mutex::new(Vec::new());
        let doomed = there.pop();
        let came_to = &came;
        let uploads = (0..3).map(|_| {
            let (admin, bytes) = (admin.clone(), std::fs::read(&path).unwrap());
            async move {
                let form = Form::new().part("file", Part::bytes(bytes).file_name("a.mp4"));
                let sent = admin.request(Method::POST, "/api/v1/videos").multipart(form).send().await;
                if let Ok(answer) = sent
                    && answer.status() == 201
                    && let Ok(body) = answer.json::<Value>().await
                {
                    came_to.lock().push(body["items"][0]["id"].as_str().unwrap().to_owned());
                }
            }
        });
        let deletion = async {
            if let Some(id) = &doomed {
                let _ = admin.request(Method::DELETE, &format!("/api/v1/videos/{id}")).send().await;
            }
        };
        let work = async { tokio::join!(futures_util::future::join_all(uploads), deletion) };
        let _ = tokio::time::timeout(Duration::from_millis(30 + round * 130), work).await;
        server.kill9();
        there.append(&mut came.into_inner());
        server.restart().await;
        let admin = server.api("admin", ADMIN).await;
        books_are_right(&server, &admin, "admin").await;
        for id in &there {
            admin.get(&format!("/api/v1/videos/{id}/content")).await.expect(200);
        }
        // Whoever was not told may still have been served: their files count from now on.
        let list = admin.get("/api/v1/videos?limit=200").await.json();
        there = list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        let checked = server.cli(&["verify", "--deep"]).await;
        assert_eq!(checked.code, 0, "{checked:?}");
    }
}
