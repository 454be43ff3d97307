//! The composition root: everything is put together here, by the program and by tests alike.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App as ActixApp, HttpServer, web};
use futures_util::future::BoxFuture;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit::Refusals;
use crate::auth::{
    Accounts, NewPassword, PASSWORD_COST, Passwords, Role, Scope, SystemLicence, Throttle, UserName, WriteScope,
    random_token,
};
use crate::clock::Clock;
use crate::config::{CONTROL_SOCKET, Config};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::host::Host;
use crate::jobs::Queue;
use crate::keys::Keys;
use crate::legacy::MovingIn;
use crate::library::{self, Editor};
use crate::live::Engine;
use crate::notify::Notices;
use crate::oauth::Grants;
use crate::objects::Objects;
use crate::outbound::Outbound;
use crate::schedule::planner::Planner;
use crate::store::Store;
use crate::supervise::Tasks;
use crate::tenancy::{NewMember, Streams as TenantStreams, Tenancy};
use crate::text::Message;
use crate::vault::{Purpose, Sealed, Vault};
use crate::web::metrics::Metrics;
use crate::web::{Connections, Console, KEEP_ALIVE, LiveEvents, Pages, Server, configure, finish};
use crate::youtube::Youtube;

/// Holds a home: one home, one server.
struct HomeLock {
    _held: Flock<File>,
}

impl HomeLock {
    fn take(config: &Config) -> Result<HomeLock> {
        let data = config.data();
        fs::create_dir_all(&data)?;
        let path = data.join(".lock");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut held) => {
                held.set_len(0)?;
                held.rewind()?;
                write!(held, "{}", std::process::id())?;
                Ok(HomeLock { _held: held })
            }
            Err((mut file, _)) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                let home = fs::canonicalize(&config.home)?;
                let message = Message::new("home-held").with("home", home.display().to_string());
                Err(Error::Conflict(message.with("pid", holder.trim())))
            }
        }
    }
}

/// What the command line asks of a start besides the settings.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Make no demo account on the first start.
    pub no_demo: bool,
    /// Password of the first admin; a random one is made, and printed once, where absent.
    pub admin_password: Option<SecretString>,
    /// Serve pages; without, only the home's own socket is served (for commands beside no server).
    pub pages: bool,
}

/// What becomes of the streams that are on air when the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// They go on: a restart, an upgrade.
    GoOn,
    /// They end too.
    End,
}

/// A built server that has not begun to answer.
pub struct App {
    server: web::Data<Server>,
    listener: Option<TcpListener>,
    tasks: Tasks,
    /// Cancelled when requests are answered.
    serving: CancellationToken,
    _lock: HomeLock,
    /// The generated password of the first admin, to be shown once.
    pub first_password: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SigningSecret {
    id: Uuid,
    sealed: Sealed,
}

/// The secret that signs access tokens: made once a home, sealed.
async fn signing_secret(store: &Store, vault: &Vault) -> Result<[u8; 32]> {
    let fresh = SecretString::from(random_token()?);
    let (vault, sealing) = (vault.clone(), vault.sealing());
    #[allow(clippy::disallowed_methods, reason = "the secret belongs to no tenant")]
    let platform = store.platform();
    let text = platform
        .write(move |rows| match rows.value::<SigningSecret>("signing-secret")? {
            Some(kept) => vault.open_sealed(None, Purpose::TokenSigning, kept.id, &kept.sealed),
            None => {
                let id = Uuid::now_v7();
                let sealed = sealing.seal(None, Purpose::TokenSigning, id, &fresh)?;
                rows.put_value("signing-secret", &SigningSecret { id, sealed })?;
                Ok(fresh.clone())
            }
        })
        .await?;
    let mut secret = [0; 32];
    hex::decode_to_slice(text.expose_secret(), &mut secret)
        .map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("signing secret")))?;
    Ok(secret)
}

