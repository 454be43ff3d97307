//! What is laid over a stream's picture, and what a playlist says of videos that do not go together: told when a stream
//! is planned, and seen by a real RTMP platform.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use image::{Rgba, RgbaImage};
use serde_json::{Value, json};

use crate::streams::{server, video};
use crate::support::clip::{clip, made};
use crate::support::nginx::Platform;
use crate::support::server::{Client, PASSWORD, Server};

const KEY: &str = "over-the-picture-1";

/// A black picture with a tone, in a loop without a seam.
fn black(seconds: u32) -> PathBuf {
    made(&format!("black-{seconds}s.mp4"), |command| {
        command.args(["-f", "lavfi", "-i", &format!("color=black:s=640x360:r=25:d={seconds}")]);
        command.args(["-f", "lavfi", "-i", &format!("sine=frequency=440:sample_rate=44100:duration={seconds}")]);
        command.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p"]);
        command.args(["-c:a", "aac", "-ac", "2"]);
    })
}

/// A picture whose right half is red and whose left half is not there.
fn logo(folder: &Path) -> PathBuf {
    let path = folder.join("logo.png");
    let picture = RgbaImage::from_fn(200, 100, |x, _| if x < 100 { Rgba([0; 4]) } else { Rgba([255, 0, 0, 255]) });
    picture.save(&path).unwrap();
    path
}

