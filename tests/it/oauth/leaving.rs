//! Connections that go, and what lies of them on the disk.

use reqwest::Method;
use serde_json::{Value, json};

use super::{SERVE, channel, check, connect, files, finish, held, nowhere, until, world};
use crate::support::old_home::OldHome;
use crate::support::provider::{BOX, OWN, PUBLIC, Provider, SENTINELS};
use crate::support::server::{ADMIN, PASSWORD, Server};

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

    // Whoever does not want to wait takes none of the later tries away: it is not erased before its time.
    let made = connect(&al, &provider).await;
    let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
    provider.control(json!({"revoke": 500})).await;
    let first = al.delete(&path).await.expect(202).json();
    for _ in 0..6 {
        let again = al.delete(&path).await.expect(202).json();
        assert_eq!(again["next_try_at"], first["next_try_at"], "{again}");
    }
    provider.control(json!({"revoke": null})).await;
    al.delete(&path).await.expect(204);
    al.get(&path).await.expect(404);
    let acts = al.get("/api/v1/audit?q=unrevoked").await.json();
    assert_eq!(acts["total"], 0, "{acts}");
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