impl App {
    /// Opens the home and puts all rooms together.
    ///
    /// # Errors
    /// Whatever makes a start impossible, with what to do: the home is held by another server, its master key is
    /// missing, its data is of a newer version, the address is taken.
    pub async fn build(config: Config, start: Start) -> Result<App> {
        #[allow(clippy::disallowed_methods, reason = "the one licence of the program")]
        let licence = Arc::new(SystemLicence::new());
        let lock = HomeLock::take(&config)?;
        let home_is_new = !config.data().join("platform.redb").exists();
        // Bound before anything is made, so that a taken address leaves a new home untouched.
        let listener = if start.pages { Some(bind(&config)?) } else { None };
        let objects = Objects::open(&config.home)?;
        let vault = Vault::open(&config.data().join("master.key"), home_is_new)?;
        let store = Store::open_redb(config.data(), Clock::system())?;
        let secret = signing_secret(&store, &vault).await?;
        let (burst, proof) = (config.limits.login_burst, config.limits.proof_seconds);
        let proof_lasts = Duration::from_secs(proof.get().into());
        let accounts = Accounts::new(&store, Passwords::new(PASSWORD_COST)?, &secret, burst, proof_lasts);
        let (refusals, refusal_writer) = Refusals::new();
        let per_minute = NonZeroU32::new(config.limits.requests_per_minute).unwrap_or(NonZeroU32::MIN);
        let requests = Throttle::new(per_minute, Duration::from_secs(60) / per_minute.get());
        let writes = config.limits.writes_per_minute;
        let writes = Throttle::new(
            writes.saturating_mul(NonZeroU32::MIN.saturating_add(3)),
            Duration::from_secs(60) / writes.get(),
        );
        let demo_requests = Throttle::new(NonZeroU32::MIN.saturating_add(119), Duration::from_millis(500));
        let foundation = Foundation::new(config, store, objects, vault, Uuid::now_v7());
        let tasks = Tasks::new();
        let engine = Engine::new(&foundation, licence.clone(), &tasks);
        let planner = Planner::new(&foundation, licence.clone(), &engine);
        let jobs = Queue::new(&foundation, licence.clone(), &tasks);
        let outbound = Outbound::new()?;
        let grants = Grants::new(&foundation, licence.clone(), &tasks, outbound.clone());
        let youtube = Youtube::new(&foundation, licence.clone(), outbound.ours().clone(), grants.clone())?;
        let at_work =
            AtWork { planner: planner.clone(), jobs: jobs.clone(), youtube: youtube.clone(), grants: grants.clone() };
        let tenancy = Tenancy::new(&foundation, &accounts, &tasks, Arc::new(at_work));
        let notices = Notices::new(&foundation, licence.clone(), &accounts, planner.agenda(), outbound);
        let (unfinished, permission) = (tenancy.clone(), licence.clone());
        tasks.spawn("tenancy", move |_| async move {
            if let Err(cause) = unfinished.reconcile(&permission).await {
                tracing::error!(%cause, "a tenant could not be removed; the next start tries again");
            }
        });
        let first_password = first_users(&foundation, &accounts, &tenancy, &licence, &start).await?;
        let moving_in = MovingIn::new(&foundation, &accounts, &tenancy);
        let keys = Keys::new(&foundation, licence.clone(), &tasks);
        let server = web::Data::new(Server {
            foundation: foundation.clone(),
            accounts,
            tenancy,
            pages: Pages::load()?,
            requests,
            demo_requests,
            writes,
            refusals,
            metrics: Metrics::default(),
            host: Host::new(&foundation),
            connections: Connections::new(foundation.config(), connections()),
            live_events: LiveEvents::default(),
            engine: engine.clone(),
            agenda: planner.agenda().clone(),
            notices: notices.clone(),
            grants: grants.clone(),
            youtube: youtube.clone(),
            keys: keys.clone(),
            moving_in,
            console: licence.console(),
        });
        let watched = server.host.clone();
        tasks.every("host", Duration::from_secs(5), move || {
            watched.beat();
            std::future::ready(())
        });
        let open = server.connections.clone();
        tasks.every("connections", Duration::from_secs(5), move || {
            open.sweep();
            std::future::ready(())
        });
        let swept = server.clone();
        tasks.every("sweep", Duration::from_secs(60), move || {
            let server = swept.clone();
            async move {
                server.requests.sweep();
                server.demo_requests.sweep();
                server.writes.sweep();
                server.foundation.board().sweep();
                server.accounts.sweep();
                server.notices.sweep();
            }
        });
        if start.pages {
            engine.book_what_is_on().await;
            tasks.spawn("keys", move |end| keys.resume(end));
            // A command beside no server looks and ends, but starts nothing.
            let (engine, checking) = (engine.clone(), planner.clone());
            tasks.spawn("engine", move |end| engine.work(end));
            tasks.spawn("planner", move |end| planner.work(end));
            tasks.spawn("jobs", move |end| jobs.work(end));
            let moving_in = server.moving_in.clone();
            tasks.spawn("moving-in", move |end| moving_in.work(end));
            tasks.spawn("library-check", move |end| checking.keep_checking(end));
            let watching = notices.clone();
            tasks.spawn("notice-watch", move |end| watching.watch(end));
            tasks.spawn("notices", move |end| notices.deliver(end));
            tasks.spawn("connections", move |end| grants.keep(end));
            let (looking, uploading) = (youtube.clone(), youtube.clone());
            tasks.spawn("youtube-uploads", move |end| uploading.upload(end));
            tasks.spawn("youtube", move |end| youtube.work(end));
            tasks.spawn("youtube-check", move |end| looking.look_through(end));
        } else {
            planner.load().await?;
        }
        let intake = foundation.intake().clone();
        tasks.spawn("intake", move |end| async move { intake.tidy(end).await });
        let (libraries, permission, serving) = (server.clone(), licence.clone(), CancellationToken::new());
        let started = serving.clone();
        tasks.spawn("libraries", move |end| async move {
            tokio::select! {
                () = started.cancelled() => look_after_libraries(&libraries, &permission, end).await,
                () = end.cancelled() => {}
            }
        });
        let (record, permission) = (foundation.clone(), licence.clone());
        tasks.spawn("refusals", move |end| {
            refusal_writer.run(end, move |tenant| match tenant {
                Some(tenant) => record.rows(&permission.scope(tenant, "audit")),
                #[allow(clippy::disallowed_methods, reason = "nobody was logged in")]
                None => record.store().platform(),
            })
        });
        Ok(App { server, listener, tasks, serving, _lock: lock, first_password })
    }

