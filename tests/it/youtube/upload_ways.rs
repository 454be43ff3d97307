//! The ways in which videos are sent to a channel, and off the list again: from the gallery, with a time, by a template's
//! workbook; and that nobody's upload holds up the others.

use std::io::Write as _;
use std::time::Duration;

use calamine::{Reader as _, Xlsx};
use serde_json::{Value, json};

use super::uploads::uploads_until;
use super::{connect, server_with};
use crate::streams::video;
use crate::support::server::PASSWORD;
use crate::support::youtube::{How, Youtube};

#[tokio::test]
async fn a_selection_of_the_gallery_goes_out_at_a_time_with_titles_and_pictures_and_without_notes() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let (al, web) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let (one, two) = (video(&al, 2).await, video(&al, 3).await);
    let own = [("title", "Rain"), ("description", "On <tin>\nall night"), ("tags", "rain, tin roof")];
    web.form(&format!("/videos/{one}"), &own).await.expect(303);
    let gallery = web.get("/videos").await.expect(200).text();
    assert!(!gallery.contains("/youtube-uploads/choose"), "there is no channel yet");
    let channel = connect(&al, "al").await;
    assert!(web.get("/videos").await.expect(200).text().contains("formaction=\"/youtube-uploads/choose\""));
    let page = web.get(&format!("/videos/{one}")).await.expect(200).text();
    assert!(page.contains(&format!("href=\"/youtube-uploads?video={one}\"")));

    let chosen = web.form("/youtube-uploads/choose", &[("id", &one), ("id", &two)]).await.expect(303);
    let place = chosen.headers["location"].to_str().unwrap().to_owned();
    let is_checked = |page: &str, id: &str| page.contains(&format!("name=\"videos\" value=\"{id}\" checked"));
    let page = web.get(&place).await.expect(200).text();
    assert!(is_checked(&page, &one) && is_checked(&page, &two), "{place}");
    assert!(page.contains("value=\"Asia/Jakarta\""), "the user's own zone");

    let both = [("channel_id", channel.as_str()), ("videos", &one), ("videos", &two)];
    let with = |more: &[(&'static str, &'static str)]| [&both[..], more].concat();
    let at = [("publish_at", "2031-01-01T08:00"), ("time_zone", "Asia/Jakarta")];
    for (more, told) in [
        (&[at[0], at[1], ("privacy", "unlisted")][..], "cannot be unlisted"),
        (&[("title", "Both")][..], "Only for one video"),
        (&[("publish_at", "2020-01-01T08:00")][..], "in the future"),
        (&[at[0], ("time_zone", "Mars/Olympus")][..], "time zone"),
    ] {
        let refused = web.form("/youtube-uploads", &with(more)).await.expect(422).text();
        assert!(refused.contains(told), "{told}");
        assert!(is_checked(&refused, &one) && is_checked(&refused, &two), "{told}: the choice is lost");
    }
    web.form("/youtube-uploads", &[("channel_id", channel.as_str())]).await.expect(422);
    assert_eq!(al.get("/api/v1/youtube-uploads").await.expect(200).json()["total"], 0, "something was queued");

    web.form("/youtube-uploads", &with(&[at[0], at[1], ("privacy", "public")])).await.expect(303);
    let found = uploads_until(&al, "both are there", |found| found.iter().all(|one| one["state"] == "done")).await;
    for upload in &found {
        assert_eq!((&upload["publish_at"], &upload["privacy"]), (&json!("2031-01-01T01:00:00Z"), &json!("private")));
    }
    {
        let world = youtube.world();
        assert_eq!(world.videos.len(), 2);
        for video in world.videos.values() {
            assert_eq!(video.status["privacyStatus"], "private");
            assert_eq!(video.status["publishAt"], "2031-01-01T01:00:00Z");
        }
        for video in world.videos.values() {
            let told = video.snippet.to_string();
            assert!(!told.contains("all night") && !told.contains("tin roof"), "notes are for oneself: {told}");
        }
        assert!(world.videos.values().all(|video| video.picture.is_some()), "their own pictures");
    }
    // One alone may be called otherwise there.
    web.form("/youtube-uploads", &[both[0], both[1], ("title", "Tin roof")]).await.expect(303);
    let made = uploads_until(&al, "it is there", |found| found[0]["state"] == "done").await;
    assert_eq!((&made[0]["title"], &made[0]["privacy"]), (&json!("Tin roof"), &Value::Null));
    assert_eq!(youtube.refused(), []);

    // What was uploaded is known, also of a channel that was disconnected and is connected again.
    let page = web.get("/youtube-uploads").await.expect(200).text();
    assert_eq!(page.matches("Already uploaded to").count(), 2);
    al.delete(&format!("/api/v1/channels/{channel}")).await.expect(204);
    let again = connect(&al, "al").await;
    let page = web.get("/youtube-uploads").await.expect(200).text();
    assert_eq!(page.matches("Already uploaded to").count(), 2);
    let found = al.get("/api/v1/youtube-uploads").await.expect(200).json();
    let all = found["items"].as_array().unwrap();
    assert!(all.len() == 3 && all.iter().all(|one| one["channel_id"] == again), "{found}");
}

