//! People: logging in and out, sessions and tokens, profile and password.

use reqwest::Method;
use serde_json::json;

use crate::support::server::{ADMIN, Client, PASSWORD, Server};

/// The session's cookie as a browser sends it back.
fn cookie(answer: &crate::support::server::Answer) -> String {
    let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    set.filter(|set| set.starts_with("session="))
        .map(|set| set.split(';').next().unwrap().to_owned())
        .next_back()
        .unwrap()
}

async fn with_cookie(client: &Client, cookie: &str, path: &str) -> u16 {
    client.send(client.request(Method::GET, path).header("cookie", cookie)).await.status
}

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
    api.post("/api/v1/auth/refresh", &json!({"refresh_token": api.refresh_token})).await.expect(401);
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

#[tokio::test]
async fn a_wrong_login_says_nothing_of_who_exists() {
    let server = Server::start().await;
    let stranger = server.stranger();
    let (wrong, unknown) = (json!({"username": "admin", "password": "x"}), json!({"username": "no", "password": "x"}));
    let wrong = stranger.post("/api/v1/auth/login", &wrong).await.expect(401);
    let unknown = stranger.post("/api/v1/auth/login", &unknown).await.expect(401);
    assert_eq!(wrong.body, unknown.body);
    assert_eq!(wrong.header("content-type"), "application/problem+json");
    let page = stranger.form("/login", &[("username", "admin"), ("password", "secret words")]).await.expect(401);
    assert!(page.text().contains("Name and password do not match"));
    assert!(page.text().contains("admin") && !page.text().contains("secret words"));
    for body in [json!({"username": "admin"}), json!({"username": "admin", "password": ADMIN, "role": "admin"})] {
        stranger.post("/api/v1/auth/login", &body).await.expect(400);
    }
}

#[tokio::test]
async fn a_login_gives_a_new_session_and_a_replayed_one_is_dead_after_logout() {
    let server = Server::start().await;
    let stranger = server.stranger();
    let login = [("username", "admin"), ("password", ADMIN)];
    // Whatever was planted before is not taken over.
    let planted = format!("session={}", "a".repeat(64));
    let form = stranger.request(Method::POST, "/login").header("cookie", &planted).form(&login);
    let first = cookie(&stranger.send(form).await.expect(303));
    assert_ne!(first, planted);
    let second = cookie(&server.stranger().form("/login", &login).await.expect(303));
    assert_ne!(first, second);
    let fresh = server.stranger();
    assert_eq!(with_cookie(&fresh, &first, "/api/v1/auth/me").await, 200);
    assert_eq!(with_cookie(&fresh, &planted, "/api/v1/auth/me").await, 401);
    let browser = server.login("admin", ADMIN).await;
    let page = browser.get("/settings").await.expect(200);
    assert!(page.text().contains("127.0.0.1"));
    let own = cookie(&server.stranger().form("/login", &login).await);
    let page = fresh.send(fresh.request(Method::GET, "/settings").header("cookie", &own)).await.text();
    let csrf = page.split("name=\"csrf\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    let logout = fresh.request(Method::POST, "/logout").header("cookie", &own).form(&[("csrf", csrf)]);
    assert_eq!(fresh.send(logout).await.expect(303).header("location"), "/login");
    assert_eq!(with_cookie(&fresh, &own, "/api/v1/auth/me").await, 401);
    assert_eq!(with_cookie(&fresh, &own, "/settings").await, 303);
    assert_eq!(with_cookie(&fresh, &first, "/api/v1/auth/me").await, 200, "other sessions go on");
}

#[tokio::test]
async fn the_session_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let server = Server::start().await;
    let login = [("username", "admin"), ("password", ADMIN)];
    let answer = server.stranger().form("/login", &login).await.expect(303);
    let set = answer.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"), "{set}");
    let public = Server::start_with(&[("JADWAL_PUBLIC_URL", "https://live.example")], &["--no-demo"]).await;
    let answer = public.stranger().form("/login", &login).await.expect(303);
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-session=") && set.contains("Secure"), "{set}");
}

