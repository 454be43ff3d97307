//! The page of operators: a plan first, then the move, what came of it, and the way back.

use std::time::Duration;

use serde_json::Value;

use crate::support::old_home::{OldHome, SECRET_GRANT, SECRET_KEY};
use crate::support::server::{ADMIN, Client, Server};

const PAGE: &str = "/admin/moving";
const ZONE: &str = "Asia/Jakarta";

async fn server(old: &OldHome) -> Server {
    Server::start_with(&[("JADWAL_MIGRATE_FROM", old.text())], &["--no-demo"]).await
}

/// The page, once nothing is under way any more.
async fn over(admin: &Client) -> String {
    for _ in 0..3000 {
        let answer = admin.get(PAGE).await;
        if answer.status == 200 {
            return answer.text();
        }
        assert_eq!(answer.expect(303).header("location"), "/admin/moving/progress");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it does not end");
}

fn id(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"id\" value=\"").unwrap_or_else(|| panic!("nothing can be done: {page}"));
    rest.split_once('"').unwrap().0.to_owned()
}

fn offers(page: &str, act: &str) -> bool {
    page.contains(&format!("name=\"act\" value=\"{act}\""))
}

async fn plan(admin: &Client, more: &[(&str, &str)]) -> String {
    let fields = [&[("from", "."), ("owner", "admin"), ("time_zone", ZONE)], more].concat();
    let answer = admin.form(PAGE, &fields).await.expect(303);
    assert_eq!(answer.header("location"), "/admin/moving/progress");
    over(admin).await
}

async fn go(admin: &Client, page: &str, act: &str) -> String {
    admin.form("/admin/moving/go", &[("id", &id(page)), ("act", act)]).await.expect(303);
    over(admin).await
}

async fn total(admin: &Client, list: &str) -> u64 {
    admin.get(&format!("/api/v1/{list}")).await.expect(200).json()["total"].as_u64().unwrap()
}

async fn report(admin: &Client) -> Value {
    let answer = admin.get("/admin/moving/report").await.expect(200);
    assert!(answer.header("content-disposition").starts_with("attachment"), "{:?}", answer.headers);
    for secret in [SECRET_KEY, SECRET_GRANT] {
        assert!(!answer.text().contains(secret));
    }
    answer.json()
}

#[tokio::test]
async fn a_move_is_planned_done_and_taken_back_on_the_page() {
    let old = OldHome::tidy();
    old.write("videos/stranger.mp4", "nobody's");
    let before = old.everything();
    let server = server(&old).await;
    let admin = server.login("admin", ADMIN).await;
    let first = admin.get(PAGE).await.expect(200).text();
    assert!(first.contains(old.text()) && !offers(&first, "apply") && !first.contains("moving/report"), "{first}");
    assert!(admin.get("/").await.text().contains("href=\"/admin/moving\""));

    let planned = plan(&admin, &[]).await;
    assert!(planned.contains("What would happen") && planned.contains("no row names this file"), "{planned}");
    assert!(offers(&planned, "apply") && !offers(&planned, "take-back"), "{planned}");
    assert!(planned.contains("What would come") && planned.contains("role user, plan premium"), "{planned}");
    assert_eq!(total(&admin, "videos").await, 0, "a plan changes nothing");
    let told = report(&admin).await;
    assert_eq!((told["applied"].as_bool(), told["totals"]["video"]["imported"].as_u64()), (Some(false), Some(3)));
    assert!(told["items"].as_array().unwrap().iter().any(|item| item["file"] == "videos/stranger.mp4"));

    let done = go(&admin, &planned, "apply").await;
    assert!(done.contains("What happened") && !offers(&done, "apply"), "{done}");
    assert_eq!((total(&admin, "videos").await, total(&admin, "schedules").await), (3, 2));
    assert_eq!(report(&admin).await["applied"], true);
    let runs = admin.get("/api/v1/runs").await.expect(200).json();
    let page = admin.get(&format!("/history/{}", runs["items"][0]["id"].as_str().unwrap())).await.expect(200).text();
    let (_, targets) = page.split_once("targets-title").unwrap();
    assert!(!targets.contains("On air"), "what is over is on air nowhere: {targets}");
    assert_eq!(old.everything(), before);
    // What was planned once is not done twice.
    let answer = admin.form("/admin/moving/go", &[("id", &id(&planned)), ("act", "apply")]).await.expect(303);
    assert_eq!(answer.header("location"), PAGE);

    let loss = go(&admin, &done, "plan-back").await;
    assert!(loss.contains("What would be taken back") && offers(&loss, "take-back"), "{loss}");
    let told = report(&admin).await;
    assert_eq!(total(&admin, "videos").await, 3, "so far it is only told");
    go(&admin, &loss, "take-back").await;
    let gone = report(&admin).await;
    assert_eq!(gone["totals"], told["totals"], "what was told is what happened");
    assert_eq!((total(&admin, "videos").await, total(&admin, "streams").await), (0, 0));
    assert_eq!(old.everything(), before);
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
}

