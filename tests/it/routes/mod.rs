//! The walk over the whole surface: as a stranger, as a demo user, as somebody from another library, as a user on the
//! operator's ground. Every route stands in [`CASES`]; one that does not fails the walk.

mod cases;
mod world;

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::server::{ADMIN, Answer, PASSWORD, Server};
use cases::*;
use world::*;

/// Reads that have nothing to show for somebody who may read: what is not on air has no picture; strangers share the
/// demo account, so that its record, which names addresses, is not given out.
fn answer_to_a_reader(path: &str, role: &str) -> &'static [u16] {
    match path {
        "/streams/{id}/frame.jpg" => &[404],
        "/login" => &[200, 303],
        // Where one wants to be told is one's own, in a library that others use too.
        "/settings/notices/{id}" | "/api/v1/notices/destinations/{id}" if role == "demo" => &[404],
        "/settings/audit/export" | "/api/v1/audit/export" if role == "demo" => &[403],
        "/schedules/preview" => &[200, 422],
        _ => &[200],
    }
}

/// The same of an operator, on whose ground nobody moves in.
fn answer_to_an_operator(path: &str) -> u16 {
    match path {
        "/admin/moving/progress" => 303,
        "/admin/moving/report" => 404,
        _ => 200,
    }
}

/// What an answer says, without the frame of the page.
fn told(answer: &Answer) -> String {
    let text = answer.text();
    text.split_once("<main").map_or(text.clone(), |(_, rest)| rest.split("</main>").next().unwrap().to_owned())
}

/// What holds for every answer.
fn sound(answer: &Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {} {}", answer.status, told(answer));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{what}: {name}");
    }
    let policy = answer.header("content-security-policy");
    assert!(!policy.is_empty() && !policy.contains("unsafe"), "{what}: {policy:?}");
    assert!(!answer.header("cache-control").is_empty(), "{what}: cache-control");
    assert!(answer.header("server").is_empty(), "{what}: says what it runs on");
}

