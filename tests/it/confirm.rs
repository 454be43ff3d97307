//! An operator's acts ask for a password that was typed a moment ago, and nothing that was sent is lost.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::audit::entry;
use crate::support::server::{ADMIN, Answer, Client, PASSWORD, Server};

const SETTING: &str = "JADWAL_LIMITS_PROOF_SECONDS";
const NEW: [(&str, &str); 5] =
    [("username", "bo"), ("password", "bo's first words"), ("role", "user"), ("plan", "free"), ("quota", "")];

/// From now on a password counts for a second, and each that was typed is older.
async fn grow_old(server: &mut Server) {
    server.stop().await;
    server.set(SETTING, "1");
    server.restart().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

/// What the page that asks holds back.
fn held(page: &Answer) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"held\" value=\"").unwrap_or_else(|| panic!("nothing is held: {text}"));
    rest.split_once('"').unwrap().0.to_owned()
}

async fn exists(admin: &Client, name: &str) -> bool {
    admin.get(&format!("/api/v1/users/{name}")).await.status == 200
}

#[tokio::test]
async fn a_form_that_comes_late_waits_for_the_password_and_is_then_done_as_it_was_typed() {
    let mut server = Server::start().await;
    server.user("al").await;
    let admin = server.login("admin", ADMIN).await;
    grow_old(&mut server).await;
    let asked = admin.form("/admin/users", &NEW).await.expect(403);
    let held = held(&asked);
    assert!(!asked.text().contains("first words"), "no page repeats a password");
    assert!(!exists(&admin, "bo").await);
    // A wrong password does nothing, and loses nothing.
    let wrong = admin.form("/admin/users", &[("held", &held), ("password", "wrong words")]).await.expect(422);
    let held = self::held(&wrong);
    assert!(!exists(&admin, "bo").await);
    let made = admin.form("/admin/users", &[("held", &held), ("password", ADMIN)]).await.expect(303);
    assert_eq!(made.header("location"), "/admin/users/bo");
    server.login("bo", "bo's first words").await;
    // Each of an operator's forms asks.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let change = [("role", "admin"), ("plan", "enterprise"), ("quota", "1")];
    let forms: [(&str, &[(&str, &str)]); 3] =
        [("", &change), ("/password", &[("password", "other words")]), ("/delete", &[("name", "al")])];
    for (act, fields) in forms {
        let asked = admin.form(&format!("/admin/users/al{act}"), fields).await.expect(403);
        assert!(asked.text().contains(&format!("action=\"/admin/users/al{act}\"")), "{}", asked.text());
    }
    let al = server.api("al", PASSWORD).await;
    assert_eq!(al.get("/api/v1/auth/me").await.expect(200).json()["role"], "user");
}

#[tokio::test]
async fn a_page_for_changes_asks_first_and_leads_back_and_only_to_pages_of_ours() {
    let mut server = Server::start_with(&[(SETTING, "8")], &["--no-demo"]).await;
    let admin = server.login("admin", ADMIN).await;
    admin.get("/admin/users/new").await.expect(200);
    tokio::time::sleep(Duration::from_millis(8100)).await;
    for path in ["/admin/users/new", "/admin/users/admin"] {
        let asked = admin.get(path).await.expect(303);
        assert_eq!(asked.header("location"), format!("/confirm?next={}", path.replace('/', "%2F")));
    }
    for free in ["/admin/users", "/admin/audit", "/api/v1/users", "/api/v1/status", "/settings"] {
        admin.get(free).await.expect(200);
    }
    let page = admin.get("/confirm?next=%2Fadmin%2Fusers%2Fnew").await.expect(200).text();
    assert!(page.contains("name=\"next\" value=\"/admin/users/new\""), "{page}");
    for evil in ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example"]
    {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", evil).finish();
        let page = admin.get(&format!("/confirm?{query}")).await.expect(200).text();
        assert!(page.contains("name=\"next\" value=\"/\""), "{page}");
    }
    let answer = admin.form("/confirm", &[("next", "/admin/users/new"), ("password", "wrong words")]).await.expect(422);
    assert!(answer.text().contains("name=\"next\" value=\"/admin/users/new\""));
    admin.get("/admin/users/new").await.expect(303);
    let back = admin.form("/confirm", &[("next", "/admin/users/new"), ("password", ADMIN)]).await.expect(303);
    assert_eq!(back.header("location"), "/admin/users/new");
    admin.get("/admin/users/new").await.expect(200);
    admin.form("/admin/users", &NEW).await.expect(303);
    for evil in ["//evil.example", "https://evil.example", "/\\evil.example"] {
        let back = admin.form("/confirm", &[("next", evil), ("password", ADMIN)]).await.expect(303);
        assert_eq!(back.header("location"), "/");
    }
    assert_eq!(server.stop().await, 0);
}

