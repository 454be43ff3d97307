//! What attackers try on a box that several people share, one sentence for each try that comes to nothing.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::clip::clip;
use crate::support::server::{ADMIN, Answer, Client, PASSWORD, Server};

async fn uploaded(client: &Client, name: &str) -> String {
    let clip = clip(2, 25, true, "320x180");
    let answer = client.upload("/api/v1/videos", &[], &[(name, &clip)]).await.expect(201).json();
    answer["items"][0]["id"].as_str().unwrap().to_owned()
}

fn id(answer: Answer) -> String {
    answer.expect(201).json()["id"].as_str().unwrap().to_owned()
}

/// Every file of a folder whose bytes hold one of these words.
fn holding(folder: &Path, words: &[(&str, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder) {
        let Ok(entry) = entry else { continue };
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        for (what, word) in words {
            if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
                found.push(format!("{what} in {}", entry.path().display()));
            }
        }
    }
    found
}

/// THREATS 10, 12, 21, 22.
#[tokio::test]
async fn what_opens_an_account_or_a_channel_lies_nowhere_in_the_clear() {
    let server =
        Server::start_with(&[("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true"), ("JADWAL_LOG", "debug")], &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let browser = server.stranger();
    let answer = browser.form("/login", &[("username", "al"), ("password", PASSWORD)]).await.expect(303);
    let cookies = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookie = cookies.filter_map(|cookie| cookie.strip_prefix("session=")).next_back().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let key = "zyxw-vuts-rqpo-nmlk";
    let nowhere = format!("rtmp://127.0.0.1:{}/live", crate::support::free_port());
    let target = json!({"platform": "custom", "url": nowhere, "key": key});
    let body = json!({"title": "Rain", "videos": [uploaded(&al, "rain.mp4").await], "targets": [target]});
    let stream = format!("/api/v1/streams/{}", id(al.post("/api/v1/streams", &body).await));
    al.post(&format!("{stream}/start"), &json!({})).await.expect(202);
    // Long enough for ffmpeg to complain about the address, key and all.
    for round in 0.. {
        let told = al.get(&stream).await.expect(200).text();
        if told.contains("\"attempts\":1") || told.contains("\"restarts\":1") || round > 50 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let secrets = [
        ("a session", cookie),
        ("an access token", al.token.clone().unwrap()),
        ("a refresh token", al.refresh_token.clone().unwrap()),
        ("a password", PASSWORD.to_owned()),
        ("the admin's password", ADMIN.to_owned()),
        ("a stream key", key.to_owned()),
    ];
    assert_eq!(holding(server.home(), &secrets), Vec::<String>::new());
    let page = server.login("al", PASSWORD).await;
    for path in ["/streams", "/history", "/schedules", "/settings", "/settings/audit", "/"] {
        let shown = page.get(path).await.text();
        assert!(!shown.contains(key) && !shown.contains(PASSWORD), "{path}");
    }
    for path in [stream.as_str(), "/api/v1/streams", "/api/v1/runs", "/api/v1/audit", "/api/v1/audit/export?format=csv"]
    {
        let shown = al.get(path).await.expect(200).text();
        assert!(!shown.contains(key), "{path}: {shown}");
    }
    al.post(&format!("{stream}/stop"), &json!({})).await;
    // What one box signed is nothing to another.
    let other = Server::start().await;
    other.user("al").await;
    let mut stolen = other.stranger();
    stolen.token = al.token.clone();
    stolen.get("/api/v1/auth/me").await.expect(401);
    stolen.post("/api/v1/auth/refresh", &json!({"refresh_token": al.refresh_token})).await.expect(401);
    let key_of = |server: &Server| std::fs::read(server.home().join("data/master.key")).unwrap();
    assert_ne!(key_of(&server), key_of(&other));
}

/// THREATS 13, 45.
#[tokio::test]
async fn words_of_people_stay_words_on_every_page() {
    let server = Server::start_with(&[("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true")], &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let evil = "\"><img src=x onerror=alert(1)></script><script>alert(1)</script>{{ 7 * 7 }}";
    let video = uploaded(&al, &format!("{}.mp4", evil.replace(['/', '"'], "'"))).await;
    let words = json!({"title": evil, "description": evil, "tags": [evil[..50]]});
    al.patch(&format!("/api/v1/videos/{video}"), &words).await.expect(200);
    let target = json!({"platform": "youtube", "key": "abcd-efgh-ijkl-mnop"});
    let stream = id(al.post("/api/v1/streams", &json!({"title": evil, "videos": [video], "targets": [target]})).await);
    let plan = json!({"stream_id": stream, "title": evil, "description": evil, "starts_at": "2099-03-01T19:00", "time_zone": "Asia/Jakarta"});
    let planned = al.post("/api/v1/schedules", &plan).await;
    let schedule = if planned.status == 201 {
        id(planned)
    } else {
        let plain = json!({"stream_id": stream, "starts_at": "2099-03-01T19:00", "time_zone": "Asia/Jakarta"});
        id(al.post("/api/v1/schedules", &plain).await)
    };
    let picture = al.post(&format!("/api/v1/videos/{video}/frame"), &json!({"seconds": 1})).await.expect(201).json();
    let picture = format!("/api/v1/thumbnails/{}", picture["id"].as_str().unwrap());
    al.patch(&picture, &json!({"title": evil})).await.expect(200);
    let (mine, admin) = (server.login("al", PASSWORD).await, server.login("admin", ADMIN).await);
    let mut seen = 0;
    for path in [
        "/".to_owned(),
        "/videos".into(),
        format!("/videos/{video}"),
        format!("/videos?q={}", "%22%3E%3Cscript%3Ealert(1)%3C/script%3E"),
        "/thumbnails".into(),
        "/streams".into(),
        "/streams/new".into(),
        format!("/streams/{stream}"),
        format!("/streams/{stream}/edit"),
        "/schedules".into(),
        "/schedules/new".into(),
        format!("/schedules/{schedule}/edit"),
        "/history".into(),
        "/settings/audit".into(),
        "/settings".into(),
        "/admin/users".into(),
        "/admin/users/al".into(),
        "/admin/audit".into(),
        "/login?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".into(),
        "/nothing/%22%3E%3Cscript%3Ealert(1)%3C/script%3E".into(),
    ] {
        for client in [&mine, &admin] {
            let text = client.get(&path).await.text();
            assert!(!text.contains("<script>alert") && !text.contains("<img src=x"), "{path}: {text}");
            assert!(!text.contains("</script>49") && !text.contains("script&gt;49"), "{path} calculates");
            seen += usize::from(text.contains("onerror=alert"));
        }
    }
    assert!(seen >= 8, "the words are shown, as words: {seen}");
}

/// THREATS 2, 45: nobody looks into another's library, also not who runs the box.
#[tokio::test]
async fn an_admin_runs_the_box_and_sees_nobody_s_files() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = uploaded(&al, "private.mp4").await;
    let target = json!({"platform": "youtube", "key": "abcd-efgh-ijkl-mnop"});
    let stream =
        id(al.post("/api/v1/streams", &json!({"title": "Private", "videos": [video], "targets": [target]})).await);
    let (api, page) = (server.api("admin", ADMIN).await, server.login("admin", ADMIN).await);
    for path in [format!("videos/{video}"), format!("videos/{video}/content"), format!("streams/{stream}")] {
        api.get(&format!("/api/v1/{path}")).await.expect(404);
        page.get(&format!("/{path}")).await.expect(404);
    }
    api.delete(&format!("/api/v1/videos/{video}")).await.expect(404);
    for path in ["/api/v1/videos", "/api/v1/streams", "/api/v1/thumbnails"] {
        assert_eq!(api.get(path).await.expect(200).json()["total"], 0, "{path}");
    }
}

/// THREATS 46.
#[tokio::test]
async fn nobody_gives_themselves_what_is_not_theirs_to_give() {
    let server = Server::start().await;
    for name in ["al", "bo"] {
        server.user(name).await;
    }
    let al = server.api("al", PASSWORD).await;
    let video = uploaded(&al, "a.mp4").await;
    let target = json!({"platform": "youtube", "key": "abcd-efgh-ijkl-mnop"});
    let stream = json!({"title": "Rain", "videos": [video], "targets": [target]});
    let stream_path = format!("/api/v1/streams/{}", id(al.post("/api/v1/streams", &stream).await));
    let before = al.get("/api/v1/auth/me").await.expect(200).json();
    assert_eq!((&before["role"], &before["tenant"]), (&json!("user"), &json!("al")));
    let extras = [
        ("role", json!("admin")),
        ("tenant", json!("bo")),
        ("owner", json!("bo")),
        ("plan", json!("free")),
        ("storage_limit", json!(1_u64 << 50)),
        ("id", json!("0198c0de-0000-7000-8000-000000000001")),
        ("version", json!(99)),
        ("size", json!(0)),
        ("state", json!("ready")),
        ("created_by", json!("admin")),
    ];
    for (name, value) in extras {
        for (method, path, body) in [
            (Method::PATCH, "/api/v1/auth/me".to_owned(), json!({"time_zone": "Asia/Jakarta"})),
            (Method::POST, "/api/v1/auth/login".into(), json!({"username": "al", "password": PASSWORD})),
            (Method::PATCH, format!("/api/v1/videos/{video}"), json!({"title": "A"})),
            (Method::POST, "/api/v1/streams".into(), stream.clone()),
            (Method::PATCH, stream_path.clone(), json!({"title": "A"})),
        ] {
            let mut more: Value = body;
            more[name] = value.clone();
            let refused = al.json(method, &path, &more).await;
            assert!([400, 422].contains(&refused.status), "{path} takes {name}: {} {}", refused.status, refused.text());
        }
    }
    let page = server.login("al", PASSWORD).await;
    for (path, fields) in [
        ("/settings/profile", [("time_zone", "Asia/Jakarta"), ("role", "admin")]),
        ("/preferences", [("theme", "dark"), ("role", "admin")]),
    ] {
        let refused = page.form(path, &fields).await;
        assert!([400, 422].contains(&refused.status), "{path}: {}", refused.status);
    }
    for (method, path) in [(Method::PATCH, "/api/v1/users/al"), (Method::POST, "/api/v1/users")] {
        let body = json!({"username": "eve", "password": PASSWORD, "role": "admin"});
        al.json(method, path, &body).await.expect(403);
    }
    assert_eq!(al.get("/api/v1/auth/me").await.expect(200).json(), before);
    assert_eq!(al.get(&stream_path).await.json()["title"], "Rain");
}

/// THREATS 47.
#[tokio::test]
async fn a_visitor_of_the_demo_is_slowed_down_and_others_are_not() {
    let server = Server::start_with(&[], &[]).await;
    let mut visitor = server.stranger();
    visitor.form("/login/demo", &[]).await.expect(303);
    visitor.read_csrf().await;
    visitor.form("/streams", &[("title", "x")]).await.expect(403);
    let mut refused = None;
    for _ in 0..400 {
        let answer = visitor.get("/settings").await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a limit").expect(429);
    assert!(!refused.header("retry-after").is_empty());
    let admin = server.login("admin", ADMIN).await;
    for _ in 0..150 {
        admin.get("/settings").await.expect(200);
    }
}

/// THREATS 15: what arrives packed is not unpacked.
#[tokio::test]
async fn a_packed_body_is_not_unpacked() {
    let server = Server::start().await;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let plain = json!({"username": "admin", "password": ADMIN}).to_string();
    packer.write_all(plain.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let stranger = server.stranger();
    for (path, kind) in [("/api/v1/auth/login", "application/json"), ("/login", "application/x-www-form-urlencoded")] {
        let request = stranger.request(Method::POST, path).header("content-type", kind);
        let answer = stranger.send(request.header("content-encoding", "gzip").body(packed.clone())).await;
        assert!([400, 415, 422].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
    }
}

/// The first line of the answer to raw bytes.
fn answer_to(server: &Server, bytes: &[u8]) -> String {
    let mut line = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    line.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server that has read enough may close before all is sent.
    let _ = line.write_all(bytes);
    let _ = line.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = line.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

/// THREATS 27, 32.
#[tokio::test]
async fn lengths_that_lie_take_no_room_and_say_nothing_twice() {
    let server = Server::start().await;
    server.user_with("al", json!({"storage_limit": 4 << 20})).await;
    let al = server.api("al", PASSWORD).await;
    let token = al.token.clone().unwrap();
    let clip = std::fs::read(clip(2, 25, true, "320x180")).unwrap();
    let body = [
        b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n".as_slice(),
        &clip,
        b"\r\n--edge--\r\n",
    ]
    .concat();
    let head = |more: &str| {
        format!(
            "POST /api/v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
             content-type: multipart/form-data; boundary=edge\r\n{more}\r\n\r\n"
        )
    };
    for (more, expected) in [
        ("content-length: -1".to_owned(), "400"),
        ("content-length: 18446744073709551616".into(), "400"),
        ("content-length: 18446744073709551615".into(), "413 507 400"),
        ("content-length: 0x10".into(), "400"),
        ("content-length: 9223372036854775807".into(), "413 507"),
        (format!("content-length: {}\r\ncontent-length: {}", body.len(), body.len() + 1), "400"),
        (format!("content-length: {}\r\ntransfer-encoding: chunked", body.len()), "400"),
        ("transfer-encoding: chunked, identity".into(), "400 501"),
        // Less than comes: what is beyond is not taken for a part of it.
        (format!("content-length: {}", body.len() / 2), "400 415 422"),
        // More than comes.
        (format!("content-length: {}", body.len() + 1000), "400"),
    ] {
        let answer = answer_to(&server, &[head(&more).as_bytes(), &body].concat());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        // An end in the middle of a body is not always worth an answer.
        assert!(expected.contains(status) && !status.starts_with("20"), "{more}: {answer}");
    }
    for round in 0.. {
        let usage = al.get("/api/v1/usage").await.expect(200).json();
        if usage["storage"]["reserved"] == 0 && usage["storage"]["used"] == 0 {
            break;
        }
        assert!(round < 100, "{usage}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(al.get("/api/v1/videos").await.json()["total"], 0);
}

/// THREATS 35.
#[tokio::test]
async fn a_second_server_on_the_same_home_says_who_holds_it_and_touches_nothing() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    let mut second = Command::new(env!("CARGO_BIN_EXE_jadwalstream"));
    second.args(["serve", "--no-demo", "--listen", "127.0.0.1:0", "--home"]).arg(server.home());
    let second = tokio::task::spawn_blocking(move || second.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&server.pid().to_string()), "{said}");
    admin.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(server.cli(&["status", "--json"]).await.code, 0, "its socket is still the first one's");
}

/// THREATS 38.
#[tokio::test]
async fn nobody_writes_lines_of_their_own_into_the_log() {
    let server = Server::start_with(&[("JADWAL_LOG", "debug"), ("JADWAL_LOG_FORMAT", "json")], &["--no-demo"]).await;
    let stranger = server.stranger();
    let forged = "x\n{\"level\":\"ERROR\",\"fields\":{\"message\":\"forged\"}}\u{1b}[31m";
    let encoded: String = url::form_urlencoded::byte_serialize(forged.as_bytes()).collect();
    stranger.get(&format!("/{encoded}")).await;
    stranger.get(&format!("/login?next={encoded}")).await;
    stranger.post("/api/v1/auth/login", &json!({"username": forged, "password": forged})).await.expect(401);
    stranger.form("/login", &[("username", forged), ("password", "wrong words")]).await.expect(401);
    let admin = server.api("admin", ADMIN).await;
    let clip = clip(2, 25, true, "320x180");
    admin.upload("/api/v1/videos", &[], &[(forged, &clip)]).await;
    answer_to(&server, b"GET /\x1b[31m\x0a{\"level\":\"ERROR\"} HTTP/1.1\r\nhost: x\r\n\r\n");
    answer_to(
        &server,
        b"GET /login HTTP/1.1\r\nhost: x\r\nuser-agent: \x1b[31mred\r\nx-forwarded-for: \x1b[31m\r\n\r\n",
    );
    let log = server.log();
    let mut levels = BTreeMap::<String, usize>::new();
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|cause| panic!("{cause}: {line:?}"));
        assert_ne!(entry["fields"]["message"], "forged", "{line}");
        *levels.entry(entry["level"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(!levels.contains_key("ERROR") && !levels.is_empty(), "{levels:?}");
    assert!(!log.contains('\u{1b}'), "no sequences that a terminal would obey");
    drop(server);
    // The form for people's eyes keeps to one line for each entry too.
    let server = Server::start_with(&[("JADWAL_LOG", "debug")], &["--no-demo"]).await;
    server.stranger().get("/x%0Aforged%1B%5B31m").await;
    answer_to(&server, b"GET /\x1b[31m HTTP/1.1\r\nhost: x\r\n\r\n");
    let log = server.log();
    assert!(!log.contains('\u{1b}') && log.contains("forged"), "{log:?}");
    assert!(log.lines().all(|line| line.starts_with("20")), "each line begins with its time: {log}");
}