    /// The address that pages are served on.
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Answers requests until `stop` resolves, then lets those under way finish and ends the background tasks.
    pub async fn run_until(self, stop: impl Future<Output = Streams>, ready: impl FnOnce()) -> Result<()> {
        let App { server, listener, tasks, serving, _lock, .. } = self;
        let socket = server.foundation.config().socket();
        // A socket left by a server that was killed; the lock says that nobody answers it.
        let _ = fs::remove_file(&socket);
        let folder = File::open(server.foundation.config().data())?;
        let control = UnixListener::bind(short_socket_path(folder.as_raw_fd()))?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
        let data = server.clone();
        let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
        let open = server.connections.clone();
        let mut http =
            HttpServer::new(move || ActixApp::new().app_data(data.clone()).wrap(from_fn(finish)).configure(configure))
                .on_connect(move |connection, extensions| {
                    if connection.is::<actix_web::rt::net::UnixStream>() {
                        extensions.insert(Console);
                    }
                    open.opened(connection, extensions);
                })
                .workers(workers)
                .max_connections(connections() / workers)
                .client_request_timeout(Duration::from_secs(10))
                // Who is still sending what was refused already gets to read why.
                .client_disconnect_timeout(Duration::from_secs(10))
                .keep_alive(KEEP_ALIVE)
                .shutdown_timeout(5)
                .disable_signals()
                .listen_uds(control)?;
        if let Some(listener) = listener {
            http = http.listen(listener)?;
        }
        let running = http.run();
        let handle = running.handle();
        ready();
        serving.cancel();
        let outcome = tokio::select! {
            outcome = running => outcome,
            streams = stop => {
                server.live_events.close();
                handle.stop(true).await;
                if streams == Streams::End {
                    server.engine.stop_all(&server.console).await?;
                }
                Ok(())
            }
        };
        tasks.finish(Duration::from_secs(10)).await;
        let _ = fs::remove_file(&socket);
        Ok(outcome?)
    }
}

/// How many connections may be open at once: files of libraries and pipes of programs need their places too. Shells
/// and old service files give a program 1,024 open files where the system allows many more, so it takes them first.
fn connections() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, hard)| {
        // A refusal leaves us with what we have.
        if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft }
    });
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(50_000);
    limit - (limit / 2).min(1024)
}

