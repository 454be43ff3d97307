//! Every change and every refusal is recorded, in chains that cannot be bent without notice.

use std::time::Duration;

use calamine::Reader as _;
use serde_json::{Value, json};

use crate::support::server::{ADMIN, Client, PASSWORD, Server};

async fn entries(client: &Client, query: &str) -> Vec<Value> {
    let list = client.get(&format!("/api/v1/audit?limit=200&{query}")).await.expect(200).json();
    list["items"].as_array().unwrap().clone()
}

/// Refusals are written a moment after they are answered.
pub async fn entry(client: &Client, query: &str, action: &str) -> Value {
    for _ in 0..100 {
        if let Some(found) = entries(client, query).await.into_iter().find(|entry| entry["action"] == action) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no {action}: {:?}", entries(client, query).await);
}

#[tokio::test]
async fn changes_and_refusals_are_recorded_with_who_what_and_where_from() {
    let server = Server::start().await;
    server.user("al").await;
    let (admin, al) = (server.api("admin", ADMIN).await, server.api("al", PASSWORD).await);
    let made = entry(&admin, "tenant=platform", "user.create").await;
    assert_eq!((made["actor"].as_str(), made["object"].as_str()), (Some("admin"), Some("al")));
    assert_eq!((made["outcome"].as_str(), made["address"].as_str()), (Some("done"), Some("127.0.0.1")));
    assert_eq!(made["tenant"], Value::Null);
    admin.patch("/api/v1/users/al", &json!({"plan": "free"})).await.expect(200);
    let changed = entry(&al, "", "tenant.change-limit").await;
    assert_eq!((changed["actor"].as_str(), changed["tenant"].as_str()), (Some("admin"), Some("al")));
    al.get("/api/v1/users").await.expect(403);
    let refused = entry(&al, "outcome=refused", "GET /api/v1/users").await;
    assert_eq!((refused["actor"].as_str(), refused["outcome"].as_str()), (Some("al"), Some("refused")));
    let wrong = json!({"username": "al", "password": "wrong words"});
    al.post("/api/v1/auth/login", &wrong).await.expect(401);
    assert_eq!(entry(&admin, "tenant=platform&outcome=refused", "token.begin").await["actor"], "al");
    let typed = json!({"username": "My Secret Pass!", "password": "x"});
    al.post("/api/v1/auth/login", &typed).await.expect(401);
    let foreign = al.request(reqwest::Method::POST, "/api/v1/auth/logout").header("origin", "http://evil.example");
    al.send(foreign).await.expect(403);
    assert_eq!(entry(&al, "outcome=refused", "POST /api/v1/auth/logout").await["actor"], "al");
    server.cli(&["user", "disable", "al"]).await;
    assert_eq!(entry(&admin, "tenant=platform", "user.disable").await["actor"], "console");
    let all = entries(&admin, "tenant=platform").await;
    assert!(!serde_json::to_string(&all).unwrap().contains("Secret"));
}

#[tokio::test]
async fn the_page_tells_acts_in_words_and_the_export_keeps_their_codes() {
    let server = Server::start().await;
    server.user("al").await;
    let (api, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let video = crate::streams::video(&api, 4).await;
    let id = crate::streams::stream(&api, "Rain on tin", &video, "rtmp://live.example.com/app", "key-of-al").await;
    let body = json!({"stream_id": id, "starts_at": "2099-03-01T19:00", "time_zone": "Asia/Jakarta"});
    let planned = api.post("/api/v1/schedules", &body).await.expect(201).json();
    api.delete(&format!("/api/v1/schedules/{}", planned["id"].as_str().unwrap())).await.expect(204);
    let html = page.get("/settings/audit").await.expect(200).text();
    for words in ["Uploaded a video", "Made a stream", "Planned a stream", "Deleted a schedule"] {
        assert!(html.contains(words), "{words}: {html}");
    }
    assert_eq!(html.matches(">Rain on tin<div").count(), 3, "made, planned, taken away: {html}");
    let csv = page.get("/settings/audit/export?format=csv").await.expect(200).text();
    assert!(csv.contains("schedule.delete") && !csv.contains("Deleted a schedule"), "{csv}");
}

#[tokio::test]
async fn one_reads_one_s_own_record_and_operators_all_of_them_as_one() {
    let server = Server::start().await;
    server.user("al").await;
    server.user("bo").await;
    let (admin, al, bo) =
        (server.api("admin", ADMIN).await, server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    for (client, tries) in [(&al, 3), (&bo, 2), (&al, 2)] {
        for _ in 0..tries {
            client.get("/api/v1/users").await.expect(403);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    while entries(&al, "").await.len() < 5 || entries(&bo, "").await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(entries(&al, "").await.iter().all(|entry| entry["tenant"] == "al" && entry["actor"] == "al"));
    al.get("/api/v1/audit?tenant=bo").await.expect(403);
    al.get("/api/v1/audit?tenant=nobody").await.expect(403);
    al.get("/api/v1/audit?tenant=platform").await.expect(403);
    al.get("/api/v1/audit?tenant=al").await.expect(200);
    assert_eq!(entries(&admin, "tenant=bo").await.len(), 2);
    admin.get("/api/v1/audit?tenant=nobody").await.expect(404);
    admin.get("/api/v1/audit?tenant=..%2Fal").await.expect(404);
    // The three that were just refused too: what is still being written would stand on some pages only.
    while entries(&al, "").await.len() < 8 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = entries(&admin, "").await;
    // As times: a written one may end in fewer digits than the next.
    let times: Vec<jiff::Timestamp> = all.iter().map(|entry| entry["at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");
    for tenant in [json!("al"), json!("bo"), Value::Null] {
        assert!(all.iter().any(|entry| entry["tenant"] == tenant), "{tenant}");
    }
    // Page by page it is the same.
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = admin.get(&format!("/api/v1/audit?limit=3{cursor}")).await.expect(200).json();
        paged.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, all);
    for cursor in ["x", "1~al", "9999999999999999999999999~al~1", "1~al~x"] {
        admin.get(&format!("/api/v1/audit?cursor={cursor}")).await.expect(400);
    }
    al.get("/api/v1/audit?cursor=x").await.expect(400);
    al.get("/api/v1/audit?outcome=maybe").await.expect(400);
    let page = server.login("admin", ADMIN).await.get("/admin/audit?q=users&tenant=bo").await.expect(200).text();
    assert_eq!(page.matches("GET /api/v1/users").count(), 2, "{page}");
}

#[tokio::test]
async fn the_record_is_given_out_as_files_in_which_nothing_calculates() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    // A refusal whose object looks like a formula: the path is recorded as it came.
    al.get("/api/v1/users/=HYPERLINK(%22http:evil%22)").await.expect(403);
    let recorded = entry(&al, "", "GET /api/v1/users/{name}").await;
    assert!(recorded["object"].as_str().unwrap().contains("=HYPERLINK"));
    let file = al.get("/api/v1/audit/export?format=xlsx").await.expect(200);
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"audit-al.xlsx\"");
    let mut book: calamine::Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(file.body)).unwrap();
    let rows = book.worksheet_range("audit").unwrap();
    assert_eq!(rows.get_value((0, 4)).unwrap().to_string(), "action");
    assert_eq!(rows.get_value((1, 4)).unwrap().to_string(), "GET /api/v1/users/{name}");
    assert!(rows.rows().flatten().all(|cell| matches!(cell, calamine::Data::String(_) | calamine::Data::Empty)));
    assert!(book.worksheet_formula("audit").unwrap().used_cells().next().is_none());
    let text = al.get("/api/v1/audit/export?format=csv").await.expect(200).text();
    assert!(text.starts_with("\u{feff}\"number\",\"at\",\"actor\""));
    assert!(text.lines().skip(1).all(|line| line.starts_with('"') && line.ends_with('"')));
    al.get("/api/v1/audit/export?format=pdf").await.expect(422);
    al.get("/api/v1/audit/export?format=csv&tenant=admin").await.expect(403);
    let admin = server.login("admin", ADMIN).await;
    assert!(admin.get("/admin/audit/export?format=csv&tenant=al").await.expect(200).text().contains("HYPERLINK"));
    assert!(admin.get("/settings/audit/export?format=csv").await.expect(200).text().starts_with('\u{feff}'));
    admin.get("/admin/audit/export?format=csv&tenant=platform").await.expect(200);
    admin.get("/admin/audit/export?format=csv&tenant=nobody").await.expect(404);
}

#[tokio::test]
async fn strangers_who_share_the_demo_account_do_not_see_each_other() {
    let server = Server::start_with(&[], &[]).await;
    let mut clients = [server.stranger(), server.stranger()];
    for client in &mut clients {
        client.form("/login/demo", &[]).await.expect(303);
        client.read_csrf().await;
    }
    let demo = &clients[0];
    assert_eq!(demo.get("/api/v1/auth/sessions").await.expect(200).json()["total"], 1);
    demo.post("/api/v1/users", &json!({})).await.expect(403);
    let refused = entry(demo, "", "POST /api/v1/users").await;
    assert_eq!((refused["actor"].as_str(), &refused["address"]), (Some("demo"), &Value::Null));
    demo.get("/api/v1/audit/export?format=csv").await.expect(403);
    assert!(!demo.get("/settings").await.expect(200).text().contains("export?"));
}

#[tokio::test]
async fn one_flipped_byte_of_a_record_and_one_of_a_video_are_found() {
    let mut server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = crate::streams::video(&al, 2).await;
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0, "{:?}", server.cli(&["verify", "--deep"]).await);
    std::fs::create_dir(server.home().join("videos/nobody")).unwrap();
    let path = server.home().join(format!("videos/al/{video}.mp4"));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    server.stop().await;
    for name in ["platform.redb", "al/library.redb"] {
        let path = server.home().join("data").join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        // The name of who acted, wherever the file holds it.
        let (what, other) = if name == "platform.redb" { ("user.create", "user.delete") } else { ("video.", "vadeo.") };
        let places: Vec<usize> = bytes
            .windows(what.len())
            .enumerate()
            .filter(|(_, text)| *text == what.as_bytes())
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty(), "{name}");
        for at in places {
            bytes[at..at + what.len()].copy_from_slice(other.as_bytes());
        }
        std::fs::write(&path, bytes).unwrap();
    }
    let ran = server.cli(&["verify", "--deep", "--json"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let findings = ran.json()["findings"].as_array().unwrap().clone();
    let found = |tenant: Value, fault: &str, object: &str| {
        let is =
            |finding: &Value| finding["tenant"] == tenant && finding["fault"] == fault && finding["object"] == object;
        findings.iter().any(is)
    };
    assert!(found(json!("al"), "changed", &video), "{findings:?}");
    assert!(found(Value::Null, "unknown", "videos/nobody"), "{findings:?}");
    assert!(
        findings.iter().any(|finding| finding["tenant"].is_null() && finding["fault"] != "unknown"),
        "{findings:?}"
    );
    assert!(findings.iter().any(|finding| finding["tenant"] == "al" && finding["fault"] != "changed"), "{findings:?}");
}
