//! Channels are connected at a provider made by others, kept usable, and given back.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::old_home::OldHome;
use crate::support::provider::{BOX, OWN, PUBLIC, Provider, SENTINELS};
use crate::support::server::{ADMIN, Answer, Client, PASSWORD, Server};

const SERVE: &[&str] = &["--no-demo"];

/// A server at a provider, with `al` and `bo`.
async fn world(provider: &Provider) -> Server {
    let settings = provider.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let server = Server::start_with(&settings, SERVE).await;
    server.user("al").await;
    server.user("bo").await;
    server
}

/// Where the API sends somebody.
async fn begin(client: &Client) -> String {
    let answer = client.post("/api/v1/channels/connect", &json!({})).await.expect(200).json();
    answer["authorize_url"].as_str().unwrap().to_owned()
}

async fn finish(client: &Client, back: &Value) -> Answer {
    client.post("/api/v1/oauth/google/finish", back).await
}

/// Connects the channel that the provider has.
async fn connect(client: &Client, provider: &Provider) -> Value {
    let back = provider.allow(&begin(client).await).await;
    finish(client, &back).await.expect(201).json()
}

async fn channel(client: &Client, id: &Value) -> Value {
    client.get(&format!("/api/v1/channels/{}", id.as_str().unwrap())).await.expect(200).json()
}

