//! Tokens are renewed: once for all, before they end, through kills and trouble.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{all_read, begin, channel, check, connect, files, finish, held, world};
use crate::support::provider::{BOX, Provider};
use crate::support::server::{Client, PASSWORD, Server};

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
