//! How soon the server answers, and the memory that it holds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jadwalstream::auth::{Accounts, Passwords, Role, Scope, SystemLicence, UserName, WriteScope};
use jadwalstream::clock::Clock;
use jadwalstream::config::{Config, Overrides};
use jadwalstream::error::Result;
use jadwalstream::foundation::Foundation;
use jadwalstream::objects::Objects;
use jadwalstream::store::Store;
use jadwalstream::supervise::Tasks;
use jadwalstream::tenancy::{NewMember, Streams, Tenancy};
use jadwalstream::vault::Vault;

use crate::Figure;
use crate::world::{Server, median};

/// Opens a home the way the server does, to fill it without its doors.
#[allow(clippy::disallowed_methods, reason = "a bench fills a home before the server owns it")]
pub fn open(home: &Path) -> (Foundation, SystemLicence) {
    let config = Config::load(home, |_| None, &Overrides::default()).unwrap();
    let objects = Objects::open(home).unwrap();
    let new = !config.data().join("platform.redb").exists();
    let vault = Vault::open(&config.data().join("master.key"), new).unwrap();
    let store = Store::open_redb(config.data(), Clock::system()).unwrap();
    (Foundation::new(config, store, objects, vault, uuid::Uuid::now_v7()), SystemLicence::new())
}

struct NothingOnAir;

impl Streams for NothingOnAir {
    fn end(&self, _: WriteScope) -> futures_util::future::BoxFuture<'static, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn stop(&self, tenant: WriteScope) -> futures_util::future::BoxFuture<'static, Result<()>> {
        self.end(tenant)
    }

    fn on_air(&self, _: Scope) -> futures_util::future::BoxFuture<'static, Result<usize>> {
        Box::pin(async { Ok(0) })
    }
}

pub fn many_tenants(home: &Path, count: usize) {
    let (foundation, licence) = open(home);
    let burst = std::num::NonZeroU32::MAX;
    // The lowest cost of bcrypt: what is measured is the start, not the hashes.
    let accounts =
        Accounts::new(foundation.store(), Passwords::new(4).unwrap(), &[0; 32], burst, Duration::from_secs(900));
    let tenancy = Tenancy::new(&foundation, &accounts, &Tasks::new(), Arc::new(NothingOnAir));
    let console = licence.console();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for number in 0..count {
            let name = UserName::parse(&format!("tenant-{number:05}")).unwrap();
            let password = "bench-password-1".to_owned();
            let password = password.into();
            let new = NewMember { name, role: Role::User, tenant: None, password, plan: None, storage_limit: None };
            tenancy.create(&console, new).await.unwrap();
        }
    });
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// One tenant, then ten thousand.
pub fn start() -> Vec<Figure> {
    let folder = tempfile::tempdir_in("target").unwrap();
    let home = std::fs::canonicalize(folder.path()).unwrap();
    let one = home.join("one");
    std::fs::create_dir(&one).unwrap();
    drop(Server::start(&one));
    let mut times = Vec::new();
    let mut idle = 0;
    for _ in 0..5 {
        let server = Server::start(&one);
        times.push(server.ready_after.as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_secs(2));
        idle = idle.max(server.memory().0);
    }
    let many = home.join("many");
    std::fs::create_dir(&many).unwrap();
    drop(Server::start(&many));
    many_tenants(&many, 10_000);
    let (mut many_times, mut resident) = (Vec::new(), 0);
    for _ in 0..3 {
        let server = Server::start(&many);
        many_times.push(server.ready_after.as_secs_f64());
        // The check of all libraries runs behind the first answers; its memory counts.
        std::thread::sleep(Duration::from_secs(20));
        resident = resident.max(server.memory().1);
    }
    let (one, ten_thousand) = (median(times), median(many_times));
    vec![
        Figure::new("start with one tenant", format!("{one:.0} ms"), "≤ 300 ms", one <= 300.0),
        Figure::new("memory when idle, one tenant", format!("{:.1} MiB", mib(idle)), "≤ 40 MiB", idle <= 40 << 20),
        Figure::new("start with 10,000 tenants", format!("{ten_thousand:.2} s"), "≤ 2 s", ten_thousand <= 2.0),
        Figure::new(
            "memory with 10,000 tenants, highest in the first 20 s",
            format!("{:.1} MiB", mib(resident)),
            "≤ 150 MiB",
            resident <= 150 << 20,
        ),
    ]
}
