//! Operators make, change and remove users; a removed user leaves nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use walkdir::WalkDir;

use crate::streams;
use crate::support::nginx::Platform;
use crate::support::server::{ADMIN, PASSWORD, Server};

/// Every path below the home that names somebody.
fn traces(home: &Path, name: &str) -> Vec<PathBuf> {
    let all = WalkDir::new(home).into_iter().map(|entry| entry.unwrap().into_path());
    all.filter(|path| path.strip_prefix(home).unwrap().iter().any(|part| part == name)).collect()
}

#[tokio::test]
async fn an_admin_makes_a_user_who_logs_in_and_has_folders_and_a_limit() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    let new = json!({"username": "al", "password": PASSWORD});
    let made = admin.post("/api/v1/users", &new).await.expect(201);
    assert_eq!(made.header("location"), "/api/v1/users/al");
    let made = made.json();
    assert_eq!((made["role"].as_str(), made["tenant"].as_str()), (Some("user"), Some("al")));
    assert_eq!((made["plan"].as_str(), made["storage_limit"].as_u64()), (Some("premium"), Some(100 << 30)));
    assert_eq!((made["storage_used"].as_u64(), made["disabled"].as_bool()), (Some(0), Some(false)));
    assert!(made.get("password").is_none() && made.get("password_hash").is_none());
    assert!(traces(server.home(), "al").iter().any(|path| path.ends_with("videos/al")));
    let al = server.api("al", PASSWORD).await;
    assert_eq!(al.get("/api/v1/auth/me").await.expect(200).json()["plan"], "premium");
    let usage = al.get("/api/v1/usage").await.expect(200).json();
    assert_eq!(usage["storage"]["limit"].as_u64(), Some(100 << 30));
    assert_eq!(usage["storage"]["by_kind"]["uploads"], 0);
    admin.post("/api/v1/users", &new).await.expect(409);
    let listed = admin.get("/api/v1/users?q=a&sort=-username&limit=1").await.expect(200).json();
    assert_eq!((listed["items"][0]["username"].as_str(), listed["total"].as_u64()), (Some("al"), Some(2)));
    let rest =
        admin.get(&format!("/api/v1/users?q=a&sort=-username&cursor={}", listed["next"].as_str().unwrap())).await;
    assert_eq!(rest.json()["items"][0]["username"], "admin");
}

#[tokio::test]
async fn names_plans_and_fields_that_make_no_sense_are_refused_by_name() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    for name in ["Admin", "../admin", "a/b", ".", "con", "a\u{0}b", "%2e%2e", "\u{430}dmin", "a", ""] {
        let refused = admin.post("/api/v1/users", &json!({"username": name, "password": PASSWORD})).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["field"], "username", "{name}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
    let with = |field: &str, value: serde_json::Value| {
        let mut new = json!({"username": "al", "password": PASSWORD});
        new[field] = value;
        new
    };
    admin.post("/api/v1/users", &with("password", json!("short"))).await.expect(422);
    admin.post("/api/v1/users", &with("password", json!("x".repeat(73)))).await.expect(422);
    admin.post("/api/v1/users", &with("tenant", json!("nobody"))).await.expect(422);
    admin.post("/api/v1/users", &with("tenant", json!("../admin"))).await.expect(422);
    for (field, value) in [("role", "root"), ("plan", "gold"), ("epoch", "9"), ("id", "x"), ("owner", "bo")] {
        admin.post("/api/v1/users", &with(field, json!(value))).await.expect(400);
    }
    admin.get("/api/v1/users/al").await.expect(404);
    assert_eq!(traces(server.home(), "al"), Vec::<PathBuf>::new(), "a refused user leaves no folder");
}

