//! The calendar in a real Chromium: occurrences are dragged and stretched with the mouse, and all of it works without
//! a mouse, on a phone and without script.

use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use thirtyfour::extensions::query::ElementQueryable as _;
use thirtyfour::{By, Key, WebDriver};

use crate::browser::{click, go, log_in, pick, run, until};
use crate::streams::{server, stream, video};
use crate::support::browser::Browser;
use crate::support::server::{Client, PASSWORD, Server};

const SOON: Duration = Duration::from_secs(10);
const URL: &str = "rtmp://127.0.0.1/live";

/// Monday of a week that is wholly to come.
fn monday() -> Date {
    let today = TimeZone::get("Asia/Jakarta").unwrap().to_datetime(Timestamp::now()).date();
    today.checked_add(7.days()).unwrap().nth_weekday(1, Weekday::Monday).unwrap()
}

async fn planned(api: &Client, title: &str, key: &str, body: &Value) -> String {
    let stream = stream(api, title, &video(api, 4).await, URL, key).await;
    let mut body = body.clone();
    body["stream_id"] = json!(stream);
    api.post("/api/v1/schedules", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned()
}

fn entry(of: &str) -> String {
    format!("document.querySelector('.ec-event[data-of=\"{of}:00\"]')")
}

/// Middle (or lower edge) of an entry, and the height of an hour in the grid.
async fn place(driver: &WebDriver, of: &str, edge: bool) -> (i64, i64, f64) {
    let script = format!(
        "const entry = {}; entry.scrollIntoView({{ block: 'center', behavior: 'instant' }});
         const box = entry.getBoundingClientRect();
         const body = document.querySelector('.ec-time-grid .ec-body .ec-day').getBoundingClientRect();
         return [box.left + box.width / 2, {}, body.height / 24, body.width]",
        entry(of),
        if edge { "box.bottom - 3" } else { "box.top + box.height / 2" }
    );
    let found = run(driver, &script).await;
    let number = |at: usize| found[at].as_f64().unwrap();
    (number(0) as i64, number(1) as i64, number(2))
}

async fn drag(driver: &WebDriver, from: (i64, i64), by: (i64, i64)) {
    let chain = driver.action_chain().move_to(from.0, from.1).click_and_hold();
    let middle = (from.0 + by.0 / 2, from.1 + by.1 / 2);
    chain.move_to(middle.0, middle.1).move_to(from.0 + by.0, from.1 + by.1).release().perform().await.unwrap();
}

async fn occurrence(api: &Client, id: &str, of: &str) -> Value {
    api.get(&format!("/api/v1/schedules/{id}/occurrences/{of}:00")).await.expect(200).json()
}

async fn week(browser: &Browser, server: &Server, day: Date) {
    go(browser, server, &format!("/schedules/calendar?view=week&date={day}")).await;
    until(&browser.driver, SOON, "document.querySelectorAll('.ec-time-grid .ec-event').length > 0").await;
}

#[tokio::test]
async fn an_occurrence_is_dragged_stretched_and_told_what_is_in_the_way() {
    let server = server().await;
    server.user("al").await;
    let api = server.api("al", PASSWORD).await;
    let (monday, tuesday) = (monday(), monday().tomorrow().unwrap());
    let daily = json!({"starts_at": format!("{monday}T10:00"), "time_zone": "Asia/Jakarta", "rule": "FREQ=DAILY", "duration": 7200});
    let id = planned(&api, "Rain", "key-one", &daily).await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    log_in(&browser, &server, "al", PASSWORD).await;

    // Month by month; the address keeps the place.
    go(&browser, &server, &format!("/schedules/calendar?date={monday}")).await;
    until(driver, SOON, &entry(&format!("{monday}T10:00"))).await;
    assert_eq!(run(driver, "return document.querySelector('#calendar-list')").await, Value::Null);
    browser.screenshot("calendar-month").await;
    click(driver, ".ec-timeGridWeek").await;
    until(driver, SOON, "location.search.includes('view=week')").await;

    // Another stream has its own colour, and both are named.
    let evening = json!({"starts_at": format!("{tuesday}T10:30"), "time_zone": "Asia/Jakarta", "duration": 5400});
    let other = planned(&api, "A much longer title of a stream", "key-two", &evening).await;
    go(&browser, &server, &format!("/schedules/calendar?date={monday}")).await;
    until(driver, SOON, &entry(&format!("{tuesday}T10:30"))).await;
    pick(driver, "#colours", "stream").await;
    assert_eq!(run(driver, "return document.querySelectorAll('#streams-key li').length").await, 2);
    let colour = |of: &str| format!("getComputedStyle({}).borderInlineStartColor", entry(of));
    let (one, two) = (colour(&format!("{monday}T10:00")), colour(&format!("{tuesday}T10:30")));
    assert_eq!(run(driver, &format!("return {one} === {two}")).await, false);
    browser.screenshot("calendar-month-streams").await;
    pick(driver, "#colours", "state").await;
    api.delete(&format!("/api/v1/schedules/{other}")).await.expect(204);

    // Tuesday's, three hours later: only that one.
    week(&browser, &server, tuesday).await;
    let of = format!("{tuesday}T10:00");
    let (x, y, hour) = place(driver, &of, false).await;
    drag(driver, (x, y), (0, (3.0 * hour).round() as i64)).await;
    until(driver, SOON, "document.querySelector('#reach[open]')").await;
    let asked = run(driver, "return document.querySelector('#reach-text').textContent").await;
    let asked = asked.as_str().unwrap().to_owned();
    assert!(asked.contains("Rain") && asked.contains("10:00") && asked.contains("13:00"), "{asked}");
    browser.screenshot("calendar-question").await;
    let top = "return document.querySelector('#calendar').getBoundingClientRect().top";
    let before = run(driver, top).await;
    click(driver, "[data-reach=this]").await;
    until(driver, SOON, "document.querySelector('.flash-ok')").await;
    assert_eq!(run(driver, top).await, before, "what is said moves the calendar");
    browser.screenshot("calendar-said").await;
    let moved = occurrence(&api, &id, &of).await;
    assert_eq!(moved["local"], format!("{tuesday}T13:00:00"), "{moved}");
    let other = occurrence(&api, &id, &format!("{monday}T10:00")).await;
    assert_eq!(other["changed"], false);

    // Its end, an hour later.
    week(&browser, &server, tuesday).await;
    let (x, y, hour) = place(driver, &of, true).await;
    drag(driver, (x, y), (0, hour.round() as i64)).await;
    until(driver, SOON, "document.querySelector('#reach[open]')").await;
    let asked = run(driver, "return document.querySelector('#reach-text').textContent").await;
    assert!(asked.as_str().unwrap().contains("16:00"), "{asked}");
    click(driver, "[data-reach=this]").await;
    until(driver, SOON, "document.querySelector('.flash-ok')").await;
    let longer = occurrence(&api, &id, &of).await;
    let length = |one: &Value| {
        let at = |name: &str| one[name].as_str().unwrap().parse::<Timestamp>().unwrap();
        at("ends_at").duration_since(at("at")).as_mins()
    };
    assert_eq!(length(&longer), 180, "{longer}");
    browser.screenshot("calendar-week").await;

    // Onto its neighbour: it goes back, and says why.
    week(&browser, &server, tuesday).await;
    let (x, y, _) = place(driver, &of, false).await;
    let width =
        run(driver, "return document.querySelector('.ec-time-grid .ec-body .ec-day').getBoundingClientRect().width")
            .await;
    let (_, _, hour) = place(driver, &of, false).await;
    drag(driver, (x, y), (width.as_f64().unwrap() as i64, (-2.5 * hour).round() as i64)).await;
    until(driver, SOON, "document.querySelector('#reach[open]')").await;
    click(driver, "[data-reach=this]").await;
    until(driver, SOON, "document.querySelector('.flash-bad')").await;
    let told = run(driver, "return document.querySelector('.flash-bad').textContent").await;
    assert!(told.as_str().unwrap().contains("Rain"), "{told}");
    assert_eq!(occurrence(&api, &id, &of).await["local"], moved["local"]);

    // Thought better of it.
    week(&browser, &server, tuesday).await;
    let (x, y, hour) = place(driver, &of, false).await;
    drag(driver, (x, y), (0, (2.0 * hour).round() as i64)).await;
    until(driver, SOON, "document.querySelector('#reach[open]')").await;
    driver.action_chain().send_keys(Key::Escape).perform().await.unwrap();
    until(driver, SOON, "!document.querySelector('#reach[open]')").await;
    assert_eq!(occurrence(&api, &id, &of).await["local"], moved["local"]);

    // Those after it, without a mouse: an entry is a button, its page a form.
    let of = format!("{}T10:00", tuesday.checked_add(2.days()).unwrap());
    run(driver, &format!("{}.focus()", entry(&of))).await;
    driver.action_chain().send_keys(Key::Enter).perform().await.unwrap();
    until(driver, SOON, "document.querySelector('#occurrence')").await;
    pick(driver, "input[name=starts_at]", &of.replace("T10", "T08")).await;
    click(driver, "input[name=reach][value=following]").await;
    click(driver, "button[name=act][value=save]").await;
    until(driver, SOON, "location.pathname === '/schedules/calendar' && document.querySelector('.flash-ok')").await;
    assert_eq!(api.get("/api/v1/schedules").await.json()["total"], 2);

    // The form shows the next five while one chooses, and sends nothing of what is not chosen.
    go(&browser, &server, &format!("/schedules/{id}/edit")).await;
    click(driver, "input[name=repeat][value=weekly]").await;
    click(driver, "input[name=days][value=FR]").await;
    click(driver, "input[name=last][value=count]").await;
    pick(driver, "input[name=count]", "0").await;
    click(driver, "input[name=last][value=never]").await;
    pick(driver, "input[name=times]", "14:00").await;
    until(driver, SOON, "document.querySelectorAll('input[name=times]').length === 2").await;
    until(driver, SOON, "document.querySelector('#preview').textContent.includes('14:00')").await;
    browser.screenshot("schedule-form-weekly").await;
    click(driver, ".btn-primary[form=schedule]").await;
    until(driver, SOON, "location.pathname === '/schedules' && document.querySelector('.flash-ok')").await;

    let complaints = browser.complaints().await;
    let odd: Vec<_> = complaints.iter().filter(|line| !line.contains("status of 409")).collect();
    assert!(odd.is_empty(), "{odd:?}");
    browser.quit().await;
}

#[tokio::test]
async fn shorter_views_open_where_one_looks_for_something() {
    let server = server().await;
    server.user("al").await;
    let api = server.api("al", PASSWORD).await;
    let monday = monday();
    let late = json!({"starts_at": format!("{monday}T22:30"), "time_zone": "Asia/Jakarta", "duration": 1800});
    planned(&api, "Rain", "key-one", &late).await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    log_in(&browser, &server, "al", PASSWORD).await;
    let zone = TimeZone::get("Asia/Jakarta").unwrap();
    let today = zone.to_datetime(Timestamp::now()).date();
    let in_sight = |what: &str| {
        format!(
            "(() => {{ const found = {what}; if (!found) return false;
               const [box, main] = [found, document.querySelector('.ec-main')].map(each => each.getBoundingClientRect());
               return box.top >= main.top && box.bottom <= main.bottom; }})()"
        )
    };

    // From a month to a day, and to a week: today, with now in sight.
    go(&browser, &server, "/schedules/calendar?view=month").await;
    until(driver, SOON, "document.querySelector('.ec-day-grid')").await;
    for (button, view) in [("timeGridDay", "day"), ("dayGridMonth", "month"), ("timeGridWeek", "week")] {
        click(driver, &format!(".ec-{button}")).await;
        until(driver, SOON, &format!("location.search.includes('view={view}&date={today}')")).await;
    }
    until(driver, SOON, &in_sight("document.querySelector('.ec-now-indicator')")).await;
    // From another month: its first day.
    let next = today.first_of_month().checked_add(1.month()).unwrap();
    go(&browser, &server, &format!("/schedules/calendar?view=month&date={}", next.last_of_month())).await;
    until(driver, SOON, &format!("location.search.includes('date={next}')")).await;
    click(driver, ".ec-timeGridDay").await;
    until(driver, SOON, &format!("location.search.includes('view=day&date={next}')")).await;
    // In a week to come, the first entry is in sight, however late it is.
    week(&browser, &server, monday).await;
    until(driver, SOON, &in_sight(&entry(&format!("{monday}T22:30")))).await;
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");

    // The links of the list lead there, too.
    browser.scripts(false).await;
    go(&browser, &server, &format!("/schedules/calendar?view=month&date={today}")).await;
    let link = format!(".calendar-nav a[href$='view=week&date={today}']");
    assert!(driver.find(By::Css(&link)).await.is_ok());
    go(&browser, &server, &format!("/schedules/calendar?view=month&date={}", next.last_of_month())).await;
    let link = format!(".calendar-nav a[href$='view=week&date={next}']");
    assert!(driver.find(By::Css(&link)).await.is_ok());
    browser.quit().await;
}

