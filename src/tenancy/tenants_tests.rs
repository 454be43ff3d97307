//! Removals that are held up, and what a start makes of them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::auth::Passwords;
use crate::clock::Clock;
use crate::config::Config;
use crate::objects::Objects;
use crate::store::Store;
use crate::vault::Vault;

/// Streams that end, or do not.
#[derive(Default)]
struct Stubborn(AtomicBool);

impl Streams for Stubborn {
    fn end(&self, _: WriteScope) -> BoxFuture<'static, Result<()>> {
        let stays = self.0.load(Ordering::SeqCst);
        Box::pin(async move { if stays { Err(Error::Conflict(Message::new("error-busy"))) } else { Ok(()) } })
    }

    fn stop(&self, tenant: WriteScope) -> BoxFuture<'static, Result<()>> {
        self.end(tenant)
    }

    fn on_air(&self, _: Scope) -> BoxFuture<'static, Result<usize>> {
        Box::pin(async { Ok(0) })
    }
}

struct Home {
    tenancy: Tenancy,
    streams: Arc<Stubborn>,
    licence: SystemLicence,
    console: FreshOperatorScope,
    folder: tempfile::TempDir,
}

fn open(folder: &Path, streams: Arc<Stubborn>) -> Tenancy {
    let clock = Clock::system();
    let config = Config { home: folder.to_owned(), ..Config::default() };
    let objects = Objects::open(folder).unwrap();
    let vault = Vault::open(&folder.join("data/master.key"), !folder.join("data/master.key").exists()).unwrap();
    let store = Store::open_redb(folder.join("data"), clock).unwrap();
    let burst = std::num::NonZeroU32::MIN;
    let accounts = Accounts::new(&store, Passwords::new(4).unwrap(), &[7; 32], burst, Duration::from_secs(900));
    let foundation = Foundation::new(config, store, objects, vault, uuid::Uuid::now_v7());
    Tenancy::new(&foundation, &accounts, &Tasks::new(), streams)
}

fn new(name: &str, role: Role) -> NewMember {
    let name = UserName::parse(name).unwrap();
    NewMember { name, role, tenant: None, password: "a few words".into(), plan: None, storage_limit: None }
}

async fn home() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let streams = Arc::<Stubborn>::default();
    let tenancy = open(folder.path(), streams.clone());
    #[allow(clippy::disallowed_methods, reason = "a test of the room itself")]
    let licence = SystemLicence::new();
    let console = licence.console();
    tenancy.create(&console, new("root", Role::Admin)).await.unwrap();
    tenancy.create(&console, new("al", Role::User)).await.unwrap();
    Home { tenancy, streams, licence, console, folder }
}

#[tokio::test]
async fn nothing_is_removed_while_a_stream_of_theirs_is_on_air() {
    let home = home().await;
    let al = UserName::parse("al").unwrap();
    std::fs::write(home.folder.path().join("videos/al/x.mp4"), "bytes").unwrap();
    home.streams.0.store(true, Ordering::SeqCst);
    let refused = home.tenancy.remove(&home.console, al.clone()).await.unwrap_err();
    assert_eq!(refused.status(), 409);
    assert!(home.folder.path().join("videos/al/x.mp4").exists());
    let (user, _) = home.tenancy.accounts.get(&home.console, al.clone()).await.unwrap();
    assert!(!user.may_log_in(), "the login is dead at once");
    assert!(home.tenancy.create(&home.console, new("al", Role::User)).await.is_err(), "the name is not free yet");
    home.streams.0.store(false, Ordering::SeqCst);
    let removed = home.tenancy.remove(&home.console, al).await.unwrap();
    assert_eq!(removed.files, 1);
    assert!(!home.folder.path().join("videos/al").exists());
    assert_eq!(home.tenancy.all().await.unwrap(), [Tenant::parse("root").unwrap()]);
}

#[tokio::test]
async fn a_start_finishes_what_was_cut_off_with_the_right_numbers() {
    let home = home().await;
    let al = UserName::parse("al").unwrap();
    let (tenant, key) = (al.own_tenant(), uuid::Uuid::now_v7());
    std::fs::write(home.folder.path().join(format!("videos/al/{key}.mp4")), "bytes").unwrap();
    // As a crash would leave it: begun, counted, the rows gone and half of the files too.
    home.tenancy.accounts.begin_removal(&home.console, al.clone()).await.unwrap();
    let counted = Removed { files: 7, bytes: 700 };
    home.tenancy.set_state(&tenant, Some(State::Ending(Some(counted)))).await.unwrap();
    let proof = home.console.on_behalf(&tenant);
    home.tenancy.foundation.rows(&proof).remove().await.unwrap();
    home.tenancy.reconcile(&home.licence).await.unwrap();
    assert!(home.tenancy.accounts.get(&home.console, al.clone()).await.is_err());
    assert!(!home.folder.path().join("videos/al").exists() && !home.folder.path().join("data/al").exists());
    let told =
        home.tenancy.platform().read(|rows| audit::page(rows, None, 1, &audit::Filter::default())).await.unwrap().0;
    assert_eq!((told[0].action.as_str(), told[0].object.as_str()), ("user.erase", "al: 7 files, 700 bytes"));
    // A second time there is nothing to do, and the name is free.
    home.tenancy.reconcile(&home.licence).await.unwrap();
    home.tenancy.create(&home.console, new("al", Role::User)).await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_was_half_made_is_cleaned_away() {
    let home = home().await;
    let bo = Tenant::parse("bo").unwrap();
    home.tenancy.set_state(&bo, Some(State::Making)).await.unwrap();
    let proof = home.console.on_behalf(&bo);
    home.tenancy.foundation.bucket(&proof).create(&proof).unwrap();
    home.tenancy.reconcile(&home.licence).await.unwrap();
    assert!(!home.folder.path().join("videos/bo").exists());
    assert_eq!(home.tenancy.state(&bo).await.unwrap(), None);
    // Or made good by whoever makes it again before.
    home.tenancy.set_state(&bo, Some(State::Making)).await.unwrap();
    home.tenancy.create(&home.console, new("bo", Role::User)).await.unwrap();
    assert_eq!(home.tenancy.state(&bo).await.unwrap(), Some(State::Live));
}
