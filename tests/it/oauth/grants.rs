//! Grants: taken once, refused, taken by another account, given back.

use reqwest::Method;
use serde_json::{Value, json};

use super::{SERVE, begin, channel, check, connect, files, finish, nowhere, world};
use crate::support::provider::{BOX, PUBLIC, Provider};
use crate::support::server::{PASSWORD, Server};

#[tokio::test]
async fn a_channel_is_connected_with_code_and_pkce() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    let url = begin(&al).await;
    for part in [
        "response_type=code",
        "code_challenge_method=S256",
        "access_type=offline",
        "prompt=consent",
        &format!("client_id={}", BOX.0),
        "redirect_uri=http%3A%2F%2Fjadwal.example%2Foauth%2Fgoogle%2Fcallback",
        "scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fyoutube",
    ] {
        assert!(url.contains(part), "{part} is not in {url}");
    }
    let back = provider.allow(&url).await;
    let answer = finish(&al, &back).await.expect(201);
    let made = answer.json();
    assert_eq!(answer.header("location"), format!("/api/v1/channels/{}", made["id"].as_str().unwrap()));
    for (field, value) in [
        ("title", json!("Rain & Calm <b>")),
        ("account", json!("UC_SENTINEL_one")),
        ("handle", json!("@rain")),
        ("service", json!("youtube")),
        ("state", json!("active")),
        ("reason", json!(null)),
        ("client_id", json!(BOX.0)),
        ("picture", json!(true)),
        ("owner", json!("al")),
        ("created_by", json!("al")),
    ] {
        assert_eq!(made[field], value, "{field}: {made}");
    }
    assert!(made["expires_at"].as_str() > made["refreshed_at"].as_str(), "{made}");
    let picture = al.get(&format!("/api/v1/channels/{}/picture", made["id"].as_str().unwrap())).await.expect(200);
    assert!(picture.header("content-type").starts_with("image/"), "{:?}", picture.headers);
    assert!(image::load_from_memory(&picture.body).is_ok());
    let done = provider.control(json!({})).await;
    assert_eq!((&done["done"]["code"], &done["done"]["refresh"]), (&json!(1), &json!(0)));
    // The page shows it as text, and nothing that is secret.
    let page = server.login("al", PASSWORD).await;
    let list = page.get("/channels").await.expect(200).text();
    assert!(list.contains("Rain &amp; Calm &lt;b&gt;"), "{list}");
    let show = page.get(&format!("/channels/{}", made["id"].as_str().unwrap())).await.expect(200).text();
    assert!(show.contains("UC_SENTINEL_one") && show.contains(BOX.0), "{show}");
    // Another channel is another row; the same one again is the same row with a new grant.
    provider.control(json!({"channel": "UC_other", "title": "Other"})).await;
    connect(&al, &provider).await;
    provider.control(json!({"channel": "UC_SENTINEL_one", "title": "Renamed"})).await;
    let again = connect(&al, &provider).await;
    assert_eq!((&again["id"], &again["title"]), (&made["id"], &json!("Renamed")));
    let all = al.get("/api/v1/channels?sort=title").await.json();
    assert_eq!((&all["total"], &all["items"][0]["title"]), (&json!(2), &json!("Other")), "{all}");
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
}

#[tokio::test]
async fn a_browser_connects_by_forms_and_nothing_changes_by_coming_back() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let (al, api) = (server.login("al", PASSWORD).await, server.api("al", PASSWORD).await);
    let setup = al.get("/channels/new").await.expect(200);
    assert!(setup.text().contains(&format!("{PUBLIC}/oauth/google/callback")), "{}", setup.text());
    let policy = setup.header("content-security-policy").to_owned();
    assert!(policy.contains("form-action 'self' http://127.0.0.1:"), "{policy}");
    let away = al.form("/channels", &[]).await.expect(303);
    let back = provider.allow(away.header("location")).await;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(back.as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap())))
        .finish();
    let path = format!("/oauth/google/callback?{query}&scope=a%20b&authuser=0");
    for _ in 0..2 {
        let landed = al.get(&path).await.expect(200).text();
        assert!(landed.contains("data-send-now") && landed.contains(back["code"].as_str().unwrap()), "{landed}");
    }
    assert_eq!(api.get("/api/v1/channels").await.json()["total"], 0, "a GET changes nothing");
    let fields: Vec<(&str, &str)> =
        back.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let done = al.form("/oauth/google/finish", &fields).await.expect(303);
    assert!(done.header("location").starts_with("/channels/0"), "{}", done.header("location"));
    assert!(al.get(done.header("location")).await.expect(200).text().contains("is connected."));
    // The same once more is told, and changes nothing.
    let again = al.form("/oauth/google/finish", &fields).await.expect(303);
    assert_eq!(again.header("location"), "/channels/new");
    assert!(al.get("/channels/new").await.text().contains("not good any more"));
    assert_eq!(api.get("/api/v1/channels").await.json()["total"], 1);
    al.get("/oauth/nobody/callback?state=x").await.expect(404);
    al.form("/oauth/nobody/finish", &fields).await.expect(404);
    // Whoever is not logged in learns nothing here.
    let stranger = server.stranger().get(&path).await.expect(303);
    assert!(stranger.header("location").starts_with("/login"));
}

