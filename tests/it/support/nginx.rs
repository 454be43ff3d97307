//! A real nginx with its RTMP module on free loopback ports: the platform that streams go to.
//!
//! Apps: `live` takes anything; `record` also writes what arrives as flv; `closed` refuses every key. Over HTTP: the
//! statistics, and a WebDAV folder `/dav/` (PUT, GET with Range) to compare our own uploads and downloads with.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Ending, free_port, scratch};

/// A running nginx; its processes end and its folder goes when this is dropped.
pub struct Platform {
    /// Port of RTMP on 127.0.0.1.
    pub rtmp_port: u16,
    /// Port of HTTP on 127.0.0.1.
    pub http_port: u16,
    folder: tempfile::TempDir,
    process: Option<Ending>,
}

/// Somebody who sends to the platform right now.
#[derive(Debug, Clone, PartialEq)]
pub struct Publisher {
    /// The RTMP app: `live`, `record`.
    pub app: String,
    /// The stream key.
    pub name: String,
    /// Bytes that have arrived.
    pub bytes_in: u64,
    /// Bits a second over the last ten seconds or so.
    pub bits_per_second: u64,
    /// Age of the stream in milliseconds.
    pub time_ms: u64,
    /// Such as `H264`; there once the first picture has arrived.
    pub video_codec: Option<String>,
    /// Width and height of the picture.
    pub size: Option<(u32, u32)>,
    /// Such as `AAC`; there once the first sound has arrived.
    pub audio_codec: Option<String>,
}

impl Platform {
    /// Starts nginx and waits until it answers.
    pub fn start() -> Platform {
        // Between looking for free ports and taking them another test may be quicker.
        for _ in 0..10 {
            let mut platform =
                Platform { rtmp_port: free_port(), http_port: free_port(), folder: scratch("nginx"), process: None };
            if platform.revive() {
                return platform;
            }
        }
        panic!("nginx does not start: is nginx with libnginx-mod-rtmp installed? scripts/test installs both");
    }

    /// Address of an app, without a key: `rtmp://127.0.0.1:PORT/live`.
    pub fn rtmp_url(&self, app: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{app}", self.rtmp_port)
    }