/// The control socket by way of an open `data` folder: a path that fits into a socket's address wherever the home lies.
pub(crate) fn short_socket_path(folder: RawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{folder}/{CONTROL_SOCKET}"))
}

fn bind(config: &Config) -> Result<TcpListener> {
    TcpListener::bind(config.listen).map_err(|cause| {
        let message = Message::new("listen-failed").with("address", config.listen.to_string());
        Error::Conflict(message.with("cause", cause.to_string()))
    })
}

/// The admin with a password of their own, while there is no admin; and the demo account, at the first start with pages.
/// Each is looked for by itself, so that a start which is cut off is made good by the next.
async fn first_users(
    foundation: &Foundation,
    accounts: &Accounts,
    tenancy: &Tenancy,
    licence: &SystemLicence,
    start: &Start,
) -> Result<Option<String>> {
    let console = licence.console();
    let make = async |name: &str, role, password| -> Result<()> {
        let name = UserName::parse(name)?;
        let password = NewPassword::Clear(password);
        let new = NewMember { name, role, tenant: None, password, plan: None, storage_limit: None };
        tenancy.create(&console, new).await.map(drop)
    };
    if start.pages && !tenancy.demo_decided().await? {
        if !start.no_demo {
            match make("demo", Role::Demo, random_token()?).await {
                Err(Error::Conflict(_)) => {}
                made => made?,
            }
            let demo = licence.scope(&UserName::parse("demo")?.own_tenant(), "first-start");
            Editor::open(foundation, &demo).want_samples().await?;
        }
        tenancy.decide_demo().await?;
    }
    if accounts.has_admin().await? {
        return Ok(None);
    }
    let given = start.admin_password.as_ref().map(|password| password.expose_secret().to_owned());
    let password = match &given {
        Some(password) => password.clone(),
        None => random_token()?[..20].to_owned(),
    };
    make("admin", Role::Admin, password.clone()).await?;
    Ok(given.is_none().then_some(password))
}

/// Everything that a tenant may have at work.
struct AtWork {
    planner: Planner,
    jobs: Queue,
    youtube: Youtube,
    grants: Grants,
}

impl TenantStreams for AtWork {
    fn end(&self, tenant: WriteScope) -> BoxFuture<'static, Result<()>> {
        let (planner, jobs) = (self.planner.clone(), self.jobs.clone());
        let (youtube, grants) = (self.youtube.clone(), self.grants.clone());
        Box::pin(async move {
            planner.end_tenant(&tenant).await?;
            jobs.end_tenant(&tenant).await?;
            youtube.end_tenant(&tenant).await?;
            grants.end_tenant(&tenant).await
        })
    }

    fn stop(&self, tenant: WriteScope) -> BoxFuture<'static, Result<()>> {
        let planner = self.planner.clone();
        Box::pin(async move { planner.stop_tenant(&tenant).await })
    }

    fn on_air(&self, tenant: Scope) -> BoxFuture<'static, Result<usize>> {
        let planner = self.planner.clone();
        Box::pin(async move { planner.on_air(&tenant).await })
    }
}

/// Work on libraries that a start leaves for later: what a crash cut off, and the demo's samples.
async fn look_after_libraries(server: &Server, licence: &SystemLicence, end: CancellationToken) {
    match UserName::parse("demo") {
        Ok(demo) => {
            let editor = Editor::open(&server.foundation, &licence.scope(&demo.own_tenant(), "samples"));
            let made = match editor.make_samples().await {
                Ok(videos) => editor.make_sample_streams(&videos).await,
                Err(cause) => Err(cause),
            };
            match made {
                Ok(()) | Err(Error::NotFound) => {}
                Err(cause) => tracing::warn!(%cause, "the demo has no samples; the next start tries again"),
            }
        }
        Err(cause) => tracing::error!(%cause, "demo is no name"),
    }
    match server.tenancy.all().await {
        Ok(tenants) => library::reconcile_all(server.foundation.clone(), licence, tenants, end).await,
        Err(cause) => tracing::error!(%cause, "libraries could not be looked after"),
    }
}
