//! What holds for every page: who it is shown to, what its forms say, what it does with an address that is not there.

use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::streams;
use crate::support::clip::clip;
use crate::support::nginx::Platform;
use crate::support::server::{ADMIN, Client, PASSWORD, Server};

#[tokio::test]
async fn an_address_that_is_not_there_is_told_within_the_reader_s_own_pages() {
    let server = Server::start().await;
    server.user("al").await;
    let (al, stranger) = (server.login("al", PASSWORD).await, server.stranger());
    let unknown = ["/nothing", "/nothing/at/all", "/videos/x"];
    for (method, path, status) in unknown.map(|path| ("GET", path, 404)).into_iter().chain([
        ("POST", "/nothing", 404),
        ("DELETE", "/nothing", 404),
        ("PATCH", "/videos", 405),
        ("DELETE", "/settings", 405),
    ]) {
        let ask = async |client: &Client| {
            let request = client.request(method.parse::<Method>().unwrap(), path).header("accept", "text/html");
            client.send(request).await
        };
        let own = ask(&al).await.expect(status).text();
        assert!(own.contains("class=\"rail\"") && own.contains("/logout"), "{method} {path}: {own}");
        assert!(own.contains(&format!("content=\"{}\"", al.csrf)), "{method} {path}: the page's forms do not work");
        let strange = ask(&stranger).await;
        if status == 404 && !path.starts_with("/videos") {
            let strange = strange.expect(status).text();
            assert!(!strange.contains("class=\"rail\"") && !strange.contains("/logout"), "{method} {path}");
        }
    }
}

/// What the upload page says that still fits, with its unit.
async fn still_fits(server: &Server) -> String {
    let page = server.login("al", PASSWORD).await.get("/videos").await.expect(200).text();
    let hint = page.split_once("GiB each").expect("the hint").1.split_once("</p>").unwrap().0;
    hint.trim_start_matches([';', '.', ' ']).to_owned()
}

#[tokio::test]
async fn what_still_fits_is_what_the_disk_and_the_quota_both_take() {
    let server = Server::start().await;
    server.user_with("al", json!({"storage_limit": 3_u64 << 30})).await;
    assert_eq!(still_fits(&server).await, "3 GiB still fit.");
    let (api, limit) = (server.api("admin", ADMIN).await, json!({"storage_limit": 1_u64 << 52}));
    api.patch("/api/v1/users/al", &limit).await.expect(200);
    let disk = api.get("/api/v1/status").await.expect(200).json()["disk"].clone();
    let room = (disk["total"].as_f64().unwrap() - disk["used"].as_f64().unwrap()) / (1 << 30) as f64 - 0.5;
    let told = still_fits(&server).await;
    let why = "Your quota allows more, but the disk of this server has room for ";
    let number = told.strip_prefix(why).expect(&told).trim_end_matches(" GiB.");
    let number: f64 = number.replace(',', "").parse().unwrap();
    // Others write to the disk meanwhile.
    assert!((number - room).abs() < room * 0.2 + 1.0, "{number} of {room}");
    drop(server);

    let server = Server::start_with(&[("JADWAL_LIMITS_DISK_FLOOR_MIB", "1000000000")], &["--no-demo"]).await;
    server.user("al").await;
    assert!(still_fits(&server).await.starts_with("No room is left"));
}

#[tokio::test]
async fn a_number_is_written_the_same_wherever_it_stands() {
    let server = Server::start().await;
    server.user_with("al", json!({"plan": "enterprise"})).await;
    let admin = server.login("admin", ADMIN).await;
    for (locale, told, other) in [("en", "1,000 GiB", "1000 GiB"), ("id", "1.000 GiB", "1000 GiB")] {
        admin.form("/preferences", &[("locale", locale)]).await.expect(303);
        let page = admin.get("/admin/users/al").await.expect(200).text();
        assert!(page.matches(told).count() >= 2 && !page.contains(other), "{locale}: {page}");
    }
}

