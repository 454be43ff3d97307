//! A channel is disconnected while something of it is on air or planned.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    KEY, broadcasts_until, connect, in_seconds, key_of, schedule, secrets_stand_nowhere, server_with, state_until,
    stream_to, youtube_at,
};
use crate::support::nginx::Platform;
use crate::support::server::{ADMIN, Client, PASSWORD, Server};
use crate::support::youtube::{How, Life, Youtube};

const SOON: Duration = Duration::from_secs(20);

/// A platform, a stand-in that knows two keys of `al` there, and a server that knows the stand-in.
async fn started() -> (Arc<Platform>, Youtube, Server) {
    let platform = Arc::new(Platform::start());
    let youtube = youtube_at(&platform);
    youtube.world().put_stream("al", "Main", KEY, &platform.rtmp_url("live"));
    youtube.world().put_stream("al", "Spare", "sentinel-key-spare", &platform.rtmp_url("live"));
    let server = server_with(&youtube, &[]).await;
    (platform, youtube, server)
}

/// A stream of `al` that is live by the platform's word, and another one that is planned; the channel and the streams.
async fn on_air_and_planned(server: &Server, youtube: &Youtube) -> (Client, String, [String; 2]) {
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let (main, spare) = (key_of(&al, &channel, "Main").await, key_of(&al, &channel, "Spare").await);
    let rain = stream_to(&al, "Rain", &main, json!({})).await;
    let later = stream_to(&al, "Later rain", &spare, json!({})).await;
    schedule(&al, &later, &in_seconds(7200), 600).await;
    al.post(&format!("/api/v1/streams/{rain}/start"), &json!({})).await.expect(202);
    state_until(&al, &rain, "live").await;
    let ready = |found: &[Value]| found.iter().any(|one| one["title"] == "Later rain" && one["stage"] == "ready");
    broadcasts_until(&al, "one is planned", ready).await;
    assert_eq!(youtube.world().broadcasts.len(), 2);
    (al, channel, [rain, later])
}

fn stage<'v>(found: &'v [Value], title: &str) -> &'v str {
    found.iter().find(|one| one["title"] == title).unwrap()["stage"].as_str().unwrap()
}

#[tokio::test]
async fn a_channel_that_is_disconnected_leaves_nothing_on_air_and_nothing_planned_on_the_platform() {
    let (platform, youtube, server) = started().await;
    let (al, channel, [rain, _]) = on_air_and_planned(&server, &youtube).await;

    // The dialog says what that ends.
    let shown = server.login("al", PASSWORD).await.get(&format!("/channels/{channel}")).await.expect(200).text();
    let dialog = shown.split("data-confirm=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(dialog.contains("On air now: \u{2068}Rain\u{2069}") || dialog.contains("On air now: Rain"), "{dialog}");
    assert!(dialog.contains("One planned broadcast is deleted"), "{dialog}");

    al.delete(&format!("/api/v1/channels/{channel}")).await.expect(204);
    let lives: Vec<Life> = youtube.world().broadcasts.values().map(|one| one.life).collect();
    assert_eq!(lives, [Life::Complete], "the planned one is deleted, the other one is over for viewers");
    let found = broadcasts_until(&al, "all are over", |_| true).await;
    assert_eq!((stage(&found, "Rain"), stage(&found, "Later rain")), ("complete", "removed"));

    // It goes on being sent, and nothing old is said of it.
    let state = state_until(&al, &rain, "sending").await;
    let word = &state["targets"][0]["platform_word"];
    assert_eq!(word["live"], false, "{state:#?}");
    assert!(word["health"][0].as_str().unwrap().contains("not connected any more"), "{word}");
    assert!(platform.publisher(KEY).is_some());
    let page = server.login("al", PASSWORD).await.get(&format!("/streams/{rain}")).await.expect(200).text();
    assert!(page.contains("not connected any more") && !page.contains("excellent"));
    assert_eq!(youtube.done("liveBroadcasts.insert"), 2, "nothing is made for it again");
    assert_eq!(youtube.refused(), []);
    secrets_stand_nowhere(&server, "al").await;
}

#[tokio::test]
async fn what_the_platform_does_not_end_before_a_channel_goes_is_told() {
    let (_platform, youtube, server) = started().await;
    let (al, channel, _) = on_air_and_planned(&server, &youtube).await;
    youtube.want("liveBroadcasts.transition", How::Refuse(503, "backendError"), 1000);
    server.user("bo").await;
    let bo = server.api("bo", PASSWORD).await;
    let path = format!("/api/v1/channels/{channel}");
    let meanwhile = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        al.delete(&path).await.expect(409);
        bo.delete(&path).await.expect(404);
    };
    let (told, ()) = tokio::join!(al.delete(&path), meanwhile);
    let told = told.expect(200).json();
    assert_eq!(told["remaining"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["remaining"][0]["title"], "Rain");
    assert!(told["remaining"][0]["link"].as_str().unwrap().starts_with("https://www.youtube.com/watch?v="));
    al.get(&format!("/api/v1/channels/{channel}")).await.expect(404);
    let found = broadcasts_until(&al, "both are over here", |_| true).await;
    assert_eq!((stage(&found, "Rain"), stage(&found, "Later rain")), ("gone", "removed"));
    let rain = found.iter().find(|one| one["title"] == "Rain").unwrap();
    assert!(rain["trouble"].as_str().unwrap().contains("YouTube Studio"), "{rain}");
}

#[tokio::test]
async fn killed_while_a_channel_goes_its_broadcasts_are_ended_by_the_next_start() {
    let (_platform, youtube, mut server) = started().await;
    let (al, channel, _) = on_air_and_planned(&server, &youtube).await;
    youtube.want("liveBroadcasts.transition", How::Refuse(503, "backendError"), 1);
    let path = format!("/api/v1/channels/{channel}");
    let asking = al.request(reqwest::Method::DELETE, &path).send();
    let killing = async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        server.kill9();
    };
    let (asked, ()) = tokio::join!(asking, killing);
    assert!(asked.is_err(), "nobody is there to answer");
    server.restart().await;
    let ended = |world: &crate::support::youtube::World| {
        world.broadcasts.len() == 1 && world.broadcasts.values().all(|one| one.life == Life::Complete)
    };
    youtube.until("they are ended", Duration::from_secs(50), ended).await;
}

