//! A file of schedules in a real browser: uploaded, mapped, looked at, chosen from, taken in, written out and subscribed
//! to. Pictures are written to `target/screenshots/`.

use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::By;

use crate::browser::{click, go, log_in, pick, run, until};
use crate::streams::{stream, video};
use crate::support::browser::Browser;
use crate::support::server::{ADMIN, Server};

const SOON: Duration = Duration::from_secs(10);

const FILE: &str = "Nama acara;Tayangan;Mulai;Kunci;Durasi;catatan panitia\n\
    Ngaji Subuh;Rain;2031-01-04 04:30;Utama;1:30:00;bawa tikar\n\
    Dongeng malam untuk anak-anak yang belum mau tidur;Rain;2031-01-04 19:00;Utama;2:00:00;\n\
    Senja;Salju;2031-01-05 17:00;Utama;1:00:00;\n\
    Tengah malam;Rain;kapan-kapan;Utama;1:00:00;\n\
    Kunci lama;Rain;2031-01-06 10:00;youtube ****wxyz;1:00:00;\n\
    Sudah lewat;Rain;2020-01-06 10:00;Utama;1:00:00;\n";

/// Pictures of the page as it stands in light and dark, wide and narrow, and what is wider than the screen.
pub async fn look(browser: &Browser, name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (width, height) in [(1280, 800), (390, 844)] {
        browser.resize(width, height).await;
        for dark in [false, true] {
            browser.prefer_dark(dark).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            browser.screenshot(&format!("{name}-{width}{}", if dark { "-dark" } else { "" })).await;
        }
        browser.prefer_dark(false).await;
        let wider = run(&browser.driver, "return document.documentElement.scrollWidth - innerWidth").await;
        if wider.as_f64().is_some_and(|by| by > 0.0) {
            faults.push(format!("{name} at {width} is {wider} px too wide"));
        }
    }
    browser.resize(1280, 800).await;
    faults.extend(browser.complaints().await.into_iter().map(|line| format!("{name}: {line}")));
    faults
}

#[tokio::test]
async fn a_file_is_uploaded_mapped_chosen_from_taken_in_and_subscribed_to() {
    let server = Server::start_with(&[("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true")], &["--no-demo"]).await;
    let api = server.api("admin", ADMIN).await;
    let rain = video(&api, 2).await;
    stream(&api, "Utama", &rain, "rtmp://127.0.0.1/live", "aaaa-bbbb-cccc-dddd").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jadwal ramadan.csv");
    std::fs::write(&path, FILE).unwrap();
    let browser = Browser::start().await;
    let driver = &browser.driver;
    log_in(&browser, &server, "admin", ADMIN).await;
    let mut faults = Vec::new();
    for language in ["en", "id"] {
        let script = format!(
            "const csrf = document.querySelector('meta[name=csrf]').content;
             return fetch('/preferences', {{ method: 'POST', body: new URLSearchParams({{ csrf, locale: '{language}' }}) }})
                .then(answer => answer.status)"
        );
        assert_eq!(run(driver, &script).await, 200);
        go(&browser, &server, "/schedules/files").await;
        faults.extend(look(&browser, &format!("sheet-{language}-files")).await);
        driver.find(By::Css("input[name=file]")).await.unwrap().send_keys(path.to_str().unwrap()).await.unwrap();
        click(driver, "form[action='/schedules/files'] button[type=submit]").await;
        until(driver, SOON, "document.querySelector('#rows')").await;
        faults.extend(look(&browser, &format!("sheet-{language}-unmapped")).await);
        for (place, column) in [(0, "title"), (1, "videos")] {
            pick(driver, &format!("select[name=column_{place}]"), column).await;
        }
        click(driver, "button[value=look]").await;
        until(driver, SOON, "document.querySelectorAll('input[name=row]:checked').length === 2").await;
        faults.extend(look(&browser, &format!("sheet-{language}-mapped")).await);
    }
    // One of the two good rows is left out.
    click(driver, "input[name=row][value='3']").await;
    click(driver, "button[value=take]").await;
    until(driver, SOON, "document.querySelector('#done') && document.querySelectorAll('tbody tr').length === 5").await;
    faults.extend(look(&browser, "sheet-id-taken").await);
    let items = api.get("/api/v1/schedules").await.expect(200).json()["items"].clone();
    let starts: Vec<&Value> = items.as_array().unwrap().iter().map(|item| &item["starts_at"]).collect();
    assert_eq!(starts, [&json!("2031-01-04T04:30:00")]);
    go(&browser, &server, "/schedules/files").await;
    let script = "return fetch('/schedules/export?format=csv').then(answer => answer.text())";
    let text = run(driver, script).await;
    assert!(text.as_str().unwrap().contains("Ngaji Subuh"), "{text}");
    click(driver, "form[action='/schedules/files/feed'] button").await;
    until(driver, SOON, "document.querySelector('#f-feed') && location.pathname === '/schedules/files'").await;
    faults.extend(look(&browser, "sheet-id-feed").await);
    let address = run(driver, "return document.querySelector('#f-feed').value").await;
    let address = reqwest::Url::parse(address.as_str().unwrap()).unwrap();
    let feed = server.stranger().get(address.path()).await.expect(200).text();
    assert!(feed.contains("SUMMARY:Ngaji Subuh") && !feed.contains("Dongeng"), "{feed}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.quit().await;
}