#[tokio::test]
async fn a_stranger_gets_in_nowhere() {
    let world = world().await;
    let al = world.server.api("al", PASSWORD).await;
    let before = (world.data(&al).await, world.acts(&al).await);
    for (method, path, access) in &world.routes {
        let case = world.case(method, path);
        let stranger = world.server.stranger();
        let answer = world.ask(&stranger, &case, &world.path(&case, false), &[]).await;
        let what = format!("{method} {path}: {} {}", answer.status, told(&answer));
        match access.as_str() {
            "public" => assert!(!answer.header("location").contains("next="), "{what}"),
            // Programs on this machine may read the figures.
            _ if path.ends_with("/metrics") => assert_eq!(answer.status, 200, "{what}"),
            _ if method == "GET" && !path.starts_with("/api/") => {
                assert_eq!(answer.status, 303, "{what}");
                assert!(answer.header("location").starts_with("/login"), "{what}");
            }
            _ => assert_eq!(answer.status, 401, "{what}"),
        }
        if path.starts_with("/api/v1/") && answer.status >= 400 {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
}

#[tokio::test]
async fn a_demo_user_sees_everything_and_changes_nothing() {
    let world = world().await;
    let (al, look) = (world.server.api("al", PASSWORD).await, world.server.login("look", PASSWORD).await);
    let by_token = world.server.api("look", PASSWORD).await;
    let before = (world.data(&al).await, world.acts(&al).await);
    for (method, path, access) in &world.routes {
        // What everybody may do to their own login is tried last.
        if access == "public" || path.ends_with("/logout") {
            continue;
        }
        let case = world.case(method, path);
        // Visitors of the demo are slowed down by address: two people, so that neither is.
        for (client, address) in [(&look, "198.51.100.1"), (&by_token, "203.0.113.1")] {
            let from = [("x-forwarded-for", address)];
            let answer = world.ask(client, &case, &world.path(&case, false), &from).await;
            let what = format!("{method} {path}: {} {}", answer.status, told(&answer));
            match access.as_str() {
                "read" => assert!(answer_to_a_reader(path, "demo").contains(&answer.status), "{what}"),
                _ => assert_eq!(answer.status, 403, "{what}"),
            }
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
    look.get("/settings").await.expect(200);
    by_token.get("/api/v1/auth/me").await.expect(200);
    look.form("/logout", &[]).await.expect(303);
}

#[tokio::test]
async fn what_is_another_s_is_not_there_and_looks_like_what_never_was() {
    let world = world().await;
    let al = world.server.api("al", PASSWORD).await;
    let (bo, by_token) = (world.server.login("bo", PASSWORD).await, world.server.api("bo", PASSWORD).await);
    let before = (world.data(&al).await, world.acts(&al).await);
    for (method, path, access) in &world.routes {
        let case = world.case(method, path);
        if matches!(case.2, None | Asset | Feed | Google) || access == "operator" {
            continue;
        }
        for client in [&bo, &by_token] {
            let (foreign, made_up) = (world.path(&case, false), world.path(&case, true));
            let one = world.ask(client, &case, &foreign, &[]).await;
            let other = world.ask(client, &case, &made_up, &[]).await;
            let what = format!("{method} {path}: {}", told(&one));
            assert_eq!((one.status, other.status), (404, 404), "{what}");
            // A page repeats the address that was asked for, or that of its form's page, and nothing else differs.
            let mut parts = foreign.split('/').zip(made_up.split('/'));
            let (own, none) = parts.find(|(own, none)| own != none).unwrap();
            assert_eq!(one.text().replace(own, "-"), other.text().replace(none, "-"), "{what}");
            assert_eq!(one.header("content-type"), other.header("content-type"), "{what}");
        }
    }
    // Ids in a body are no more there than those in an address.
    let body = |text: &str| serde_json::from_str::<Value>(&world.filled(text)).unwrap();
    for (path, body) in [("/api/v1/streams", body(STREAM_JSON)), ("/api/v1/schedules", body(SCHEDULE_JSON))] {
        let answer = by_token.post(path, &body).await;
        assert!([404, 422].contains(&answer.status), "{path}: {}", answer.text());
    }
    let answer = bo.form("/videos/delete", &[("id", world.ids["VIDEO"].as_str())]).await;
    assert!(answer.status < 500, "{}", answer.text());
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
}

/// The bodies of [`CASES`] are refused above for who sends them, and for nothing else.
#[tokio::test]
async fn what_is_refused_to_others_is_done_for_its_owner() {
    let world = world().await;
    let (admin, mut al) = (world.server.login("admin", ADMIN).await, world.server.login("al", PASSWORD).await);
    let ends = |path: &str| path.contains("delete") || path.contains("session") || path.contains("logout");
    let mut writes: Vec<_> = world.routes.iter().filter(|route| route.0 != "GET" && route.2 != "public").collect();
    writes.sort_by_key(|(method, path, access)| {
        (access == "operator", method == "DELETE" || ends(path), path.contains("password"))
    });
    for (method, path, access) in writes {
        let case = world.case(method, path);
        // Each is given what it needs anew: logins end, and what was deleted is gone.
        if access != "operator" && al.get("/api/v1/auth/me").await.status == 401 {
            let old = al.form("/login", &[("username", "al"), ("password", PASSWORD)]).await;
            al = world.server.login("al", if old.status == 303 { PASSWORD } else { "other one" }).await;
        }
        let client = if access == "operator" { &admin } else { &al };
        if matches!(case.2, Stream) && (path.contains("delete") || method == "DELETE") {
            world.off_air(&al).await;
        }
        let answer = world.ask(client, &case, &world.path(&case, false), &[]).await;
        let what = format!("{method} {path}: {} {}", answer.status, told(&answer));
        let gone = ends(path) || method == "DELETE";
        let clashes =
            path.contains("start") || path.contains("run-now") || path.contains("password") || access == "operator";
        // Twice optimised at once, and what is over cannot be cancelled.
        let clashes = clashes || path.contains("optimise") || path.contains("cancel");
        // What the page has just taken off air has no end that its twin could change.
        let clashes = clashes || path == "/api/v1/streams/{id}/end";
        // Nobody has just come back from the provider.
        let clashes = clashes || path.ends_with("/finish");
        // It is on its way already; the table of plans is no table of uploads, and no file of keys.
        let clashes = clashes || path.contains("uploads") || path == "/stream-keys/import";
        match answer.status {
            200..=204 | 303 => {}
            // Deleted by the page before its twin of the API, or the other way round.
            404 if gone => {}
            // Twice on air, twice the same password, twice the same name.
            409 | 422 if clashes => {}
            _ => panic!("{what}"),
        }
    }
}

#[tokio::test]
async fn the_operator_s_ground_is_closed_to_users() {
    let world = world().await;
    let (al, bo) = (world.server.api("al", PASSWORD).await, world.server.login("bo", PASSWORD).await);
    let by_token = world.server.api("bo", PASSWORD).await;
    let before = (world.data(&al).await, world.acts(&al).await);
    for (method, path, access) in world.routes.iter().filter(|route| route.2 == "operator") {
        let case = world.case(method, path);
        for client in [&bo, &by_token] {
            for made_up in [false, true] {
                let answer = world.ask(client, &case, &world.path(&case, made_up), &[]).await;
                assert_eq!(answer.status, 403, "{method} {path} ({access}): {}", answer.text());
            }
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
    let admin = world.server.api("admin", ADMIN).await;
    assert_eq!(admin.get("/api/v1/users").await.json()["total"], 4);
    assert_eq!(admin.get("/api/v1/users/al").await.json()["role"], "user");
}

#[tokio::test]
async fn reading_changes_nothing() {
    let world = world().await;
    let (admin, by_token) = (world.server.login("admin", ADMIN).await, world.server.api("admin", ADMIN).await);
    let al = world.server.login("al", PASSWORD).await;
    let platform = async || by_token.get("/api/v1/audit?tenant=platform&limit=1").await.json()["total"].clone();
    let users = async || by_token.get("/api/v1/users").await.json();
    let before = (world.data(&al).await, world.acts(&al).await, platform().await, users().await);
    for (method, path, access) in world.routes.iter().filter(|route| route.0 == "GET") {
        let case = world.case(method, path);
        let address = world.path(&case, false);
        if access == "operator" {
            let answer = world.ask(&admin, &case, &address, &[]).await;
            let what = format!("{path}: {} {}", answer.status, told(&answer));
            assert_eq!(answer.status, answer_to_an_operator(path), "{what}");
        } else {
            let answer = world.ask(&al, &case, &address, &[]).await;
            let what = format!("{path}: {} {}", answer.status, told(&answer));
            assert!(answer_to_a_reader(path, "user").contains(&answer.status), "{what}");
            // HEAD is the same without the body.
            let head = world.send(&al, al.request(Method::HEAD, &address)).await;
            sound(&head, &format!("HEAD {path}"));
            assert!(head.body.is_empty());
            if !path.ends_with("/export") {
                assert_eq!(head.status, answer.status, "HEAD {path}");
            }
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await, platform().await, users().await));
}

#[tokio::test]
async fn a_form_on_another_site_acts_nowhere_and_a_method_that_is_not_there_is_none() {
    let world = world().await;
    let (admin, by_token) = (world.server.login("admin", ADMIN).await, world.server.api("al", PASSWORD).await);
    let al = world.server.login("al", PASSWORD).await;
    let before = (world.data(&al).await, world.acts(&al).await);
    let mut methods = BTreeMap::<&str, Vec<&str>>::new();
    for (method, path, access) in &world.routes {
        methods.entry(path).or_default().push(method);
        if method == "GET" {
            continue;
        }
        let case = world.case(method, path);
        let address = world.path(&case, false);
        let client = if access == "operator" { &admin } else { &al };
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let answer = world.ask(client, &case, &address, &[(name, value)]).await;
            assert_eq!(answer.status, 403, "{method} {path} with {name}: {value}: {}", answer.text());
        }
        let answer = world.ask(&by_token, &case, &address, &[("origin", "http://evil.example")]).await;
        assert_eq!(answer.status, 403, "{method} {path} by token: {}", answer.text());
    }
    for (path, known) in methods {
        let case = world.case(known[0], path);
        let address = world.path(&case, false);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            if !known.contains(&method) {
                let answer = al.send(al.request(method.parse().unwrap(), &address)).await;
                sound(&answer, &format!("{method} {path}"));
                assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
            }
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
}

#[tokio::test]
async fn answers_to_nonsense_are_sound_too() {
    let server = Server::start().await;
    let admin = server.login("admin", ADMIN).await;
    for path in ["/nothing", "/videos/x", "/api/v1/nothing", "/static/x/nothing.js", "/..%2f..%2fetc/passwd", "/%00"] {
        let answer = admin.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        sound(&answer, path);
    }
    let large = admin.request(Method::POST, "/settings/profile").form(&[("time_zone", "x".repeat(300 << 10))]);
    let answer = admin.send(large).await.expect(413);
    sound(&answer, "a form of 300 KiB");
    let odd = admin.request(Method::POST, "/settings/profile").header("x-csrf-token", &admin.csrf).json(&json!({}));
    let answer = admin.send(odd).await.expect(415);
    sound(&answer, "JSON to a form");
}
