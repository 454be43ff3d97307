//! Attacks that once worked, each under the name of what it took.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::support::server::{ADMIN, Answer, Client, PASSWORD, Server};

/// Memory of the server's process that is in use, in MiB.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

/// Sends the beginning of a picture of unknown length, `mebibytes` of it, and keeps the line open.
fn endless_picture(server: &Server, client: &Client, mebibytes: usize) -> TcpStream {
    let mut line = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    let token = client.token.as_ref().unwrap();
    let head = format!(
        "POST /api/v1/thumbnails HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         transfer-encoding: chunked\r\ncontent-type: multipart/form-data; boundary=edge\r\n\r\n"
    );
    line.write_all(head.as_bytes()).unwrap();
    let mut chunk = |bytes: &[u8]| {
        line.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).unwrap();
        line.write_all(bytes).unwrap();
        line.write_all(b"\r\n").unwrap();
    };
    chunk(b"--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"x.jpg\"\r\n\r\n\xff\xd8\xff");
    for _ in 0..mebibytes {
        chunk(&vec![0; 1 << 20]);
    }
    line
}

#[tokio::test]
async fn pictures_that_never_end_do_not_fill_the_memory() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    let before = memory(&server);
    let lines: Vec<TcpStream> = std::thread::scope(|scope| {
        let send: Vec<_> = (0..24).map(|_| scope.spawn(|| endless_picture(&server, &admin, 18))).collect();
        send.into_iter().map(|line| line.join().unwrap()).collect()
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let taken = memory(&server).saturating_sub(before);
    assert!(taken < 200, "{} uploads of 18 MiB took {taken} MiB", lines.len());
}

#[tokio::test]
async fn rows_without_end_are_not_kept() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    let clip = crate::support::clip::clip(2, 25, true, "320x180");
    let video = admin.upload("/api/v1/videos", &[], &[("file", &clip)]).await.expect(201).json();
    let target = json!({"platform": "youtube", "key": "abcd-efgh-ijkl-mnop-qrst"});
    let stream = json!({"title": "Rain", "videos": [video["items"][0]["id"]], "targets": [target]});
    let first = admin.post("/api/v1/streams", &stream).await.expect(201).json();
    for _ in 1..1000 {
        admin.post("/api/v1/streams", &stream).await.expect(201);
    }
    admin.post("/api/v1/streams", &stream).await.expect(507);
    let id = first["id"].as_str().unwrap();
    admin.delete(&format!("/api/v1/streams/{id}")).await.expect(204);
    admin.post("/api/v1/streams", &stream).await.expect(201);
}

#[tokio::test]
async fn a_title_does_not_turn_the_reading_direction() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    let stream = json!({"title": "\u{202e}niaR", "videos": [], "targets": []});
    let refused = admin.post("/api/v1/streams", &stream).await.expect(422).json();
    assert!(refused["errors"].as_array().unwrap().iter().any(|error| error["field"] == "title"), "{refused}");
}

#[tokio::test]
async fn a_form_that_never_ends_gives_its_connection_back() {
    let server = Server::start().await;
    let mut line = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    line.write_all(
        b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
          content-length: 1000\r\n\r\nusername=",
    )
    .unwrap();
    line.set_read_timeout(Some(Duration::from_secs(100))).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        line.read_to_string(&mut answer).map(|_| answer)
    });
    let answer = answer.await.unwrap().expect("the connection is closed");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