#[tokio::test]
async fn the_calendar_fits_a_phone_the_dark_and_a_browser_without_script() {
    let server = server().await;
    server.user("al").await;
    let api = server.api("al", PASSWORD).await;
    let monday = monday();
    let daily = json!({"starts_at": format!("{monday}T19:00"), "time_zone": "Asia/Jakarta", "rule": "FREQ=DAILY", "duration": 7200});
    let id = planned(&api, "Rain", "key-one", &daily).await;
    let browser = Browser::start().await;
    let driver = &browser.driver;
    log_in(&browser, &server, "al", PASSWORD).await;
    browser.resize(390, 844).await;
    go(&browser, &server, &format!("/schedules/calendar?date={monday}")).await;
    until(driver, SOON, "document.querySelectorAll('.ec-list .ec-event').length > 0").await;
    for (view, name) in
        [("listMonth", "list"), ("dayGridMonth", "month"), ("timeGridWeek", "week"), ("timeGridDay", "day")]
    {
        click(driver, &format!(".ec-{view}")).await;
        until(driver, SOON, &format!("location.search.includes('view={name}')")).await;
        browser.prefer_dark(true).await;
        let wide = run(driver, "return document.documentElement.scrollWidth - innerWidth").await;
        assert_eq!(wide, 0, "{name} is wider than the screen");
        let dark = "getComputedStyle(document.querySelector('.ec-main')).backgroundColor";
        let dark = run(driver, &format!("return {dark}")).await;
        assert_eq!(dark, "rgb(27, 35, 34)", "{name} in the dark");
        browser.screenshot(&format!("calendar-390-{name}-dark")).await;
        browser.prefer_dark(false).await;
        browser.resize(390, 844).await;
    }
    // The pages that it leads to fit as well.
    let of = format!("{monday}T19:00:00");
    for (path, name) in
        [(format!("/schedules/{id}/occurrences/{of}"), "occurrence"), (format!("/schedules/{id}/edit"), "form")]
    {
        go(&browser, &server, &path).await;
        for choice in ["monthly", "weekly"] {
            if name == "form" {
                click(driver, &format!("input[name=repeat][value={choice}]")).await;
                click(driver, "input[name=end][value=stop_at]").await;
                until(driver, SOON, &format!("!document.querySelector('[data-show-when=\"repeat={choice}\"]').hidden"))
                    .await;
            }
            let wide = run(driver, "return document.documentElement.scrollWidth - innerWidth").await;
            assert_eq!(wide, 0, "{name} is wider than the screen");
            browser.screenshot(&format!("schedule-390-{name}-{choice}")).await;
        }
        if name == "form" {
            // What will happen is seen before it is saved.
            let top = |what: &str| format!("document.querySelector('{what}').getBoundingClientRect().top");
            let end = "document.querySelector('#schedule').getBoundingClientRect().bottom";
            let (preview, save) = (top(".preview-card"), top(".btn-primary[form=schedule]"));
            assert_eq!(run(driver, &format!("return {end} <= {preview} && {preview} < {save}")).await, true);
            // A single time has no further ones.
            assert_eq!(run(driver, "return document.querySelector('.pair-apart').hidden").await, false);
            click(driver, "label:has(input[name=repeat][value=once])").await;
            assert_eq!(run(driver, "return document.querySelector('.pair-apart').hidden").await, true);
        }
    }
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:?}");

    // Without script the list of days is there, and each occurrence has its form.
    browser.scripts(false).await;
    go(&browser, &server, &format!("/schedules/calendar?view=week&date={monday}")).await;
    let rows = driver.find_all(By::Css(".calendar-day .row-item")).await.unwrap();
    assert_eq!(rows.len(), 7);
    driver.query(By::Css(".calendar-day .row-item a")).first().await.unwrap().send_keys(Key::Enter).await.unwrap();
    driver.query(By::Css("button[name=act][value=cancel]")).first().await.unwrap().send_keys(Key::Enter).await.unwrap();
    assert!(driver.query(By::Css(".flash-ok")).first().await.is_ok(), "it says what was done");
    api.get(&format!("/api/v1/schedules/{id}/occurrences/{of}")).await.expect(404);

    // And the form shows the next five by its button.
    go(&browser, &server, &format!("/schedules/{id}/edit")).await;
    driver.find(By::Css("button[name=act][value=preview]")).await.unwrap().send_keys(Key::Enter).await.unwrap();
    driver.query(By::Css("#preview li")).first().await.unwrap();
    assert_eq!(driver.find_all(By::Css("#preview li")).await.unwrap().len(), 5);
    browser.quit().await;
}