#[tokio::test]
async fn a_refused_form_leads_back_to_its_page() {
    let server = streams::server().await;
    server.user("al").await;
    let admin = server.login("admin", ADMIN).await;
    let api = server.api("admin", ADMIN).await;
    let id = streams::stream(&api, "Rain", &streams::video(&api, 4).await, "rtmp://127.0.0.1:1935/live", "a-key").await;
    let page_of = format!("/streams/{id}");
    let end_of = format!("{page_of}/start");
    for (path, fields, status, page) in [
        ("/admin/users/al/delete", vec![("name", "la")], 422, "/admin/users/al"),
        ("/admin/users/al/password", vec![("password", "x")], 422, "/admin/users/al"),
        (
            "/admin/users",
            vec![("username", ""), ("password", ""), ("role", "user"), ("plan", "free")],
            422,
            "/admin/users/new",
        ),
        ("/streams", vec![("title", "")], 422, "/streams/new"),
        ("/settings/password", vec![("current_password", "x"), ("password", "x"), ("repeat", "y")], 422, "/settings"),
        ("/videos/delete", vec![("id", "nonsense")], 400, "/videos"),
        (&end_of, vec![("end", "after"), ("stop_after", "")], 422, &page_of),
    ] {
        let answer = admin.form(path, &fields).await.expect(status).text();
        assert!(answer.contains(&format!("data-address=\"{page}\"")), "{path}: {answer}");
        assert!(answer.contains(&format!("name=\"back\" value=\"{page}\"")), "{path}: {answer}");
        admin.get(page).await.expect(200);
    }
    assert!(!admin.get("/settings").await.text().contains("data-address"));
}

#[tokio::test]
async fn a_user_is_deleted_by_typing_the_name_and_is_asked_nothing_else() {
    let server = Server::start().await;
    server.user("al").await;
    let page = server.login("admin", ADMIN).await.get("/admin/users/al").await.expect(200).text();
    let form = page.split_once("action=\"/admin/users/al/delete\"").unwrap().1.split_once("</form>").unwrap().0;
    assert!(!form.split_once('>').unwrap().0.contains("data-confirm"), "{form}");
    assert!(form.contains("pattern=\"al\"") && form.contains("exactly"), "{form}");
}

/// The part of a video's page that deletes it.
async fn deletion(page: &Client, video: &str) -> String {
    let page = page.get(&format!("/videos/{video}")).await.expect(200).text();
    page.split_once("id=\"danger-title\"").unwrap().1.split_once("</section>").unwrap().0.to_owned()
}