/// Ends the process when dropped.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first line of the answer to a health check on a connection of its own.
fn health(address: &str) -> std::io::Result<String> {
    let mut line = TcpStream::connect(address)?;
    line.set_read_timeout(Some(Duration::from_secs(5)))?;
    line.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    line.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn idle_connections_leave_room_for_others() {
    let home = crate::support::scratch("home");
    let address = format!("127.0.0.1:{}", crate::support::free_port());
    let serve = "ulimit -Sn 200; exec \"$0\" serve --no-demo --home \"$1\" --listen \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", serve, env!("CARGO_BIN_EXE_jadwalstream")]).arg(home.path()).arg(&address);
    let _server = Ends(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    while health(&address).is_err() {
        assert!(Instant::now() < deadline, "it does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    let idle: Vec<_> = (0..400).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let answer = health(&address).expect("an answer in time");
    assert_eq!(answer, "HTTP/1.1 200 OK", "beside {} idle connections", idle.len());
}

/// Tries to log in as `name` from an address behind the proxy, on a device that shows `cookie`.
async fn log_in_from(server: &Server, address: &str, cookie: &str, name: &str, password: &str) -> Answer {
    let client = server.stranger();
    let request = client.request(Method::POST, "/login").header("x-forwarded-for", address).header("cookie", cookie);
    client.send(request.form(&[("username", name), ("password", password)])).await
}

#[tokio::test]
async fn strangers_who_guess_do_not_lock_a_user_out() {
    let limits = [("JADWAL_LIMITS_LOGIN_BURST", "3"), ("JADWAL_TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start_with(&limits, &["--no-demo"]).await;
    let own = log_in_from(&server, "203.0.113.1", "", "admin", ADMIN).await.expect(303);
    let mut cookies = own.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let device = cookies.find(|cookie| cookie.starts_with("device=")).unwrap();
    assert!(device.contains("HttpOnly") && device.contains("SameSite=Lax"), "{device}");
    let device = device.split(';').next().unwrap();
    // A program may keep the cookie that its login brings, and send it with the next.
    let login = json!({"username": "admin", "password": ADMIN});
    let program = server.stranger();
    let by_program = program.post("/api/v1/auth/login", &login).await.expect(200);
    let programs = by_program.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(programs.starts_with("device=") && programs != device, "{programs}");
    let wrong =
        async |address: String, name: &str| log_in_from(&server, &address, "", name, "wrong words").await.status;
    let mut seen = Vec::new();
    for name in ["admin", "nobody"] {
        let mut statuses = Vec::new();
        // One stranger is stopped early, and their whole neighbourhood…
        for host in [1, 1, 1, 1, 2] {
            statuses.push(wrong(format!("198.51.{}.{host}", name.len()), name).await);
        }
        assert_eq!(statuses, [401, 401, 401, 429, 429]);
        // …but nobody else.
        let elsewhere = log_in_from(&server, &format!("192.0.{}.7", name.len()), "", name, ADMIN).await;
        assert_eq!(elsewhere.status, if name == "admin" { 303 } else { 401 });
        // Only from very many places the name itself is used up.
        let mut place = 0;
        while wrong(format!("100.{}.{place}.1", name.len()), name).await == 401 {
            place += 1;
        }
        assert!((20..200).contains(&place), "{place}");
        log_in_from(&server, "203.0.113.9", "", name, ADMIN).await.expect(429);
        // Where the user has logged in before, all this is not felt, wherever the device is now…
        let known = log_in_from(&server, "100.5.1.1", device, name, ADMIN).await;
        assert_eq!(known.status, if name == "admin" { 303 } else { 429 });
        let stranger = server.stranger();
        let request = stranger.request(Method::POST, "/api/v1/auth/login").header("x-forwarded-for", "100.5.1.2");
        let request = request.header("cookie", &programs).json(&json!({"username": name, "password": ADMIN}));
        assert_eq!(stranger.send(request).await.status, if name == "admin" { 200 } else { 429 });
        seen.push(statuses);
    }
    assert_eq!(seen[0], seen[1], "a name that exists answers like one that does not");
    // …but nobody may guess there without end either.
    let mut guesses = 0;
    while log_in_from(&server, "203.0.113.1", device, "admin", "wrong words").await.status == 401 {
        guesses += 1;
    }
    assert!(guesses < 6, "{guesses}");
}

/// A grey progressive JPEG of three colours: a few hundred kilobytes that a decoder has to hold whole, nine bytes a pixel.
fn progressive_jpeg(width: u16, height: u16) -> Vec<u8> {
    let segment = |marker: u8, body: &[u8]| {
        let length = (body.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker], length.as_slice(), body].concat()
    };
    let ([w1, w2], [h1, h2]) = (width.to_be_bytes(), height.to_be_bytes());
    let tables = segment(0xdb, &[&[0_u8][..], &[1; 64]].concat());
    let frame = segment(0xc2, &[8, h1, h2, w1, w2, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    // One code of one bit, for "as before".
    let codes = segment(0xc4, &[&[0, 1][..], &[0; 15], &[0]].concat());
    let scan = segment(0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 0, 0]);
    let blocks = usize::from(width.div_ceil(8)) * usize::from(height.div_ceil(8)) * 3;
    [&[0xff, 0xd8][..], &tables, &frame, &codes, &scan, &vec![0; blocks.div_ceil(8)], &[0xff, 0xd9]].concat()
}

/// The most memory that the server's process ever used, in MiB.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

#[tokio::test]
async fn a_picture_that_takes_much_memory_does_not_take_the_server_s() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    let folder = crate::support::scratch("pictures");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let (large, usual) =
        (file("large.jpg", &progressive_jpeg(7000, 7000)), file("usual.jpg", &progressive_jpeg(6000, 4000)));
    let before = peak(&server);
    let refused = admin.upload("/api/v1/thumbnails", &[], &[("large.jpg", &large)]).await.expect(413);
    assert!(refused.text().contains("progressive"), "{}", refused.text());
    // What cameras make is taken.
    let kept = admin.upload("/api/v1/thumbnails", &[], &[("usual.jpg", &usual)]).await.expect(201).json();
    assert_eq!((&kept["items"][0]["width"], &kept["items"][0]["height"]), (&json!(1280), &json!(853)), "{kept}");
    let (admin, usual) = (&admin, usual.as_path());
    let many = (0..4).map(|_| async move { admin.upload("/api/v1/thumbnails", &[], &[("usual.jpg", usual)]).await });
    for answer in futures_util::future::join_all(many).await {
        answer.expect(201);
    }
    let taken = peak(&server) - before;
    assert!(taken < 64, "{taken} MiB");
}

#[tokio::test]
async fn links_in_the_home_are_refused_plainly_and_never_followed() {
    let server = Server::start().await;
    let admin = server.api("admin", ADMIN).await;
    let clip = crate::support::clip::clip(2, 25, true, "320x180");
    let video = admin.upload("/api/v1/videos", &[], &[("file", &clip)]).await.expect(201).json();
    let path = format!("/api/v1/videos/{}", video["items"][0]["id"].as_str().unwrap());
    let bytes = format!("{path}/content");
    admin.get(&bytes).await.expect(200);
    // One file is replaced by a link to another.
    let elsewhere = crate::support::scratch("elsewhere");
    let secret = elsewhere.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let folder = server.home().join("videos/admin");
    let own =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();
    let kept = elsewhere.path().join("kept");
    std::fs::rename(&own, &kept).unwrap();
    symlink(&secret, &own).unwrap();
    let refused = admin.get(&bytes).await.expect(409);
    assert!(refused.text().contains("link") && !refused.text().contains("secret"), "{}", refused.text());
    admin.post(&format!("{path}/frame"), &json!({"seconds": 1})).await.expect(409);
    let findings = server.cli(&["verify", "--deep", "--json"]).await;
    assert_eq!(findings.code, 1, "{findings:?}");
    std::fs::remove_file(&own).unwrap();
    std::fs::rename(&kept, &own).unwrap();
    admin.get(&bytes).await.expect(200);
    // The folder is replaced by a link to one elsewhere.
    let moved = elsewhere.path().join("moved");
    std::fs::rename(&folder, &moved).unwrap();
    symlink(&moved, &folder).unwrap();
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(&moved).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    admin.get(&bytes).await.expect(409);
    admin.upload("/api/v1/videos", &[], &[("file", &clip)]).await.expect(409);
    admin.delete(&path).await.expect(409);
    assert_eq!(names(), before);
    let findings = server.cli(&["verify", "--json"]).await;
    assert!(findings.code == 1 && findings.out.contains("videos/admin"), "{findings:?}");
}

/// A connection that comes from one of this machine's other addresses.
async fn line_from(server: &Server, host: u8) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    let line = socket.connect(server.base.trim_start_matches("http://").parse().unwrap()).await.unwrap();
    let line = line.into_std().unwrap();
    line.set_nonblocking(false).unwrap();
    line.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    line
}

/// The first line of the answer to a health check; nothing where the connection was closed.
fn asks_on(mut line: &TcpStream) -> String {
    let mut answer = [0; 15];
    let asked = line.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").and_then(|()| line.read_exact(&mut answer));
    if asked.is_err() { String::new() } else { String::from_utf8_lossy(&answer).into_owned() }
}

#[tokio::test]
async fn one_address_does_not_take_all_connections() {
    let limits = [("JADWAL_LIMITS_CONNECTIONS_PER_ADDRESS", "8")];
    let server = Server::start_with(&limits, &["--no-demo"]).await;
    let mut lines = Vec::new();
    for _ in 0..12 {
        lines.push(line_from(&server, 2).await);
    }
    let answered: Vec<bool> = lines.iter().map(|line| asks_on(line) == "HTTP/1.1 200 OK").collect();
    assert_eq!(answered.iter().filter(|answered| **answered).count(), 8, "{answered:?}");
    let other = line_from(&server, 3).await;
    assert_eq!(asks_on(&other), "HTTP/1.1 200 OK", "another address has its own");
    // A proxy on this machine brings the connections of many.
    let mut proxied = Vec::new();
    for _ in 0..40 {
        proxied.push(line_from(&server, 1).await);
    }
    assert!(proxied.iter().all(|line| asks_on(line) == "HTTP/1.1 200 OK"));
    drop(lines);
    let deadline = Instant::now() + Duration::from_secs(20);
    while asks_on(&line_from(&server, 2).await) != "HTTP/1.1 200 OK" {
        assert!(Instant::now() < deadline, "places come back");
    }
}

#[tokio::test]
async fn a_head_that_never_ends_gives_its_connection_back() {
    let server = Server::start().await;
    let first = line_from(&server, 1).await;
    (&first).write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").unwrap();
    // On a connection that was good before, too.
    let second = line_from(&server, 1).await;
    assert_eq!(asks_on(&second), "HTTP/1.1 200 OK");
    (&second).write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").unwrap();
    let nothing = line_from(&server, 1).await;
    // Whoever pauses a film reads nothing for a while, and then the rest.
    let admin = server.api("admin", ADMIN).await;
    let clip = crate::support::clip::clip(2, 25, true, "320x180");
    let folder = crate::support::scratch("film");
    let film = folder.path().join("film.mp4");
    let padding = [(20_u32 << 20).to_be_bytes().as_slice(), b"free", &vec![0; (20 << 20) - 8]].concat();
    let bytes = [std::fs::read(&clip).unwrap(), padding].concat();
    std::fs::write(&film, &bytes).unwrap();
    let video = admin.upload("/api/v1/videos", &[], &[("film.mp4", &film)]).await.expect(201).json();
    let path = format!("/api/v1/videos/{}/content", video["items"][0]["id"].as_str().unwrap());
    let mut paused = admin.request(Method::GET, &path).send().await.unwrap();
    let mut read = paused.chunk().await.unwrap().unwrap().len();
    let ends = [first, second, nothing].map(|mut line| {
        tokio::task::spawn_blocking(move || {
            line.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let (began, mut rest) = (Instant::now(), [0; 4096]);
            while began.elapsed() < Duration::from_secs(120) {
                // A byte now and then is no reason to wait for ever.
                let _ = line.write_all(b"x");
                match line.read(&mut rest) {
                    Ok(0) => return true,
                    Ok(_) => {}
                    Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return true,
                }
            }
            false
        })
    });
    let mut ended = Vec::new();
    for end in ends {
        ended.push(end.await.unwrap());
    }
    assert_eq!(ended, [true, true, true]);
    while let Some(chunk) = paused.chunk().await.unwrap() {
        read += chunk.len();
    }
    assert_eq!(read, bytes.len());
}

#[tokio::test]
async fn one_visitor_of_the_demo_does_not_take_the_others_places() {
    let server = Server::start_with(&[("JADWAL_TRUSTED_PROXIES", "127.0.0.1")], &[]).await;
    let visitor = async |address: &str| {
        let client = server.stranger();
        let request = client.request(Method::POST, "/login/demo").header("x-forwarded-for", address);
        client.send(request).await.expect(303);
        client
    };
    let open = async |client: &Client, address: &str| {
        client.request(Method::GET, "/events").header("x-forwarded-for", address).send().await.unwrap()
    };
    let greedy = visitor("203.0.113.1").await;
    let mut held = Vec::new();
    let refused = loop {
        let answer = open(&greedy, "203.0.113.1").await;
        if answer.status() != 200 {
            break answer;
        }
        held.push(answer);
    };
    assert!(refused.status() == 429 && held.len() < 10, "{} {}", refused.status(), held.len());
    let other = visitor("203.0.113.2").await;
    assert_eq!(open(&other, "203.0.113.2").await.status(), 200);
    // Many logins of one address have their end together.
    let mut all = held.len();
    for _ in 0..10 {
        let again = visitor("203.0.113.1").await;
        for _ in 0..6 {
            let answer = open(&again, "203.0.113.1").await;
            all += usize::from(answer.status() == 200);
            held.push(answer);
        }
    }
    assert_eq!(all, 24);
    assert_eq!(open(&visitor("203.0.113.3").await, "203.0.113.3").await.status(), 200);
}

#[tokio::test]
async fn whoever_brings_many_files_does_not_make_others_wait_for_all_of_them() {
    let server = Server::start().await;
    for name in ["al", "bo"] {
        server.user(name).await;
    }
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let folder = crate::support::scratch("pictures");
    let picture = folder.path().join("picture.jpg");
    std::fs::write(&picture, progressive_jpeg(1600, 1200)).unwrap();
    let (done, waiting) = (&std::sync::atomic::AtomicUsize::new(0), 40);
    let many = futures_util::future::join_all((0..waiting).map(|_| {
        let (al, picture) = (al.clone(), picture.as_path());
        async move {
            al.upload("/api/v1/thumbnails", &[], &[("picture.jpg", picture)]).await.expect(201);
            done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }));
    let one = async {
        // Once the line is long.
        while done.load(std::sync::atomic::Ordering::SeqCst) < 5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bo.upload("/api/v1/thumbnails", &[], &[("picture.jpg", &picture)]).await.expect(201);
        done.load(std::sync::atomic::Ordering::SeqCst)
    };
    let (_, before) = tokio::join!(many, one);
    assert!(before < waiting / 2, "{before} of {waiting} came first");
}
