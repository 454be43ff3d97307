//! A disk that takes nothing more: it is told in plain words, and over once there is room.

use reqwest::Method;
use serde_json::json;

use crate::support::server::{ADMIN, Answer, Client, PASSWORD, Server};

const SHEET: &str = "title,start\nRain,2031-01-01 10:00\n";

async fn sheet(client: &Client) -> Answer {
    let request = client.request(Method::POST, "/api/v1/schedules/imports?name=plan");
    client.send(request.header("content-type", "application/octet-stream").body(SHEET)).await
}

async fn upload(page: &Client) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.csv");
    std::fs::write(&file, SHEET).unwrap();
    page.upload("/schedules/files", &[("csrf", &page.csrf)], &[("plan.csv", &file)]).await
}

async fn row(client: &Client) -> Answer {
    let hook = json!({"name": "hook", "via": "webhook", "url": "https://example.com/hook"});
    client.post("/api/v1/notices/destinations", &hook).await
}

#[tokio::test]
async fn a_full_disk_is_told_in_plain_words_and_forgotten_once_there_is_room() {
    let server = Server::start().await;
    server.user("al").await;
    let (al, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    row(&al).await.expect(201);

    server.disk_takes(false);
    // Not only the first time: what fails once is not broken from then on.
    for _ in 0..3 {
        for refused in [sheet(&al).await, row(&al).await] {
            assert!(refused.json()["detail"].as_str().unwrap().contains("disk is full"), "{}", refused.text());
            refused.expect(507);
        }
        let refused = upload(&page).await.expect(507).text();
        assert!(refused.contains("disk is full"), "{refused}");
        let login = json!({"username": "al", "password": PASSWORD});
        server.stranger().post("/api/v1/auth/login", &login).await.expect(507);
        server.stranger().get("/healthz").await.expect(200);
    }
    server.disk_takes(true);
    sheet(&al).await.expect(201);
    row(&al).await.expect(201);
    upload(&page).await.expect(303);
    server.login("al", PASSWORD).await;
    server.user("bo").await;
    assert_eq!(al.get("/api/v1/notices/destinations").await.expect(200).json()["total"], 2);
}

#[tokio::test]
async fn a_sheet_leaves_the_room_that_is_kept_for_what_is_on_air() {
    // No disk has an exbibyte free.
    let server = Server::start_with(&[("JADWAL_LIMITS_DISK_FLOOR_MIB", "1099511627776")], &["--no-demo"]).await;
    let admin = server.api("admin", ADMIN).await;
    let refused = sheet(&admin).await.expect(507).json();
    assert!(refused["detail"].as_str().unwrap().contains("nearly full"), "{refused}");
    let page = upload(&server.login("admin", ADMIN).await).await.expect(507).text();
    assert!(page.contains("nearly full") && page.contains("type=\"file\""), "{page}");
}