#[tokio::test]
async fn after_logging_in_one_is_where_one_wanted_to_be_and_never_elsewhere() {
    let server = Server::start().await;
    let stranger = server.stranger();
    let sent = stranger.get("/settings?x=1").await.expect(303);
    assert_eq!(sent.header("location"), "/login?next=%2Fsettings%3Fx%3D1");
    for (next, place) in [
        ("/settings?x=1", "/settings?x=1"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ] {
        let login = [("username", "admin"), ("password", ADMIN), ("next", next)];
        assert_eq!(server.stranger().form("/login", &login).await.expect(303).header("location"), place, "{next}");
    }
}

#[tokio::test]
async fn a_form_without_its_token_and_json_without_the_header_are_refused() {
    let server = Server::start().await;
    let browser = server.login("admin", ADMIN).await;
    let without = browser.request(Method::POST, "/settings/sessions/end-all").form(&[("x", "y")]);
    browser.send(without).await.expect(403);
    let wrong = browser.request(Method::POST, "/settings/sessions/end-all").form(&[("csrf", "0".repeat(32))]);
    browser.send(wrong).await.expect(403);
    let body = json!({"time_zone": "Europe/London"});
    let json = browser.request(Method::PATCH, "/api/v1/auth/me").json(&body);
    browser.send(json).await.expect(403);
    let multipart = reqwest::multipart::Form::new().text("csrf", browser.csrf.clone());
    let multipart = browser.request(Method::POST, "/api/v1/auth/logout").multipart(multipart);
    browser.send(multipart).await.expect(403);
    assert_eq!(browser.get("/api/v1/auth/me").await.expect(200).json()["time_zone"], "Asia/Jakarta");
    browser.patch("/api/v1/auth/me", &body).await.expect(204);
    assert_eq!(browser.get("/api/v1/auth/me").await.json()["time_zone"], "Europe/London");
    // A token of another session does not help.
    let mut other = server.login("admin", ADMIN).await;
    other.csrf.clone_from(&browser.csrf);
    other.patch("/api/v1/auth/me", &body).await.expect(403);
}

#[tokio::test]
async fn one_sees_and_ends_one_s_own_sessions_and_nobody_else_s() {
    let server = Server::start().await;
    server.user("al").await;
    server.user("bo").await;
    let (one, two, api) =
        (server.login("al", PASSWORD).await, server.login("al", PASSWORD).await, server.api("al", PASSWORD).await);
    let bo = server.login("bo", PASSWORD).await;
    let sessions = one.get("/api/v1/auth/sessions").await.expect(200).json();
    assert_eq!(sessions["total"], 3);
    let of = |api: bool, current: bool| {
        let items = sessions["items"].as_array().unwrap();
        items.iter().find(|item| item["api"] == api && item["current"] == current).unwrap()["id"].as_str().unwrap()
    };
    let path = format!("/settings/sessions/{}/end", of(false, false));
    bo.form(&path, &[]).await.expect(404);
    two.get("/api/v1/auth/me").await.expect(200);
    one.form(&path, &[]).await.expect(303);
    two.get("/api/v1/auth/me").await.expect(401);
    one.form(&path, &[]).await.expect(404);
    one.delete(&format!("/api/v1/auth/sessions/{}", of(true, false))).await.expect(204);
    api.get("/api/v1/auth/me").await.expect(401);
    one.form("/settings/sessions/end-all", &[]).await.expect(303);
    one.get("/api/v1/auth/me").await.expect(401);
    bo.get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn a_changed_password_ends_every_other_login() {
    let server = Server::start().await;
    server.user("al").await;
    let (here, there, api) =
        (server.login("al", PASSWORD).await, server.login("al", PASSWORD).await, server.api("al", PASSWORD).await);
    let change = |current: &'static str, password: &'static str, repeat: &'static str| {
        [("current_password", current), ("password", password), ("repeat", repeat)]
    };
    for (form, told) in [
        (change("wrong", "brand new words", "brand new words"), "not your current password"),
        (change(PASSWORD, "brand new words", "brand old words"), "differ"),
        (change(PASSWORD, "short", "short"), "8 characters"),
    ] {
        let refused = here.form("/settings/password", &form).await.expect(422).text();
        assert!(refused.contains(told), "{told}");
        assert!(!refused.contains("brand new words"));
    }
    there.get("/api/v1/auth/me").await.expect(200);
    here.form("/settings/password", &change(PASSWORD, "brand new words", "brand new words")).await.expect(303);
    here.get("/settings").await.expect(200);
    there.get("/api/v1/auth/me").await.expect(401);
    api.get("/api/v1/auth/me").await.expect(401);
    api.post("/api/v1/auth/refresh", &json!({"refresh_token": api.refresh_token})).await.expect(401);
    server.stranger().form("/login", &[("username", "al"), ("password", PASSWORD)]).await.expect(401);
    server.login("al", "brand new words").await;
}

#[tokio::test]
async fn zone_and_language_are_kept_with_the_user() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.login("al", PASSWORD).await;
    let profile =
        |zone: &'static str, locale: &'static str| [("time_zone", zone), ("locale", locale), ("theme", "dark")];
    let refused = al.form("/settings/profile", &profile("Mars/Base", "en")).await.expect(422).text();
    assert!(refused.contains("Mars/Base") && refused.contains("Asia/Jakarta"), "what was typed, and what is expected");
    al.form("/settings/profile", &profile("Europe/London", "id")).await.expect(303);
    let again = server.login("al", PASSWORD).await;
    let page = again.get("/settings").await.expect(200).text();
    assert!(page.contains("<html lang=\"id\" data-bs-theme=\"dark\""), "{}", &page[..600]);
    let me = again.get("/api/v1/auth/me").await.json();
    assert_eq!((me["time_zone"].as_str(), me["locale"].as_str()), (Some("Europe/London"), Some("id")));
    al.patch("/api/v1/auth/me", &json!({"time_zone": "../../etc/passwd"})).await.expect(422);
    al.patch("/api/v1/auth/me", &json!({"role": "admin"})).await.expect(400);
}