async fn thumbnail(api: &Client, path: &Path) -> String {
    let answer = api.upload("/api/v1/thumbnails", &[("title", "Logo")], &[("logo.png", path)]).await.expect(201);
    answer.json()["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn upload(api: &Client, path: &Path) -> String {
    let answer = api.upload("/api/v1/videos", &[], &[("clip.mp4", path)]).await.expect(201);
    answer.json()["items"][0]["id"].as_str().unwrap().to_owned()
}

fn body(videos: &[&str], url: &str, overlay: &Value) -> Value {
    json!({"title": "Rain", "videos": videos, "loop": true, "overlay": overlay,
           "targets": [{"platform": "custom", "url": url, "key": KEY}]})
}

/// A frame of a recording, this many seconds from its beginning.
fn frame(recording: &Path, seconds: f64) -> image::RgbImage {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(recording)
        .args(["-ss", &seconds.to_string(), "-frames:v", "1", "-c:v", "png", "-f", "image2pipe", "-"])
        .output()
        .unwrap();
    image::load_from_memory(&output.stdout).unwrap_or_else(|_| panic!("{output:?}")).into_rgb8()
}

/// How many pixels of a part of a frame (in hundredths of it: left, top, right, bottom) pass.
fn pixels(frame: &image::RgbImage, part: [u32; 4], passes: impl Fn([u8; 3]) -> bool) -> usize {
    let (width, height) = frame.dimensions();
    let (across, down) =
        ((part[0] * width / 100..part[2] * width / 100), part[1] * height / 100..part[3] * height / 100);
    across.flat_map(|x| down.clone().map(move |y| (x, y))).filter(|(x, y)| passes(frame.get_pixel(*x, *y).0)).count()
}

fn is_white(pixel: [u8; 3]) -> bool {
    pixel.iter().all(|part| *part > 180)
}

fn is_red(pixel: [u8; 3]) -> bool {
    pixel[0] > 170 && pixel[1] < 80 && pixel[2] < 80
}

const TOP_LEFT: [u32; 4] = [0, 0, 25, 15];
const TOP_RIGHT: [u32; 4] = [70, 0, 100, 30];
const BOTTOM: [u32; 4] = [20, 85, 80, 100];
const MIDDLE: [u32; 4] = [20, 35, 80, 80];

#[tokio::test]
async fn a_logo_a_text_and_a_clock_are_in_the_picture_that_arrives() {
    let (server, platform) = (server().await, Platform::start());
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let folder = tempfile::tempdir().unwrap();
    let (video, logo) = (upload(&al, &black(4)).await, thumbnail(&al, &logo(folder.path())).await);
    let overlay = json!({
        "profile": "720p30",
        "logo": {"thumbnail_id": logo, "place": "top_right", "percent": 20},
        // Whatever means something to ffmpeg.
        "text": {"text": "it's 100%: [in]\\,;'%{pts}", "place": "bottom"},
        "clock": {"time_zone": "Asia/Jakarta", "place": "top_left"},
    });
    let made = al.post("/api/v1/streams", &body(&[&video], &platform.rtmp_url("record"), &overlay)).await.expect(201);
    let stream = format!("/api/v1/streams/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(made.json()["overlay"], overlay);
    al.post(&format!("{stream}/start"), &json!({"stop_after": 12})).await.expect(202);
    let arrived = platform.arrival(KEY, Duration::from_secs(60)).await.expect("it arrives");
    assert_eq!((arrived.size, arrived.audio_codec.as_deref()), (Some((1280, 720)), Some("AAC")));
    assert!(platform.departure(KEY, Duration::from_secs(60)).await);
    let recording = &platform.recordings(KEY)[0];

    let early = frame(recording, 2.0);
    assert_eq!(early.dimensions(), (1280, 720));
    // A fifth of the width and half as high, of which one half is there.
    let red = pixels(&early, TOP_RIGHT, is_red);
    assert!((14_000..18_000).contains(&red), "{red}");
    assert!(pixels(&early, [70, 0, 86, 30], is_red) < 300, "the see-through half");
    for (part, name) in [(TOP_LEFT, "the clock"), (BOTTOM, "the text")] {
        let white = pixels(&early, part, is_white);
        assert!((300..20_000).contains(&white), "{name}: {white}");
    }
    assert_eq!(pixels(&early, MIDDLE, |pixel| pixel.iter().any(|part| *part > 60)), 0);
    // The loop went round meanwhile; the text stays, the clock goes.
    let late = frame(recording, 8.0);
    let differing = |part: [u32; 4]| {
        let mut count = 0;
        let (width, height) = early.dimensions();
        for x in part[0] * width / 100..part[2] * width / 100 {
            for y in part[1] * height / 100..part[3] * height / 100 {
                let (one, other) = (early.get_pixel(x, y).0, late.get_pixel(x, y).0);
                count += usize::from(one.iter().zip(other).any(|(one, other)| one.abs_diff(other) > 100));
            }
        }
        count
    };
    assert!(differing(TOP_LEFT) > 30, "{}", differing(TOP_LEFT));
    assert_eq!(differing(BOTTOM), 0);

    // The platform sees the end before it is written down.
    for _ in 0..100 {
        if al.get(&stream).await.expect(200).json()["state"]["name"] == "ended" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let run = &al.get("/api/v1/runs").await.expect(200).json()["items"][0].clone();
    assert_eq!((run["outcome"].as_str(), run["restarts"].as_u64()), (Some("completed"), Some(0)), "{run}");
    let probed = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"])
        .arg(recording)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&probed.stdout).into_owned();
    let keys = text.lines().filter(|line| line.contains('K')).filter_map(|line| line.split(',').next()?.parse().ok());
    let keys: Vec<f64> = keys.collect();
    assert!(keys.len() >= 4 && keys.windows(2).all(|pair| (pair[1] - pair[0] - 2.0).abs() < 0.01), "{keys:?}");
}

#[tokio::test]
async fn an_overlay_is_checked_changed_and_taken_away() {
    let server = server().await;
    server.user("al").await;
    server.user("bo").await;
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let folder = tempfile::tempdir().unwrap();
    let (video, logo) = (video(&al, 2).await, thumbnail(&al, &logo(folder.path())).await);
    let foreign = thumbnail(&bo, &self::logo(folder.path())).await;
    let url = "rtmp://127.0.0.1/live";
    let text = |text: &str, place: &str| json!({"text": {"text": text, "place": place}});
    for (overlay, field) in [
        (json!({}), "overlay"),
        (text("", "top"), "overlay.text"),
        (text("two\nlines", "top"), "overlay.text"),
        (json!({"clock": {"time_zone": "Mars/Base", "place": "top"}}), "overlay.clock_zone"),
        (json!({"logo": {"thumbnail_id": foreign, "place": "top"}}), "overlay.logo"),
        (json!({"logo": {"thumbnail_id": logo, "place": "top", "percent": 99}}), "overlay.logo_percent"),
        (
            json!({"text": {"text": "x", "place": "top"}, "clock": {"time_zone": "UTC", "place": "top"}}),
            "overlay.places",
        ),
    ] {
        let refused = al.post("/api/v1/streams", &body(&[&video], url, &overlay)).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    for nonsense in [text("x", "middle"), json!({"profile": "8k"}), json!({"font": "/etc/passwd"})] {
        al.post("/api/v1/streams", &body(&[&video], url, &nonsense)).await.expect(400);
    }
    let overlay = json!({"logo": {"thumbnail_id": logo, "place": "top"}});
    let made = al.post("/api/v1/streams", &body(&[&video], url, &overlay)).await.expect(201).json();
    assert_eq!((&made["overlay"]["profile"], &made["overlay"]["logo"]["percent"]), (&json!("720p30"), &json!(12)));
    let stream = format!("/api/v1/streams/{}", made["id"].as_str().unwrap());
    let page = server.login("al", PASSWORD).await;
    let edit = page.get(&format!("/streams/{}/edit", made["id"].as_str().unwrap())).await.expect(200).text();
    assert!(edit.contains("0.7 processor cores") && edit.contains(&logo), "{edit}");

    let thumbnail = format!("/api/v1/thumbnails/{logo}");
    let refused = al.delete(&thumbnail).await.expect(409).json();
    assert!(refused["detail"].as_str().unwrap().contains("Rain"), "{refused}");
    let kept = al.patch(&stream, &json!({"title": "Rain, again"})).await.expect(200).json();
    assert_eq!(kept["overlay"], made["overlay"]);
    let bare = al.patch(&stream, &json!({"overlay": null})).await.expect(200).json();
    assert_eq!(bare["overlay"], Value::Null);
    al.delete(&thumbnail).await.expect(204);
}

#[tokio::test]
async fn an_overlay_that_the_processor_has_no_room_for_is_refused_and_said_before() {
    let private = ("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true");
    let server = Server::start_with(&[private, ("JADWAL_LIVE_CPU_PERCENT", "1")], &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let prices = al.get("/api/v1/streams/overlay-prices").await.expect(200).json();
    let cheap = prices["items"][0]["cpu_cores"].as_f64().unwrap();
    assert!(
        prices["cpu_cores_limit"].as_f64().unwrap() < cheap && prices["items"][0]["profile"] == "720p30",
        "{prices}"
    );
    let video = video(&al, 2).await;
    let overlay = json!({"text": {"text": "Rain", "place": "top"}});
    let nowhere = format!("rtmp://127.0.0.1:{}/live", crate::support::free_port());
    let made = al.post("/api/v1/streams", &body(&[&video], &nowhere, &overlay)).await.expect(201).json();
    let stream = format!("/api/v1/streams/{}", made["id"].as_str().unwrap());
    let refused = al.post(&format!("{stream}/start"), &json!({})).await.expect(409).json();
    assert!(refused["detail"].as_str().unwrap().contains("0.7 cores"), "{refused}");
    // By copy it takes none.
    al.patch(&stream, &json!({"overlay": null})).await.expect(200);
    al.post(&format!("{stream}/start"), &json!({})).await.expect(202);
    al.post(&format!("{stream}/stop"), &json!({})).await.expect(202);
}

#[tokio::test]
async fn a_playlist_says_which_video_is_unlike_the_others_and_why() {
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let [one, two] = [clip(2, 50, true, "320x180"), clip(4, 50, true, "320x180")];
    let (one, two) = (upload(&al, &one).await, upload(&al, &two).await);
    let small = upload(&al, &clip(4, 25, true, "640x360")).await;
    let silent = upload(&al, &clip(3, 25, false, "320x180")).await;
    let url = "rtmp://127.0.0.1/live";
    let made = al.post("/api/v1/streams", &body(&[&one, &two], url, &Value::Null)).await.expect(201).json();
    assert_eq!(made["playlist"], json!({"together": true, "differing": []}));
    let stream = format!("/api/v1/streams/{}", made["id"].as_str().unwrap());
    let changed = al.patch(&stream, &json!({"videos": [small, one, silent, two]})).await.expect(200).json();
    assert_eq!(changed["playlist"]["together"], false);
    let differing = changed["playlist"]["differing"].as_array().unwrap();
    let named: Vec<_> = differing.iter().map(|video| video["video_id"].as_str().unwrap()).collect();
    assert_eq!(named, [small.as_str(), &silent]);
    assert_eq!(differing[0]["reasons"][0], "640×360 instead of 320×180");
    assert!(differing[1]["reasons"].as_array().unwrap().contains(&json!("no sound")), "{differing:?}");
    assert_eq!(al.get("/api/v1/streams").await.json()["items"][0]["playlist"], Value::Null);
    let page = server.login("al", PASSWORD).await;
    for path in ["", "/edit"] {
        let text = page.get(&format!("/streams/{}{path}", made["id"].as_str().unwrap())).await.expect(200).text();
        assert!(text.contains("640×360 instead of 320×180") && text.contains("Not all of these videos"), "{text}");
    }
}

#[tokio::test]
async fn overlays_planned_for_one_time_are_told_beforehand_where_the_processor_has_no_room_for_all() {
    // Room for one, however many cores there are.
    let cores = std::thread::available_parallelism().unwrap().get();
    let percent = 70_usize.div_ceil(cores).to_string();
    let private = ("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true");
    let server = Server::start_with(&[private, ("JADWAL_LIVE_CPU_PERCENT", &percent)], &["--no-demo"]).await;
    server.user("al").await;
    server.user("bo").await;
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let overlay = json!({"text": {"text": "Rain", "place": "top"}});
    let (als, bos) = (video(&al, 2).await, video(&bo, 2).await);
    let planned = async |client: &Client, video: &str, title: &str, overlay: &Value| {
        let mut body = body(&[video], "rtmp://127.0.0.1/live", overlay);
        body["title"] = json!(title);
        body["targets"][0]["key"] = json!(format!("key-of-{title}"));
        let stream = client.post("/api/v1/streams", &body).await.expect(201).json();
        if title == "three" {
            return stream["id"].clone();
        }
        let body = json!({"stream_id": stream["id"], "starts_at": "2099-03-01T19:00", "time_zone": "Asia/Jakarta",
                          "duration": 3600});
        client.post("/api/v1/schedules", &body).await.expect(201);
        stream["id"].clone()
    };
    let march = "/api/v1/calendar?from=2099-03-01T00:00:00%2B07:00&to=2099-03-02T00:00:00%2B07:00";
    let reasons = async |client: &Client| {
        let items = client.get(march).await.expect(200).json()["items"].as_array().unwrap().clone();
        let told = items.into_iter().map(|item| (item["title"].as_str().unwrap().to_owned(), item["reason"].clone()));
        told.collect::<std::collections::BTreeMap<_, _>>()
    };
    planned(&al, &als, "one", &overlay).await;
    planned(&al, &als, "copy", &Value::Null).await;
    assert!(reasons(&al).await.values().all(Value::is_null), "{:?}", reasons(&al).await);
    planned(&al, &als, "two", &overlay).await;
    let told = reasons(&al).await;
    let why = told["two"].as_str().unwrap();
    assert!(why.contains("“one”") && why.contains("1.4 processor cores") && !why.contains("copy"), "{told:?}");
    assert!(told["one"].is_null() && told["copy"].is_null(), "{told:?}");
    // What another library plans is seen by nobody else.
    planned(&bo, &bos, "bos", &overlay).await;
    assert!(reasons(&bo).await["bos"].is_null());
    assert_eq!(reasons(&al).await, told);
    // While it is typed it is said too.
    let three = planned(&al, &als, "three", &overlay).await;
    let page = server.login("al", PASSWORD).await;
    let typed = format!(
        "/schedules/preview?stream_id={}&starts_at=2099-03-01T19:30&time_zone=Asia/Jakarta&repeat=once&end=duration&duration=60",
        three.as_str().unwrap()
    );
    let text = page.get(&typed).await.expect(200).text();
    assert!(text.contains("1.4 processor cores"), "{text}");
}

#[tokio::test]
async fn an_ffmpeg_that_decodes_on_air_reads_no_more_of_the_disk_than_it_plays() {
    let folder = crate::support::scratch("program");
    let program = folder.path().join("ffmpeg");
    let (server, platform) = {
        let script = "#!/bin/sh\ncase \"$*\" in *libx264*)\n\
            for file in ../../../../master.key ../../../library.redb /etc/passwd; do\n\
            if head -c 1 \"$file\" >/dev/null 2>&1; then echo \"[error] can read $file\" >&2; fi\n\
            if [ ! -e caption ]; then echo \"[error] is elsewhere\" >&2; fi\n\
            done\n\
            echo '[error] looked' >&2;;\nesac\nexec /usr/bin/ffmpeg \"$@\"\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let settings = [("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true"), ("JADWAL_FFMPEG", program.to_str().unwrap())];
        (Server::start_with(&settings, &["--no-demo"]).await, Platform::start())
    };
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = upload(&al, &black(4)).await;
    let overlay = json!({"text": {"text": "Rain", "place": "top"}});
    let made = al.post("/api/v1/streams", &body(&[&video], &platform.rtmp_url("record"), &overlay)).await.expect(201);
    let stream = format!("/api/v1/streams/{}", made.json()["id"].as_str().unwrap());
    al.post(&format!("{stream}/start"), &json!({})).await.expect(202);
    platform.arrival(KEY, Duration::from_secs(60)).await.expect("it arrives");
    let log = al.get(&format!("{stream}/log")).await.expect(200).text();
    al.post(&format!("{stream}/stop"), &json!({})).await.expect(202);
    assert!(log.contains("looked"), "{log}");
    if crate::media::landlock() {
        assert!(!log.contains("can read") && !log.contains("is elsewhere"), "{log}");
    }
}