/// DESIGN 10: dangerous acts say what will be lost.
#[tokio::test]
async fn a_video_s_page_says_what_its_deletion_takes_and_refuses_while_it_is_on_air() {
    let platform = Platform::start();
    let server = streams::server().await;
    server.user("al").await;
    let (page, api) = (server.login("al", PASSWORD).await, server.api("al", PASSWORD).await);
    let (planned, free) = (streams::video(&api, 4).await, streams::video(&api, 4).await);
    let url = platform.rtmp_url("live");
    let stream = streams::stream(&api, "Night rain", &planned, &url, "page-deletes-1").await;
    let body = json!({"stream_id": stream, "starts_at": "2099-01-01T10:00", "duration": 60});
    api.post("/api/v1/schedules", &body).await.expect(201);

    assert!(deletion(&page, &free).await.contains("No stream uses it."));
    let told = deletion(&page, &planned).await;
    for wanted in ["“Night rain”", "One schedule to come", "name=\"force\" required"] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    let address = format!("/videos/{planned}/delete");
    let refused = page.form(&address, &[]).await.expect(409).text();
    assert!(refused.contains("Night rain") && refused.contains("class=\"flash flash-bad\""), "{refused}");
    // Of many, what is wanted stays, and is named.
    let many = [("id", planned.as_str()), ("id", free.as_str()), ("back", "/videos?q=rain")];
    assert_eq!(page.form("/videos/delete", &many).await.expect(303).header("location"), "/videos?q=rain");
    let list = page.get("/videos").await.text();
    assert!(list.contains("One video is deleted.") && list.contains("“Rain” stays"), "{list}");
    api.get(&format!("/api/v1/videos/{free}")).await.expect(404);

    api.post(&format!("/api/v1/streams/{stream}/start"), &json!({})).await.expect(202);
    platform.arrival("page-deletes-1", Duration::from_secs(10)).await.expect("it arrives");
    let told = deletion(&page, &planned).await;
    assert!(told.contains("on air now") && told.contains("type=\"submit\" disabled"), "{told}");
    let refused = page.form(&address, &[("force", "on")]).await.expect(409).text();
    assert!(refused.contains("right now"), "{refused}");
    api.post(&format!("/api/v1/streams/{stream}/stop"), &json!({})).await.expect(202);
    assert!(platform.departure("page-deletes-1", Duration::from_secs(15)).await);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while page.form(&address, &[("force", "on")]).await.status != 303 {
        assert!(tokio::time::Instant::now() < deadline, "it is still on air");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    api.get(&format!("/api/v1/videos/{planned}")).await.expect(404);
}

#[tokio::test]
async fn the_only_video_is_chosen_for_a_new_stream() {
    let server = Server::start().await;
    server.user("al").await;
    let (page, api) = (server.login("al", PASSWORD).await, server.api("al", PASSWORD).await);
    let chosen = async || page.get("/streams/new").await.expect(200).text().matches("\" selected>Rain").count();
    assert_eq!(chosen().await, 0);
    streams::video(&api, 4).await;
    assert_eq!(chosen().await, 1);
    streams::video(&api, 4).await;
    assert_eq!(chosen().await, 0);
}

#[tokio::test]
async fn password_managers_are_told_whose_password_it_is() {
    let server = Server::start().await;
    server.user("al").await;
    let admin = server.login("admin", ADMIN).await;
    for (path, action, name) in
        [("/admin/users/al", "/admin/users/al/password", "al"), ("/settings", "/settings/password", "admin")]
    {
        let page = admin.get(path).await.expect(200).text();
        let form = page.split_once(&format!("action=\"{action}\"")).unwrap().1.split_once("</form>").unwrap().0;
        assert!(form.contains(&format!("value=\"{name}\" autocomplete=\"username\" hidden>")), "{form}");
        assert!(!form.contains("autocomplete=\"username\" hidden disabled"));
        assert!(form.contains("autocomplete=\"new-password\""), "{form}");
    }
}

#[tokio::test]
async fn what_is_served_is_known_by_its_bytes_and_tells_nothing_of_the_disk() {
    use std::os::unix::fs::MetadataExt as _;
    let server = Server::start().await;
    server.user("al").await;
    let api = server.api("al", PASSWORD).await;
    let video = streams::video(&api, 4).await;
    let shown = api.get(&format!("/api/v1/videos/{video}")).await.expect(200).json();
    let address = format!("/api/v1/videos/{video}/content");
    let whole = api.get(&address).await.expect(200);
    assert_eq!(whole.header("etag"), format!("\"{}\"", shown["sha256"].as_str().unwrap()));
    let stored = server.home().join(format!("videos/al/{video}.mp4")).metadata().unwrap();
    assert!(!whole.header("etag").contains(&format!("{:x}:", stored.ino())));
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = api.request(Method::GET, &address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        api.send(request).await
    };
    let tag = whole.header("etag");
    assert_eq!(ask(&[("if-match", tag)]).await.expect(200).body, whole.body);
    ask(&[("if-match", "\"other\"")]).await.expect(412);
    ask(&[("if-none-match", &format!("\"other\", W/{tag}"))]).await.expect(304);
    ask(&[("if-none-match", "\"other\"")]).await.expect(200);
    assert_eq!(ask(&[("range", "bytes=0-1,4-5")]).await.expect(200).body, whole.body);
    assert_eq!(ask(&[("range", "bytes=9-1")]).await.expect(200).body, whole.body);
    assert_eq!(ask(&[("range", "bytes=999999999-")]).await.expect(416).body.len(), 0);
    // The address of a picture may mean other bytes later: its tag changes with them.
    let picture = format!("/api/v1/videos/{video}/thumbnail");
    let first = api.get(&picture).await.expect(200).header("etag").to_owned();
    api.post(&format!("/api/v1/videos/{video}/frame"), &json!({"seconds": 3})).await.expect(201);
    assert_ne!(api.get(&picture).await.expect(200).header("etag"), first);
}

#[tokio::test]
async fn parameters_that_mean_nothing_are_refused_by_the_api_and_passed_over_by_pages() {
    let server = Server::start().await;
    let (page, api) = (server.login("admin", ADMIN).await, server.api("admin", ADMIN).await);
    for list in ["videos", "thumbnails", "streams", "schedules", "runs", "users", "audit", "auth/sessions", "status"] {
        let refused = api.get(&format!("/api/v1/{list}?serach=rain")).await.expect(400);
        assert_eq!(refused.header("content-type"), "application/problem+json");
        assert!(refused.json()["detail"].as_str().unwrap().contains("serach"), "{}", refused.text());
        api.send(api.request(Method::HEAD, &format!("/api/v1/{list}?serach=rain"))).await.expect(400);
        api.get(&format!("/api/v1/{list}")).await.expect(200);
    }
    for known in [
        "videos?limit=5&q=a&sort=-title&filter=ready",
        "streams?state=idle&on_air=false",
        "audit?outcome=done&limit=1",
        "runs?outcome=completed",
        "users?q=a&sort=-username&limit=1",
    ] {
        api.get(&format!("/api/v1/{known}")).await.expect(200);
    }
    api.delete("/api/v1/videos/0190a0a0-0000-7000-8000-000000000000?forse=true").await.expect(400);
    server.stranger().get("/api/v1/videos?serach=rain").await.expect(401);
    server.stranger().get("/api/v1/healthz?at=1").await.expect(200);
    for path in ["/", "/videos", "/thumbnails", "/streams", "/schedules", "/history", "/settings/audit", "/admin/users"]
    {
        page.get(&format!("{path}?utm_source=mail&serach=rain")).await.expect(200);
    }
}

#[tokio::test]
async fn a_file_whose_name_is_no_utf_8_is_taken_under_a_cleaned_one() {
    let server = Server::start().await;
    server.user("al").await;
    let (page, api) = (server.login("al", PASSWORD).await, server.api("al", PASSWORD).await);
    let bytes = std::fs::read(clip(2, 50, true, "320x180")).unwrap();
    let mut body = vec![];
    for name in [&b"caf\xe9.mp4"[..], b"plain.mp4"] {
        body.extend(b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"");
        body.extend(name);
        body.extend(b"\"\r\ncontent-type: video/mp4\r\n\r\n");
        body.extend(&bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--edge--\r\n");
    let request =
        api.request(Method::POST, "/api/v1/videos").header("content-type", "multipart/form-data; boundary=edge");
    let answer = api.send(request.body(body)).await.expect(201).json();
    let told =
        |field: &str| -> Vec<&Value> { answer["items"].as_array().unwrap().iter().map(|item| &item[field]).collect() };
    assert_eq!(told("original_name"), ["caf_.mp4", "plain.mp4"]);
    assert_eq!(told("title"), ["caf_", "plain"]);
    // Browsers, and pages, go on as before.
    let form = Form::new().text("csrf", page.csrf.clone());
    let form = form.part("file", Part::bytes(bytes).file_name("café & \"co\".mp4"));
    page.send(page.request(Method::POST, "/videos").multipart(form)).await.expect(303);
    assert_eq!(api.get("/api/v1/videos?limit=1").await.json()["items"][0]["original_name"], "café & \"co\".mp4");
}

/// The version that the form of a page was filled with.
fn version(page: &str, action: &str) -> String {
    let form =
        page.split_once(&format!("action=\"{action}\"")).unwrap_or_else(|| panic!("no form to {action}: {page}"));
    let form = form.1.split_once("</form>").unwrap().0;
    let given = form.split_once("name=\"version\" value=\"").unwrap_or_else(|| panic!("no version: {form}")).1;
    given.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn nobody_overwrites_what_they_have_not_seen() {
    let server = Server::start().await;
    server.user("al").await;
    let (one, api) = (server.login("admin", ADMIN).await, server.api("admin", ADMIN).await);
    let video = streams::video(&api, 4).await;
    let thumbnail = api.post(&format!("/api/v1/videos/{video}/frame"), &json!({"seconds": 1})).await.expect(201).json();
    let thumbnail = thumbnail["id"].as_str().unwrap().to_owned();
    let target = json!([{"platform": "youtube", "key": "abcd-efgh-ijkl"}]);
    let stream = json!({"title": "Rain", "videos": [video], "targets": target});
    let stream = api.post("/api/v1/streams", &stream).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    let schedule = json!({"stream_id": stream, "starts_at": "2099-01-01T10:00", "duration": 60});
    let schedule = api.post("/api/v1/schedules", &schedule).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    type Fields<'f> = Vec<(&'f str, &'f str)>;
    let forms: Vec<(String, String, Fields<'_>, (&str, &str))> = vec![
        (
            format!("/streams/{stream}/edit"),
            format!("/streams/{stream}"),
            vec![("title", "Mine"), ("videos", &video), ("order", "listed"), ("target1_platform", "youtube")],
            ("title", "Theirs"),
        ),
        (
            format!("/schedules/{schedule}/edit"),
            format!("/schedules/{schedule}"),
            vec![
                ("stream_id", &stream),
                ("starts_at", "2098-02-02T11:11"),
                ("time_zone", "Asia/Jakarta"),
                ("repeat", "once"),
                ("end", "none"),
            ],
            ("starts_at", "2097-03-03T12:12"),
        ),
        (
            format!("/videos/{video}"),
            format!("/videos/{video}"),
            vec![("title", "Mine"), ("description", "typed notes"), ("tags", "")],
            ("title", "Theirs"),
        ),
        ("/thumbnails".into(), format!("/thumbnails/{thumbnail}"), vec![("title", "Mine")], ("title", "Theirs")),
        (
            "/admin/users/al".into(),
            "/admin/users/al".into(),
            vec![("role", "user"), ("plan", "free"), ("quota", "7.5")],
            ("quota", "3.25"),
        ),
        (
            "/settings".into(),
            "/settings/profile".into(),
            vec![("time_zone", "Asia/Makassar"), ("locale", "en"), ("theme", "dark")],
            ("time_zone", "Asia/Jayapura"),
        ),
    ];
    for (page, action, mine, theirs) in forms {
        let before = version(&one.get(&page).await.expect(200).text(), &action);
        let with = |version: &str, change: Option<(&'static str, &'static str)>| {
            let mut fields: Vec<(String, String)> = vec![("csrf".into(), one.csrf.clone())];
            fields.push(("version".into(), version.to_owned()));
            for (name, value) in &mine {
                let value = change.filter(|(changed, _)| changed == name).map_or(*value, |(_, value)| value);
                fields.push((name.to_string(), value.to_owned()));
            }
            one.request(Method::POST, &action).form(&fields)
        };
        one.send(with(&before, Some(theirs))).await.expect(303);
        // The first look shows the note that it was saved.
        one.get(&page).await.expect(200);
        let after = one.get(&page).await.expect(200).text();
        assert!(after.contains(theirs.1), "{action}: {after}");

        let refused = one.send(with(&before, None)).await.expect(409).text();
        assert!(refused.contains("changed meanwhile"), "{action}: {refused}");
        assert!(refused.contains(&format!("<a href=\"{page}\">Load it")), "{action}: {refused}");
        let typed = mine.iter().find(|(name, _)| *name == theirs.0).unwrap().1;
        assert!(refused.contains(&format!("value=\"{typed}\"")), "{action}: what was typed is gone: {refused}");
        assert_eq!(one.get(&page).await.text().matches(theirs.1).count(), after.matches(theirs.1).count(), "{action}");
        for odd in ["", "-1", "no version", "99.premium.x"] {
            one.send(with(odd, None)).await.expect(409);
        }

        // Whoever was told may put theirs over it.
        one.send(with(&version(&refused, &action), None)).await.expect(303);
        let last = one.get(&page).await.text();
        assert!(last.contains(typed), "{action}: {last}");
        // What does not make sense keeps the version that it was filled with.
        if mine[0].0 == "title" {
            let current = version(&last, &action);
            let wrong = one.send(with(&current, Some(("title", "")))).await.expect(422).text();
            assert_eq!(version(&wrong, &action), current);
        }
    }
}