/// Waits until a channel is in a state.
async fn until(client: &Client, id: &Value, state: &str) -> Value {
    for _ in 0..600 {
        let found = channel(client, id).await;
        if found["state"] == state {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not become {state}: {}", channel(client, id).await)
}

/// Waits until an answer of the token end is held back.
async fn held(provider: &Provider) {
    for round in 0.. {
        if provider.control(json!({})).await["held"] == 1 {
            return;
        }
        assert!(round < 400, "nobody asks");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Waits until a server has read whatever so many connections sent.
async fn all_read(server: &Server, most: usize) {
    let port = url::Url::parse(&server.url("/")).unwrap().port().unwrap();
    for round in 0.. {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let read = table.lines().filter(|line| {
            let parts: Vec<&str> = line.split_whitespace().collect();
            // Own address, state "established", nothing queued to be read.
            parts[1].ends_with(&format!(":{port:04X}")) && parts[3] == "01" && parts[4].ends_with(":00000000")
        });
        if read.count() >= most {
            return;
        }
        assert!(round < 1200, "not all are read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn check(client: &Client, id: &Value) -> Answer {
    client.post(&format!("/api/v1/channels/{}/check", id.as_str().unwrap()), &json!({})).await
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    all.filter(|path| path.is_file()).collect()
}

/// No file below a folder holds one of the texts, in the clear or in base64.
fn nowhere(folder: &Path, texts: &[&str]) {
    for path in files(folder) {
        let bytes = std::fs::read(&path).unwrap();
        for text in texts {
            let found = bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(!found, "{} holds {text}", path.display());
        }
    }
}

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
async fn two_hundred_at_once_renew_an_expired_token_once() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    provider.control(json!({"rotation": "strict"})).await;
    let made = connect(&al, &provider).await;
    // All of them ask for a token that is newer than their question.
    let before = provider.count("refresh").await;
    provider.control(json!({"hold": true})).await;
    let asking = futures_util::future::join_all((0..200).map(|_| check(&al, &made["id"])));
    let answering = async {
        held(&provider).await;
        // The first is under way when the last one asks.
        all_read(&server, 200).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        provider.control(json!({"hold": false, "release": true})).await;
    };
    let (answers, ()) = tokio::join!(asking, answering);
    for answer in answers {
        answer.expect(200);
    }
    assert_eq!(provider.count("refresh").await - before, 1);
    assert_eq!(channel(&al, &made["id"]).await["state"], "active");
}

#[tokio::test]
async fn tokens_are_renewed_before_they_end_and_the_new_refresh_token_is_kept() {
    let provider = Provider::start();
    let mut server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    // Half of its time is over at once: it is renewed in the background.
    provider.control(json!({"rotation": "strict", "lifetime": 40})).await;
    let made = connect(&al, &provider).await;
    for round in 0.. {
        if provider.count("refresh").await >= 1 {
            break;
        }
        assert!(round < 900, "nothing is renewed: {}", channel(&al, &made["id"]).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    provider.control(json!({"lifetime": 3600})).await;
    server.stop().await;
    server.restart().await;
    // What it was given last is what it shows.
    for _ in 0..3 {
        check(&al, &made["id"]).await.expect(200);
    }
    assert_eq!(channel(&al, &made["id"]).await["state"], "active");
    assert_eq!(provider.control(json!({})).await["live"], 1);
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
}

/// The answer is on its way to us, and the provider counts it as given, when we are gone.
async fn cut_off(rotation: &str) -> (Provider, Server, Client, Value) {
    let provider = Provider::start();
    let mut server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    let made = connect(&al, &provider).await;
    provider.control(json!({"rotation": rotation, "hold": true})).await;
    let path = format!("/api/v1/channels/{}/check", made["id"].as_str().unwrap());
    let asking = al.request(Method::POST, &path).json(&json!({})).send();
    let killing = async {
        held(&provider).await;
        let sent = provider.count("sent").await;
        let pid = nix::unistd::Pid::from_raw(server.pid() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        provider.control(json!({"release": true, "hold": false})).await;
        for round in 0.. {
            if provider.count("sent").await > sent {
                break;
            }
            assert!(round < 400, "nothing is sent");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        server.kill9();
    };
    let (asked, ()) = tokio::join!(asking, killing);
    assert!(asked.is_err(), "nobody is there to answer");
    server.restart().await;
    (provider, server, al, made)
}

#[tokio::test]
async fn a_kill_between_the_provider_s_answer_and_ours_loses_no_grant_that_the_provider_still_takes() {
    for rotation in ["none", "overlap"] {
        let (provider, server, al, made) = cut_off(rotation).await;
        check(&al, &made["id"]).await.expect(200);
        assert_eq!(channel(&al, &made["id"]).await["state"], "active", "{rotation}");
        assert!(provider.count("refresh").await >= 2, "{rotation}");
        assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
    }
}

#[tokio::test]
async fn a_kill_at_a_provider_that_rotates_strictly_has_a_person_connect_again() {
    let (provider, server, al, made) = cut_off("strict").await;
    let refused = check(&al, &made["id"]).await.expect(409);
    assert!(refused.text().contains("while this server was cut off"), "{}", refused.text());
    let found = channel(&al, &made["id"]).await;
    assert_eq!(found["state"], "reconnect");
    // Nothing of it is lost but the grant, and it comes back under the same id.
    assert_eq!(found["title"], made["title"]);
    let url = format!("/api/v1/channels/{}/reconnect", made["id"].as_str().unwrap());
    let asked = al.post(&url, &json!({})).await.expect(200).json();
    let back = provider.allow(asked["authorize_url"].as_str().unwrap()).await;
    let again = finish(&al, &back).await.expect(201).json();
    assert_eq!((&again["id"], &again["state"]), (&made["id"], &json!("active")));
    check(&al, &made["id"]).await.expect(200);
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
}

#[tokio::test]
async fn kills_at_any_moment_of_a_renewal_or_of_connecting_leave_a_sound_home() {
    let provider = Provider::start();
    let mut server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    provider.control(json!({"rotation": "overlap"})).await;
    let made = connect(&al, &provider).await;
    for round in 0..12_u64 {
        provider.control(json!({"channel": format!("UC_{round}")})).await;
        let back = provider.allow(&begin(&al).await).await;
        let path = format!("/api/v1/channels/{}/check", made["id"].as_str().unwrap());
        let renewal = al.request(Method::POST, &path).json(&json!({})).send();
        let connecting = al.request(Method::POST, "/api/v1/oauth/google/finish").json(&back).send();
        let killing = async {
            tokio::time::sleep(Duration::from_millis(round * 7)).await;
            server.kill9();
        };
        // Whoever was still waiting is cut off.
        let _ = tokio::join!(renewal, connecting, killing);
        server.restart().await;
    }
    check(&al, &made["id"]).await.expect(200);
    let all = al.get("/api/v1/channels").await.json();
    for item in all["items"].as_array().unwrap() {
        check(&al, &item["id"]).await.expect(200);
    }
    // What came to nothing is taken away.
    for round in 0.. {
        let ran = server.cli(&["verify", "--deep"]).await;
        if ran.code == 0 {
            break;
        }
        assert!(round < 50, "{ran:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_grant_that_is_refused_is_told_once_and_kept() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    let made = connect(&al, &provider).await;
    let destination = json!({"via": "webhook", "url": "https://127.0.0.1/hook", "kinds": ["reconnect"]});
    let destination = al.post("/api/v1/notices/destinations", &destination).await.expect(201).json();
    provider.control(json!({"drop": true})).await;
    for _ in 0..3 {
        let refused = check(&al, &made["id"]).await.expect(409);
        assert!(refused.text().contains("seven days"), "{}", refused.text());
    }
    let found = channel(&al, &made["id"]).await;
    assert_eq!((&found["state"], &found["next_try_at"]), (&json!("reconnect"), &json!(null)), "{found}");
    assert_eq!(provider.count("refresh").await, 1, "it is not tried again and again");
    assert_eq!(files(&server.home().join("tokens")).len(), 1, "what is sealed stays");
    let acts = al.get("/api/v1/audit?q=channel.lost").await.json();
    assert_eq!(acts["total"], 1, "{acts}");
    let path = format!("/api/v1/notices/destinations/{}", destination["id"].as_str().unwrap());
    let told = al.get(&path).await.json();
    assert_eq!(told["delivery"]["waiting"], 1, "{told}");
    // A page says it, with what to do.
    let page = server.login("al", PASSWORD).await;
    let shown = page.get(&format!("/channels/{}", made["id"].as_str().unwrap())).await.expect(200).text();
    assert!(shown.contains("Connect again") && shown.contains("seven days"), "{shown}");
    // Connecting the same channel as a new one brings it back too.
    let again = connect(&al, &provider).await;
    assert_eq!((&again["id"], &again["state"]), (&made["id"], &json!("active")));
    check(&al, &made["id"]).await.expect(200);
}

#[tokio::test]
async fn trouble_at_the_provider_is_waited_out() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    let made = connect(&al, &provider).await;
    for (answer, words) in [
        (json!({"status": 503, "body": {}}), "out of order"),
        (json!({"status": 429, "body": {}}), "out of order"),
        (json!({"status": 400, "body": {"error": "internal_failure"}}), "internal_failure"),
        (json!({"status": 200, "body": {"access_token": 7}}), "makes no sense"),
        (json!({"status": 401, "body": {"error": "invalid_client"}}), BOX.0),
    ] {
        provider.control(json!({"token": answer})).await;
        let refused = check(&al, &made["id"]).await.expect(502);
        assert!(refused.text().contains(words), "{}", refused.text());
        let found = channel(&al, &made["id"]).await;
        assert_eq!(found["state"], "refresh_failed", "{found}");
        assert!(found["next_try_at"].is_string() && found["reason"].as_str().unwrap().contains(words), "{found}");
    }
    provider.control(json!({"token": null})).await;
    check(&al, &made["id"]).await.expect(200);
    let found = channel(&al, &made["id"]).await;
    assert_eq!((&found["state"], &found["reason"]), (&json!("active"), &json!(null)), "{found}");
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

#[tokio::test]
async fn disconnecting_gives_back_and_erases() {
    let provider = Provider::start();
    let mut server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    let made = connect(&al, &provider).await;
    let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
    al.delete(&path).await.expect(204);
    al.get(&path).await.expect(404);
    let done = provider.control(json!({})).await;
    assert_eq!((done["revoked"].as_array().unwrap().len(), &done["live"]), (1, &json!(0)), "{done}");
    assert_eq!(files(&server.home().join("tokens")), Vec::<std::path::PathBuf>::new());
    al.delete(&path).await.expect(404);

    // Where the provider is out of order it is on its way out, gives no tokens, and goes when it can.
    let made = connect(&al, &provider).await;
    let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
    provider.control(json!({"revoke": 503})).await;
    let leaving = al.delete(&path).await.expect(202).json();
    assert_eq!(leaving["state"], "leaving", "{leaving}");
    assert!(leaving["reason"].as_str().unwrap().contains("503") && leaving["next_try_at"].is_string(), "{leaving}");
    check(&al, &made["id"]).await.expect(404);
    al.post(&format!("{path}/reconnect"), &json!({})).await.expect(404);
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
    server.kill9();
    server.restart().await;
    assert_eq!(channel(&al, &made["id"]).await["state"], "leaving");
    provider.control(json!({"revoke": null})).await;
    al.delete(&path).await.expect(204);
    assert_eq!(provider.control(json!({})).await["live"], 0);
    assert_eq!(files(&server.home().join("tokens")), Vec::<std::path::PathBuf>::new());

    // One that cannot be given back is erased after a few tries.
    let made = connect(&al, &provider).await;
    let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
    provider.control(json!({"revoke": 500})).await;
    for _ in 0..4 {
        al.delete(&path).await.expect(202);
    }
    al.delete(&path).await.expect(204);
    al.get(&path).await.expect(404);
    let acts = al.get("/api/v1/audit?q=unrevoked").await.json();
    assert_eq!(acts["total"], 1, "{acts}");
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
}

#[tokio::test]
async fn disconnecting_during_a_renewal_is_not_undone_by_it() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    for trouble in [Value::Null, json!({"status": 503, "body": {}})] {
        let made = connect(&al, &provider).await;
        let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
        provider.control(json!({"rotation": "overlap", "hold": true, "token": trouble})).await;
        let asked = check(&al, &made["id"]);
        let leaving = async {
            held(&provider).await;
            let release = async {
                until(&al, &made["id"], "leaving").await;
                provider.control(json!({"release": true, "hold": false})).await;
            };
            let (left, ()) = tokio::join!(al.delete(&path), release);
            left
        };
        let (asked, left) = tokio::join!(asked, leaving);
        left.expect(204);
        // Whatever was told to whom asked for a token: nothing is left.
        assert!([200, 404, 502].contains(&asked.status), "{}", asked.text());
        al.get(&path).await.expect(404);
        assert_eq!(files(&server.home().join("tokens")), Vec::<std::path::PathBuf>::new());
        assert_eq!(provider.control(json!({"token": null})).await["live"], 0, "{trouble}");
    }
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
}

#[tokio::test]
async fn a_user_who_is_deleted_leaves_no_grant_at_the_provider() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    connect(&al, &provider).await;
    let admin = server.api("admin", ADMIN).await;
    admin.delete("/api/v1/users/al").await.expect(204);
    let done = provider.control(json!({})).await;
    assert_eq!((done["revoked"].as_array().unwrap().len(), &done["live"]), (1, &json!(0)), "{done}");
    assert_eq!(files(&server.home().join("tokens")), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_client_of_one_s_own_is_used_before_that_of_the_box() {
    let provider = Provider::start();
    let ends = provider.ends();
    let ends: Vec<_> = ends.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let server = Server::start_with(&ends, SERVE).await;
    server.user("al").await;
    server.user("bo").await;
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let page = server.login("al", PASSWORD).await;
    al.post("/api/v1/channels/connect", &json!({})).await.expect(409);
    assert!(
        page.get("/channels/new").await.text().contains("needs one of your own")
            || page.get("/channels/new").await.text().contains("need one of your own")
    );
    for (id, secret, field) in [
        ("", "x", "client_id"),
        ("x\"><script>", "x", "client_id"),
        (OWN.0, "", "client_secret"),
        (OWN.0, "two words", "client_secret"),
    ] {
        let refused = page.form("/channels/client", &[("client_id", id), ("client_secret", secret)]).await.expect(422);
        let text = refused.text();
        assert!(text.contains(&format!("f-{field}-note")) && !text.contains("two words"), "{text}");
    }
    page.form("/channels/client", &[("client_id", OWN.0), ("client_secret", OWN.1)]).await.expect(303);
    let shown = al.get("/api/v1/channels/client").await.expect(200).json();
    assert_eq!((&shown["client_id"], &shown["owner"]), (&json!(OWN.0), &json!("own")), "{shown}");
    assert_eq!(shown["redirect_uri"], format!("{PUBLIC}/oauth/google/callback"));
    assert!(!page.get("/channels/new").await.text().contains("SENTINEL"));
    assert_eq!(bo.get("/api/v1/channels/client").await.json()["client_id"], json!(null), "it is al's alone");
    let made = connect(&al, &provider).await;
    assert_eq!(made["client_id"], OWN.0);
    // The id again without a secret keeps the secret; another id needs one.
    let put = async |body: Value| al.json(Method::PUT, "/api/v1/channels/client", &body).await;
    put(json!({"client_id": OWN.0})).await.expect(200);
    put(json!({"client_id": BOX.0})).await.expect(422);
    check(&al, &made["id"]).await.expect(200);
    // A secret that was changed at the provider is changed here, for grants that are there too.
    put(json!({"client_id": OWN.0, "client_secret": "wrong"})).await.expect(200);
    check(&al, &made["id"]).await.expect(502);
    put(json!({"client_id": OWN.0, "client_secret": OWN.1})).await.expect(200);
    check(&al, &made["id"]).await.expect(200);
    // Without the client the channel goes on.
    al.delete("/api/v1/channels/client").await.expect(204);
    check(&al, &made["id"]).await.expect(200);
    al.post("/api/v1/channels/connect", &json!({})).await.expect(409);
    nowhere(&server.home().join("data"), &[OWN.1]);
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
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

#[tokio::test]
async fn a_grant_of_the_old_program_becomes_a_connection_that_works() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    let refresh = "1//SENTINEL-refresh-unknown";
    let old = OldHome::empty();
    let grant = |refresh: Option<&str>| {
        json!({"token": "ya29.SENTINEL-access-old", "refresh_token": refresh, "token_uri": "http://169.254.169.254/token",
            "client_id": BOX.0, "client_secret": BOX.1, "scopes": [], "expiry": "2025-01-01T00:00:00Z"})
    };
    old.database("tokens/al/dead.json", &grant(Some(refresh)));
    old.database("tokens/al/short.json", &grant(None));
    let ran = server.cli(&["migrate", "--from", old.path().to_str().unwrap(), "--apply"]).await;
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    let all = al.get("/api/v1/channels?sort=title").await.json();
    let find = |title: &str| {
        let items = all["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["title"] == title).unwrap_or_else(|| panic!("{title}: {all}"))["id"].clone()
    };
    // The provider decides about the one, and is not even asked about the other.
    let dead = until(&al, &find("dead"), "reconnect").await;
    assert!(dead["reason"].as_str().unwrap().contains("seven days"), "{dead}");
    let short = until(&al, &find("short"), "reconnect").await;
    assert!(short["reason"].as_str().unwrap().contains("refresh token"), "{short}");
    // Connected again they are usable; the account is learned from the provider.
    provider.control(json!({"channel": "UC_from_old", "title": "From old"})).await;
    let path = format!("/api/v1/channels/{}/reconnect", dead["id"].as_str().unwrap());
    let asked = al.post(&path, &json!({})).await.expect(200).json();
    let back = provider.allow(asked["authorize_url"].as_str().unwrap()).await;
    let again = finish(&al, &back).await.expect(201).json();
    assert_eq!((&again["id"], &again["title"]), (&dead["id"], &json!("From old")));
    assert_eq!(again["original_name"], "dead.json");
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
}

/// THREATS 25.
#[tokio::test]
async fn no_token_and_no_client_s_secret_stands_anywhere() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let (al, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    provider.control(json!({"rotation": "strict"})).await;
    let put = json!({"client_id": OWN.0, "client_secret": OWN.1});
    al.json(Method::PUT, "/api/v1/channels/client", &put).await.expect(200);
    let made = connect(&al, &provider).await;
    let id = made["id"].as_str().unwrap().to_owned();
    check(&al, &made["id"]).await.expect(200);
    // Whatever goes wrong, too: an answer that repeats what was sent, and one that is broken within a token.
    let echo = json!({"error": "odd", "error_description": "client_secret=GOCSPX-SENTINEL-own-secret"});
    for body in [echo, json!({"access_token": "ya29.SENTINEL-access-x", "token_type": 7})] {
        provider.control(json!({"token": {"status": 400, "body": body}})).await;
        check(&al, &made["id"]).await.expect(502);
    }
    provider.control(json!({"token": null})).await;
    check(&al, &made["id"]).await.expect(200);
    let texts: Vec<&str> = SENTINELS.iter().copied().chain(["SENTINEL-own-secret"]).collect();
    let mut seen = String::new();
    for path in [
        "/channels",
        "/channels/new",
        &format!("/channels/{id}"),
        "/settings/audit",
        "/api/v1/channels",
        "/api/v1/channels/client",
        &format!("/api/v1/channels/{id}"),
        "/api/v1/audit?limit=200",
        "/api/v1/audit/export?format=csv",
        "/api/v1/schedules/export?format=csv",
    ] {
        let client = if path.starts_with("/api/") { &al } else { &page };
        let answer = client.get(path).await.expect(200);
        seen += &answer.text();
        seen += &format!("{:?}", answer.headers);
    }
    seen += &server.api("admin", ADMIN).await.get("/api/v1/metrics").await.expect(200).text();
    for command in [&["verify", "--deep"][..], &["status"], &["user", "list"]] {
        let ran = server.cli(command).await;
        seen += &format!("{}{}", ran.out, ran.err);
    }
    seen += &server.printed();
    for text in &texts {
        assert!(!seen.contains(text), "{text} is shown");
    }
    nowhere(server.home(), &texts);
    let key = std::fs::read_to_string(server.home().join("data/master.key")).unwrap();
    assert!(!seen.contains(key.trim().split_once(':').unwrap().1));
}

/// THREATS 24. The room itself, with its background work, on the home of a server that has ended.
#[tokio::test]
async fn two_hundred_parallel_calls_with_an_expired_rotating_token_renew_it_once() {
    use jadwalstream::auth::{SystemLicence, Tenant};
    use jadwalstream::config::{Config, Overrides};
    use jadwalstream::library::Editor;
    use secrecy::ExposeSecret as _;

    let provider = Provider::start();
    let mut server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    provider.control(json!({"rotation": "strict", "lifetime": 1})).await;
    let made = connect(&al, &provider).await;
    let id: uuid::Uuid = made["id"].as_str().unwrap().parse().unwrap();
    server.stop().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    provider.control(json!({"lifetime": 3600})).await;
    let before = provider.count("refresh").await;

    let settings = provider.settings();
    let find = |name: &str| settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let config = Config::load(server.home(), find, &Overrides::default()).unwrap();
    let store = jadwalstream::store::Store::open_redb(config.data(), jadwalstream::clock::Clock::system()).unwrap();
    let objects = jadwalstream::objects::Objects::open(server.home()).unwrap();
    let vault = jadwalstream::vault::Vault::open(&config.data().join("master.key"), false).unwrap();
    let foundation = jadwalstream::foundation::Foundation::new(config, store, objects, vault, uuid::Uuid::now_v7());
    #[allow(clippy::disallowed_methods, reason = "a test of the room itself")]
    let licence = std::sync::Arc::new(SystemLicence::new());
    let tasks = jadwalstream::supervise::Tasks::new();
    let outbound = jadwalstream::outbound::Outbound::new().unwrap();
    let grants = jadwalstream::oauth::Grants::new(&foundation, licence.clone(), &tasks, outbound);
    let keeper = grants.clone();
    tasks.spawn("connections", move |end| keeper.keep(end));
    let editor = Editor::open(&foundation, &licence.scope(&Tenant::parse("al").unwrap(), "test"));
    let asking = (0..200).map(|_| grants.access_token(&editor, id));
    let tokens: Vec<_> = futures_util::future::join_all(asking).await.into_iter().map(|token| token.unwrap()).collect();
    assert!(tokens.iter().all(|token| token.secret().expose_secret() == tokens[0].secret().expose_secret()));
    assert_eq!(provider.count("refresh").await - before, 1);
    assert_eq!((tokens[0].client_id(), tokens[0].project()), (BOX.0, "1111"));
    // Two hundred who were refused with it get another one, the same one.
    let asking = (0..200).map(|_| grants.after_refusal(&editor, id, &tokens[0]));
    let others: Vec<_> = futures_util::future::join_all(asking).await.into_iter().map(|token| token.unwrap()).collect();
    assert!(others.iter().all(|token| token.secret().expose_secret() == others[0].secret().expose_secret()));
    assert_ne!(others[0].secret().expose_secret(), tokens[0].secret().expose_secret());
    assert_eq!(provider.count("refresh").await - before, 2);
    tasks.finish(Duration::from_secs(10)).await;
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
async fn grants_that_were_exchanged_on_the_disk_have_their_channels_connected_again() {
    let provider = Provider::start();
    let server = world(&provider).await;
    let al = server.api("al", PASSWORD).await;
    let one = connect(&al, &provider).await;
    provider.control(json!({"channel": "UC_other"})).await;
    let other = connect(&al, &provider).await;
    let file = |made: &Value| server.home().join(format!("tokens/al/{}.sealed", made["id"].as_str().unwrap()));
    let (first, second) = (std::fs::read(file(&one)).unwrap(), std::fs::read(file(&other)).unwrap());
    std::fs::write(file(&one), second).unwrap();
    std::fs::write(file(&other), first).unwrap();
    for made in [&one, &other] {
        let told = check(&al, &made["id"]).await.expect(409).text();
        assert!(told.contains("belongs to another channel"), "{told}");
        let found = channel(&al, &made["id"]).await;
        assert_eq!(found["state"], "reconnect");
        assert!(server.log().contains("is not its own"), "{}", server.log());
        let url = format!("/channels/{}", made["id"].as_str().unwrap());
        let page = server.login("al", PASSWORD).await.get(&url).await.expect(200).text();
        assert!(page.contains("belongs to another channel"), "{page}");
    }
    // Granted again it works.
    let url = format!("/api/v1/channels/{}/reconnect", other["id"].as_str().unwrap());
    let asked = al.post(&url, &json!({})).await.expect(200).json();
    let back = provider.allow(asked["authorize_url"].as_str().unwrap()).await;
    finish(&al, &back).await.expect(201);
    check(&al, &other["id"]).await.expect(200);
    // And a file that is no sealed grant at all.
    std::fs::write(file(&other), "{}").unwrap();
    check(&al, &other["id"]).await.expect(409);
}