#[tokio::test]
async fn the_first_password_is_made_told_once_and_none_of_the_usual_ones() {
    let environment = [("JADWAL_ADMIN_PASSWORD", ""), ("JADWAL_LIMITS_LOGIN_BURST", "1000")];
    let mut server = Server::start_with(&environment, &["--no-demo"]).await;
    let told = server.printed();
    let password = told.lines().find_map(|line| line.strip_prefix("admin password: ")).unwrap().to_owned();
    let usual = include_str!("fixtures/usual_passwords.txt");
    assert!(usual.lines().count() >= 100);
    let stranger = server.stranger();
    for (place, word) in usual.lines().enumerate() {
        let name = ["admin", "root", "demo"][place % 3];
        let answer = stranger.post("/api/v1/auth/login", &json!({"username": name, "password": word})).await;
        assert_eq!(answer.status, 401, "{name} {word}");
    }
    server.api("admin", &password).await;
    server.stop().await;
    server.restart().await;
    assert_eq!(server.printed().matches("admin password: ").count(), 1);
    server.api("admin", &password).await;
    assert!(!server.log().contains(&password));
}

#[tokio::test]
async fn guessing_is_slowed_down_and_the_pages_go_on() {
    let server = Server::start_with(&[("JADWAL_LIMITS_LOGIN_BURST", "3")], &["--no-demo"]).await;
    let stranger = server.stranger();
    let wrong = json!({"username": "admin", "password": "wrong words"});
    for _ in 0..3 {
        stranger.post("/api/v1/auth/login", &wrong).await.expect(401);
    }
    let refused = stranger.post("/api/v1/auth/login", &wrong).await.expect(429);
    assert!((1..=61).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let page = stranger.form("/login", &[("username", "admin"), ("password", "wrong words")]).await.expect(429);
    assert!(!page.header("retry-after").is_empty() && page.text().contains("name=\"username\""));
    stranger.get("/login").await.expect(200);
    stranger.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn a_flood_of_logins_waits_in_a_queue_of_its_own() {
    let server = Server::start().await;
    let admin = server.login("admin", ADMIN).await;
    let flood = (0..80).map(|number| {
        let client = server.stranger();
        async move {
            let body = json!({"username": format!("user{number}"), "password": "wrong words"});
            client.post("/api/v1/auth/login", &body).await
        }
    });
    let pages = async {
        for _ in 0..20 {
            admin.get("/settings").await.expect(200);
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(flood), pages);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(!refused.is_empty() && refused.iter().all(|answer| !answer.header("retry-after").is_empty()));
    assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)));
}

