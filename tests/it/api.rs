//! The JSON API as a whole: its document, its health, its errors.

use reqwest::Method;
use serde_json::json;

use crate::support::server::{ADMIN, PASSWORD, Server};

#[tokio::test]
async fn the_document_is_openapi_3_1_and_has_a_page_that_shows_it() {
    let server = Server::start().await;
    let stranger = server.stranger();
    let document = stranger.get("/api/v1/openapi.json").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["paths"]["/api/v1/users/{name}"]["get"]["security"][0]["bearer"], json!([]));
    assert!(document["paths"]["/api/v1/auth/login"]["post"].get("security").is_none());
    let problem = &document["paths"]["/api/v1/users"]["get"]["responses"]["default"]["content"];
    assert_eq!(problem["application/problem+json"]["schema"]["$ref"], "#/components/schemas/Problem");
    // Whatever is referred to is there.
    let text = document.to_string();
    for name in text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
    let page = stranger.get("/api/docs").await.expect(200);
    assert!(page.text().contains("data-document=\"/api/v1/openapi.json\""));
    assert!(page.header("content-security-policy").starts_with("default-src 'self'"));
}

#[tokio::test]
async fn health_is_for_everybody_and_figures_for_operators_and_the_box() {
    let server = Server::start().await;
    server.user("al").await;
    let stranger = server.stranger();
    for path in ["/healthz", "/readyz", "/api/v1/healthz", "/api/v1/readyz"] {
        stranger.get(path).await.expect(200);
    }
    let figures = stranger.get("/metrics").await.expect(200);
    assert!(figures.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = figures.text();
    for name in ["jadwalstream_requests_total{class=\"2xx\"}", "process_resident_memory_bytes", "jadwalstream_on_air 0"]
    {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
    assert!(!text.contains("al\""), "no tenant's name");
    for header in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
        let proxied = stranger.request(Method::GET, "/metrics").header(header, "203.0.113.9");
        stranger.send(proxied).await.expect(401);
    }
    server.api("al", PASSWORD).await.get("/metrics").await.expect(403);
    server.api("admin", ADMIN).await.get("/api/v1/metrics").await.expect(200);
}

#[tokio::test]
async fn bad_input_gets_the_status_that_says_what_is_wrong() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    let stranger = server.stranger();
    let post = |body: &'static str, kind: &'static str| {
        admin.request(Method::POST, "/api/v1/users").header("content-type", kind).body(body)
    };
    for (request, status) in [
        (post("{", "application/json"), 400),
        (post("[]", "application/json"), 400),
        (post("{\"username\":1}", "application/json"), 400),
        (post("username=al", "application/x-www-form-urlencoded"), 415),
        (post("{}", "text/plain"), 415),
        (post("\u{0}\u{1}", "application/json"), 400),
        (admin.request(Method::PUT, "/api/v1/users"), 405),
        (admin.request(Method::TRACE, "/api/v1/users"), 405),
        (admin.request(Method::GET, "/api/v1/users?limit=0"), 400),
        (admin.request(Method::GET, "/api/v1/users?limit=x"), 400),
        (admin.request(Method::GET, "/api/v1/users?sort=password"), 400),
        (admin.request(Method::GET, "/api/v1/nothing"), 404),
        (admin.request(Method::GET, "/api/v1/users/%00"), 404),
        (admin.request(Method::GET, "/api/v1/users/%FF"), 404),
        (admin.request(Method::GET, "/api/v1/users/..%2f..%2fetc"), 404),
        (admin.request(Method::POST, "/api/v1/users").json(&json!({"username": "x".repeat(2 << 20)})), 413),
        (stranger.request(Method::GET, "/api/v1/users").bearer_auth("nonsense"), 401),
        (stranger.request(Method::GET, "/api/v1/users").header("authorization", "Basic eA=="), 401),
    ] {
        let answer = admin.send(request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{status}");
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    let indonesian = admin.request(Method::GET, "/api/v1/nothing").header("accept-language", "id-ID,id;q=0.9");
    assert!(admin.send(indonesian).await.json()["detail"].as_str().unwrap().contains("tidak"));
}

#[tokio::test]
async fn the_figures_may_have_a_token_of_their_own() {
    let token = "a long word for the figures";
    let server = Server::start_with(&[("JADWAL_METRICS_TOKEN", token)], &["--no-demo"]).await;
    let mut stranger = server.stranger();
    stranger.get("/metrics").await.expect(401);
    stranger.token = Some("another long word altogether".into());
    stranger.get("/metrics").await.expect(401);
    stranger.token = Some(token.into());
    stranger.get("/metrics").await.expect(200);
    let proxied = stranger.request(Method::GET, "/metrics").header("x-forwarded-for", "203.0.113.9");
    stranger.send(proxied).await.expect(200);
    // It opens nothing else.
    stranger.get("/api/v1/status").await.expect(401);
    stranger.get("/api/v1/videos").await.expect(401);
    server.api("admin", ADMIN).await.get("/metrics").await.expect(200);
}