    /// Address under the HTTP server; `path` begins with a slash.
    pub fn http_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http_port)
    }

    /// The folder behind `/dav/`.
    pub fn dav_folder(&self) -> PathBuf {
        self.folder.path().join("dav")
    }

    /// Everybody who sends right now. Empty while the platform is down or frozen.
    pub fn publishers(&self) -> Vec<Publisher> {
        let Some(text) = self.get("/stat") else { return vec![] };
        let Ok(document) = roxmltree::Document::parse(&text) else { return vec![] };
        let mut publishers = vec![];
        for application in document.descendants().filter(|node| node.has_tag_name("application")) {
            let app = text_of(application, "name").unwrap_or_default();
            for stream in application.descendants().filter(|node| node.has_tag_name("stream")) {
                // A stream that is only watched, or that has just ended, is listed too.
                if !stream.children().any(|node| node.has_tag_name("publishing")) {
                    continue;
                }
                let number = |name| text_of(stream, name).and_then(|text| text.parse().ok()).unwrap_or(0);
                let part = |kind| stream.descendants().find(|node| node.has_tag_name(kind));
                let size = part("video").and_then(|video| {
                    Some((text_of(video, "width")?.parse().ok()?, text_of(video, "height")?.parse().ok()?))
                });
                publishers.push(Publisher {
                    app: app.clone(),
                    name: text_of(stream, "name").unwrap_or_default(),
                    bytes_in: number("bytes_in"),
                    bits_per_second: number("bw_in"),
                    time_ms: number("time"),
                    video_codec: part("video").and_then(|video| text_of(video, "codec")),
                    size,
                    audio_codec: part("audio").and_then(|audio| text_of(audio, "codec")),
                });
            }
        }
        publishers
    }

    /// The one who sends with this key, in whichever app.
    pub fn publisher(&self, name: &str) -> Option<Publisher> {
        self.publishers().into_iter().find(|publisher| publisher.name == name)
    }

    /// Waits until picture and sound of this key have arrived; `None` if that takes longer than `patience`.
    pub async fn arrival(&self, name: &str, patience: Duration) -> Option<Publisher> {
        let deadline = Instant::now() + patience;
        loop {
            let publisher = self.publisher(name);
            if publisher.as_ref().is_some_and(|one| one.video_codec.is_some() && one.audio_codec.is_some()) {
                return publisher;
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until nobody sends with this key; false if that takes longer than `patience`.
    pub async fn departure(&self, name: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.publisher(name).is_some() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }

    /// What arrived at the app `record` under this key, one file for each connection, oldest first.
    pub fn recordings(&self, name: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.path().join("recordings"))
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}-"))))
            .collect();
        files.sort();
        files
    }

    /// One line for each RTMP connection that has ended: `PUBLISH live KEY bytes=… seconds=…`.
    pub fn connections(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("rtmp.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Throws the sender of this key out, as platforms do now and then. False if there was none.
    pub fn throw_out(&self, app: &str, name: &str) -> bool {
        self.get(&format!("/control/drop/publisher?app={app}&name={name}")).is_some_and(|count| count.trim() != "0")
    }

    /// Stops answering while connections stay open, like a network that swallows everything.
    pub fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
    }

    /// Goes on after [`Platform::freeze`].
    pub fn thaw(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    /// Ends the platform at once: connections break, ports are closed.
    pub fn kill_sink(&mut self) {
        self.process = None;
    }

    /// Starts the platform (again) on its ports; false if it does not come up.
    pub fn revive(&mut self) -> bool {
        let folder = self.folder.path();
        for name in ["dav", "bodies", "recordings"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, self.configuration()).unwrap();
        let errors = folder.join("error.log");
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder)
            .arg("-e")
            .arg(&errors)
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed: scripts/test installs it");
        let mut process = Ending(child);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if process.0.try_wait().unwrap().is_some() {
                let said = std::fs::read_to_string(&errors).unwrap_or_default();
                eprintln!("nginx ended: {}", said.lines().last().unwrap_or("without a word"));
                return false;
            }
            if self.get("/stat").is_some() && TcpStream::connect(("127.0.0.1", self.rtmp_port)).is_ok() {
                self.process = Some(process);
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.as_ref().expect("the platform runs").0.id() as i32)
    }

    /// Body of a 200 answer. Blocks for at most two seconds.
    fn get(&self, path: &str) -> Option<String> {
        let patience = Some(Duration::from_secs(2));
        let mut socket = TcpStream::connect(("127.0.0.1", self.http_port)).ok()?;
        socket.set_read_timeout(patience).ok()?;
        socket.set_write_timeout(patience).ok()?;
        write!(socket, "GET {path} HTTP/1.0\r\nHost: platform\r\n\r\n").ok()?;
        let mut answer = vec![];
        socket.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.lines().next()?.contains(" 200").then(|| body.to_owned())
    }

    fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        let (rtmp_port, http_port) = (self.rtmp_port, self.http_port);
        let module = ["/usr/lib/nginx/modules/ngx_rtmp_module.so", "/usr/share/nginx/modules/ngx_rtmp_module.so"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let mut text = String::new();
        if let Some(module) = module {
            let _ = writeln!(text, "load_module {module};");
        }
        // One process, so that freezing and killing it are one signal.
        let _ = write!(
            text,
            r#"daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
rtmp {{
  log_format connections '$command $app $name bytes=$bytes_received seconds=$session_time';
  access_log {folder}/rtmp.log connections;
  server {{
    listen 127.0.0.1:{rtmp_port};
    chunk_size 4096;
    application live {{ live on; record off; }}
    application record {{
      live on; record all; record_path {folder}/recordings; record_suffix -%Y%m%d-%H%M%S.flv; record_unique on;
    }}
    application closed {{ live on; record off; on_publish http://127.0.0.1:{http_port}/refuse; }}
  }}
}}
http {{
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  client_max_body_size 0;
  client_body_temp_path {folder}/bodies;
  proxy_temp_path {folder}/bodies/proxy;
  fastcgi_temp_path {folder}/bodies/fastcgi;
  uwsgi_temp_path {folder}/bodies/uwsgi;
  scgi_temp_path {folder}/bodies/scgi;
  server {{
    listen 127.0.0.1:{http_port};
    location = /stat {{ rtmp_stat all; }}
    location /control {{ rtmp_control all; }}
    location = /refuse {{ return 403; }}
    location /dav/ {{ alias {folder}/dav/; dav_methods PUT DELETE; create_full_put_path on; }}
  }}
}}
"#
        );
        text
    }
}

fn text_of(node: roxmltree::Node, name: &str) -> Option<String> {
    let text = node.children().find(|child| child.has_tag_name(name))?.text()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::clip::{clip, streams};
    use super::*;

    fn push(url: &str) -> Ending {
        let child = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i"])
            .arg(clip(4, 25, true, "320x180"))
            .args(["-c", "copy", "-f", "flv", url])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Ending(child)
    }

    #[tokio::test]
    async fn the_platform_sees_picture_and_sound_come_and_go() {
        let platform = Platform::start();
        assert_eq!(platform.publishers(), []);
        let sender = push(&format!("{}/one", platform.rtmp_url("live")));
        let first = platform.arrival("one", Duration::from_secs(20)).await.expect("it arrives");
        assert_eq!(first.app, "live");
        assert_eq!(first.video_codec.as_deref(), Some("H264"));
        assert_eq!(first.audio_codec.as_deref(), Some("AAC"));
        assert_eq!(first.size, Some((320, 180)));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(platform.publisher("one").unwrap().bytes_in > first.bytes_in);
        drop(sender);
        assert!(platform.departure("one", Duration::from_secs(5)).await);
        assert_eq!(platform.connections().iter().filter(|line| line.starts_with("PUBLISH live one ")).count(), 1);
    }

    #[tokio::test]
    async fn the_platform_records_throws_out_and_refuses() {
        let platform = Platform::start();
        let mut sender = push(&format!("{}/kept", platform.rtmp_url("record")));
        platform.arrival("kept", Duration::from_secs(20)).await.expect("it arrives");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(platform.throw_out("record", "kept"));
        assert!(!sender.0.wait().unwrap().success());
        assert!(platform.departure("kept", Duration::from_secs(5)).await);
        let recordings = platform.recordings("kept");
        assert_eq!(recordings.len(), 1);
        let kinds: Vec<_> = streams(&recordings[0]).into_iter().map(|(kind, _)| kind).collect();
        assert!(kinds.contains(&"video".to_owned()) && kinds.contains(&"audio".to_owned()), "{kinds:?}");

        let mut refused = push(&format!("{}/any", platform.rtmp_url("closed")));
        assert!(!refused.0.wait().unwrap().success());
        assert_eq!(platform.publishers(), []);
    }

    #[tokio::test]
    async fn the_platform_freezes_dies_and_comes_back() {
        let mut platform = Platform::start();
        let _sender = push(&format!("{}/one", platform.rtmp_url("live")));
        platform.arrival("one", Duration::from_secs(20)).await.expect("it arrives");
        platform.freeze();
        assert_eq!(platform.publishers(), []);
        platform.thaw();
        assert!(platform.arrival("one", Duration::from_secs(5)).await.is_some());
        platform.kill_sink();
        assert!(TcpStream::connect(("127.0.0.1", platform.rtmp_port)).is_err());
        assert!(platform.revive());
        assert_eq!(platform.publishers(), []);
    }

    #[tokio::test]
    async fn the_platform_takes_and_gives_files() {
        let platform = Platform::start();
        crate::support::choose_tls();
        let client = reqwest::Client::new();
        let address = platform.http_url("/dav/a/file.bin");
        let answer = client.put(&address).body(vec![7_u8; 100_000]).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(std::fs::metadata(platform.dav_folder().join("a/file.bin")).unwrap().len(), 100_000);
        let part = client.get(&address).header("Range", "bytes=10-19").send().await.unwrap();
        assert_eq!(part.status(), 206);
        assert_eq!(part.bytes().await.unwrap(), vec![7_u8; 10]);
    }
}
