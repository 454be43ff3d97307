//! The master key is rotated: everything is sealed anew, and the old key goes when nothing is left of it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::streams::{stream, video};
use crate::support::provider::{OWN, Provider};
use crate::support::server::{ADMIN, Client, PASSWORD, Server};

/// A server on whose home something of every kind is sealed, in two libraries.
async fn world(provider: &Provider) -> (Server, Vec<Client>) {
    let mut settings = provider.settings();
    settings.push(("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS".into(), "true".into()));
    settings.push(("JADWAL_NOTICES_ALLOW_PRIVATE_TARGETS".into(), "true".into()));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let server = Server::start_with(&settings, &["--no-demo"]).await;
    let mut users = Vec::new();
    for name in ["al", "bo"] {
        server.user(name).await;
        let user = server.api(name, PASSWORD).await;
        let video = video(&user, 2).await;
        let nowhere = format!("rtmp://127.0.0.1:{}/live", crate::support::free_port());
        let stream = stream(&user, "Rain", &video, &nowhere, &format!("{name}-key-1234")).await;
        let planned = json!({"stream_id": stream, "starts_at": "2031-01-01T19:00:00", "duration": 60});
        user.post("/api/v1/schedules", &planned).await.expect(201);
        let telegram =
            json!({"via": "telegram", "token": "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "chat_id": "42"});
        user.post("/api/v1/notices/destinations", &telegram).await.expect(201);
        let webhook = json!({"via": "webhook", "url": "http://127.0.0.1:8099/hook", "kinds": ["failed"]});
        let made = user.post("/api/v1/notices/destinations", &webhook).await.expect(201).json();
        let rotate = format!("/api/v1/notices/destinations/{}/rotate-secret", made["id"].as_str().unwrap());
        user.post(&rotate, &json!({})).await.expect(200);
        let client = json!({"client_id": OWN.0, "client_secret": OWN.1});
        user.json(reqwest::Method::PUT, "/api/v1/channels/client", &client).await.expect(200);
        provider.control(json!({"channel": format!("UC_{name}")})).await;
        let connected = channel(&user, provider).await;
        upload(&user, &connected["id"], &video).await;
        // One who went and is not back yet.
        user.post("/api/v1/channels/connect", &json!({})).await.expect(200);
        users.push(user);
    }
    let old = crate::support::old_home::OldHome::tidy();
    let ran = server.cli(&["migrate", "--from", old.path().to_str().unwrap(), "--apply"]).await;
    assert!([0, 3].contains(&ran.code), "{ran:?}");
    (server, users)
}

/// A video on its way to a channel, with the address of its session.
async fn upload(user: &Client, channel: &Value, video: &str) {
    let body = json!({"channel_id": channel, "items": [{"video_id": video}]});
    user.post("/api/v1/youtube-uploads", &body).await.expect(201);
    for round in 0.. {
        let found = user.get("/api/v1/youtube-uploads").await.expect(200).json();
        if found["items"][0]["state"] == "sending" {
            return;
        }
        assert!(round < 600, "{found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn channel(user: &Client, provider: &Provider) -> Value {
    let asked = user.post("/api/v1/channels/connect", &json!({})).await.expect(200).json();
    let back = provider.allow(asked["authorize_url"].as_str().unwrap()).await;
    user.post("/api/v1/oauth/google/finish", &back).await.expect(201).json()
}

fn ring(home: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(home.join("data/master.key")).unwrap();
    text.lines().map(|line| line.split_once(':').unwrap().0.to_owned()).collect()
}

/// No file beside the database carries what a key that is gone sealed.
fn no_file_carries(home: &Path, key: &str) {
    let sealed = |text: &str| {
        text.split(&format!("{key}.")).skip(1).any(|rest| {
            rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count() >= 54
        })
    };
    for entry in walkdir::WalkDir::new(home).into_iter().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        if entry.path().extension().is_some_and(|extension| extension == "redb") {
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!sealed(&String::from_utf8_lossy(&bytes)), "{}", entry.path().display());
    }
}

/// That whatever was sealed still opens, by whoever needs it.
async fn all_opens(server: &Server, provider: &Provider, users: &[Client]) {
    let ran = server.cli(&["verify", "--deep"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for user in users {
        // The secret that signs access tokens is the same one.
        user.get("/api/v1/auth/me").await.expect(200);
        let all = user.get("/api/v1/channels").await.expect(200).json();
        for item in all["items"].as_array().unwrap() {
            let path = format!("/api/v1/channels/{}/check", item["id"].as_str().unwrap());
            user.post(&path, &json!({})).await.expect(200);
        }
        channel(user, provider).await;
    }
}

#[tokio::test]
async fn a_rotation_beside_a_running_server_seals_everything_anew() {
    let provider = Provider::start();
    let (mut server, users) = world(&provider).await;
    let waiting = users[0].post("/api/v1/channels/connect", &json!({})).await.expect(200).json();
    assert_eq!(ring(server.home()), ["k1"]);
    let before = users[0].get("/api/v1/streams").await.json();
    let ran = server.cli(&["keys", "rotate", "--json"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = ran.json();
    assert_eq!((&told["key"], &told["left"], &told["unopened"]), (&json!("k2"), &json!([]), &json!([])), "{told}");
    // Each library: stream key, two notices with one secret from before, client, verifier, tokens, upload.
    assert!(told["resealed"].as_u64().unwrap() > 2 * 8, "{told}");
    assert!(told["libraries"].as_u64().unwrap() >= 3, "{told}");
    assert_eq!(ring(server.home()), ["k2"]);
    no_file_carries(server.home(), "k1");
    let after = users[0].get("/api/v1/streams").await.json();
    assert_eq!(before["items"][0]["updated_at"], after["items"][0]["updated_at"], "nobody changed a stream");
    all_opens(&server, &provider, &users).await;
    // Whoever was on the way comes back.
    let back = provider.allow(waiting["authorize_url"].as_str().unwrap()).await;
    users[0].post("/api/v1/oauth/google/finish", &back).await.expect(201);
    server.stop().await;
    server.restart().await;
    all_opens(&server, &provider, &users).await;
    // Once more, without a server, told in words.
    server.stop().await;
    let ran = server.cli(&["keys", "rotate"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("are sealed with k3 now") && ran.out.contains("the old key is gone"), "{ran:?}");
    assert_eq!(ring(server.home()), ["k3"]);
    server.restart().await;
    all_opens(&server, &provider, &users).await;
    let admin = server.api("admin", ADMIN).await;
    let acts = admin.get("/api/v1/audit?tenant=platform&q=keys.rotate").await.json();
    assert_eq!(acts["total"], 4, "{acts}");
}

#[tokio::test]
async fn only_an_operator_rotates() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    al.post("/api/v1/keys/rotate", &json!({})).await.expect(403);
    assert_eq!(ring(server.home()), ["k1"]);
}

#[tokio::test]
async fn a_rotation_that_is_killed_at_any_moment_is_finished_by_the_next_one() {
    let provider = Provider::start();
    let (mut server, users) = world(&provider).await;
    server.stop().await;
    let mut last = 1;
    for round in 0..30_u64 {
        // As `server.cli`, but killed on its way.
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_jadwalstream"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JADWAL_")) {
            command.env_remove(name);
        }
        command.args(["keys", "rotate", "--home"]).arg(server.home());
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(150 + round * 9)).await;
        // It may have ended by then.
        let _ = process.kill();
        process.wait().unwrap();
        let keys = ring(server.home());
        assert!((1..=2).contains(&keys.len()), "round {round}: {keys:?}");
        let newest = keys.last().unwrap().trim_start_matches('k').parse::<u64>().unwrap();
        assert!(newest >= last, "round {round}: {keys:?}");
        last = newest;
        // What is sealed opens with what is there.
        if round % 6 == 0 {
            let ran = server.cli(&["verify", "--deep"]).await;
            assert_eq!(ran.code, 0, "round {round}: {ran:?}");
        }
    }
    let ran = server.cli(&["keys", "rotate"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ring(server.home()).len(), 1);
    server.restart().await;
    all_opens(&server, &provider, &users).await;
}

#[tokio::test]
async fn a_start_finishes_a_rotation_that_was_cut_off() {
    let provider = Provider::start();
    let (mut server, users) = world(&provider).await;
    server.stop().await;
    // As a rotation leaves it that was killed when its key was new.
    let path = server.home().join("data/master.key");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}k2:{}\n", "5a".repeat(32))).unwrap();
    server.restart().await;
    for round in 0.. {
        if ring(server.home()) == ["k2"] {
            break;
        }
        assert!(round < 200, "{:?}", ring(server.home()));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    all_opens(&server, &provider, &users).await;
}

/// THREATS 22.
#[tokio::test]
async fn what_was_sealed_for_one_does_not_open_for_another() {
    let provider = Provider::start();
    let (server, users) = world(&provider).await;
    let mut tokens = Vec::new();
    for name in ["al", "bo"] {
        let folder = server.home().join("tokens").join(name);
        let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        tokens.push((file.clone(), std::fs::read(&file).unwrap()));
    }
    std::fs::write(&tokens[0].0, &tokens[1].1).unwrap();
    std::fs::write(&tokens[1].0, &tokens[0].1).unwrap();
    for user in &users {
        let id = user.get("/api/v1/channels").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
        let answer = user.post(&format!("/api/v1/channels/{id}/check"), &json!({})).await;
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(answer.text().contains("belongs to another channel"), "{}", answer.text());
    }
    let ran = server.cli(&["verify", "--json"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    let faults = ran.json()["findings"].as_array().unwrap().clone();
    assert_eq!(faults.iter().filter(|finding| finding["fault"] == "sealed").count(), 2, "{faults:?}");
    // A rotation names them and gives nothing up: put right, they open.
    let ran = server.cli(&["keys", "rotate", "--json"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(ran.json()["left"].as_array().unwrap().len(), 2, "{ran:?}");
    assert_eq!(ring(server.home()), ["k1", "k2"]);
    for (file, bytes) in &tokens {
        std::fs::write(file, bytes).unwrap();
    }
    assert_eq!(server.cli(&["keys", "rotate"]).await.code, 0);
    assert_eq!(ring(server.home()), ["k2"]);
    all_opens(&server, &provider, &users).await;
}

/// What people type holds up nothing; a secret that nothing known opens keeps the old key.
#[tokio::test]
async fn the_old_key_stays_while_a_secret_carries_its_id_and_goes_when_told_so() {
    let mut server = Server::start_with(&[("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true")], &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = video(&al, 2).await;
    let made = stream(&al, "Rain", &video, "rtmp://127.0.0.1/live", "al-key-1234").await;
    let typed = format!("k1.{}", "Ab3/".repeat(20));
    let path = format!("/api/v1/streams/{made}");
    let version = al.get(&path).await.header("etag").to_owned();
    let change = json!({"title": typed});
    let changed =
        al.request(reqwest::Method::PATCH, &path).header("if-match", version).json(&change).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    let agent = format!("k1.{}", "A".repeat(300));
    let login = json!({"username": "al", "password": PASSWORD});
    let asked = reqwest::Client::new().post(server.url("/api/v1/auth/login")).header("user-agent", agent).json(&login);
    assert_eq!(asked.send().await.unwrap().status(), 200);
    let ran = server.cli(&["keys", "rotate", "--json"]).await;
    assert_eq!((ran.code, &ran.json()["unopened"]), (0, &json!([])), "{ran:?}");
    assert_eq!(ring(server.home()), ["k2"]);
    // A stroke of lightning: what is sealed in a row does not open any more.
    assert_eq!(server.stop().await, 0);
    bend(server.home(), &made).await;
    server.restart().await;
    for _ in 0..2 {
        let ran = server.cli(&["keys", "rotate", "--json"]).await;
        assert_eq!(ran.code, 3, "{ran:?}");
        let told = ran.json();
        assert_eq!((&told["key"], &told["old_key_kept"]), (&json!("k3"), &json!(true)), "{told}");
        assert_eq!(told["unopened"], json!([format!("al row/stream {made}")]), "{told}");
        assert_eq!(told["left"], json!([]), "{told}");
        assert_eq!(ring(server.home()), ["k2", "k3"], "no third key is made while one is on its way");
    }
    let ran = server.cli(&["keys", "rotate"]).await;
    let place = format!("looks sealed with the old key and does not open: al row/stream {made}");
    assert!(ran.code == 3 && ran.out.contains(&place), "{ran:?}");
    assert!(ran.out.contains("the old key stays, for ") && ran.out.contains("--discard-unopened"), "{ran:?}");
    // Somebody looked: it is needed no more.
    let ran = server.cli(&["keys", "rotate", "--discard-unopened"]).await;
    assert!(ran.code == 0 && ran.out.contains(&place) && ran.out.contains("the old key is gone"), "{ran:?}");
    assert_eq!(ring(server.home()), ["k3"]);
    let ran = server.cli(&["verify", "--json"]).await;
    let findings = ran.json()["findings"].clone();
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["fault"] == "sealed"), "{findings}");
    let admin = server.api("admin", ADMIN).await;
    for (act, times) in [("keys.kept", 3), ("keys.discarded", 1)] {
        let acts = admin.get(&format!("/api/v1/audit?tenant=platform&q={act}")).await.json();
        assert_eq!(acts["total"], times, "{acts}");
    }
    // What carries the id of a key that is long gone keeps nothing.
    assert_eq!(server.cli(&["keys", "rotate"]).await.code, 0);
    assert_eq!(ring(server.home()), ["k4"]);
}

/// Changes a letter of what is sealed in a stream's row.
async fn bend(home: &Path, stream: &str) {
    use jadwalstream::auth::{SystemLicence, Tenant};
    let config = home.join("data");
    let store = jadwalstream::store::Store::open_redb(config, jadwalstream::clock::Clock::system()).unwrap();
    #[allow(clippy::disallowed_methods, reason = "a test bends what is stored")]
    let licence = SystemLicence::new();
    let rows = store.tenant(&licence.scope(&Tenant::parse("al").unwrap(), "test"));
    let id: uuid::Uuid = stream.parse().unwrap();
    let key = [b"row/stream/".as_slice(), id.as_bytes()].concat();
    let write = move |rows: &mut jadwalstream::store::rows::Writer<'_>| {
        rows.change_bytes(&key, |value| {
            let mut text = String::from_utf8(value.to_vec()).unwrap();
            let at = text.find("\"key\":\"k2.").expect("a sealed key") + 20;
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            text.replace_range(at..=at, other);
            Ok(Some(text.into_bytes()))
        })
    };
    rows.write(write).await.unwrap();
}