/// THREATS 23.
#[tokio::test]
async fn a_state_is_good_once_for_its_login_and_its_user_for_ten_minutes() {
    let provider = Provider::start();
    let mut server = world(&provider).await;
    server.user_with("eve", json!({"tenant": "al"})).await;
    let al = server.api("al", PASSWORD).await;
    let (other_login, bo, eve) =
        (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await, server.api("eve", PASSWORD).await);
    let back = provider.allow(&begin(&al).await).await;
    let mut bodies = Vec::new();
    for stranger in [&other_login, &bo, &eve] {
        let refused = finish(stranger, &back).await.expect(409);
        bodies.push(refused.text());
    }
    for made_up in ["", "x", &"a".repeat(64), &"a".repeat(5000)] {
        let refused = finish(&al, &json!({"state": made_up, "code": back["code"]})).await.expect(409);
        bodies.push(refused.text());
    }
    assert_eq!(provider.count("code").await, 0, "nobody got as far as the provider");
    // Those who had no business with it took nothing away; a restart neither.
    server.stop().await;
    server.restart().await;
    finish(&al, &back).await.expect(201);
    let replayed = finish(&al, &back).await.expect(409);
    bodies.push(replayed.text());
    assert_eq!(provider.count("code").await, 1);
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "why a state is no good is nobody's business: {bodies:?}");
    // A second code with the first one's state is no better, and a state without a code neither.
    let first = provider.allow(&begin(&al).await).await;
    let second = provider.allow(&begin(&al).await).await;
    let mixed = finish(&al, &json!({"state": first["state"], "code": second["code"]})).await.expect(409);
    assert!(mixed.json()["detail"].as_str().unwrap().contains("code_verifier"), "{}", mixed.text());
    finish(&al, &json!({"state": second["state"]})).await.expect(409);
    assert_eq!(al.get("/api/v1/channels").await.json()["total"], 1);
    // The state itself is in no file.
    let state = provider.allow(&begin(&al).await).await["state"].as_str().unwrap().to_owned();
    nowhere(server.home(), &[&state]);
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
}

#[tokio::test]
async fn what_a_provider_says_is_told_in_plain_words_and_as_text() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let (al, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let told = async |changes: Value, status: u16, words: &str| {
        provider.control(changes).await;
        let back = provider.allow(&begin(&al).await).await;
        let answer = finish(&al, &back).await.expect(status);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{detail}");
        provider
            .control(
                json!({"deny": null, "token": null, "channels": null, "scope": null, "refresh": true, "iss": null}),
            )
            .await;
    };
    told(json!({"deny": {"error": "access_denied"}}), 409, "did not give the permission").await;
    told(
        json!({"deny": {"error": "admin_policy_enforced", "error_description": "<script>x</script>\r\ny"}}),
        409,
        "admin_policy_enforced: <script>x</script>",
    )
    .await;
    told(json!({"token": {"status": 503, "body": "<h1>busy</h1>"}}), 502, "out of order").await;
    told(
        json!({"token": {"status": 400, "body": {"error": "<b>odd</b>", "error_description": "<i>why</i>"}}}),
        409,
        "<b>odd</b>: <i>why</i>",
    )
    .await;
    told(json!({"token": {"status": 200, "body": {"nothing": 1}}}), 409, "makes no sense").await;
    told(json!({"scope": "https://www.googleapis.com/auth/youtube.readonly"}), 409, "Not everything was allowed").await;
    told(json!({"refresh": false}), 409, "myaccount.google.com/permissions").await;
    told(json!({"iss": "https://evil.example"}), 409, "Somebody else").await;
    told(json!({"channels": {"status": 200, "body": {"items": []}}}), 409, "no YouTube channel").await;
    let off = json!({"error": {"errors": [{"reason": "accessNotConfigured"}]}});
    told(json!({"channels": {"status": 403, "body": off}}), 409, "YouTube Data API v3").await;
    assert_eq!(al.get("/api/v1/channels").await.json()["total"], 0);
    assert_eq!(files(&server.home().join("tokens")), Vec::<std::path::PathBuf>::new());
    // On a page it is text, in the reader's language.
    provider.control(json!({"deny": {"error": "x", "error_description": "<img src=x onerror=alert(1)>"}})).await;
    for (locale, words) in [("en", "Google refused"), ("id", "Google menolak")] {
        page.form("/preferences", &[("locale", locale)]).await.expect(303);
        let away = page.form("/channels", &[]).await.expect(303);
        let back = provider.allow(away.header("location")).await;
        let fields: Vec<(&str, &str)> =
            back.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        let landed = page.form("/oauth/google/finish", &fields).await.expect(303);
        let shown = page.get(landed.header("location")).await.expect(200).text();
        assert!(shown.contains(words) && shown.contains("&lt;img src=x"), "{shown}");
        assert!(!shown.contains("<img src=x"), "{shown}");
    }
}

