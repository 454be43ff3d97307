//! Files of redb: how many are open, what they may be, and what an error of the disk leaves.

use super::*;
use crate::auth::Tenant;

fn put(key: &str) -> Batch {
    Batch { puts: vec![(key.as_bytes().to_vec(), b"x".to_vec())], ..Batch::default() }
}

#[test]
fn it_passes_the_suite_of_the_port() {
    let home = tempfile::tempdir().unwrap();
    super::super::suite::run(Arc::new(RedbPort::open(home.path().to_owned()).unwrap()));
}

#[test]
fn no_more_than_64_libraries_are_open_however_many_are_used() {
    let home = tempfile::tempdir().unwrap();
    let port = RedbPort::open(home.path().to_owned()).unwrap();
    for number in 0..80 {
        let space = Space::Tenant(Tenant::parse(&format!("tenant-{number}")).unwrap());
        port.create(&space).unwrap();
        port.commit(&space, &put("a")).unwrap();
        assert!(port.open_files() <= OPEN_LIMIT);
    }
    let first = Space::Tenant(Tenant::parse("tenant-0").unwrap());
    assert!(port.get(&first, b"a").unwrap().is_some(), "an evicted file opens again");
}

#[test]
fn a_library_behind_a_link_is_nobody_s() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let space = Space::Tenant(Tenant::parse("al").unwrap());
    let elsewhere = RedbPort::open(other.path().to_owned()).unwrap();
    elsewhere.create(&space).unwrap();
    elsewhere.commit(&space, &put("a")).unwrap();
    drop(elsewhere);
    let own = home.path().join("al");
    std::os::unix::fs::symlink(other.path().join("al"), &own).unwrap();
    let port = RedbPort::open(home.path().to_owned()).unwrap();
    assert_eq!(port.get(&space, b"a").err().unwrap().status(), 409);
    assert_eq!(port.create(&space).err().unwrap().status(), 409);
    port.remove(&space).unwrap();
    assert!(other.path().join("al/library.redb").exists());
    fs::remove_file(&own).unwrap();
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::symlink(other.path().join("al/library.redb"), own.join("library.redb")).unwrap();
    assert_eq!(port.get(&space, b"a").err().unwrap().status(), 409);
}

#[test]
fn a_newer_file_is_refused_and_an_older_one_upgraded_after_a_copy() {
    let home = tempfile::tempdir().unwrap();
    static STEP: &[Upgrade] = &[|database| {
        let transaction = database.begin_write().map_err(|cause| failed("test")(cause.into()))?;
        redb_try!(
            "test",
            redb_try!("test", transaction.open_table(ROWS)).insert(b"new".as_slice(), b"00000000!".as_slice())
        );
        redb_try!("test", transaction.commit());
        Ok(())
    }];
    drop(RedbPort::open(home.path().to_owned()).unwrap());
    let upgraded = RedbPort::open_with(home.path().to_owned(), STEP).unwrap();
    assert!(upgraded.get(&Space::Platform, b"new").unwrap().is_some());
    assert!(home.path().join("platform.redb.schema-1").exists(), "the copy of the old file is kept");
    drop(upgraded);
    let refused = RedbPort::open(home.path().to_owned()).err().unwrap();
    assert_eq!(refused.status(), 409);
    assert!(refused.message().to_string().contains('2'), "{}", refused.message());
}