#[tokio::test]
async fn what_is_over_tells_why_and_leaves_the_list_while_the_record_keeps_its_link() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    server.user("bo").await;
    let (al, bo, web) =
        (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await, server.login("al", PASSWORD).await);
    let video = video(&al, 2).await;
    let channel = connect(&al, "al").await;
    let body = json!({"channel_id": channel, "items": [{"video_id": video}]});
    let queue = async || {
        let made = al.post("/api/v1/youtube-uploads", &body).await.expect(201).json();
        made["items"][0]["id"].as_str().unwrap().to_owned()
    };

    // Done: its link can be copied, on the video's page too, and stays on record.
    let done = queue().await;
    let found = uploads_until(&al, "it is there", |found| found[0]["state"] == "done").await;
    let link = found[0]["link"].as_str().unwrap().to_owned();
    for page in ["/youtube-uploads".to_owned(), format!("/videos/{video}")] {
        let page = web.get(&page).await.expect(200).text();
        assert!(page.contains(&format!("data-copy=\"upload-{done}\"")) && page.contains(&link));
        assert!(page.contains(&format!("/youtube-uploads/{done}/remove")));
    }
    bo.post(&format!("/api/v1/youtube-uploads/{done}/remove"), &json!({})).await.expect(404);
    al.post(&format!("/api/v1/youtube-uploads/{done}/remove"), &json!({})).await.expect(204);
    al.get(&format!("/api/v1/youtube-uploads/{done}")).await.expect(404);
    assert!(al.get("/api/v1/audit").await.expect(200).text().contains(&link), "the record lost the link");

    // Under way: it is cancelled first, and says that it was.
    youtube.want("videos.insert", How::Refuse(500, "backendError"), usize::MAX);
    let cancelled = queue().await;
    al.post(&format!("/api/v1/youtube-uploads/{cancelled}/remove"), &json!({})).await.expect(409);
    al.delete(&format!("/api/v1/youtube-uploads/{cancelled}")).await.expect(204);
    let told = al.get(&format!("/api/v1/youtube-uploads/{cancelled}")).await.expect(200).json();
    assert!(told["trouble"].as_str().unwrap().contains("cancelled"), "{told}");
    web.form(&format!("/youtube-uploads/{cancelled}/remove"), &[]).await.expect(303);
    assert_eq!(al.get("/api/v1/youtube-uploads").await.json()["total"], 0);

    // Failed, as its channel is gone: it is not tried again, and can be removed.
    let failed = queue().await;
    al.delete(&format!("/api/v1/channels/{channel}")).await;
    uploads_until(&al, "it has failed", |found| found[0]["state"] == "failed").await;
    let page = web.get("/youtube-uploads").await.expect(200).text();
    assert!(page.contains(&format!("/youtube-uploads/{failed}/remove")), "no way to remove it");
    assert!(!page.contains(&format!("/youtube-uploads/{failed}/retry")), "trying again cannot help");
    web.form(&format!("/youtube-uploads/{failed}/remove"), &[]).await.expect(303);
    assert_eq!(al.get("/api/v1/youtube-uploads").await.json()["total"], 0);
}