#[tokio::test]
async fn a_call_that_hangs_holds_no_broadcast_on_air_until_the_grant_is_gone() {
    let (_platform, youtube, server) = started().await;
    let (al, channel, [_, later]) = on_air_and_planned(&server, &youtube).await;
    youtube.want("videos.update", How::DoneLate(Duration::from_secs(25)), 1);
    al.patch(&format!("/api/v1/streams/{later}"), &json!({"title": "Another rain"})).await.expect(200);
    youtube.until("a call hangs", SOON, |world| world.wanted.iter().all(|wanted| wanted.times == 0)).await;
    al.delete(&format!("/api/v1/channels/{channel}")).await.expect(204);
    let world = youtube.world();
    let lives: Vec<Life> = world.broadcasts.values().map(|one| one.life).collect();
    assert_eq!(lives, [Life::Complete], "{:?}", world.calls);
    assert_eq!(world.calls.last(), Some(&("revoke", 200)), "the grant goes last");
}

#[tokio::test]
async fn planned_broadcasts_that_cannot_be_deleted_hold_no_other_one_on_air() {
    let (_platform, youtube, server) = started().await;
    let (al, channel, [_, later]) = on_air_and_planned(&server, &youtube).await;
    for hours in 3..10 {
        schedule(&al, &later, &in_seconds(hours * 3600), 600).await;
    }
    let eight = |found: &[Value]| found.iter().filter(|one| one["stage"] == "ready").count() == 8;
    broadcasts_until(&al, "eight are planned", eight).await;
    youtube.want("liveBroadcasts.delete", How::DoneLate(Duration::from_secs(25)), 100);
    let told = al.delete(&format!("/api/v1/channels/{channel}")).await.expect(200).json();
    assert_eq!(told["remaining"].as_array().unwrap().len(), 8, "{told}");
    let world = youtube.world();
    assert!(world.broadcasts.values().any(|one| one.life == Life::Complete), "{:?}", world.calls);
    let place = |call| world.calls.iter().position(|one| *one == (call, 200));
    assert!(place("liveBroadcasts.transition") < place("revoke"), "{:?}", world.calls);
}

