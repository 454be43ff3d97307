//! A real Chromium on the real program: the way of a new user from the first upload to being on air, and a look at
//! every page. Pictures of all pages are written to `target/screenshots/`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::ElementQueryable;
use thirtyfour::{By, Key, WebDriver};

use crate::streams::{server, stream};
use crate::support::browser::Browser;
use crate::support::clip::{clip, made};
use crate::support::nginx::Platform;
use crate::support::server::{ADMIN, Client, PASSWORD, Server};

pub async fn go(browser: &Browser, server: &Server, path: &str) {
    browser.driver.goto(server.url(path)).await.unwrap();
}

pub async fn fill(driver: &WebDriver, selector: &str, text: &str) {
    let field = driver.find(By::Css(selector)).await.unwrap_or_else(|_| panic!("no {selector}"));
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

pub async fn click(driver: &WebDriver, selector: &str) {
    let element = driver.find(By::Css(selector)).await.unwrap_or_else(|_| panic!("no {selector}"));
    let place = vec![element.to_json().unwrap()];
    driver.execute("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", place).await.unwrap();
    element.click().await.unwrap();
}

pub async fn run(driver: &WebDriver, script: &str) -> Value {
    driver.execute(script, Vec::new()).await.unwrap().json().clone()
}

/// Waits until a script's expression is true.
pub async fn until(driver: &WebDriver, patience: Duration, expression: &str) {
    let deadline = tokio::time::Instant::now() + patience;
    while run(driver, &format!("return Boolean({expression})")).await != json!(true) {
        if tokio::time::Instant::now() > deadline {
            let page = run(driver, "return location.href + '\\n' + document.body.innerText").await;
            panic!("never true: {expression}\n{}", page.as_str().unwrap_or_default());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub async fn log_in(browser: &Browser, server: &Server, name: &str, password: &str) {
    go(browser, server, "/login").await;
    fill(&browser.driver, "input[name=username]", name).await;
    fill(&browser.driver, "input[name=password]", password).await;
    click(&browser.driver, "main form[action='/login'] button[type=submit]").await;
    until(&browser.driver, Duration::from_secs(10), "document.querySelector('#live')").await;
}

/// Puts a value into a field as a person's choice in the browser's own picker does.
pub async fn pick(driver: &WebDriver, selector: &str, value: &str) {
    let script = format!(
        "const field = document.querySelector({}); field.value = {};
         field.dispatchEvent(new Event('input', {{ bubbles: true }}));
         field.dispatchEvent(new Event('change', {{ bubbles: true }}));",
        json!(selector),
        json!(value)
    );
    run(driver, &script).await;
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_new_user_uploads_plans_and_watches_the_stream_go_on_air() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    go(&browser, &server, "/").await;
    assert!(driver.current_url().await.unwrap().path().starts_with("/login"));
    log_in(&browser, &server, "al", PASSWORD).await;
    assert_eq!(driver.find_all(By::Css(".step-list li:not(.done)")).await.unwrap().len(), 3);

    // Two files at once, one of which is no video: each has its own bar and its own word.
    go(&browser, &server, "/videos").await;
    let file = clip(6, 50, true, "320x180");
    let fake = made("no-video.mp4", |command| {
        command.args(["-f", "lavfi", "-i", "anullsrc", "-t", "1", "-f", "mp3"]);
    });
    let field = driver.find(By::Css("form[data-upload] input[type=file]")).await.unwrap();
    field.send_keys(format!("{}\n{}", file.display(), fake.display())).await.unwrap();
    until(driver, SOON, "document.querySelectorAll('.upload-item progress').length === 2").await;
    until(driver, Duration::from_secs(30), "document.querySelector('.upload-good, .upload-fair')").await;
    until(driver, Duration::from_secs(30), "document.querySelector('.upload-bad')").await;
    browser.screenshot("upload").await;

    go(&browser, &server, "/streams/new").await;
    fill(driver, "input[name=title]", "Rain on a tin roof").await;
    let chosen = run(driver, "return document.querySelector('select[name=videos] option:nth-child(2)').value").await;
    pick(driver, "select[name=videos]", chosen.as_str().unwrap()).await;
    pick(driver, "select[name=target1_platform]", "custom").await;
    fill(driver, "input[name=target1_url]", "http://wrong").await;
    fill(driver, "input[name=target1_key]", "browser-key-of-al").await;
    click(driver, "form[data-stream-form] button[type=submit]").await;
    until(driver, SOON, "document.querySelector('#f-target1_url-note.invalid-feedback')").await;
    let title = run(driver, "return document.querySelector('input[name=title]').value").await;
    assert_eq!(title, "Rain on a tin roof", "the form keeps what was typed");
    let focused = run(driver, "return document.activeElement.name").await;
    assert_eq!(focused, "target1_url", "the cursor stands where something is wrong first");
    until(driver, SOON, "document.querySelector('input[name=target1_key].is-invalid')").await;
    browser.screenshot("stream-key-again").await;
    fill(driver, "input[name=target1_url]", &platform.rtmp_url("live")).await;
    fill(driver, "input[name=target1_key]", "browser-key-of-al").await;
    click(driver, "form[data-stream-form] button[type=submit]").await;
    until(driver, SOON, "document.querySelector('.hero-idle')").await;

    // Planned for this very minute: it starts at once.
    click(driver, "a[href^='/schedules/new?stream=']").await;
    until(driver, SOON, "document.querySelector('#schedule')").await;
    let now = || jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get("Asia/Jakarta").unwrap());
    if now().second() > 40 {
        // The minute must not turn over between being typed and being read.
        tokio::time::sleep(Duration::from_secs(61 - now().second() as u64)).await;
    }
    let minute = now();
    pick(driver, "input[name=starts_at]", &minute.strftime("%Y-%m-%dT%H:%M").to_string()).await;
    fill(driver, "input[name=duration]", "30").await;
    until(driver, SOON, "document.querySelectorAll('#preview li').length === 1").await;
    click(driver, "label:has(input[name=repeat][value=daily])").await;
    until(driver, SOON, "document.querySelectorAll('#preview li').length === 5").await;
    click(driver, "button[form=schedule][type=submit]").await;
    until(driver, SOON, "location.pathname === '/schedules' && document.querySelector('.row-item')").await;

    // The page of the stream tells by itself that it goes on air.
    click(driver, ".row-item h2 a").await;
    until(driver, SOON, "document.querySelector('#schedule')").await;
    go(&browser, &server, "/streams").await;
    click(driver, ".row-item h2 a").await;
    until(driver, Duration::from_secs(20), "document.querySelector('#live .hero-sending')").await;
    assert!(platform.arrival("browser-key-of-al", Duration::from_secs(15)).await.is_some());
    run(driver, "document.body.dataset.same = 'yes'").await;
    until(driver, SOON, "/[1-9].*bit\\/s/.test(document.querySelector('[data-live=words]').textContent)").await;
    let words = "document.querySelector('[data-live=words]').textContent";
    let before = run(driver, &format!("return {words}")).await;
    until(driver, SOON, &format!("{words} !== {before}")).await;
    until(driver, Duration::from_secs(20), "document.querySelector('.hero-frame img').naturalWidth > 0").await;
    until(driver, Duration::from_secs(30), "document.querySelector('#graph canvas')").await;
    until(driver, SOON, "document.querySelector('[data-live-lines=log]').textContent.length > 40").await;
    until(driver, SOON, "document.querySelector('.onair-on')").await;
    browser.screenshot("stream-on-air").await;

    click(driver, ".hero form[action$='/stop'] button").await;
    until(driver, SOON, "document.querySelector('dialog[open]')").await;
    click(driver, "[data-ask=yes]").await;
    until(driver, Duration::from_secs(20), "!document.querySelector('.hero form[action$=\"/stop\"]')").await;
    assert!(platform.departure("browser-key-of-al", Duration::from_secs(15)).await);
    until(driver, Duration::from_secs(20), "document.querySelector('#live .outcome-stopped')").await;
    let page = driver.source().await.unwrap();
    assert!(!page.contains("browser-key-of-al"), "the key is on the page");
    // One upload was refused, and one form; nothing else was to complain about.
    let complaints = browser.complaints().await;
    let odd: Vec<_> = complaints.iter().filter(|line| !line.contains("status of 4")).collect();
    assert!(odd.is_empty(), "{odd:?}");
    browser.quit().await;
}

#[tokio::test]
async fn what_an_upload_and_a_job_say_is_what_helps() {
    let server = server().await;
    server.user("al").await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    log_in(&browser, &server, "al", PASSWORD).await;
    go(&browser, &server, "/videos").await;
    // Silent, and with keyframes too far apart.
    let file = clip(17, 200, false, "320x180");
    let folder = tempfile::tempdir().unwrap();
    let (text, empty) = (folder.path().join("notes.txt"), folder.path().join("empty.mp4"));
    std::fs::write(&text, "not a video at all").unwrap();
    std::fs::write(&empty, "").unwrap();
    let field = driver.find(By::Css("form[data-upload] input[type=file]")).await.unwrap();
    field.send_keys(format!("{}\n{}\n{}", text.display(), empty.display(), file.display())).await.unwrap();
    until(driver, Duration::from_secs(30), "document.querySelectorAll('.upload-bad').length === 2").await;
    until(driver, Duration::from_secs(30), "document.querySelector('.upload-good, .upload-fair')").await;
    let again = "return [...document.querySelectorAll('.upload-bad .btn')].filter(button => !button.hidden).length";
    assert_eq!(run(driver, again).await, 0, "trying again would not help");
    let said = run(driver, "return document.querySelectorAll('.upload-bad')[1].textContent").await;
    assert!(said.as_str().unwrap().contains("The file is empty"), "{said}");
    // The same bytes once more: taken, with a word on it.
    let field = driver.find(By::Css("form[data-upload] input[type=file]")).await.unwrap();
    field.send_keys(file.display().to_string()).await.unwrap();
    until(driver, Duration::from_secs(30), "document.querySelector('.upload-same a[href^=\"/videos/\"]')").await;
    let said = run(driver, "return document.querySelector('.upload-same').textContent").await;
    assert!(said.as_str().unwrap().contains("already here as"), "{said}");
    browser.screenshot("upload-said").await;

    // What is told of a video is what the job made of it.
    click(driver, ".upload-same a").await;
    until(driver, SOON, "document.querySelector('#facts')").await;
    assert_eq!(run(driver, "return document.querySelector('#facts').textContent.includes('aac')").await, false);
    run(driver, "document.body.dataset.same = 'yes'").await;
    let path = run(driver, "return location.pathname").await;
    let ordered = format!(
        "const csrf = document.querySelector('meta[name=csrf]').content;
         return fetch('{}/optimise', {{ method: 'POST', body: new URLSearchParams({{ csrf, profile: '720p30' }}) }})
           .then(answer => answer.status)",
        path.as_str().unwrap()
    );
    assert_eq!(run(driver, &ordered).await, 200);
    until(driver, Duration::from_secs(60), "document.querySelector('#facts').textContent.includes('aac')").await;
    assert_eq!(run(driver, "return document.body.dataset.same").await, "yes", "the page was not loaded again");
    browser.quit().await;
}

#[tokio::test]
async fn a_secret_that_is_shown_once_is_copied_by_a_button() {
    let server = Server::start_with(&[("JADWAL_NOTICES_ALLOW_PRIVATE_TARGETS", "true")], &["--no-demo"]).await;
    server.user("al").await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    log_in(&browser, &server, "al", PASSWORD).await;
    go(&browser, &server, "/settings/notices/new?via=webhook").await;
    fill(driver, "input[name=name]", "Our bot").await;
    fill(driver, "input[name=url]", "http://127.0.0.1:9009/hook").await;
    click(driver, "form[action='/settings/notices'] button.btn-primary").await;
    until(driver, SOON, "document.querySelector('#secret')").await;
    click(driver, "[data-copy=secret]").await;
    until(driver, SOON, "document.querySelector('[data-copy=secret]').textContent === 'Copied'").await;
    for (width, name) in [(1280, "notices-secret"), (390, "notices-secret-390")] {
        browser.resize(width, 844).await;
        let wide = run(driver, "return document.documentElement.scrollWidth - innerWidth").await;
        assert_eq!(wide, 0, "{name} is wider than the screen");
        browser.screenshot(name).await;
    }
    browser.quit().await;
}

#[tokio::test]
async fn a_demo_user_looks_at_everything_and_is_refused_everything_else() {
    let server = Server::start_with(&[], &[]).await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    go(&browser, &server, "/login").await;
    click(driver, "form[action='/login/demo'] button[type=submit]").await;
    until(driver, SOON, "document.querySelector('#live')").await;
    for path in [
        "/",
        "/videos",
        "/thumbnails",
        "/streams",
        "/streams/new",
        "/schedules",
        "/schedules/new",
        "/schedules/calendar",
        "/history",
    ] {
        go(&browser, &server, path).await;
        until(driver, SOON, "document.querySelector('.demo-note')").await;
        let open = "return [...document.querySelectorAll('main form[method=post] button[type=submit]')]
            .filter(button => !button.matches(':disabled')).length";
        assert_eq!(run(driver, open).await, 0, "a button works on {path}");
    }
    // Whoever takes the `disabled` out of the page gets no further.
    let forced = "const csrf = document.querySelector('meta[name=csrf]').content;
        return fetch('/streams', { method: 'POST', body: new URLSearchParams({ csrf, title: 'x' }) }).then(a => a.status)";
    assert_eq!(run(driver, forced).await, 403);
    browser.quit().await;
}

#[tokio::test]
async fn pages_work_without_script() {
    let server = server().await;
    server.user("al").await;
    let api = server.api("al", PASSWORD).await;
    let video = upload(&api, "Rain", &clip(4, 50, true, "320x180")).await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    browser.scripts(false).await;
    go(&browser, &server, "/login").await;
    fill(driver, "input[name=username]", "al").await;
    fill(driver, "input[name=password]", PASSWORD).await;
    driver.find(By::Css("input[name=password]")).await.unwrap().send_keys(Key::Enter).await.unwrap();
    assert!(driver.query(By::Css("#live")).first().await.is_ok(), "logged in");
    go(&browser, &server, "/streams/new").await;
    fill(driver, "input[name=title]", "Without script").await;
    driver.find(By::Css(format!("#f-video-1 option[value='{video}']"))).await.unwrap().click().await.unwrap();
    driver.find(By::Css("#f-target1_platform option[value=youtube]")).await.unwrap().click().await.unwrap();
    fill(driver, "input[name=target1_key]", "abcd-abcd-abcd-abcd").await;
    let field = driver.find(By::Css("input[name=target1_key]")).await.unwrap();
    field.send_keys(Key::Enter).await.unwrap();
    assert!(driver.query(By::Css(".hero")).first().await.is_ok(), "the page of the new stream");
    assert_eq!(driver.find(By::Css("h1")).await.unwrap().text().await.unwrap(), "Without script");
    assert_eq!(api.get("/api/v1/streams?q=without").await.json()["total"], 1);
    browser.quit().await;
}

async fn upload(api: &Client, title: &str, file: &Path) -> String {
    let answer = api.upload("/api/v1/videos", &[("title", title)], &[("file.mp4", file)]).await.expect(201);
    answer.json()["items"][0]["id"].as_str().unwrap().to_owned()
}

/// A lively library of the admin, something on air in it.
async fn furnish(server: &Server, platform: &Platform) -> Vec<(&'static str, String)> {
    let api = server.api("admin", ADMIN).await;
    let mut videos = vec![];
    for (title, seconds, gop, audio, size) in [
        ("Rain on a tin roof", 12, 50, true, "640x360"),
        ("Dongeng Kancil dan Buaya — malam ke-3, untuk anak-anak yang belum mau tidur", 6, 50, true, "320x180"),
        ("Lo-fi beats vol. 12", 4, 50, false, "320x180"),
        ("Ngaji subuh <ulang>", 9, 225, true, "320x180"),
    ] {
        videos.push(upload(&api, title, &clip(seconds, gop, audio, size)).await);
    }
    let live = stream(&api, "Lo-fi Jakarta 24/7", &videos[0], &platform.rtmp_url("live"), "a-key-that-is-long-1").await;
    let night = stream(&api, "Dongeng malam", &videos[1], &platform.rtmp_url("live"), "a-key-that-is-long-2").await;
    let broken = stream(&api, "Ngaji subuh", &videos[3], &platform.rtmp_url("closed"), "a-key-that-is-long-3").await;
    let mut schedule = String::new();
    for (stream, at, rule, duration) in [
        (&night, "2026-12-01T19:00", Some("FREQ=DAILY"), Some(7200)),
        (&night, "2027-12-05T08:00", None, None),
        (&broken, "2027-03-01T04:30", Some("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"), Some(5400)),
    ] {
        let body = json!({"stream_id": stream, "starts_at": at, "rule": rule, "duration": duration});
        schedule = api.post("/api/v1/schedules", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    }
    api.patch(&format!("/api/v1/schedules/{schedule}"), &json!({"paused": true})).await.expect(200);
    api.post(&format!("/api/v1/streams/{night}/start"), &json!({"stop_after": 3})).await.expect(202);
    assert!(platform.departure("a-key-that-is-long-2", Duration::from_secs(1)).await);
    api.post(&format!("/api/v1/streams/{live}/start"), &json!({})).await.expect(202);
    api.post(&format!("/api/v1/streams/{broken}/start"), &json!({"stop_after": 3600})).await.expect(202);
    assert!(platform.arrival("a-key-that-is-long-1", Duration::from_secs(15)).await.is_some());
    server.user("al").await;
    server.user_with("demo-guest", json!({"role": "demo"})).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let run = api.get("/api/v1/runs?outcome=completed").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    vec![
        ("dashboard", "/".into()),
        ("videos", "/videos".into()),
        ("videos-list", "/videos?view=list".into()),
        ("videos-none", "/videos?q=nothing+like+this".into()),
        ("video", format!("/videos/{}", videos[0])),
        ("video-trouble", format!("/videos/{}", videos[3])),
        ("thumbnails", "/thumbnails".into()),
        ("streams", "/streams".into()),
        ("stream-new", "/streams/new".into()),
        ("stream", format!("/streams/{live}")),
        ("stream-idle", format!("/streams/{night}")),
        ("stream-trouble", format!("/streams/{broken}")),
        ("stream-edit", format!("/streams/{live}/edit")),
        ("schedules", "/schedules".into()),
        ("schedule-new", format!("/schedules/new?stream={night}")),
        ("schedule-edit", format!("/schedules/{schedule}/edit")),
        ("jobs", "/jobs".into()),
        ("history", "/history".into()),
        ("run", format!("/history/{run}")),
        ("settings", "/settings".into()),
        ("notices", "/settings/notices".into()),
        ("notice-new", "/settings/notices/new?via=telegram".into()),
        ("users", "/admin/users".into()),
        ("user-new", "/admin/users/new".into()),
        ("user", "/admin/users/al".into()),
        ("audit", "/admin/audit".into()),
        ("api", "/api/docs".into()),
        ("not-found", "/nothing/here".into()),
    ]
}

/// Pictures of the page as it stands, light and dark, and what is wrong with it.
pub async fn look(browser: &Browser, name: &str) -> Vec<String> {
    let driver = &browser.driver;
    until(driver, SOON, "document.readyState === 'complete'").await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    for dark in [false, true] {
        browser.prefer_dark(dark).await;
        if dark {
            // Colours move over in a moment.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let name = if dark { format!("{name}-dark") } else { name.to_owned() };
        browser.screenshot(&name).await;
    }
    browser.prefer_dark(false).await;
    let mut faults = vec![];
    let measure = "scrollTo({ top: 1e6, behavior: 'instant' });
        const dock = document.querySelector('.dock'), main = document.querySelector('main');
        const low = Math.max(0, ...[...main.children].map(part => part.getBoundingClientRect().bottom));
        return [document.documentElement.scrollWidth - innerWidth,
            dock && dock.offsetHeight ? low - dock.getBoundingClientRect().top : 0]";
    let measured = run(driver, measure).await;
    for (place, fault) in ["px wider than the screen", "px behind the dock"].into_iter().enumerate() {
        if let Some(by) = measured[place].as_f64().filter(|by| *by > 0.0) {
            faults.push(format!("{name} is {by} {fault}"));
        }
    }
    // What is chosen is read whole, unless there is no more room for it on the page.
    let cut = "const pen = document.createElement('canvas').getContext('2d');
        return [...document.querySelectorAll('main select')].filter(select => {
            const style = getComputedStyle(select), room = select.parentElement.getBoundingClientRect();
            pen.font = style.font;
            const words = pen.measureText(select.selectedOptions[0]?.textContent.trim() ?? '').width;
            const needed = words + parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
            return select.offsetWidth && needed > select.clientWidth && select.offsetWidth < room.width - 1;
        }).map(select => select.name)";
    for select in run(driver, cut).await.as_array().into_iter().flatten() {
        faults.push(format!("{name} cuts what is chosen: {select}"));
    }
    let complaints = browser.complaints().await.into_iter();
    let expected = |line: &String| !name.contains("not-found") || !line.contains("404");
    faults.extend(complaints.filter(expected).map(|line| format!("{name}: {line}")));
    faults
}

#[tokio::test]
async fn every_page_is_pictured_wide_and_narrow_light_and_dark_in_both_languages() {
    let platform = Platform::start();
    let server = server().await;
    let pages = furnish(&server, &platform).await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    let mut faults = vec![];
    for language in ["en", "id"] {
        for (width, height) in [(1280, 800), (390, 844)] {
            browser.resize(width, height).await;
            driver.delete_all_cookies().await.unwrap();
            go(&browser, &server, "/login").await;
            faults.extend(look(&browser, &format!("{language}-{width}-login")).await);
            log_in(&browser, &server, "admin", ADMIN).await;
            let script = format!(
                "const csrf = document.querySelector('meta[name=csrf]').content;
                 return fetch('/preferences', {{ method: 'POST', body: new URLSearchParams({{ csrf, locale: '{language}' }}) }})
                    .then(answer => answer.status)"
            );
            assert_eq!(run(driver, &script).await, 200);
            for (name, path) in &pages {
                go(&browser, &server, path).await;
                faults.extend(look(&browser, &format!("{language}-{width}-{name}")).await);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.quit().await;
}