#[tokio::test]
async fn what_arrived_although_it_was_cancelled_says_so_and_where_it_is() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = video(&al, 2).await;
    let channel = connect(&al, "al").await;
    youtube.want("videos.upload", How::DoneLate(Duration::from_secs(4)), usize::MAX);
    let body = json!({"channel_id": channel, "items": [{"video_id": video}]});
    let made = al.post("/api/v1/youtube-uploads", &body).await.expect(201).json();
    let id = made["items"][0]["id"].as_str().unwrap().to_owned();
    youtube.until("it has arrived", Duration::from_secs(60), |world| !world.videos.is_empty()).await;
    al.delete(&format!("/api/v1/youtube-uploads/{id}")).await.expect(204);
    let there = youtube.world().videos.keys().next().unwrap().clone();
    let told = |found: &[Value]| found[0]["link"].as_str().is_some_and(|link| link.ends_with(&there));
    let found = uploads_until(&al, "its link stands there", told).await;
    assert_eq!(found[0]["state"], "cancelled");
    assert!(found[0]["trouble"].as_str().unwrap().contains("on YouTube already"), "{found:?}");
    assert!(al.get("/api/v1/audit").await.expect(200).text().contains(&there), "the record has no link");
}

#[tokio::test]
async fn what_failed_is_not_tried_again_beside_another_upload_of_the_same_video() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = video(&al, 2).await;
    let channel = connect(&al, "al").await;
    let body = json!({"channel_id": channel, "items": [{"video_id": video}]});
    youtube.want("videos.insert", How::Refuse(400, "invalidTitle"), 1);
    youtube.want("videos.insert", How::Refuse(500, "backendError"), usize::MAX);
    let made = al.post("/api/v1/youtube-uploads", &body).await.expect(201).json();
    let failed = made["items"][0]["id"].as_str().unwrap().to_owned();
    uploads_until(&al, "it has failed", |found| found[0]["state"] == "failed").await;
    al.post("/api/v1/youtube-uploads", &body).await.expect(201);
    al.post(&format!("/api/v1/youtube-uploads/{failed}/retry"), &json!({})).await.expect(409);
    // A date that no clock has is no reason to publish at once, nor is a zone that nobody knows.
    let place = format!("/api/v1/youtube-uploads/sheet?channel_id={channel}");
    for never in ["9999-12-31 23:59", "2031-01-01T20:00[Foo/Bar]"] {
        let text = format!("video,title,publish time,privacy\n{video},T,{never},public\n");
        let refused = al.send(al.request(reqwest::Method::POST, &place).body(text)).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], "line.2.publish_at", "{refused}");
    }
}

