//! Notices, by their settings and on the wire: a Bot API and webhooks that take nothing but the real format, streams to
//! a real platform, and a server that is killed in between.

mod streams;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::live::nowhere;
use crate::streams::{stream, video};
use crate::support::free_port;
use crate::support::listener::{Heard, Listener, Reply};
use crate::support::server::{Client, PASSWORD, Server};

const TOKEN: &str = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

const DESTINATIONS: &str = "/api/v1/notices/destinations";

/// What the Bot API answers instead of taking a message.
type Refusal = Option<(u16, &'static str, Value)>;

/// A Bot API as far as `sendMessage` goes: one bot, one chat, and the real envelope of errors.
struct BotApi {
    listener: Listener,
    refusal: Arc<Mutex<Refusal>>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl BotApi {
    fn start(chat: i64) -> BotApi {
        let (refusal, taken): (Arc<Mutex<Refusal>>, Arc<Mutex<Vec<String>>>) = Default::default();
        let (told, texts) = (refusal.clone(), taken.clone());
        let listener = Listener::start(move |heard, _| {
            let say = |status: u16, body: Value| {
                let kind = ("content-type", "application/json".to_owned());
                Reply::Say(status, vec![kind], body.to_string())
            };
            let error = |code: u16, description: &str, parameters: Value| {
                let mut body = json!({"ok": false, "error_code": code, "description": description});
                if parameters != json!({}) {
                    body["parameters"] = parameters;
                }
                say(code, body)
            };
            let Some((token, method)) = heard.path.strip_prefix("/bot").and_then(|rest| rest.split_once('/')) else {
                return error(404, "Not Found", json!({}));
            };
            if token != TOKEN {
                return error(401, "Unauthorized", json!({}));
            }
            if method != "sendMessage" || heard.method != "POST" || heard.header("content-type") != "application/json" {
                return error(404, "Not Found: method not found", json!({}));
            }
            if let Some((code, description, parameters)) = told.lock().clone() {
                return error(code, description, parameters);
            }
            let body = heard.json();
            for name in body.as_object().unwrap().keys() {
                let known = ["chat_id", "text", "link_preview_options"].contains(&name.as_str());
                assert!(known, "sendMessage is sent {name}");
            }
            match body["text"].as_str() {
                Some(text) if (1..=4096).contains(&text.chars().count()) => {
                    if body["chat_id"] != chat {
                        return error(400, "Bad Request: chat not found", json!({}));
                    }
                    texts.lock().push(text.to_owned());
                    let result = json!({"message_id": 1, "date": 1, "chat": {"id": chat}, "text": text});
                    say(200, json!({"ok": true, "result": result}))
                }
                _ => error(400, "Bad Request: message text is empty", json!({})),
            }
        });
        BotApi { listener, refusal, taken }
    }

    fn refuse(&self, refusal: Refusal) {
        *self.refusal.lock() = refusal;
    }

    fn texts(&self) -> Vec<String> {
        self.taken.lock().clone()
    }
}

/// Whether a webhook is what the specification says, by the specification's own library.
fn verify(secret: &str, heard: &Heard) -> bool {
    assert_eq!((heard.method.as_str(), heard.header("content-type")), ("POST", "application/json"));
    let sent: i64 = heard.header("webhook-timestamp").parse().unwrap();
    assert!((heard.time.as_second() - sent).abs() < 5, "{sent}");
    let body = heard.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert!(names.len() == 3 && ["type", "timestamp", "data"].iter().all(|name| body.get(name).is_some()), "{body}");
    body["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let mut headers = reqwest::header::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, heard.header(name).parse().unwrap());
    }
    standardwebhooks::Webhook::new(secret).unwrap().verify(&heard.body, &headers).is_ok()
}

async fn server_with(more: &[(&str, &str)]) -> Server {
    let open = [("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true"), ("JADWAL_NOTICES_ALLOW_PRIVATE_TARGETS", "true")];
    let settings: Vec<_> = open.iter().chain(more).copied().collect();
    Server::start_with(&settings, &["--no-demo"]).await
}

async fn make(api: &Client, body: Value) -> Value {
    api.post(DESTINATIONS, &body).await.expect(201).json()
}

async fn test(api: &Client, destination: &Value) -> Value {
    let id = destination["id"].as_str().unwrap();
    api.post(&format!("{DESTINATIONS}/{id}/test"), &json!({})).await.expect(200).json()
}

async fn shown(api: &Client, destination: &Value) -> Value {
    api.get(&format!("{DESTINATIONS}/{}", destination["id"].as_str().unwrap())).await.expect(200).json()
}

/// Something that is told: a stream to where nobody listens, started and stopped.
async fn ended_stream(api: &Client, title: &str) {
    let nobody = format!("rtmp://127.0.0.1:{}/live", free_port());
    let id = stream(api, title, &video(api, 2).await, &nobody, &format!("a-key-of-{title}")).await;
    api.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
    api.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await;
    crate::live::reaches(api, &id, "ended").await;
}

#[tokio::test]
async fn a_bot_writes_in_the_user_s_language_and_its_token_is_nowhere() {
    let bots = BotApi::start(42);
    let base = bots.listener.url("");
    let server = server_with(&[("JADWAL_NOTICES_TELEGRAM_URL", &base), ("JADWAL_LOG", "trace")]).await;
    server.user("al").await;
    let (al, pages) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let body = json!({"via": "telegram", "name": "My phone", "token": TOKEN, "chat_id": "42", "kinds": ["ended"]});
    let made = al.post(DESTINATIONS, &body).await.expect(201);
    let phone = made.json();
    assert_eq!(made.header("location"), format!("{DESTINATIONS}/{}", phone["id"].as_str().unwrap()));
    assert_eq!((&phone["token_masked"], &phone["chat_id"]), (&json!("123456789:****"), &json!("42")));
    assert_eq!((&phone["lead_minutes"], &phone["digest_hour"]), (&json!(10), &json!(7)));
    assert_eq!(test(&al, &phone).await, json!({"delivered": true, "message": null}));
    assert_eq!(bots.texts(), ["This is a test from Jadwalstream: notices for “My phone” arrive here."]);
    al.patch("/api/v1/auth/me", &json!({"locale": "id", "time_zone": "Asia/Makassar"})).await.expect(204);
    test(&al, &phone).await;
    assert!(bots.texts()[1].starts_with("Ini pesan uji"), "{:?}", bots.texts());
    ended_stream(&al, "Hujan").await;
    bots.listener.hears(3, Duration::from_secs(20)).await;
    assert!(bots.texts()[2].starts_with("“Hujan” dihentikan setelah mengudara"), "{:?}", bots.texts());

    // What a person is told when something is wrong, in plain words.
    al.patch("/api/v1/auth/me", &json!({"locale": "en"})).await.expect(204);
    for (code, description, parameters, words) in [
        (401, "Unauthorized", json!({}), "does not accept the token"),
        (403, "Forbidden: bot was blocked by the user", json!({}), "The bot may not write there"),
        (400, "Bad Request: chat not found", json!({}), "knows no such chat"),
        (429, "Too Many Requests: retry after 5", json!({"retry_after": 5}), "wait 5 seconds"),
        (500, "Internal Server Error", json!({}), "status 500"),
    ] {
        bots.refuse(Some((code, description, parameters)));
        let outcome = test(&al, &phone).await;
        let message = outcome["message"].as_str().unwrap();
        assert!(outcome["delivered"] == false && message.contains(words), "{outcome}");
        let fault = shown(&al, &phone).await["delivery"]["fault"]["message"].to_string();
        assert!(fault.contains(words), "{fault}");
        let page = pages.get("/settings/notices").await.expect(200).text();
        assert!(page.contains(words), "{page}");
    }
    bots.refuse(None);

    // A group that became a supergroup has another number, and is followed.
    let group = make(&al, json!({"via": "telegram", "token": TOKEN, "chat_id": "-100", "kinds": []})).await;
    assert_eq!(group["name"], "Telegram");
    let upgraded = "Bad Request: group chat was upgraded to a supergroup chat";
    bots.refuse(Some((400, upgraded, json!({"migrate_to_chat_id": 42}))));
    assert_eq!(test(&al, &group).await["delivered"], false);
    assert_eq!(shown(&al, &group).await["chat_id"], "42");
    bots.refuse(None);
    assert_eq!(test(&al, &group).await["delivered"], true);

    // Nobody answers there: the address, which holds the token, is not told.
    drop(bots);
    let outcome = test(&al, &phone).await;
    assert!(outcome["message"].as_str().unwrap().contains("127.0.0.1 cannot be reached"), "{outcome}");
    let secret = TOKEN.split_once(':').unwrap().1;
    nowhere(server.home(), secret);
    let record = al.get("/api/v1/audit").await.expect(200).text();
    for text in [made.text(), outcome.to_string(), record, pages.get("/settings/notices").await.text()] {
        assert!(!text.contains(secret), "{text}");
    }
    let form = pages.get(&format!("/settings/notices/{}", phone["id"].as_str().unwrap())).await.expect(200).text();
    assert!(form.contains("123456789:****") && !form.contains(secret));
    // A form that is refused does not give it back either.
    let typed =
        [("via", "telegram"), ("token", TOKEN), ("chat_id", "nobody"), ("lead_minutes", "5"), ("digest_hour", "7")];
    let refused = pages.form("/settings/notices", &typed).await.expect(422).text();
    assert!(refused.contains("neither the number of a chat") && !refused.contains(secret), "{refused}");
}

#[tokio::test]
async fn a_token_that_the_bot_api_repeats_is_masked_in_answers_pages_and_rows() {
    let bots = BotApi::start(42);
    let base = bots.listener.url("");
    let server = server_with(&[("JADWAL_NOTICES_TELEGRAM_URL", &base)]).await;
    server.user("al").await;
    let (al, pages) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let phone = make(&al, json!({"via": "telegram", "token": TOKEN, "chat_id": "42", "kinds": []})).await;
    let secret = TOKEN.split_once(':').unwrap().1;
    for echo in [TOKEN.to_owned(), TOKEN.replace(':', "%3A")] {
        bots.refuse(Some((400, format!("Bad Request: /bot{echo}/sendMessage").leak(), json!({}))));
        let outcome = test(&al, &phone).await.to_string();
        let row = shown(&al, &phone).await.to_string();
        let page = pages.get("/settings/notices").await.expect(200).text();
        for told in [&outcome, &row, &page] {
            assert!(told.contains("****") && !told.contains(secret), "{told}");
        }
        assert!(outcome.contains("/bot****/sendMessage") && row.contains("/bot****/sendMessage"), "{outcome} {row}");
    }
    nowhere(server.home(), secret);
}

#[tokio::test]
async fn a_webhook_is_signed_and_its_secret_is_shown_once_and_changed() {
    let hooks = Listener::start(|_, _| Reply::status(204));
    let server = server_with(&[("JADWAL_LOG", "trace")]).await;
    server.user("al").await;
    let (al, pages) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let hook = make(&al, json!({"via": "webhook", "url": hooks.url("/hook?a=b"), "kinds": ["ended"]})).await;
    let first = hook["secret"].as_str().unwrap().to_owned();
    assert!(first.starts_with("whsec_") && first.len() == 50, "{first}");
    assert_eq!(shown(&al, &hook).await.get("secret"), None);
    assert_eq!(test(&al, &hook).await["delivered"], true);
    let heard = hooks.heard().remove(0);
    assert_eq!((heard.path.as_str(), &heard.json()["type"]), ("/hook?a=b", &json!("notice.test")));
    assert!(verify(&first, &heard));
    assert!(!verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &heard));
    let mut forged = heard.clone();
    forged.body = heard.body.iter().map(|byte| if *byte == b'J' { b'K' } else { *byte }).collect();
    assert!(!verify(&first, &forged));

    let rotated = format!("{DESTINATIONS}/{}/rotate-secret", hook["id"].as_str().unwrap());
    let second = al.post(&rotated, &json!({})).await.expect(200).json()["secret"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    ended_stream(&al, "Rain").await;
    let heard = hooks.hears(2, Duration::from_secs(20)).await.remove(1);
    assert!(verify(&first, &heard) && verify(&second, &heard), "both sign for a day");
    assert_eq!(heard.header("webhook-signature").split(' ').count(), 2);
    let body = heard.json();
    assert_eq!((&body["type"], &body["data"]["stream_title"]), (&json!("stream.ended"), &json!("Rain")));
    assert_eq!((&body["data"]["outcome"], &body["data"]["restarts"].is_u64()), (&json!("stopped"), &true));
    let run = al.get("/api/v1/runs").await.json()["items"][0].clone();
    for name in ["run_id", "stream_id", "started_at", "ended_at"] {
        let there = if name == "run_id" { &run["id"] } else { &run[name] };
        assert_eq!(&body["data"][name], there, "{body}");
    }
    let delivery = shown(&al, &hook).await["delivery"].clone();
    assert_eq!((&delivery["waiting"], &delivery["fault"], &delivery["given_up"]), (&json!(0), &Value::Null, &json!(0)));
    assert!(delivery["last_delivered_at"].is_string());

    // By the pages, a secret is shown in the answer and never after.
    let typed =
        [("via", "webhook"), ("name", "Office"), ("url", &hooks.url("/")), ("kind", ""), ("lead_minutes", "10")];
    let typed: Vec<_> = typed.iter().copied().chain([("digest_hour", "7")]).collect();
    let answer = pages.form("/settings/notices", &typed).await.expect(200);
    let third = answer.text().split("whsec_").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!pages.get("/settings/notices").await.text().contains("whsec_"));
    for secret in [first.as_str(), &second, &third] {
        nowhere(server.home(), secret.trim_start_matches("whsec_"));
    }
}

#[tokio::test]
async fn what_fails_is_tried_again_in_order_and_each_arrives_once() {
    // 500, then an answer that never comes, then "later", then a body without end, which is taken.
    let hooks = Listener::start(|_, before| match before {
        0 => Reply::status(500),
        1 => Reply::Hang,
        2 => Reply::Say(429, vec![("retry-after", "4".into())], String::new()),
        3 => Reply::Endless,
        _ => Reply::status(200),
    });
    let server = server_with(&[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let hook = make(&al, json!({"via": "webhook", "url": hooks.url("/"), "kinds": ["ended"]})).await;
    let secret = hook["secret"].as_str().unwrap();
    ended_stream(&al, "one").await;
    hooks.hears(1, Duration::from_secs(20)).await;
    ended_stream(&al, "two").await;
    let heard = hooks.hears(5, Duration::from_secs(60)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(hooks.heard().len(), 5, "no more than that");
    let titles: Vec<_> = heard.iter().map(|one| one.json()["data"]["stream_title"].clone()).collect();
    assert_eq!(titles, ["one", "one", "one", "one", "two"]);
    for one in &heard {
        assert!(verify(secret, one));
    }
    let ids: Vec<_> = heard.iter().map(|one| one.header("webhook-id")).collect();
    assert!(ids[..4].iter().all(|id| *id == ids[0]) && ids[4] != ids[0], "{ids:?}");
    let gaps: Vec<f64> = heard.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64()).collect();
    assert!(gaps[0] >= 1.6, "a wait after 500: {gaps:?}");
    assert!(gaps[1] >= 10.0 + 3.2, "a longer one after ten seconds without an answer: {gaps:?}");
    assert!(gaps[2] >= 4.0, "as long as was asked for: {gaps:?}");
    let delivery = shown(&al, &hook).await["delivery"].clone();
    assert_eq!((&delivery["waiting"], &delivery["fault"]), (&json!(0), &Value::Null), "{delivery}");
}

#[tokio::test]
async fn what_waits_outlives_a_killed_server() {
    let port = free_port();
    let mut server = server_with(&[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let url = format!("http://127.0.0.1:{port}/");
    let hook = make(&al, json!({"via": "webhook", "url": url, "kinds": ["ended"]})).await;
    ended_stream(&al, "Rain").await;
    for _ in 0..100 {
        if shown(&al, &hook).await["delivery"]["fault"].is_object() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let delivery = shown(&al, &hook).await["delivery"].clone();
    assert_eq!(delivery["waiting"], 1, "{delivery}");
    let message = delivery["fault"]["message"].as_str().unwrap();
    assert!(message.contains("cannot be reached") && delivery["fault"]["next_try_at"].is_string(), "{delivery}");
    server.kill9();
    let hooks = Listener::on(port, |_, _| Reply::status(200));
    server.restart().await;
    let heard = hooks.hears(1, Duration::from_secs(60)).await.remove(0);
    assert!(verify(hook["secret"].as_str().unwrap(), &heard));
    assert_eq!(heard.json()["data"]["stream_title"], "Rain");
    // Another kill, after it was delivered, brings nothing back.
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.kill9();
    server.restart().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(hooks.heard().len(), 1);
}

#[tokio::test]
async fn a_webhook_that_wants_no_more_is_turned_off_and_redirects_lead_nowhere() {
    let elsewhere = Arc::new(Listener::start(|_, _| Reply::status(200)));
    let away = elsewhere.url("/inner");
    let hooks = Listener::start(move |heard, _| match heard.path.as_str() {
        "/gone" => Reply::status(410),
        _ => Reply::Say(307, vec![("location", away.clone())], String::new()),
    });
    let server = server_with(&[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let gone = make(&al, json!({"via": "webhook", "url": hooks.url("/gone"), "kinds": ["ended"]})).await;
    let moved = make(&al, json!({"via": "webhook", "url": hooks.url("/moved"), "kinds": []})).await;
    let outcome = test(&al, &moved).await;
    assert!(outcome["message"].as_str().unwrap().contains("redirects are not followed"), "{outcome}");
    ended_stream(&al, "Rain").await;
    hooks.hears(2, Duration::from_secs(20)).await;
    for _ in 0..50 {
        if shown(&al, &gone).await["enabled"] == false {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let off = shown(&al, &gone).await;
    assert_eq!((&off["enabled"], &off["delivery"]["waiting"]), (&json!(false), &json!(0)), "{off}");
    assert!(off["delivery"]["fault"]["message"].as_str().unwrap().contains("turned off"), "{off}");
    ended_stream(&al, "Snow").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((hooks.heard().len(), elsewhere.heard().len()), (2, 0));
    let path = format!("{DESTINATIONS}/{}", gone["id"].as_str().unwrap());
    let on = al.patch(&path, &json!({"enabled": true})).await.expect(200).json();
    assert_eq!((&on["enabled"], &on["delivery"]["fault"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn inner_addresses_are_not_called_unless_the_settings_allow_it() {
    let hooks = Listener::start(|_, _| Reply::status(200));
    let server = Server::start_with(&[("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true")], &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let port = hooks.port;
    for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"] {
        let hook = make(&al, json!({"via": "webhook", "url": format!("http://{host}:{port}/"), "kinds": []})).await;
        let outcome = test(&al, &hook).await;
        assert!(outcome["message"].as_str().unwrap().contains("inner address"), "{host}: {outcome}");
        al.delete(&format!("{DESTINATIONS}/{}", hook["id"].as_str().unwrap())).await.expect(204);
    }
    assert_eq!(hooks.heard().len(), 0);
}

#[tokio::test]
async fn destinations_are_one_user_s_own_and_are_checked_field_by_field() {
    let server = server_with(&[]).await;
    server.user("al").await;
    server.user_with("bo", json!({"tenant": "al"})).await;
    server.user_with("look", json!({"tenant": "al", "role": "demo"})).await;
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let good = json!({"via": "webhook", "url": "https://example.com/hook", "name": " Office "});
    let made = al.post(DESTINATIONS, &good).await.expect(201);
    let hook = made.json();
    assert_eq!((&hook["name"], &hook["owner"], &hook["created_by"]), (&json!("Office"), &json!("al"), &json!("al")));
    assert_eq!(hook["kinds"].as_array().unwrap().len(), 10, "everything but the operators' own: {hook}");
    let path = made.header("location").to_owned();
    // Who uses the same library has another desk.
    assert_eq!(bo.get(DESTINATIONS).await.expect(200).json()["total"], 0);
    let made_up = bo.get(&format!("{DESTINATIONS}/0199f0a2-7c1e-7a00-8000-00000000abcd")).await.expect(404);
    assert_eq!(bo.get(&path).await.expect(404).body, made_up.body);
    bo.patch(&path, &json!({"name": "Mine"})).await.expect(404);
    bo.post(&format!("{path}/test"), &json!({})).await.expect(404);
    bo.post(&format!("{path}/rotate-secret"), &json!({})).await.expect(404);
    bo.delete(&path).await.expect(404);
    let look = server.login("look", PASSWORD).await;
    let page = look.get("/settings/notices/new?via=webhook").await.expect(200).text();
    assert!(page.contains("<fieldset class=\"stack\" disabled"), "{page}");
    look.form("/settings/notices", &[("via", "webhook"), ("url", "https://example.com")]).await.expect(403);

    let changed = al.patch(&path, &json!({"kinds": ["failed"], "lead_minutes": 30})).await.expect(200);
    assert_eq!((&changed.json()["kinds"], &changed.json()["lead_minutes"]), (&json!(["failed"]), &json!(30)));
    let stale = al.request(reqwest::Method::PATCH, &path).header("if-match", made.header("etag"));
    al.send(stale.json(&json!({"name": "Late"}))).await.expect(412);
    for (body, field) in [
        (json!({"via": "webhook"}), "url"),
        (json!({"via": "webhook", "url": "ftp://example.com"}), "url"),
        (json!({"via": "webhook", "url": "http://al:secret@example.com"}), "url"),
        (json!({"via": "webhook", "url": "http://example.com:22"}), "url"),
        (json!({"via": "webhook", "url": "https://example.com", "token": TOKEN}), "token"),
        (json!({"via": "telegram", "chat_id": "42"}), "token"),
        (json!({"via": "telegram", "chat_id": "42", "token": "nonsense"}), "token"),
        (json!({"via": "telegram", "chat_id": "me", "token": TOKEN}), "chat_id"),
        (json!({"via": "webhook", "url": "https://example.com", "lead_minutes": 0}), "lead_minutes"),
        (json!({"via": "webhook", "url": "https://example.com", "digest_hour": 24}), "digest_hour"),
        (json!({"via": "webhook", "url": "https://example.com", "kinds": ["disk_low"]}), "kinds"),
        (json!({"via": "webhook", "url": "https://example.com", "name": "a".repeat(81)}), "name"),
    ] {
        let refused = al.post(DESTINATIONS, &body).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{body}: {refused}");
    }
    for body in
        [json!({"via": "pigeon"}), json!({"via": "webhook", "owner": "bo"}), json!({"via": "webhook", "kinds": ["x"]})]
    {
        al.post(DESTINATIONS, &body).await.expect(400);
    }
    al.patch(&path, &json!({"token": TOKEN})).await.expect(422);
    for _ in 0..9 {
        al.post(DESTINATIONS, &good).await.expect(201);
    }
    al.post(DESTINATIONS, &good).await.expect(409);
    let page = al.get(&format!("{DESTINATIONS}?limit=4&sort=-created_at")).await.expect(200).json();
    assert_eq!((&page["total"], page["items"].as_array().unwrap().len()), (&json!(10), 4));
    al.delete(&path).await.expect(204);
    al.get(&path).await.expect(404);
}