#[tokio::test]
async fn what_waits_opens_in_the_login_that_sent_it_and_with_that_login_s_forms_only() {
    let mut server = Server::start().await;
    let (admin, other) = (server.login("admin", ADMIN).await, server.login("admin", ADMIN).await);
    grow_old(&mut server).await;
    let held = held(&admin.form("/admin/users", &NEW).await.expect(403));
    for bent in [held.replace('.', ""), format!("{held}AAAA"), "k1.AAAA".to_owned(), String::new()] {
        admin.form("/admin/users", &[("held", &bent), ("password", ADMIN)]).await.expect(400);
    }
    other.form("/admin/users", &[("held", &held), ("password", ADMIN)]).await.expect(400);
    // Nor for another act than the one that it was sent for.
    for path in ["/admin/users/admin", "/admin/users/admin/password", "/admin/users/admin/delete"] {
        admin.form(path, &[("held", &held), ("password", ADMIN)]).await.expect(400);
    }
    let forged = [("csrf", other.csrf.as_str()), ("held", &held), ("password", ADMIN)];
    admin.send(admin.request(Method::POST, "/admin/users").form(&forged)).await.expect(403);
    admin.send(admin.request(Method::POST, "/confirm").form(&[("password", ADMIN)])).await.expect(403);
    assert!(!exists(&admin, "bo").await);
    let no_form = admin.request(Method::POST, "/admin/users").header("x-csrf-token", &admin.csrf).form(&NEW);
    let asked = admin.send(no_form).await.expect(403).text();
    assert!(asked.contains("action=\"/confirm\""), "{asked}");
    assert!(!exists(&admin, "bo").await);
}

#[tokio::test]
async fn a_session_that_somebody_copied_is_worth_nothing_once_the_password_was_typed() {
    let mut server = Server::start_with(&[(SETTING, "8")], &["--no-demo"]).await;
    let mut admin = server.stranger();
    let answer = admin.form("/login", &[("username", "admin"), ("password", ADMIN)]).await.expect(303);
    let session = |answer: &Answer| {
        let mut cookies = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
        cookies.find(|cookie| cookie.starts_with("session=")).map(|cookie| cookie.split(';').next().unwrap().to_owned())
    };
    let mut taken = session(&answer).unwrap();
    admin.read_csrf().await;
    let of_thief = async |taken: &str| {
        let thief = server.stranger();
        thief.send(thief.request(Method::GET, "/admin/users").header("cookie", taken)).await.status
    };
    assert_eq!(of_thief(&taken).await, 200);
    assert!(session(&admin.get("/admin/users").await.expect(200)).is_none(), "nothing is renewed without a password");
    // By the page, by a form that waited, and by a script of the page.
    let form_of_another_tab = admin.csrf.clone();
    for way in ["page", "form", "script"] {
        let answer = match way {
            "page" => admin.form("/confirm", &[("password", ADMIN)]).await.expect(303),
            "form" => {
                tokio::time::sleep(Duration::from_millis(8100)).await;
                let held = held(&admin.form("/admin/users", &NEW).await.expect(403));
                admin.form("/admin/users", &[("held", &held), ("password", ADMIN)]).await.expect(303)
            }
            _ => admin.post("/api/v1/auth/confirm", &json!({"password": ADMIN})).await.expect(204),
        };
        assert_eq!(of_thief(&taken).await, 303, "{way}");
        taken = session(&answer).unwrap();
        assert_eq!(of_thief(&taken).await, 200, "{way}");
    }
    // Also where what waited is then refused.
    tokio::time::sleep(Duration::from_millis(8100)).await;
    let late = self::held(&admin.form("/admin/users/nobody/password", &[("password", "new words")]).await.expect(403));
    let refused = admin.form("/admin/users/nobody/password", &[("held", &late), ("password", ADMIN)]).await.expect(404);
    taken = session(&refused).unwrap();
    assert_eq!(of_thief(&taken).await, 200);
    // What is sent twice at once leaves the browser with the one cookie that lives, whichever answer it reads.
    let twice = [("password", ADMIN)];
    let (one, other) = tokio::join!(admin.form("/confirm", &twice), admin.form("/confirm", &twice));
    let given: Vec<_> = [&one, &other].into_iter().filter(|answer| answer.status == 303).filter_map(session).collect();
    assert!(!given.is_empty());
    for cookie in &given {
        assert_eq!(of_thief(cookie).await, 200, "{given:?}");
    }
    assert_eq!(of_thief(&taken).await, 303);
    admin.csrf = form_of_another_tab;
    admin.form("/admin/users/bo/delete", &[("name", "bo")]).await.expect(303);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test]
