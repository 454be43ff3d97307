//! Videos and thumbnails over the real surface: what comes in, what is refused, what is shown to whom, what it costs.

mod intake;
mod limits;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::clip::{clip, made};
use crate::support::server::{Answer, Client, PASSWORD, Server};

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
