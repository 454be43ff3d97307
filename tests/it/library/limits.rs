//! Limits are kept, and whoever goes away leaves nothing behind.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use super::{books_are_right, files, send_bytes, small, uploaded, usage};
use crate::support::clip::clip;
use crate::support::scratch;
use crate::support::server::{ADMIN, Client, PASSWORD, Server};

/// THREATS 26.
#[tokio::test]
async fn two_hundred_uploads_at_once_fill_the_quota_to_the_last_file_and_no_byte_more() {
    let server = Server::start().await;
    const MIB: u64 = 1 << 20;
    server.user_with("al", json!({"storage_limit": 100 * MIB})).await;
    let al = server.api("al", PASSWORD).await;
    // A video of exactly 10 MiB: what follows the last box of an mp4 is padding.
    let folder = scratch("ten");
    let path = folder.path().join("ten.mp4");
    let mut bytes = std::fs::read(small()).unwrap();
    let rest = 10 * MIB as usize - bytes.len();
    bytes.extend((rest as u32).to_be_bytes());
    bytes.extend(b"free");
    bytes.resize(10 * MIB as usize, 0);
    std::fs::write(&path, &bytes).unwrap();
    let bytes = bytes::Bytes::from(bytes);
    let tries = (0..200).map(|number| {
        let (al, bytes) = (al.clone(), bytes.clone());
        async move {
            let length = bytes.len() as u64;
            let part = Part::stream_with_length(bytes, length).file_name(format!("{number}.mp4"));
            let request = al.request(Method::POST, "/api/v1/videos").multipart(Form::new().part("file", part));
            // A server that refuses may close before everything was sent.
            match request.send().await {
                Ok(answer) => answer.status().as_u16(),
                Err(_) => 0,
            }
        }
    });
    let mut counted = BTreeMap::<u16, usize>::new();
    for tried in futures_util::future::join_all(tries).await {
        *counted.entry(tried).or_default() += 1;
    }
    assert_eq!(counted.get(&201), Some(&10), "{counted:?}");
    assert!(counted.keys().all(|status| matches!(status, 0 | 201 | 429 | 507)), "{counted:?}");
    assert!(counted.contains_key(&507), "{counted:?}");
    books_are_right(&server, &al, "al").await;
    assert_eq!(usage(&al).await["used"], 100 * MIB);
    send_bytes(&al, "/api/v1/videos", "one.mp4", &std::fs::read(small()).unwrap()).await.expect(507);
}

