//! The page for moving in, in a real browser: with and without script, wide and narrow, in both languages.

use std::time::Duration;

use serde_json::json;

use crate::browser::{click, go, log_in, look, until};
use crate::support::browser::Browser;
use crate::support::old_home::{OldHome, people};
use crate::support::server::{ADMIN, Server};

const LONG: Duration = Duration::from_secs(300);

/// A home with much in it, and some of it odd.
fn old_home() -> OldHome {
    let old = OldHome::tidy();
    let mut users = people();
    users["kepala"] = json!({"username": "kepala", "password_hash": users["siti"]["password_hash"], "role": "admin"});
    users["Budi"] = json!({"username": "Budi", "password_hash": "x", "role": "user"});
    users.as_object_mut().unwrap().remove("demo");
    old.database("users.json", &users);
    let mut rows = vec![json!({"title": "Ngaji subuh yang hilang", "filename": format!("{}.mp4", "x".repeat(200))})];
    for number in 0..24 {
        old.video(format!("videos/{number}.mp4"));
        rows.push(json!({"title": format!("Pengajian pekan ke-{number}"), "filename": format!("{number}.mp4")}));
    }
    old.database("video_database.json", &json!(rows));
    old
}

#[tokio::test]
async fn an_operator_moves_a_home_in_and_takes_it_back_with_and_without_script() {
    let old = old_home();
    let server = Server::start_with(&[("JADWAL_MIGRATE_FROM", old.text())], &["--no-demo"]).await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    let mut faults = Vec::new();
    log_in(&browser, &server, "admin", ADMIN).await;
    click(driver, ".rail a[href='/admin/moving']").await;
    until(driver, LONG, "document.querySelector('form[action=\"/admin/moving\"]')").await;
    faults.extend(look(&browser, "moving").await);
    click(driver, "form[action='/admin/moving'] button[type=submit]").await;
    // The page of the progress gives way to what it came to by itself.
    until(driver, LONG, "location.pathname === '/admin/moving' && document.querySelector('input[value=apply]')").await;
    faults.extend(look(&browser, "moving-plan").await);
    browser.resize(390, 844).await;
    faults.extend(look(&browser, "moving-plan-390").await);
    click(driver, "form[action='/admin/moving/go'] button.btn-primary").await;
    until(driver, LONG, "document.querySelector('#doing-title')").await;
    browser.screenshot("moving-progress-390").await;
    until(driver, LONG, "document.querySelector('input[value=plan-back]')").await;
    faults.extend(look(&browser, "moving-done-390").await);
    // From here on without script, in Indonesian.
    browser.resize(1280, 900).await;
    browser.scripts(false).await;
    click(driver, ".topbar button[name=locale][value=id]").await;
    go(&browser, &server, "/admin/moving").await;
    click(driver, "form[action='/admin/moving/go'] button[type=submit]").await;
    // The page loads itself anew.
    until(driver, LONG, "document.querySelector('input[value=take-back]')").await;
    faults.extend(look(&browser, "moving-back-id").await);
    click(driver, "form[action='/admin/moving/go'] button.btn-danger").await;
    until(driver, LONG, "document.querySelector('#last-title') && !document.querySelector('input[value=take-back]')")
        .await;
    browser.resize(390, 844).await;
    faults.extend(look(&browser, "moving-gone-id-390").await);
    faults.extend(browser.complaints().await);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(server.api("admin", ADMIN).await.get("/api/v1/videos").await.json()["total"].as_u64().unwrap() < 2);
    browser.quit().await;
}