async fn guesses_here_are_those_of_the_login_and_on_record() {
    let mut server = Server::start_with(&[("JADWAL_LIMITS_LOGIN_BURST", "4")], &["--no-demo"]).await;
    let admin = server.login("admin", ADMIN).await;
    grow_old(&mut server).await;
    let held = held(&admin.form("/admin/users", &NEW).await.expect(403));
    let guess = [("held", held.as_str()), ("password", "wrong words")];
    for _ in 0..3 {
        admin.form("/admin/users", &guess).await.expect(422);
    }
    admin.form("/confirm", &[("password", "wrong words")]).await.expect(422);
    let spent = admin.form("/admin/users", &[("held", &held), ("password", ADMIN)]).await.expect(429);
    assert!(!spent.header("retry-after").is_empty());
    assert_eq!(self::held(&spent).split('.').count(), 2, "it still waits");
    admin.post("/api/v1/auth/confirm", &json!({"password": ADMIN})).await.expect(429);
    admin.form("/login", &[("username", "admin"), ("password", ADMIN)]).await.expect(429);
    assert!(!exists(&admin, "bo").await);
    let refused = entry(&admin, "tenant=platform&outcome=refused", "session.confirm").await;
    assert_eq!((refused["actor"].as_str(), refused["address"].as_str()), (Some("admin"), Some("127.0.0.1")));
}

#[tokio::test]
async fn a_program_is_told_to_prove_the_password_and_refreshing_is_no_proof() {
    let mut server = Server::start_with(&[(SETTING, "8")], &["--no-demo"]).await;
    server.user("al").await;
    let mut admin = server.api("admin", ADMIN).await;
    let mut al = server.api("al", PASSWORD).await;
    admin.post("/api/v1/users", &json!({"username": "bo", "password": PASSWORD})).await.expect(201);
    tokio::time::sleep(Duration::from_millis(8100)).await;
    let pair = admin.post("/api/v1/auth/refresh", &json!({"refresh_token": admin.refresh_token})).await.expect(200);
    admin.token = pair.json()["access_token"].as_str().map(str::to_owned);
    let old = async |admin: &Client| {
        let new = json!({"username": "cy", "password": PASSWORD});
        for answer in [
            admin.post("/api/v1/users", &new).await,
            admin.patch("/api/v1/users/bo", &json!({"role": "admin"})).await,
            admin.delete("/api/v1/users/bo").await,
            admin.post("/api/v1/stop", &json!({"all": true})).await,
        ] {
            let problem = answer.expect(403);
            assert_eq!(problem.header("content-type"), "application/problem+json");
            assert_eq!(problem.json()["type"], "urn:jadwalstream:proof-required");
        }
    };
    old(&admin).await;
    for free in ["/api/v1/users/bo", "/api/v1/usage/bo", "/api/v1/audit?tenant=platform", "/api/v1/status"] {
        admin.get(free).await.expect(200);
    }
    admin.post("/api/v1/verify", &json!({})).await.expect(200);
    let wrong = admin.post("/api/v1/auth/confirm", &json!({"password": "wrong words"})).await.expect(422).json();
    assert_eq!((wrong["errors"][0]["field"].as_str(), wrong["type"].as_str()), (Some("password"), Some("about:blank")));
    old(&admin).await;
    // Who is no admin is told so, and keeps what is theirs; the console is not asked.
    let refused = al.post("/api/v1/users", &json!({})).await.expect(403).json();
    assert_eq!(refused["type"], "about:blank");
    al.patch("/api/v1/auth/me", &json!({"time_zone": "Europe/London"})).await.expect(204);
    al.token = None;
    al.post("/api/v1/auth/confirm", &json!({"password": PASSWORD})).await.expect(401);
    assert_eq!(server.cli(&["user", "disable", "bo"]).await.code, 0);
    admin.post("/api/v1/auth/confirm", &json!({"password": ADMIN})).await.expect(204);
    admin.patch("/api/v1/users/bo", &json!({"disabled": false})).await.expect(200);
    let done = entry(&admin, "tenant=platform&outcome=done", "session.confirm").await;
    assert_eq!(done["actor"], "admin");
    server.stop().await;
}