/// THREATS 27, 28, 31, 37.
#[tokio::test]
async fn limits_of_size_number_disk_and_concurrency_are_kept() {
    let clip = clip(20, 50, true, "640x360");
    let size = clip.metadata().unwrap().len();
    assert!(size > 1 << 20);
    let limits = [("JADWAL_LIMITS_UPLOAD_MIB", "1"), ("JADWAL_LIMITS_FILES", "3")];
    let server = Server::start_with(&limits, &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    al.upload("/api/v1/videos", &[], &[("large.mp4", &clip)]).await.expect(413);
    // A video and its picture, then a video without one, then nothing more.
    assert!(uploaded(&al, "1.mp4", &small()).await["thumbnail_id"].is_string());
    assert!(uploaded(&al, "2.mp4", &small()).await["thumbnail_id"].is_null());
    let full = al.upload("/api/v1/videos", &[], &[("3.mp4", &small())]).await.expect(507);
    assert!(full.json()["detail"].as_str().unwrap().contains('3'));
    books_are_right(&server, &al, "al").await;
    drop(server);

    let server = Server::start_with(&[("JADWAL_LIMITS_DISK_FLOOR_MIB", "1000000000")], &["--no-demo"]).await;
    let admin = server.api("admin", ADMIN).await;
    let refused = admin.upload("/api/v1/videos", &[], &[("a.mp4", &small())]).await.expect(507);
    assert!(refused.json()["detail"].as_str().unwrap().contains("disk"), "{}", refused.text());
    books_are_right(&server, &admin, "admin").await;
    drop(server);

    let server = Server::start_with(&[("JADWAL_LIMITS_UPLOADS_PER_TENANT", "1")], &["--no-demo"]).await;
    let admin = server.api("admin", ADMIN).await;
    let slow = half_an_upload(&server, &admin, 1 << 20);
    wait_for_reserved(&admin, true).await;
    let busy = admin.upload("/api/v1/videos", &[], &[("a.mp4", &small())]).await.expect(429);
    assert!(!busy.header("retry-after").is_empty());
    drop(slow);
    books_are_right(&server, &admin, "admin").await;
    uploaded(&admin, "b.mp4", &small()).await;
}

/// Begins an upload that says it has `announced` bytes, sends the beginning of a video, and keeps the line open.
fn half_an_upload(server: &Server, client: &Client, announced: u64) -> TcpStream {
    let mut line = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    let token = client.token.as_ref().unwrap();
    let head = format!(
        "POST /api/v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {announced}\r\n\
         content-type: multipart/form-data; boundary=edge\r\n\r\n--edge\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"half.mp4\"\r\n\r\n"
    );
    line.write_all(head.as_bytes()).unwrap();
    line.write_all(&std::fs::read(small()).unwrap()[..20_000]).unwrap();
    line.flush().unwrap();
    line
}

async fn wait_for_reserved(client: &Client, is_reserved: bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while (usage(client).await["reserved"] != 0) != is_reserved {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn whoever_goes_away_in_the_middle_leaves_nothing_behind() {
    let mut server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    // Politely, and by a reset.
    for reset in [false, true] {
        let line = half_an_upload(&server, &admin, 50 << 20);
        wait_for_reserved(&admin, true).await;
        if reset {
            let socket = socket_reset_on_close(&line);
            assert!(socket);
        }
        drop(line);
        wait_for_reserved(&admin, false).await;
        books_are_right(&server, &admin, "admin").await;
    }
    // A body that ends before it says so.
    let mut line = half_an_upload(&server, &admin, 20_000 + 500);
    line.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = line.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    books_are_right(&server, &admin, "admin").await;

    // The whole server goes, with an upload in the middle and one that came whole.
    let kept = uploaded(&admin, "kept.mp4", &small()).await;
    let line = half_an_upload(&server, &admin, 50 << 20);
    wait_for_reserved(&admin, true).await;
    assert_eq!(files(&server, "data/admin/uploads").len(), 1);
    server.kill9();
    drop(line);
    // As if it had gone between a file's name and its row.
    let orphan = uuid::Uuid::now_v7();
    std::fs::write(server.home().join(format!("videos/admin/{orphan}.mp4")), "x").unwrap();
    server.restart().await;
    let admin = server.api("admin", ADMIN).await;
    books_are_right(&server, &admin, "admin").await;
    let list = admin.get("/api/v1/videos").await.json();
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &kept["id"]));
}

/// Makes the kernel send a reset instead of a polite end.
fn socket_reset_on_close(line: &TcpStream) -> bool {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(line, nix::sys::socket::sockopt::Linger, &linger).is_ok()
}

#[tokio::test]
async fn a_chunked_body_of_unknown_length_is_booked_as_it_comes() {
    let server = Server::start().await;
    server.user_with("al", json!({"storage_limit": 3 << 20})).await;
    let al = server.api("al", PASSWORD).await;
    let bytes = std::fs::read(clip(20, 50, true, "640x360")).unwrap();
    let send = async |bytes: &[u8]| {
        let mut body = b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"c.mp4\"\r\n\r\n".to_vec();
        body.extend(bytes);
        body.extend(b"\r\n--edge--\r\n");
        let pieces: Vec<std::io::Result<Vec<u8>>> = body.chunks(10_000).map(|piece| Ok(piece.to_vec())).collect();
        let request = al.request(Method::POST, "/api/v1/videos");
        let request = request.header("content-type", "multipart/form-data; boundary=edge");
        al.send(request.body(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)))).await
    };
    let video = send(&bytes).await.expect(201).json();
    assert_eq!(video["items"][0]["size"], bytes.len());
    let mut large = bytes.clone();
    large.resize(4 << 20, 0);
    send(&large).await.expect(507);
    books_are_right(&server, &al, "al").await;
    // Lengths that lie.
    for (length, statuses) in [("18446744073709551615", "507"), ("99999999999999999999", "400"), ("-1", "400")] {
        let mut line = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
        let token = al.token.as_ref().unwrap();
        let head = format!(
            "POST /api/v1/videos HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\
             content-type: multipart/form-data; boundary=edge\r\n\r\n--edge\r\n\
             content-disposition: form-data; name=\"file\"; filename=\"x.mp4\"\r\n\r\n"
        );
        line.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        line.read_exact(&mut answer).unwrap();
        assert_eq!(std::str::from_utf8(&answer[9..]).unwrap(), statuses, "{length}");
    }
    books_are_right(&server, &al, "al").await;
    // What is no form at all.
    for (kind, body) in [
        ("application/json", "{}"),
        ("multipart/form-data", "x"),
        ("multipart/form-data; boundary=edge", "--edge\r\n\r\nx\r\n--edge--\r\n"),
        (
            "multipart/form-data; boundary=edge",
            "--edge\r\ncontent-disposition: form-data; name=\"owner\"\r\n\r\nbo\r\n--edge--\r\n",
        ),
        ("multipart/form-data; boundary=edge", "nothing of the kind"),
    ] {
        let request = al.request(Method::POST, "/api/v1/videos").header("content-type", kind).body(body.to_owned());
        let answer = al.send(request).await;
        assert_eq!(answer.status, 400, "{kind} {body}: {}", answer.text());
    }
}
