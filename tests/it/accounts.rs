//! People: logging in and out, sessions and tokens.

use serde_json::json;

use crate::support::server::{ADMIN, Server};

#[tokio::test]
async fn a_program_logs_in_sees_who_it_is_and_logs_out() {
    let server = Server::start().await;
    let api = server.api("admin", ADMIN).await;
    let me = api.get("/api/v1/auth/me").await.expect(200).json();
    assert_eq!(
        me,
        json!({"username": "admin", "tenant": "admin", "role": "admin", "plan": "enterprise",
               "time_zone": "Asia/Jakarta", "locale": "en"})
    );
    api.post("/api/v1/auth/logout", &json!({})).await.expect(204);
    api.get("/api/v1/auth/me").await.expect(401);
}

#[tokio::test]
async fn a_refresh_token_used_twice_kills_its_family() {
    let server = Server::start().await;
    let api = server.api("admin", ADMIN).await;
    let first = json!({"refresh_token": api.refresh_token});
    let second = api.post("/api/v1/auth/refresh", &first).await.expect(200).json();
    let mut renewed = api.clone();
    renewed.token = Some(second["access_token"].as_str().unwrap().to_owned());
    renewed.get("/api/v1/auth/me").await.expect(200);
    api.post("/api/v1/auth/refresh", &first).await.expect(401);
    renewed.get("/api/v1/auth/me").await.expect(401);
    api.post("/api/v1/auth/refresh", &json!({"refresh_token": second["refresh_token"]})).await.expect(401);
}
