//! What every part measures against: the release server on a fresh home, and nginx beside it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One line on the machine, for the head of the table.
pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory: u64 = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default();
    format!("{cores} cores ({}), {} GiB memory", model.trim_start_matches(['\t', ' ', ':']), memory >> 20)
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The middle of an odd number of measurements.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A running server; ends when dropped.
pub struct Server {
    child: Child,
    home: PathBuf,
    pub base: String,
    /// From the spawn to the line that says it listens.
    pub ready_after: Duration,
}

pub const PASSWORD: &str = "bench-password-1";

impl Server {
    pub fn start(home: &Path) -> Server {
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_jadwalstream"))
            .args(["serve", "--no-demo", "--listen", "127.0.0.1:0", "--home"])
            .arg(home)
            .env("JADWAL_ADMIN_PASSWORD", PASSWORD)
            .env("JADWAL_LOG", "error")
            .env("JADWAL_LIMITS_REQUESTS_PER_MINUTE", "100000000")
            .env("JADWAL_LIMITS_WRITES_PER_MINUTE", "100000000")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let base = loop {
            let line = lines.next().expect("the server ended before it listened").unwrap();
            if let Some(base) = line.strip_prefix("listening on ") {
                break base.to_owned();
            }
        };
        let ready_after = began.elapsed();
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, home: home.to_owned(), base, ready_after }
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What `status` says is on air, over all tenants.
    pub fn on_air(&self) -> Vec<serde_json::Value> {
        let output = Command::new(env!("CARGO_BIN_EXE_jadwalstream"))
            .args(["status", "--json", "--home"])
            .arg(&self.home)
            .output()
            .unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        status["on_air"].as_array().cloned().unwrap_or_default()
    }

    /// Ends it the hard way.
    pub fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Bytes of resident memory: now, and the highest so far.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let read = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
        };
        (read("VmRSS:"), read("VmHWM:"))
    }

    /// Starts the count of the highest memory anew.
    pub fn reset_peak(&self) {
        let mut file =
            std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/clear_refs", self.child.id())).unwrap();
        file.write_all(b"5").unwrap();
    }

    pub fn bearer(&self) -> String {
        let body = format!(r#"{{"username":"admin","password":"{PASSWORD}"}}"#);
        let json = curl(&[
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            &body,
            &format!("{}/api/v1/auth/login", self.base),
        ]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["access_token"].as_str().unwrap().to_owned()
    }

    /// The session cookie of a browser login.
    pub fn cookie(&self) -> String {
        let head = curl(&[
            "-D",
            "-",
            "-o",
            "/dev/null",
            "-d",
            &format!("username=admin&password={PASSWORD}"),
            &format!("{}/login", self.base),
        ]);
        let line = head.lines().find(|line| line.to_lowercase().starts_with("set-cookie: session=")).unwrap();
        line["set-cookie: ".len()..].split(';').next().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// nginx with static files and WebDAV below one folder.
pub struct Nginx {
    child: Child,
    pub base: String,
}

impl Nginx {
    pub fn start(folder: &Path) -> Nginx {
        let port = free_port();
        let root = folder.join("nginx");
        std::fs::create_dir_all(root.join("files")).unwrap();
        std::fs::create_dir_all(root.join("body")).unwrap();
        let configuration = format!(
            "daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; sendfile on; client_max_body_size 0; client_body_temp_path {0}/body;\n\
             proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
             server {{ listen 127.0.0.1:{port}; root {0}/files; location / {{ dav_methods PUT DELETE; }} }} }}\n",
            root.display()
        );
        let file = root.join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let child =
            Command::new("nginx").arg("-c").arg(&file).arg("-p").arg(&root).stderr(Stdio::null()).spawn().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Nginx { child, base }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(self.child.id() as i32),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.child.wait();
    }
}

/// Runs curl and gives back what it printed.
pub fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-s", "-S", "--fail-with-body"]).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "curl {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Runs curl and gives back the seconds that the transfer took.
pub fn timed_curl(arguments: &[&str]) -> f64 {
    let mut all = vec!["-o", "/dev/null", "-w", "%{time_total}"];
    all.extend(arguments);
    curl(&all).trim().parse().unwrap()
}

/// A playable mp4 of about `bytes` bytes: a short clip and a free box of noise, as players skip it.
pub fn large_video(folder: &Path, bytes: u64) -> PathBuf {
    let path = folder.join("large.mp4");
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x360:rate=30",
            "-f",
            "lavfi",
            "-i",
            "sine=sample_rate=44100",
        ])
        .args([
            "-t",
            "20",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-g",
            "60",
            "-c:a",
            "aac",
            "-movflags",
            "+faststart",
        ])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let clip = std::fs::metadata(&path).unwrap().len();
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let rest = bytes.checked_sub(clip).expect("larger than the clip");
    file.write_all(&1_u32.to_be_bytes()).unwrap();
    file.write_all(b"free").unwrap();
    file.write_all(&rest.to_be_bytes()).unwrap();
    let mut noise = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open("/dev/urandom").unwrap());
    std::io::copy(&mut std::io::Read::take(&mut noise, rest - 16), &mut file).unwrap();
    file.sync_all().unwrap();
    path
}