#[tokio::test]
async fn only_kinds_that_are_chosen_come_and_old_files_go_where_that_was_asked_for() {
    let old = OldHome::tidy();
    let server = server(&old).await;
    let admin = server.login("admin", ADMIN).await;
    let planned = plan(&admin, &[("only", "thumbnail"), ("only", "user"), ("remove_sources", "on")]).await;
    assert!(planned.contains("Old files are removed"), "{planned}");
    assert!(old.path().join("thumbnails/foto1.png").exists());
    go(&admin, &planned, "apply").await;
    assert_eq!((total(&admin, "videos").await, total(&admin, "thumbnails").await), (0, 2));
    assert!(!old.path().join("thumbnails/foto1.png").exists());
    assert!(old.path().join("videos/one.mp4").exists());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_beside_its_field_and_only_folders_of_the_setting_are_read() {
    let old = OldHome::tidy();
    let server = server(&old).await;
    let admin = server.login("admin", ADMIN).await;
    for (field, value, note) in [
        ("from", "/etc", "f-from-note"),
        ("from", "../", "f-from-note"),
        ("from", "", "f-from-note"),
        ("owner", "Admin", "f-owner-note"),
        ("time_zone", "Mars/Base", "f-time_zone-note"),
    ] {
        let mut fields = vec![("from", "."), ("owner", "admin"), ("time_zone", ZONE)];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let page = admin.form(PAGE, &fields).await.expect(422).text();
        assert!(page.contains(&format!("invalid-feedback d-block\" id=\"{note}\"")), "{field}={value}: {page}");
    }
    let fields = [("from", "."), ("owner", "admin"), ("time_zone", ZONE)];
    for wrong in [("only", "database"), ("only", "wishes"), ("apply", "on"), ("within", "/")] {
        admin.form(PAGE, &[&fields[..], &[wrong]].concat()).await.expect(400);
    }
    let nothing = "01900000-0000-7000-8000-000000000000";
    for act in ["apply", "take-back", "plan-back"] {
        let answer = admin.form("/admin/moving/go", &[("id", nothing), ("act", act)]).await.expect(303);
        assert_eq!(answer.header("location"), PAGE);
    }
    admin.form("/admin/moving/go", &[("id", nothing), ("act", "plan")]).await.expect(400);
    admin.get("/admin/moving/report").await.expect(404);
    assert_eq!(total(&admin, "videos").await, 0);
    // A folder below the setting in which there is nothing is a move that says so.
    std::fs::create_dir(old.path().join("bare")).unwrap();
    let mut fields = fields;
    fields[0] = ("from", "bare");
    admin.form(PAGE, &fields).await.expect(303);
    let page = over(&admin).await;
    assert!(page.contains("there is nothing of the old program") && !offers(&page, "apply"), "{page}");
}

#[tokio::test]
async fn without_the_setting_the_page_says_what_to_set() {
    let server = Server::start_with(&[], &["--no-demo"]).await;
    let admin = server.login("admin", ADMIN).await;
    let page = admin.get(PAGE).await.expect(200).text();
    assert!(page.contains("JADWAL_MIGRATE_FROM") && !page.contains("name=\"owner\""), "{page}");
    admin.form(PAGE, &[("from", "."), ("owner", "admin"), ("time_zone", ZONE)]).await.expect(422);
    server.user("al").await;
    let al = server.login("al", crate::support::server::PASSWORD).await;
    for path in [PAGE, "/admin/moving/progress", "/admin/moving/report", "/admin/moving/events"] {
        al.get(path).await.expect(403);
    }
}

#[tokio::test]
async fn a_move_goes_on_while_nobody_looks_is_stopped_and_goes_on_where_it_was() {
    let old = OldHome::tidy();
    let mut rows = Vec::new();
    for number in 0..60 {
        old.video(format!("videos/{number}.mp4"));
        rows.push(serde_json::json!({"title": format!("Nr {number}"), "filename": format!("{number}.mp4")}));
    }
    old.database("video_database.json", &rows.into());
    let mut server = server(&old).await;
    let admin = server.login("admin", ADMIN).await;
    let planned = plan(&admin, &[("only", "video")]).await;
    admin.form("/admin/moving/go", &[("id", &id(&planned)), ("act", "apply")]).await.expect(303);
    // Nobody reads anything of it, and still it comes.
    while total(&admin, "videos").await < 3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let page = admin.get("/admin/moving/progress").await.expect(200).text();
    assert!(page.contains("http-equiv=\"refresh\"") && page.contains("/admin/moving/stop"), "{page}");
    // One at a time, whichever way the other is asked for.
    let fields = [("from", "."), ("owner", "admin"), ("time_zone", ZONE)];
    assert_eq!(admin.form(PAGE, &fields).await.expect(303).header("location"), PAGE);
    let second = server.cli(&["migrate", "--from", old.text()]).await;
    assert!(second.code == 1 && second.err.contains("right now"), "{second:?}");
    admin.form("/admin/moving/stop", &[]).await.expect(303);
    let page = over(&admin).await;
    assert!(page.contains("It was stopped") && !offers(&page, "apply"), "{page}");
    assert!(total(&admin, "videos").await < 60);
    // The server ends in the midst of the next one.
    let planned = plan(&admin, &[("only", "video")]).await;
    admin.form("/admin/moving/go", &[("id", &id(&planned)), ("act", "apply")]).await.expect(303);
    server.kill9();
    server.restart().await;
    let admin = server.login("admin", ADMIN).await;
    let page = admin.get(PAGE).await.expect(200).text();
    assert!(page.contains("The server ended meanwhile") && offers(&page, "go-on"), "{page}");
    let done = go(&admin, &page, "go-on").await;
    assert!(done.contains("What happened") && !offers(&done, "go-on"), "{done}");
    assert_eq!(total(&admin, "videos").await, 60);
    // What it came to is known after the next start too.
    assert_eq!(server.stop().await, 0);
    server.restart().await;
    let admin = server.login("admin", ADMIN).await;
    assert!(admin.get(PAGE).await.expect(200).text().contains("What happened"));
    let told = report(&admin).await;
    assert_eq!(
        told["totals"]["video"]["imported"].as_u64().unwrap() + told["totals"]["video"]["present"].as_u64().unwrap(),
        60
    );
    let skipped = super::told(&told, |item| item["kind"] == "video" && item["fate"] == "skipped");
    // The videos of the tidy home, which these rows do not name.
    assert_eq!(skipped, [("video", "skipped", "migrate-nobody-names-it"); 3]);
}