#[tokio::test]
async fn the_template_is_filled_in_and_its_columns_are_read_in_both_languages() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    video(&al, 2).await;
    let channel = connect(&al, "al").await;
    let place = format!("/api/v1/youtube-uploads/sheet?channel_id={channel}");
    let heads = |bytes: &[u8]| -> Vec<String> {
        let mut book = Xlsx::new(std::io::Cursor::new(bytes.to_vec())).unwrap();
        let range = book.worksheet_range_at(0).unwrap().unwrap();
        range.rows().next().unwrap().iter().map(ToString::to_string).collect()
    };
    let get = |language: &'static str| {
        let request = al.request(reqwest::Method::GET, "/api/v1/youtube-uploads/template");
        al.send(request.header("accept-language", language))
    };
    let (english, indonesian) = (get("en").await.expect(200), get("id").await.expect(200));
    let told = heads(&indonesian.body);
    assert_eq!(
        heads(&english.body)[..7],
        ["video", "title", "description", "tags", "publish time", "privacy", "thumbnail"]
    );
    assert_eq!(told[..7], ["video", "judul", "deskripsi", "tag", "waktu terbit", "privasi", "gambar mini"]);
    // The example brings nothing in.
    for template in [english.body, indonesian.body] {
        let refused = al.send(al.request(reqwest::Method::POST, &place).body(template)).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], "file", "{refused}");
    }
    let line = "rain.mp4;Hujan;Semalam;\"hujan, atap seng\";2031-01-01 08:00;publik;;Musik;PLrain";
    let filled = format!("{}\ncontoh-example.mp4;x;;;;;;;\n{line}\n", told.join(";"));
    let made = al.send(al.request(reqwest::Method::POST, &place).body(filled)).await.expect(201).json();
    let made = &made["items"][0];
    assert_eq!((&made["title"], &made["privacy"]), (&json!("Hujan"), &json!("private")));
    assert_eq!(made["publish_at"], "2031-01-01T01:00:00Z");
}

#[tokio::test]
async fn uploads_of_which_nothing_is_taken_make_room_for_the_others() {
    let youtube = Youtube::start();
    youtube.world().deaf_to = vec!["al".into(), "bo".into()];
    let server = server_with(&youtube, &[("JADWAL_YOUTUBE_UPLOAD_QUIET_SECONDS", "5")]).await;
    // Whose parts are more than fits into what lies between two programs.
    let mut large = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    let mut bytes = std::fs::read(crate::support::clip::clip(2, 50, true, "320x180")).unwrap();
    let padding = 12_u32 << 20;
    bytes.extend(padding.to_be_bytes());
    bytes.extend(b"free");
    bytes.resize(bytes.len() + padding as usize - 8, 0);
    large.write_all(&bytes).unwrap();
    let mut clients = Vec::new();
    for name in ["al", "bo", "cy"] {
        server.user(name).await;
        let api = server.api(name, PASSWORD).await;
        let channel = connect(&api, name).await;
        let id = if name == "cy" {
            video(&api, 2).await
        } else {
            let sent = api.upload("/api/v1/videos", &[("title", "Rain")], &[("rain.mp4", large.path())]).await;
            sent.expect(201).json()["items"][0]["id"].as_str().unwrap().to_owned()
        };
        if name == "cy" {
            let both = |world: &crate::support::youtube::World| world.unread >= 2;
            youtube.until("all places are taken", Duration::from_secs(60), both).await;
        }
        let body = json!({"channel_id": channel, "items": [{"video_id": id}]});
        api.post("/api/v1/youtube-uploads", &body).await.expect(201);
        clients.push(api);
    }
    let [al, bo, cy] = &clients[..] else { panic!() };
    uploads_until(cy, "another one's is there", |found| found[0]["state"] == "done").await;
    for stuck in [al, bo] {
        let waits = |found: &[Value]| found[0]["state"] == "sending" && !found[0]["trouble"].is_null();
        uploads_until(stuck, "it waits for its next try", waits).await;
    }
    // It is well again, and all of it arrives.
    youtube.world().deaf_to.clear();
    let found = uploads_until(al, "it is known", |found| found.len() == 1).await;
    let retry = format!("/api/v1/youtube-uploads/{}/retry", found[0]["id"].as_str().unwrap());
    al.post(&retry, &json!({})).await.expect(200);
    uploads_until(al, "it is there", |found| found[0]["state"] == "done").await;
    let world = youtube.world();
    let sent = world.videos.values().find(|video| video.account == "al").unwrap();
    assert!(sent.bytes == bytes, "other bytes arrived");
}
