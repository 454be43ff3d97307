//! Moving in: an old home becomes libraries, whatever is in it and whenever it is cut off. Here is what all its tests
//! look with.

mod back;
mod dirty;
mod hostile;
mod killed;
mod later;
mod page;
mod taken;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::old_home::OldHome;
use crate::support::server::Ran;

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jadwalstream"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JADWAL_")) {
        command.env_remove(name);
    }
    command.arg("migrate").args(arguments).arg("--home").arg(home).stdin(Stdio::null());
    command
}

/// Runs `migrate` beside no server.
fn run(home: &Path, arguments: &[&str]) -> Ran {
    let output = command(home, arguments).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn from<'a>(old: &'a OldHome, more: &[&'a str]) -> Vec<&'a str> {
    [&["--from", old.text(), "--json"], more].concat()
}

fn items(report: &Value) -> &Vec<Value> {
    report["items"].as_array().unwrap()
}

/// What is told of a row or a file: kind, fate and the reason's code.
fn told<'r>(report: &'r Value, which: impl Fn(&Value) -> bool) -> Vec<(&'r str, &'r str, &'r str)> {
    let text = |value: &'r Value| value.as_str().unwrap_or_default();
    let found = items(report).iter().filter(|item| which(item));
    found.map(|item| (text(&item["kind"]), text(&item["fate"]), text(&item["reason"]["code"]))).collect()
}

fn of_file<'r>(report: &'r Value, file: &str) -> Vec<(&'r str, &'r str, &'r str)> {
    told(report, |item| item["file"] == file)
}

fn of_row<'r>(report: &'r Value, database: &str, row: &str) -> Vec<(&'r str, &'r str, &'r str)> {
    told(report, |item| item["database"] == database && item["row"] == row)
}

fn count(report: &Value, fate: &str) -> u64 {
    report["all"][fate].as_u64().unwrap()
}

/// How many rows of each kind every library of a home has, and how many files lie in it.
async fn holdings(home: &Path) -> BTreeMap<String, u64> {
    use jadwalstream::auth::SystemLicence;
    use jadwalstream::clock::Clock;
    use jadwalstream::store::{Range, Store};
    let store = Store::open_redb(home.join("data"), Clock::system()).unwrap();
    #[allow(clippy::disallowed_methods, reason = "a test looks at what is stored")]
    let licence = SystemLicence::new();
    let mut held = BTreeMap::new();
    for tenant in store.tenants(&licence).await.unwrap() {
        let rows = store.tenant(&licence.scope(&tenant, "test"));
        let kinds = [
            "video",
            "thumbnail",
            "object",
            "collection",
            "stream",
            "schedule",
            "run",
            "stream_key",
            "channel",
            "destination",
        ];
        for kind in kinds {
            let prefix = format!("row/{kind}/");
            let count = rows.read(move |rows| {
                let mut count = 0;
                rows.scan(Range::prefix(prefix.as_bytes()), |_, _| {
                    count += 1;
                    std::ops::ControlFlow::Continue(())
                })?;
                Ok(count)
            });
            held.insert(format!("{tenant} {kind}"), count.await.unwrap());
        }
    }
    for entry in walkdir::WalkDir::new(home) {
        let entry = entry.unwrap();
        let folder = entry.path().strip_prefix(home).unwrap().components().next();
        if entry.file_type().is_file()
            && let Some(folder) = folder.map(|folder| folder.as_os_str().to_string_lossy().into_owned())
            && folder != "data"
        {
            *held.entry(format!("files in {folder}")).or_default() += 1;
        }
    }
    held
}

/// The hash of each user's password.
async fn hashes(home: &Path) -> BTreeMap<String, String> {
    use jadwalstream::auth::User;
    use jadwalstream::clock::Clock;
    use jadwalstream::store::Store;
    let store = Store::open_redb(home.join("data"), Clock::system()).unwrap();
    #[allow(clippy::disallowed_methods, reason = "a test looks at what is stored")]
    let platform = store.platform();
    let read = platform.read(|rows| {
        let mut found = BTreeMap::new();
        rows.values::<User>("user/", |_, user| {
            found.insert(user.name.to_string(), user.password_hash);
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(found)
    });
    read.await.unwrap()
}

/// Every file and every row of the tidy home is named, each file once.
fn is_whole(old: &OldHome, report: &Value) {
    let named: Vec<&str> = items(report).iter().filter_map(|item| item["file"].as_str()).collect();
    let distinct: BTreeSet<&str> = named.iter().copied().collect();
    assert_eq!(named.len(), distinct.len(), "a file is told twice");
    for (path, bytes) in old.everything() {
        if !bytes.is_empty() {
            assert!(distinct.contains(path.to_str().unwrap()), "{} is not told", path.display());
        }
    }
    for (database, rows) in [
        ("users.json", &["admin", "budi", "siti", "demo"][..]),
        ("video_database.json", &["1", "2", "3"]),
        ("thumbnail_database.json", &["1", "2"]),
        ("live_streams.json", &["1", "2"]),
        ("live_stream_data.xlsx", &["2", "3", "4"]),
        ("stream_mapping.json", &["channel_utama.json / YtStreamId0001", "channel_utama.json / YtStreamId0002"]),
    ] {
        for row in rows {
            assert!(!of_row(report, database, row).is_empty(), "{database} {row} is not told");
        }
    }
}
