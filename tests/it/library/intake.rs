//! Files come in: judged, named, and kept through a kill.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::{books_are_right, files, send_bytes, small, uploaded, usage};
use crate::support::clip::clip;
use crate::support::scratch;
use crate::support::server::{ADMIN, PASSWORD, Server};

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