#[tokio::test]
async fn requests_of_one_address_are_bounded_and_a_forged_address_changes_nothing() {
    let limits = [("JADWAL_LIMITS_REQUESTS_PER_MINUTE", "30")];
    let server = Server::start_with(&limits, &["--no-demo"]).await;
    let stranger = server.stranger();
    let mut refused = None;
    for number in 0..60 {
        let forged = format!("203.0.113.{number}");
        let request = stranger.request(Method::GET, "/login").header("x-forwarded-for", forged);
        let answer = stranger.send(request).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    assert!(!refused.expect("a limit").header("retry-after").is_empty());
    // Behind a proxy that is trusted, each address counts for itself.
    let limits = [("JADWAL_LIMITS_REQUESTS_PER_MINUTE", "30"), ("JADWAL_TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start_with(&limits, &["--no-demo"]).await;
    let stranger = server.stranger();
    for number in 0..60 {
        // What the client itself claims stands further left and is not believed.
        let hops = format!("198.51.100.7, 203.0.113.{number}");
        stranger.send(stranger.request(Method::GET, "/login").header("x-forwarded-for", hops)).await.expect(200);
    }
}

#[tokio::test]
async fn changes_of_one_tenant_are_bounded_and_those_of_others_and_of_operators_are_not() {
    // Four times as many at once.
    let limits = [("JADWAL_LIMITS_WRITES_PER_MINUTE", "5")];
    let server = Server::start_with(&limits, &["--no-demo"]).await;
    for name in ["al", "bo"] {
        server.user(name).await;
    }
    let (al, page, bo) =
        (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let nothing = "/api/v1/streams/0199f0a2-7c1e-7a00-8000-00000000abcd";
    for _ in 0..20 {
        al.delete(nothing).await.expect(404);
    }
    let refused = al.delete(nothing).await.expect(429);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    page.form("/streams/0199f0a2-7c1e-7a00-8000-00000000abcd/delete", &[]).await.expect(429);
    al.get("/api/v1/streams").await.expect(200);
    bo.delete(nothing).await.expect(404);
    let admin = server.api("admin", ADMIN).await;
    for number in 0..30 {
        let change = json!({"storage_limit": 1_000_000 + number});
        admin.patch("/api/v1/users/bo", &change).await.expect(200);
    }
}

#[tokio::test]
async fn a_host_header_names_no_other_site() {
    let server = Server::start_with(&[("JADWAL_PUBLIC_URL", "http://live.example")], &["--no-demo"]).await;
    let stranger = server.stranger();
    let forged = stranger.request(Method::GET, "/settings").header("host", "evil.example");
    let answer = stranger.send(forged).await.expect(303);
    assert_eq!(answer.header("location"), "/login?next=%2Fsettings");
    let login = [("username", "admin"), ("password", ADMIN)];
    let post = |origin: &str, host: Option<&str>| {
        let mut request = stranger.request(Method::POST, "/login").header("origin", origin).form(&login);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        request
    };
    stranger.send(post("http://live.example", None)).await.expect(303);
    stranger.send(post("http://evil.example", None)).await.expect(403);
    stranger.send(post("null", None)).await.expect(403);
    let cross = stranger.request(Method::POST, "/login").header("sec-fetch-site", "cross-site").form(&login);
    stranger.send(cross).await.expect(403);
}

#[tokio::test]
async fn a_disabled_user_s_open_pages_fall_silent_within_a_second() {
    let server = Server::start().await;
    server.user("al").await;
    let (admin, al) = (server.api("admin", ADMIN).await, server.login("al", PASSWORD).await);
    let mut events = al.request(Method::GET, "/events").send().await.unwrap();
    assert_eq!(events.status(), 200);
    assert!(events.chunk().await.unwrap().is_some());
    admin.patch("/api/v1/users/al", &json!({"disabled": true})).await.expect(200);
    let end = async { while let Ok(Some(_)) = events.chunk().await {} };
    tokio::time::timeout(std::time::Duration::from_secs(1), end).await.expect("the events end");
    al.get("/api/v1/auth/me").await.expect(401);
}
