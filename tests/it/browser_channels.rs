//! A channel connected in a real browser: to the provider and back, with and without script. Pictures are written to
//! `target/screenshots/`.

use std::time::Duration;

use serde_json::json;

use crate::browser::{click, fill, go, log_in, run, until};
use crate::browser_sheet::look;
use crate::support::browser::Browser;
use crate::support::provider::{OWN, Provider};
use crate::support::server::{ADMIN, Server};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_channel_is_connected_by_going_there_and_coming_back() {
    let provider = Provider::start();
    let ends = provider.ends();
    let ends: Vec<_> = ends.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut server = Server::start_with(&ends, &["--no-demo"]).await;
    // People come back to where the server really is.
    server.stop().await;
    let own = server.base.clone();
    server.set("JADWAL_PUBLIC_URL", &own);
    server.restart().await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    log_in(&browser, &server, "admin", ADMIN).await;
    let mut faults = Vec::new();
    go(&browser, &server, "/channels").await;
    faults.extend(look(&browser, "channels-empty").await);
    click(driver, "header a[href='/channels/new']").await;
    until(driver, SOON, "location.pathname === '/channels/new'").await;
    assert_eq!(
        run(driver, "return document.getElementById('redirect').value").await,
        json!(format!("{own}/oauth/google/callback"))
    );
    assert_eq!(run(driver, "return document.querySelector(\"form[action='/channels'] button\").disabled").await, true);
    fill(driver, "input[name=client_id]", OWN.0).await;
    fill(driver, "input[name=client_secret]", OWN.1).await;
    click(driver, "form[action='/channels/client'] button").await;
    until(driver, SOON, "document.querySelector('.flash-ok')").await;
    faults.extend(look(&browser, "channel-new").await);
    // There, allowed, back, and sent on: nothing more is asked.
    click(driver, "form[action='/channels'] button").await;
    until(driver, SOON, "document.querySelector('.flash-ok') && location.pathname.startsWith('/channels/0')").await;
    until(driver, SOON, "document.querySelector('img.channel-picture')?.naturalWidth > 0").await;
    faults.extend(look(&browser, "channel").await);
    go(&browser, &server, "/channels").await;
    faults.extend(look(&browser, "channels").await);
    assert_eq!(provider.count("code").await, 1);

    // What went wrong is told, as text.
    provider.control(json!({"deny": {"error": "x", "error_description": "<img src=x>"}})).await;
    go(&browser, &server, "/channels/new").await;
    click(driver, "form[action='/channels'] button").await;
    until(driver, SOON, "document.querySelector('.flash-bad')?.textContent.includes('<img src=x>')").await;
    provider.control(json!({"deny": null})).await;

    // Without script one button more is pressed.
    let api = server.api("admin", ADMIN).await;
    let channel = api.get("/api/v1/channels").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    browser.scripts(false).await;
    go(&browser, &server, &format!("/channels/{channel}")).await;
    click(driver, &format!("form[action='/channels/{channel}/reconnect'] button")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    click(driver, "form[action='/oauth/google/finish'] button").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    browser.scripts(true).await;
    until(driver, SOON, &format!("location.pathname === '/channels/{channel}'")).await;
    assert_eq!(provider.count("code").await, 2);
    let told = api.get(&format!("/api/v1/channels/{channel}")).await.json();
    assert_eq!(told["state"], "active", "{told}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.quit().await;
}