#[tokio::test]
async fn plans_and_limits_are_set_at_creation_and_changed_later() {
    let server = Server::start().await;
    server.user_with("al", json!({"plan": "free"})).await;
    server.user_with("bo", json!({"plan": "enterprise", "storage_limit": 5})).await;
    let admin = server.api("admin", ADMIN).await;
    let limit = async |name: &str| admin.get(&format!("/api/v1/users/{name}")).await.json()["storage_limit"].as_u64();
    assert_eq!((limit("al").await, limit("bo").await), (Some(1 << 30), Some(5)));
    let shown = admin.patch("/api/v1/users/bo", &json!({"storage_limit": null})).await.expect(200);
    assert_eq!(shown.json()["storage_limit"].as_u64(), Some(1000 << 30));
    admin.patch("/api/v1/users/al", &json!({"plan": "premium"})).await.expect(200);
    assert_eq!(limit("al").await, Some(100 << 30));
    admin.get("/api/v1/usage/al").await.expect(200);
    admin.get("/api/v1/usage/nobody").await.expect(404);
    admin.get("/api/v1/usage/..").await.expect(404);
}

#[tokio::test]
async fn a_stale_change_is_refused_and_the_last_admin_stays() {
    let server = Server::start().await;
    server.user("al").await;
    let admin = server.api("admin", ADMIN).await;
    let tag = admin.get("/api/v1/users/al").await.expect(200).header("etag").to_owned();
    let change = async |tag: &str, body: serde_json::Value| {
        let request = admin.request(reqwest::Method::PATCH, "/api/v1/users/al").header("if-match", tag).json(&body);
        admin.send(request).await.status
    };
    assert_eq!(change(&tag, json!({"disabled": true})).await, 200);
    assert_eq!(change(&tag, json!({"disabled": false})).await, 412);
    admin.patch("/api/v1/users/admin", &json!({"disabled": true})).await.expect(409);
    admin.patch("/api/v1/users/admin", &json!({"role": "user"})).await.expect(409);
    admin.delete("/api/v1/users/admin").await.expect(409);
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once_and_back_when_let_in() {
    let server = Server::start().await;
    server.user("al").await;
    let (admin, al) = (server.api("admin", ADMIN).await, server.api("al", PASSWORD).await);
    al.get("/api/v1/auth/me").await.expect(200);
    admin.patch("/api/v1/users/al", &json!({"disabled": true})).await.expect(200);
    al.get("/api/v1/auth/me").await.expect(401);
    al.post("/api/v1/auth/refresh", &json!({"refresh_token": al.refresh_token})).await.expect(401);
    let login = json!({"username": "al", "password": PASSWORD});
    al.post("/api/v1/auth/login", &login).await.expect(401);
    admin.patch("/api/v1/users/al", &json!({"disabled": false})).await.expect(200);
    al.get("/api/v1/auth/me").await.expect(401);
    server.api("al", PASSWORD).await.get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn nothing_of_a_removed_user_is_left_but_the_audit() {
    let server = Server::start().await;
    server.user("al").await;
    server.user("bo").await;
    let (admin, al) = (server.api("admin", ADMIN).await, server.api("al", PASSWORD).await);
    std::fs::write(server.home().join("videos/al/odd name.mp4"), "bytes").unwrap();
    admin.delete("/api/v1/users/al").await.expect(204);
    al.get("/api/v1/auth/me").await.expect(401);
    admin.get("/api/v1/users/al").await.expect(404);
    admin.get("/api/v1/usage/al").await.expect(404);
    admin.delete("/api/v1/users/al").await.expect(404);
    assert_eq!(traces(server.home(), "al"), Vec::<PathBuf>::new());
    assert!(!traces(server.home(), "bo").is_empty());
    // The name is free again, and finds nothing of before.
    server.user("al").await;
    assert_eq!(server.api("al", PASSWORD).await.get("/api/v1/usage").await.json()["files"], 0);
}

#[tokio::test]
async fn a_shared_library_stays_while_somebody_uses_it() {
    let server = Server::start().await;
    server.user("al").await;
    server.user_with("al2", json!({"tenant": "al"})).await;
    let admin = server.api("admin", ADMIN).await;
    admin.delete("/api/v1/users/al").await.expect(204);
    assert!(!traces(server.home(), "al").is_empty());
    server.api("al2", PASSWORD).await.get("/api/v1/usage").await.expect(200);
    // The library of that name is not a newcomer's, unless the admin says so.
    let new = json!({"username": "al", "password": PASSWORD});
    admin.post("/api/v1/users", &new).await.expect(409);
    admin.delete("/api/v1/users/al2").await.expect(204);
    assert_eq!(traces(server.home(), "al"), Vec::<PathBuf>::new());
    admin.post("/api/v1/users", &new).await.expect(201);
}

#[tokio::test]
async fn a_removal_that_is_cut_off_is_finished_by_the_next_start() {
    let mut server = Server::start().await;
    for delay in [0, 3, 8, 15, 30] {
        server.user("al").await;
        std::fs::write(server.home().join("videos/al/kept.mp4"), "bytes").unwrap();
        let admin = server.api("admin", ADMIN).await;
        let asked = admin.clone();
        let request = async move { asked.request(reqwest::Method::DELETE, "/api/v1/users/al").send().await.is_ok() };
        tokio::select! {
            _ = request => {}
            () = tokio::time::sleep(Duration::from_millis(delay)) => {}
        }
        server.kill9();
        server.restart().await;
        let admin = server.api("admin", ADMIN).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        let user = loop {
            let user = admin.get("/api/v1/users/al").await;
            // Either it was never begun, or it goes to the end.
            if user.status == 404 || user.json()["disabled"] == false {
                break user;
            }
            assert!(Instant::now() < deadline, "{}", user.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        if user.status == 200 {
            server.api("al", PASSWORD).await.get("/api/v1/usage").await.expect(200);
            admin.delete("/api/v1/users/al").await.expect(204);
        }
        assert_eq!(traces(server.home(), "al"), Vec::<PathBuf>::new(), "after {delay} ms");
    }
}

#[tokio::test]
async fn a_user_that_is_half_made_is_whole_or_gone_after_the_next_start() {
    let mut server = Server::start().await;
    for (round, delay) in [200, 240, 260, 270, 280, 290, 300].into_iter().enumerate() {
        let name = format!("u{round}");
        let admin = server.api("admin", ADMIN).await;
        let body = json!({"username": name, "password": PASSWORD});
        let request = async { admin.request(reqwest::Method::POST, "/api/v1/users").json(&body).send().await.is_ok() };
        tokio::select! {
            _ = request => {}
            () = tokio::time::sleep(Duration::from_millis(delay)) => {}
        }
        server.kill9();
        server.restart().await;
        let admin = server.api("admin", ADMIN).await;
        if admin.get(&format!("/api/v1/users/{name}")).await.status == 200 {
            server.api(&name, PASSWORD).await.get("/api/v1/usage").await.expect(200);
        } else {
            let deadline = Instant::now() + Duration::from_secs(10);
            while !traces(server.home(), &name).is_empty() {
                assert!(Instant::now() < deadline, "{:?}", traces(server.home(), &name));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

#[tokio::test]
async fn the_pages_of_the_admin_make_change_and_delete_a_user() {
    let server = Server::start().await;
    let admin = server.login("admin", ADMIN).await;
    admin.get("/admin/users/new").await.expect(200);
    let new = |name: &'static str, password: &'static str, quota: &'static str| {
        [("username", name), ("password", password), ("role", "user"), ("plan", "free"), ("quota", quota)]
    };
    let refused = admin.form("/admin/users", &new("Bad Name", "short", "lots")).await.expect(422).text();
    for told in ["Bad Name", "2 to 32 characters", "at least 8", "number of GiB"] {
        assert!(refused.to_lowercase().contains(&told.to_lowercase()), "{told}");
    }
    assert!(!refused.contains("short\""), "a password is never sent back");
    let made = admin.form("/admin/users", &new("al", PASSWORD, "1.5")).await.expect(303);
    assert_eq!(made.header("location"), "/admin/users/al");
    admin.form("/admin/users", &new("al", PASSWORD, "")).await.expect(409);
    let list = admin.get("/admin/users?q=al").await.expect(200).text();
    assert!(list.contains("/admin/users/al") && list.contains("1.5 GiB"), "{list}");
    let al = server.login("al", PASSWORD).await;

    let change = [("role", "user"), ("plan", "premium"), ("quota", "")];
    admin.form("/admin/users/al", &change).await.expect(303);
    let api = server.api("admin", ADMIN).await;
    assert_eq!(api.get("/api/v1/users/al").await.json()["storage_limit"].as_u64(), Some(100 << 30));
    al.get("/settings").await.expect(200);
    admin.form("/admin/users/al", &[("role", "user"), ("plan", "premium"), ("disabled", "on")]).await.expect(303);
    assert_eq!(al.get("/settings").await.status, 303, "out at once");
    admin.form("/admin/users/al", &change).await.expect(303);
    admin.form("/admin/users/al", &[("role", "god"), ("plan", "premium")]).await.expect(400);
    admin.form("/admin/users/al", &[("role", "user"), ("plan", "free"), ("epoch", "1")]).await.expect(400);
    admin.form("/admin/users/al/password", &[("password", "x")]).await.expect(422);
    admin.form("/admin/users/al/password", &[("password", "brand new words")]).await.expect(303);
    server.login("al", "brand new words").await;

    let refused = admin.form("/admin/users/al/delete", &[("name", "la")]).await.expect(422).text();
    assert!(refused.contains("exactly"));
    admin.form("/admin/users/admin/delete", &[("name", "admin")]).await.expect(409);
    let gone = admin.form("/admin/users/al/delete", &[("name", "al")]).await.expect(303);
    assert_eq!(gone.header("location"), "/admin/users");
    assert!(admin.get("/admin/users").await.text().contains("al is deleted: 0 files"));
    admin.get("/admin/users/al").await.expect(404);
    admin.form("/admin/users/al/delete", &[("name", "al")]).await.expect(404);
    assert_eq!(traces(server.home(), "al"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_long_list_of_users_has_pages() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    let made = (0..30).map(|number| {
        let new = json!({"username": format!("user{number:02}"), "password": PASSWORD});
        let admin = admin.clone();
        async move { admin.post("/api/v1/users", &new).await.status }
    });
    for status in futures_util::future::join_all(made).await {
        // The password queue takes 34 at once.
        assert!([201, 429].contains(&status));
    }
    let browser = server.login("admin", ADMIN).await;
    let first = browser.get("/admin/users?q=user").await.expect(200).text();
    assert_eq!(first.matches("class=\"row-link\"").count(), 25);
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let second = browser.get(&next).await.expect(200).text();
    assert!(second.contains("user29") && !second.contains("user00"));
    browser.get("/admin/users?sort=newest").await.expect(200);
}

#[tokio::test]
async fn what_a_removed_user_had_on_air_ends_first() {
    let platform = Platform::start();
    let server = streams::server().await;
    server.user("al").await;
    let (admin, al) = (server.api("admin", ADMIN).await, server.api("al", PASSWORD).await);
    let video = streams::video(&al, 4).await;
    let stream = streams::stream(&al, "Rain", &video, &platform.rtmp_url("live"), "removed-user").await;
    al.post(&format!("/api/v1/streams/{stream}/start"), &json!({})).await.expect(202);
    let sends = || platform.publishers().iter().any(|publisher| publisher.name == "removed-user");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !sends() {
        assert!(Instant::now() < deadline, "nothing arrives:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    admin.delete("/api/v1/users/al").await.expect(204);
    assert!(!sends(), "it still sends");
    assert_eq!(traces(server.home(), "al"), Vec::<PathBuf>::new());
    assert_eq!(server.cli(&["status", "--json"]).await.json()["on_air"], json!([]));
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let home = server.home().join("data/al");
    let left = all.filter(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(home.to_str().unwrap())
    });
    assert_eq!(left.count(), 0, "a process of theirs runs");
}