#[tokio::test]
async fn what_a_provider_sends_back_to_an_ended_session_stands_in_no_further_address() {
    let provider = Provider::start();
    let server = world(&provider).await;
    for path in
        ["/oauth/google/callback?state=sentinel-state&code=sentinel-code", "/oauth/nobody/callback?code=sentinel"]
    {
        let sent = server.stranger().get(path).await.expect(303);
        assert_eq!(sent.header("location"), "/login?next=%2Fchannels", "{path}");
        assert!(!sent.text().contains("sentinel"));
    }
    // What is lost by that is begun again from there.
    let al = server.login("al", PASSWORD).await;
    al.get("/channels").await.expect(200);
}

#[tokio::test]
async fn another_account_does_not_take_the_place_of_the_one_that_is_connected_again() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    let made = connect(&al, &provider).await;
    provider.control(json!({"channel": "UC_wrong", "title": "Wrong one"})).await;
    let path = format!("/api/v1/channels/{}/reconnect", made["id"].as_str().unwrap());
    let asked = al.post(&path, &json!({})).await.expect(200).json();
    let back = provider.allow(asked["authorize_url"].as_str().unwrap()).await;
    let refused = finish(&al, &back).await.expect(409);
    assert!(refused.text().contains("Wrong one"), "{}", refused.text());
    let found = channel(&al, &made["id"]).await;
    assert_eq!((&found["account"], &found["state"]), (&made["account"], &json!("active")));
    check(&al, &made["id"]).await.expect(200);
    // Nobody connects, asks or reads what is another's.
    let bo = server.api("bo", PASSWORD).await;
    for act in ["reconnect", "check"] {
        bo.post(&format!("/api/v1/channels/{}/{act}", made["id"].as_str().unwrap()), &json!({})).await.expect(404);
    }
    bo.delete(&format!("/api/v1/channels/{}", made["id"].as_str().unwrap())).await.expect(404);
    check(&al, &made["id"]).await.expect(200);
}

/// THREATS 8.
#[tokio::test]
async fn the_way_back_is_that_of_the_settings_whatever_a_request_says_of_its_host() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    let request = al.request(Method::POST, "/api/v1/channels/connect").json(&json!({}));
    let request = request.header("host", "evil.example").header("x-forwarded-host", "evil.example");
    let request = request.header("x-forwarded-proto", "https").header("forwarded", "host=evil.example");
    let asked = al.send(request).await.expect(200).json();
    let url = asked["authorize_url"].as_str().unwrap();
    assert!(url.contains("redirect_uri=http%3A%2F%2Fjadwal.example%2F") && !url.contains("evil"), "{url}");
    drop(server);
    // Without an address in the settings nobody is sent anywhere.
    let settings = provider.settings();
    let settings = settings.iter().filter(|(name, _)| name != "JADWAL_PUBLIC_URL");
    let settings: Vec<_> = settings.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let server = Server::start_with(&settings, SERVE).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let refused = al.post("/api/v1/channels/connect", &json!({})).await.expect(409);
    assert!(refused.text().contains("public_url"), "{}", refused.text());
    let page = server.login("al", PASSWORD).await.get("/channels/new").await.expect(200).text();
    assert!(page.contains("public_url") && !page.contains("oauth/google/callback\""), "{page}");
}
