//! The whole path in a real browser: a channel's keys, a workbook's row, the broadcast that is made of it, on air at its
//! minute on a real nginx, live by the platform's own word, complete at its end. Pictures are written to
//! `target/screenshots/`.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Unit, ZonedRound};
use rust_xlsxwriter::Workbook;
use serde_json::json;
use thirtyfour::By;

use crate::browser::{click, fill, go, log_in, run, until};
use crate::browser_sheet::look;
use crate::streams::video;
use crate::support::browser::Browser;
use crate::support::nginx::Platform;
use crate::support::server::PASSWORD;
use crate::support::youtube::Life;
use crate::youtube::{KEY, broadcasts_until, connect, secrets_stand_nowhere, server_with, state_until, youtube_at};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_row_of_a_workbook_is_live_on_its_channel_at_its_minute_and_complete_at_its_end() {
    let platform = Arc::new(Platform::start());
    let youtube = youtube_at(&platform);
    youtube.world().put_stream("al", "Main", KEY, &platform.rtmp_url("live"));
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    video(&al, 4).await;
    let channel = connect(&al, "al").await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    let mut faults = Vec::new();
    log_in(&browser, &server, "al", PASSWORD).await;

    // The channel tells its units and keys; a key is shown after the password only.
    go(&browser, &server, "/stream-keys").await;
    click(driver, &format!("form[action='/channels/{channel}/keys/fetch'] button")).await;
    until(driver, SOON, "document.querySelector('details form[action$=\"/reveal\"]')").await;
    let page = run(driver, "return document.documentElement.outerHTML").await;
    assert!(!page.as_str().unwrap().contains("sentinel-"), "a key stands on the page");
    faults.extend(look(&browser, "youtube-keys").await);
    click(driver, "details:has(form[action$='/reveal']) > summary").await;
    fill(driver, "details[open] input[name=password]", PASSWORD).await;
    click(driver, "details[open] form[action$='/reveal'] button").await;
    until(driver, SOON, &format!("document.querySelector('#revealed')?.value === {}", json!(KEY))).await;
    go(&browser, &server, "/channels").await;
    browser.screenshot("youtube-channels").await;
    until(driver, SOON, "document.querySelector('.channel-card progress')").await;

    // A row of a workbook, for the minute after the next.
    let zone = TimeZone::get("Asia/Jakarta").unwrap();
    let now = Timestamp::now().to_zoned(zone);
    let minute = now.checked_add(115.seconds()).unwrap();
    let minute = minute.round(ZonedRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Trunc)).unwrap();
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let cells = [
        ("title", "Rain at night".to_owned()),
        ("description", "Rain on {date}".to_owned()),
        ("scheduledStartTime", minute.strftime("%Y-%m-%dT%H:%M").to_string()),
        ("videoFile", "rain.mp4".to_owned()),
        ("streamNameExisting", "Main".to_owned()),
        ("duration", "0:00:40".to_owned()),
        ("privacyStatus", "unlisted".to_owned()),
        ("madeForKids", "FALSE".to_owned()),
    ];
    for (column, (head, cell)) in (0..).zip(&cells) {
        sheet.write_string(0, column, *head).unwrap();
        sheet.write_string(1, column, cell).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jadwal.xlsx");
    book.save(&path).unwrap();
    go(&browser, &server, "/schedules/files").await;
    driver.find(By::Css("input[name=file]")).await.unwrap().send_keys(path.to_str().unwrap()).await.unwrap();
    click(driver, "form[action='/schedules/files'] button[type=submit]").await;
    until(driver, SOON, "document.querySelectorAll('input[name=row]:checked').length === 1").await;
    click(driver, "button[value=take]").await;
    until(driver, SOON, "document.querySelector('#done')").await;

    // Its broadcast is there before its minute, with a link to share.
    let found = broadcasts_until(&al, "it is ready", |found| found.len() == 1 && found[0]["stage"] == "ready").await;
    let link = found[0]["link"].as_str().unwrap().to_owned();
    let shown = found[0]["broadcast_id"].as_str().unwrap().to_owned();
    {
        let world = youtube.world();
        let made = &world.broadcasts[&shown];
        assert_eq!((made.life, made.title(), made.starts_at()), (Life::Ready, "Rain at night", minute.timestamp()));
        assert_eq!(made.description(), format!("Rain on {}", minute.strftime("%Y-%m-%d")));
        assert_eq!(made.status["privacyStatus"], "unlisted");
    }
    assert!(platform.publisher(KEY).is_none(), "nothing is sent before its minute");
    go(&browser, &server, "/broadcasts").await;
    let typed = run(driver, "return document.querySelector('.copied input').value").await;
    assert_eq!(typed, json!(link));
    click(driver, ".copied [data-copy]").await;
    until(driver, SOON, "document.querySelector('.copied [data-copy]').textContent.trim() !== 'Copy'").await;
    faults.extend(look(&browser, "youtube-broadcasts").await);

    // On air at its minute: sending is our word, live is the platform's, and it is told while one looks.
    let stream = al.get("/api/v1/streams").await.expect(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
    go(&browser, &server, &format!("/streams/{stream}")).await;
    youtube.world().streams.values_mut().for_each(|one| one.issues = vec![("gopSizeLong".into(), "warning".into())]);
    assert!(platform.arrival(KEY, Duration::from_secs(150)).await.is_some(), "nothing arrived");
    assert!(Timestamp::now() >= minute.timestamp(), "it was on air before its minute");
    state_until(&al, &stream, "live").await;
    until(driver, SOON, "document.querySelector('#live .hero-live')").await;
    until(driver, SOON, "document.querySelector('.targets')?.textContent.includes('every 2 seconds')").await;
    faults.extend(look(&browser, "youtube-live").await);
    {
        let world = youtube.world();
        assert_eq!((world.broadcasts.len(), world.broadcasts[&shown].life), (1, Life::Live));
    }

    // Over for viewers too, and history leads there.
    broadcasts_until(&al, "it is complete", |found| found[0]["stage"] == "complete").await;
    assert!(platform.departure(KEY, SOON).await);
    until(driver, SOON, "document.querySelector('#live .hero-ended')").await;
    click(driver, "a.row-link[href^='/history/']").await;
    until(driver, SOON, &format!("document.querySelector('.copied input')?.value === {}", json!(link))).await;
    browser.screenshot("youtube-history").await;
    {
        let world = youtube.world();
        let made = &world.broadcasts[&shown];
        assert_eq!((world.broadcasts.len(), made.life), (1, Life::Complete));
        assert!(made.live_at.unwrap() >= minute.timestamp());
    }
    assert_eq!(youtube.refused(), []);
    secrets_stand_nowhere(&server, "al").await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.quit().await;
}
