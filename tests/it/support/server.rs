//! The built program on a home of its own, and the three ways to it: a browser's forms, the JSON API, the command line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Method;
use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::scratch;

/// Password of the admin of every test server.
pub const ADMIN: &str = "the admin's own words";
/// Password of users made by [`Server::user`].
pub const PASSWORD: &str = "not in any list";

const PROGRAM: &str = env!("CARGO_BIN_EXE_jadwalstream");

/// A running server. Its process and whatever it left running end when this is dropped.
pub struct Server {
    /// `http://127.0.0.1:<port>`, the same after a restart.
    pub base: String,
    home: tempfile::TempDir,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    process: Option<Child>,
    said: Arc<Mutex<String>>,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Standard output as one JSON value.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|cause| panic!("no JSON ({cause}): {self:?}"))
    }
}

impl Server {
    /// A server without the demo account.
    pub async fn start() -> Server {
        Server::start_with(&[], &["--no-demo"]).await
    }

    /// A server with these variables and arguments of `serve`. Logins and requests are hardly limited unless the
    /// variables say so.
    pub async fn start_with(environment: &[(&str, &str)], arguments: &[&str]) -> Server {
        Server::start_in(scratch("home"), environment, arguments).await
    }

    /// A server on a home that something lies in already.
    pub async fn start_in(home: tempfile::TempDir, environment: &[(&str, &str)], arguments: &[&str]) -> Server {
        let mut server = Server {
            base: "http://127.0.0.1:0".into(),
            home,
            environment: environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            arguments: arguments.iter().map(|argument| argument.to_string()).collect(),
            process: None,
            said: Arc::default(),
        };
        server.restart().await;
        server
    }

    fn command(&self) -> Command {
        self.command_of(PROGRAM)
    }

    fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JADWAL_")) {
            command.env_remove(name);
        }
        command
            .env("JADWAL_ADMIN_PASSWORD", ADMIN)
            .env("JADWAL_LIMITS_LOGIN_BURST", "1000000")
            .env("JADWAL_LIMITS_REQUESTS_PER_MINUTE", "1000000")
            .env("JADWAL_LIMITS_WRITES_PER_MINUTE", "1000000")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path());
        command
    }

    /// Sets a variable for the next start and the next command.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the server on its home and port; it must have ended.
    pub async fn restart(&mut self) {
        let wait = self.begin();
        let address = tokio::task::spawn_blocking(move || wait.recv_timeout(Duration::from_secs(60))).await.unwrap();
        self.base = address.unwrap_or_else(|_| panic!("the server does not start:\n{}", self.log()));
    }

    /// Starts the server and does not wait until it is ready; it must have had a port before.
    pub fn start_only(&mut self) {
        drop(self.begin());
    }

    /// Starts the process; what comes back tells its address when it is ready.
    fn begin(&mut self) -> mpsc::Receiver<String> {
        assert!(self.process.is_none(), "the server still runs");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        // A limit on files is an error of writing then, and no signal that ends it: see `disk_takes`.
        let mut command = self.command_of("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", PROGRAM])
            .args(["serve", "--listen", self.base.trim_start_matches("http://"), "--home"])
            .arg(self.home.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.process = Some(child);
        let (ready, wait) = mpsc::channel();
        let said = self.said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let address = line.strip_prefix("listening on ").map(str::to_owned);
                *said.lock() += &format!("{line}\n");
                if let Some(address) = address {
                    let _ = ready.send(address);
                }
            }
        });
        wait
    }

    /// Whether the disk takes anything more of what the running server writes.
    pub fn disk_takes(&self, anything: bool) {
        let limit = if anything { "--fsize=unlimited:" } else { "--fsize=0:" };
        let done = Command::new("prlimit").args(["--pid", &self.pid().to_string(), limit]).status().unwrap();
        assert!(done.success());
    }

    /// What the server printed, over all starts.
    pub fn printed(&self) -> String {
        self.said.lock().clone()
    }

    fn log_path(&self) -> PathBuf {
        // Beside data/, where nothing of the server looks.
        self.home.path().join("server.log")
    }

    /// The log, over all starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The process, while it runs.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").id()
    }

    /// The whole address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Ends the server as a power cut would.
    pub fn kill9(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Asks the server to end (SIGTERM) and waits for it; its exit code.
    pub async fn stop(&mut self) -> i32 {
        let mut process = self.process.take().expect("the server runs");
        let pid = nix::unistd::Pid::from_raw(process.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        tokio::task::spawn_blocking(move || process.wait().unwrap().code().unwrap_or(-1)).await.unwrap()
    }

    /// A client that nobody is logged in with.
    pub fn stranger(&self) -> Client {
        Client::new(&self.base)
    }

    /// Logs in by the form, as a browser does.
    pub async fn login(&self, name: &str, password: &str) -> Client {
        let mut client = self.stranger();
        let answer = client.form("/login", &[("username", name), ("password", password)]).await;
        assert_eq!(answer.status, 303, "login of {name}: {}", answer.text());
        client.read_csrf().await;
        client
    }

    /// Logs into the API: a bearer token and no cookie.
    pub async fn api(&self, name: &str, password: &str) -> Client {
        let mut client = self.stranger();
        let answer = client.post("/api/v1/auth/login", &json!({"username": name, "password": password})).await;
        assert_eq!(answer.status, 200, "API login of {name}: {}", answer.text());
        let tokens = answer.json();
        client.token = Some(tokens["access_token"].as_str().unwrap().to_owned());
        client.refresh_token = Some(tokens["refresh_token"].as_str().unwrap().to_owned());
        client
    }

    /// Makes a user with [`PASSWORD`].
    pub async fn user(&self, name: &str) {
        self.user_with(name, json!({})).await;
    }

    /// Makes a user with [`PASSWORD`] and further fields (role, tenant, plan, storage_limit).
    pub async fn user_with(&self, name: &str, fields: Value) {
        let mut body = json!({"username": name, "password": PASSWORD});
        for (field, value) in fields.as_object().unwrap() {
            body[field] = value.clone();
        }
        let answer = self.api("admin", ADMIN).await.post("/api/v1/users", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Runs a command on this home, whether the server runs or not.
    pub async fn cli(&self, arguments: &[&str]) -> Ran {
        self.cli_with(arguments, "").await
    }

    /// Runs a command that reads `input`.
    pub async fn cli_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command();
        command.args(arguments).arg("--home").arg(self.home.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        // Streams outlive their server; whatever has this home, which nobody else has, in its arguments was ours.
        let home = self.home.path().to_string_lossy().into_owned();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if pid as u32 != std::process::id() && String::from_utf8_lossy(&arguments).contains(&home) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
        if std::thread::panicking() {
            eprintln!("---- log of the server\n{}", self.log());
        }
    }
}

/// A browser without a screen, or a program with a token. Redirects are answers, not followed.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    /// The form token of the page read last; empty for strangers.
    pub csrf: String,
    /// Shown with every request, where there is one.
    pub token: Option<String>,
    /// For the next pair.
    pub refresh_token: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|cause| panic!("no JSON ({cause}): {}", self.text()))
    }

    /// A header, empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Client {
    /// A client with an empty cookie jar.
    pub fn new(base: &str) -> Client {
        super::choose_tls();
        let http = reqwest::Client::builder()
            .tls_certs_only(std::iter::empty())
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("jadwalstream-test")
            .build()
            .unwrap();
        Client { http, base: base.to_owned(), csrf: String::new(), token: None, refresh_token: None }
    }

    /// A request with this client's proofs, to be completed and given to [`Client::send`].
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request
    }

    /// Sends a request.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// Reads the form token from a page.
    pub async fn read_csrf(&mut self) {
        let page = self.send(self.request(Method::GET, "/")).await.text();
        let token = page.split_once("<meta name=\"csrf\" content=\"").and_then(|(_, rest)| rest.split_once('"'));
        self.csrf = token.map(|(token, _)| token.to_owned()).unwrap_or_default();
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Posts a form with its token, as a page does.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> = [("csrf", self.csrf.as_str())].into_iter().chain(fields.iter().copied()).collect();
        self.send(self.request(Method::POST, path).form(&fields)).await
    }

    /// Sends JSON; with a session's cookie the form token goes in the header.
    pub async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        let mut request = self.request(method, path).json(body);
        if self.token.is_none() && !self.csrf.is_empty() {
            request = request.header("x-csrf-token", &self.csrf);
        }
        self.send(request).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// `PATCH` of JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::PATCH, path, body).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        let mut request = self.request(Method::DELETE, path);
        if self.token.is_none() && !self.csrf.is_empty() {
            request = request.header("x-csrf-token", &self.csrf);
        }
        self.send(request).await
    }

    /// Uploads files from the disk, streamed, as `file` fields of one multipart form; `fields` stand before them.
    /// The form token goes first, for clients that have one.
    pub async fn upload(&self, path: &str, fields: &[(&str, &str)], files: &[(&str, &Path)]) -> Answer {
        let mut form = Form::new();
        // The API finds the token in a header.
        if self.token.is_none() && !path.starts_with("/api/") {
            form = form.text("csrf", self.csrf.clone());
        }
        for (name, value) in fields {
            form = form.text(name.to_string(), value.to_string());
        }
        for (name, path) in files {
            let file = tokio::fs::File::open(path).await.unwrap();
            let length = file.metadata().await.unwrap().len();
            form = form.part("file", Part::stream_with_length(file, length).file_name(name.to_string()));
        }
        let mut request = self.request(Method::POST, path).multipart(form);
        if self.token.is_none() && !self.csrf.is_empty() && path.starts_with("/api/") {
            request = request.header("x-csrf-token", &self.csrf);
        }
        self.send(request).await
    }
}
