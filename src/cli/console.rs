//! The operator's way to the server: HTTP over the socket in the home. Whoever may open that file runs the box.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::oneshot;

use super::admin_password;
use crate::app::{App, Start, Streams, short_socket_path};
use crate::auth::random_token;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::text::Message;

/// How long a server may take from its lock to its socket.
const STARTING: Duration = Duration::from_secs(30);

/// A connection to the server of a home.
pub(super) struct Console {
    http: reqwest::Client,
    /// Of the user as whom requests are made; the operator's where there is none.
    token: Option<SecretString>,
    /// Keeps the socket's short path good.
    _folder: File,
}

/// A server that runs for one command.
pub(super) struct OwnServer {
    /// The admin's, where the home was made for this command; whoever runs it has to be told.
    pub first_password: Option<String>,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<Result<()>>,
}

impl OwnServer {
    /// Ends it and waits for it.
    pub async fn end(self) -> Result<()> {
        // It may have ended by itself, with an error that comes now.
        let _ = self.stop.send(());
        self.running.await.map_err(|cause| Error::Internal(anyhow::Error::new(cause)))?
    }
}

/// Tells the password of a new home's admin. Not on standard output, which belongs to the command.
pub(super) fn tell_password(password: &str) {
    eprintln!("admin password: {password}");
}

fn unreachable(cause: impl Into<anyhow::Error>) -> Error {
    Error::Internal(cause.into().context("the server of this home does not answer"))
}

impl Console {
    /// Reaches the running server, or starts one for this command.
    ///
    /// # Errors
    /// [`Error::NotFound`]-like refusal where there is no home and `makes_home` is false.
    pub async fn open(config: Config, makes_home: bool) -> Result<(Console, Option<OwnServer>)> {
        let (console, server) = Console::open_untold(config, makes_home).await?;
        if let Some(password) = server.as_ref().and_then(|server| server.first_password.as_deref()) {
            tell_password(password);
        }
        Ok((console, server))
    }

    /// As [`Console::open`]; the first password is left to the caller to tell.
    ///
    /// # Errors
    /// As [`Console::open`].
    pub async fn open_untold(config: Config, makes_home: bool) -> Result<(Console, Option<OwnServer>)> {
        if !makes_home && !config.data().join("platform.redb").exists() {
            let message = Message::new("home-missing").with("home", config.home.display().to_string());
            return Err(Error::Conflict(message));
        }
        let deadline = Instant::now() + STARTING;
        loop {
            if let Some((folder, path)) = answering(&config)? {
                return Ok((Console::over(folder, path)?, None));
            }
            let start = Start { no_demo: true, admin_password: admin_password(), pages: false };
            match App::build(config.clone(), start).await {
                Ok(app) => return Console::beside(app, &config).await,
                // Held by a server that is starting, or just ending.
                Err(Error::Conflict(_)) if Instant::now() < deadline && is_held(&config) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A server on a home that is made for this command and goes with it, where the real one is not to be made.
    pub async fn rehearse(config: Config) -> Result<(Console, Option<OwnServer>)> {
        let start = Start { no_demo: true, admin_password: Some(random_token()?.into()), pages: false };
        let app = App::build(config.clone(), start).await?;
        Console::beside(app, &config).await
    }

    async fn beside(app: App, config: &Config) -> Result<(Console, Option<OwnServer>)> {
        let first_password = app.first_password.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        #[allow(clippy::disallowed_methods, reason = "waited for in OwnServer::end")]
        let running = tokio::task::spawn_local(app.run_until(
            async move {
                let _ = stopped.await;
                Streams::GoOn
            },
            move || {
                let _ = ready.send(());
            },
        ));
        let server = OwnServer { first_password, stop, running };
        if is_ready.await.is_err() {
            server.end().await?;
        } else if let Some((folder, path)) = answering(config)? {
            return Ok((Console::over(folder, path)?, Some(server)));
        }
        Err(Error::Internal(anyhow::anyhow!("the command's own server does not answer")))
    }

    fn over(folder: File, path: PathBuf) -> Result<Console> {
        // By a socket there is no TLS: a box without certificate authorities is as good as any.
        let builder = reqwest::Client::builder().tls_certs_only(std::iter::empty());
        let http = builder.unix_socket(path).build().map_err(unreachable)?;
        Ok(Console { http, token: None, _folder: folder })
    }

    /// Makes a request of the API; `path` is below `/api/v1`. An empty answer is null.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such thing, which the command says in its own words; else the server's
    /// refusal in the server's.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let bytes = answered(request).await?;
        if bytes.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&bytes)?) }
    }

    /// Makes requests as a user from now on.
    pub fn act_as(&mut self, token: &str) {
        self.token = Some(SecretString::from(token));
    }

    /// `POST` of a file.
    ///
    /// # Errors
    /// As [`Console::call`].
    pub async fn upload(&self, path: &str, bytes: Vec<u8>) -> Result<Value> {
        let request = self.request(Method::POST, path).header("content-type", "application/octet-stream").body(bytes);
        Ok(serde_json::from_slice(&answered(request).await?)?)
    }

    /// `GET` of a file.
    ///
    /// # Errors
    /// As [`Console::call`].
    pub async fn fetch(&self, path: &str) -> Result<Vec<u8>> {
        answered(self.request(Method::GET, path)).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("http://localhost/api/v1{path}"));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    /// Posts, and gives each line of the answer to `line` as it comes.
    ///
    /// # Errors
    /// As [`Console::call`]; also whatever `line` returns, and an answer that breaks off.
    pub async fn lines(&self, path: &str, body: &Value, mut line: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let request = self.request(Method::POST, path).json(body);
        let mut response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let mut rest = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            rest.extend_from_slice(&chunk);
            let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for one in rest[..whole].split(|byte| *byte == b'\n').filter(|one| !one.is_empty()) {
                line(one)?;
            }
            rest.drain(..whole);
        }
        Ok(())
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }
}

/// The body of an answer that is good.
async fn answered(request: reqwest::RequestBuilder) -> Result<Vec<u8>> {
    let response = request.send().await.map_err(unreachable)?;
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    Ok(response.bytes().await.map_err(unreachable)?.into())
}

/// What the server's refusal says.
async fn refusal(response: reqwest::Response) -> Error {
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return Error::NotFound;
    }
    let bytes = response.bytes().await.unwrap_or_default();
    let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    // What is wrong with fields says more than that some are wrong.
    let fields = problem["errors"].as_array().into_iter().flatten().map(|field| {
        let (name, message) = (&field["field"], &field["message"]);
        format!("{}: {}", name.as_str().unwrap_or_default(), message.as_str().unwrap_or_default())
    });
    let fields = fields.collect::<Vec<_>>().join("\n  ");
    let detail = problem["detail"].as_str().unwrap_or("the server refused");
    let told = if fields.is_empty() { detail.to_owned() } else { fields };
    Error::Upstream(Message::new("console-refused").with("told", told))
}

/// The socket, if somebody answers there.
fn answering(config: &Config) -> Result<Option<(File, PathBuf)>> {
    let folder = match File::open(config.data()) {
        Ok(folder) => folder,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause.into()),
    };
    let path = short_socket_path(folder.as_raw_fd());
    match UnixStream::connect(&path) {
        Ok(_) => Ok(Some((folder, path))),
        Err(cause) => match cause.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(cause.into()),
        },
    }
}

/// Whether another process holds the home.
fn is_held(config: &Config) -> bool {
    let Ok(file) = File::open(config.data().join(".lock")) else { return false };
    nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockSharedNonblock).is_err()
}
