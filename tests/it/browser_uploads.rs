//! Uploads in a real browser: from the gallery's selection to the list with its links. Pictures are written to
//! `target/screenshots/`.

use std::time::Duration;

use serde_json::json;

use crate::browser::{click, go, log_in, run, until};
use crate::browser_sheet::look;
use crate::streams::{stream, video};
use crate::support::browser::Browser;
use crate::support::server::PASSWORD;
use crate::support::youtube::Youtube;
use crate::youtube::{connect, server_with};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn videos_are_chosen_in_the_gallery_and_shown_with_their_links_when_they_are_there() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let one = video(&al, 2).await;
    for seconds in 3..6 {
        video(&al, seconds).await;
    }
    let stream = stream(&al, "Rain", &one, "rtmp://127.0.0.1:1935/live", "abcd-efgh").await;
    connect(&al, "al").await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    let mut faults = Vec::new();
    log_in(&browser, &server, "al", PASSWORD).await;

    go(&browser, &server, "/videos").await;
    click(driver, &format!("input[name=id][value='{one}']")).await;
    until(driver, SOON, "!document.querySelector('[data-bulk-bar]').hidden").await;
    faults.extend(look(&browser, "uploads-gallery").await);
    // No second thought is asked for: nothing is deleted.
    click(driver, "[data-bulk-bar] [formaction='/youtube-uploads/choose']").await;
    until(driver, SOON, "location.pathname === '/youtube-uploads'").await;
    until(driver, SOON, "document.querySelectorAll('input[name=videos]:checked').length === 1").await;
    let zone = run(driver, "return document.querySelector('[name=time_zone]').value").await;
    assert_eq!(zone, json!("Asia/Jakarta"));
    run(
        driver,
        "const f = document.querySelector('[data-narrow]'); f.value = 'no such'; \
                 f.dispatchEvent(new Event('input', {bubbles: true}))",
    )
    .await;
    let shown = "return [...document.querySelectorAll('#upload-videos > li')].filter(li => !li.hidden).length";
    assert_eq!(run(driver, shown).await, json!(1), "what is chosen stays in sight");
    run(
        driver,
        "const f = document.querySelector('[data-narrow]'); f.value = ''; \
                 f.dispatchEvent(new Event('input', {bubbles: true}))",
    )
    .await;
    assert_eq!(run(driver, shown).await, json!(4));
    click(driver, "form[action='/youtube-uploads'] details > summary").await;
    faults.extend(look(&browser, "uploads-form").await);
    click(driver, "form[action='/youtube-uploads'] button[type=submit]").await;
    until(driver, SOON, "document.querySelector('#uploads .copied input')").await;
    click(driver, "#uploads [data-copy]").await;
    until(driver, SOON, "document.querySelector('#uploads [data-copy]').textContent.trim() !== 'Copy'").await;
    faults.extend(look(&browser, "uploads-done").await);
    go(&browser, &server, &format!("/videos/{one}")).await;
    faults.extend(look(&browser, "uploads-video").await);
    go(&browser, &server, &format!("/streams/{stream}/broadcast")).await;
    faults.extend(look(&browser, "uploads-broadcast-form").await);
    go(&browser, &server, "/channels").await;
    faults.extend(look(&browser, "uploads-channels").await);
    go(&browser, &server, "/youtube-uploads").await;
    click(driver, "#uploads form[action$='/remove'] button").await;
    until(driver, SOON, "!document.querySelector('#uploads .copied')").await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.quit().await;
}