#[tokio::test]
async fn asking_again_and_again_for_what_the_platform_refuses_stays_within_the_share() {
    let youtube = Youtube::start();
    youtube.world().put_stream("al", "Main", KEY, "rtmp://a.rtmp.youtube.com/live2");
    let server = server_with(&youtube, &[("JADWAL_YOUTUBE_LIBRARY_UNITS", "500")]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let rain = stream_to(&al, "Rain", &key, json!({})).await;
    let planned = schedule(&al, &rain, &in_seconds(3600), 60).await;
    let found = broadcasts_until(&al, "it is ready", |found| found.iter().any(|one| one["stage"] == "ready")).await;
    youtube.want("liveBroadcasts.delete", How::Refuse(403, "forbidden"), 1000);
    al.delete(&format!("/api/v1/schedules/{planned}")).await.expect(204);
    broadcasts_until(&al, "it is refused", |found| !found[0]["trouble"].is_null()).await;
    for _ in 0..25 {
        al.post(&format!("/api/v1/broadcasts/{}/retry", found[0]["id"].as_str().unwrap()), &json!({})).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(youtube.world().units <= 500 + 3 * 50, "{} units", youtube.world().units);
}

#[tokio::test]
async fn what_only_a_person_can_mend_is_tried_again_when_the_run_ends() {
    let (_platform, youtube, server) = started().await;
    let (al, _, [rain, _]) = on_air_and_planned(&server, &youtube).await;
    youtube.want("liveStreams.list", How::Refuse(403, "forbidden"), 1000);
    let told = |found: &[Value]| found.iter().any(|one| one["title"] == "Rain" && !one["trouble"].is_null());
    broadcasts_until(&al, "it says what is wrong", told).await;
    youtube.world().wanted.clear();
    al.post(&format!("/api/v1/streams/{rain}/stop"), &json!({})).await.expect(202);
    let ended =
        |world: &crate::support::youtube::World| world.broadcasts.values().any(|one| one.life == Life::Complete);
    youtube.until("it is over for viewers", SOON, ended).await;
}

#[tokio::test]
async fn a_user_who_is_deleted_leaves_nothing_on_air_and_nothing_planned_on_the_platform() {
    let (_platform, youtube, server) = started().await;
    on_air_and_planned(&server, &youtube).await;
    server.api("admin", ADMIN).await.delete("/api/v1/users/al").await.expect(204);
    let world = youtube.world();
    let lives: Vec<Life> = world.broadcasts.values().map(|one| one.life).collect();
    assert_eq!(lives, [Life::Complete], "the planned one is deleted, the other one is over for viewers");
    assert_eq!(world.calls.last(), Some(&("revoke", 200)), "the grant goes last");
}

#[tokio::test]
async fn a_later_try_to_give_a_grant_back_ends_first_what_could_not_be_ended() {
    let (_platform, youtube, server) = started().await;
    let (al, channel, _) = on_air_and_planned(&server, &youtube).await;
    // One that would be tried again by itself in half an hour only.
    youtube.want("liveBroadcasts.transition", How::Refuse(403, "forbidden"), 1000);
    youtube.world().no_revoking = true;
    let told = al.delete(&format!("/api/v1/channels/{channel}")).await.expect(202).json();
    assert_eq!((&told["state"], told["remaining"].as_array().unwrap().len()), (&json!("leaving"), 1), "{told}");
    assert_eq!(told["remaining"][0]["title"], "Rain");
    {
        let mut world = youtube.world();
        world.wanted.clear();
        world.no_revoking = false;
    }
    let given_back = |world: &crate::support::youtube::World| world.calls.contains(&("revoke", 200));
    youtube.until("the grant is given back", Duration::from_secs(90), given_back).await;
    let lives: Vec<Life> = youtube.world().broadcasts.values().map(|one| one.life).collect();
    assert_eq!(lives, [Life::Complete], "nothing outlives the grant");
    let found = broadcasts_until(&al, "both are over here", |_| true).await;
    assert_eq!((stage(&found, "Rain"), stage(&found, "Later rain")), ("complete", "removed"));
}

#[tokio::test]
async fn pages_lead_to_a_broadcast_and_list_what_is_on_air_first_then_what_comes_then_what_was() {
    let (_platform, youtube, server) = started().await;
    let (al, channel, [rain, later]) = on_air_and_planned(&server, &youtube).await;
    // Made after it and sooner; and one that is over.
    let spare = key_of(&al, &channel, "Spare").await;
    let sooner = stream_to(&al, "Sooner rain", &spare, json!({})).await;
    let planned = schedule(&al, &sooner, &in_seconds(3600), 600).await;
    al.post(&format!("/api/v1/streams/{later}/start"), &json!({})).await.expect(202);
    state_until(&al, &later, "live").await;
    al.post(&format!("/api/v1/streams/{later}/stop"), &json!({})).await;
    let settled = |found: &[Value]| {
        found.iter().any(|one| one["stage"] == "complete")
            && found.iter().any(|one| one["title"] == "Sooner rain" && one["stage"] == "ready")
    };
    let found = broadcasts_until(&al, "one is over", settled).await;
    let link = |title: &str, stage: &str| {
        let one = found.iter().find(|one| one["title"] == title && one["stage"] == stage);
        one.unwrap()["link"].as_str().unwrap().to_owned()
    };
    let pages = server.login("al", PASSWORD).await;
    let list = pages.get("/broadcasts").await.expect(200).text();
    let order = [
        link("Rain", "live"),
        link("Sooner rain", "ready"),
        link("Later rain", "ready"),
        link("Later rain", "complete"),
    ];
    let places: Vec<usize> = order.iter().map(|link| list.find(link.as_str()).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(list.contains(&format!("<a href=\"/streams/{rain}\">Rain</a>")), "it leads to its stream");
    for (path, link) in [
        (format!("/streams/{rain}"), &order[0]),
        (format!("/streams/{sooner}"), &order[1]),
        (format!("/schedules/{planned}/edit"), &order[1]),
    ] {
        let page = pages.get(&path).await.expect(200).text();
        assert!(page.contains(link.as_str()), "{path}");
    }
    let schedule = al.get("/api/v1/broadcasts").await.expect(200).json();
    let one = schedule["items"].as_array().unwrap().iter().find(|one| one["title"] == "Sooner rain").unwrap();
    let of = one["occurrence"].as_str().unwrap();
    let page = pages.get(&format!("/schedules/{planned}/occurrences/{of}")).await.expect(200).text();
    assert!(page.contains(order[1].as_str()));
}
