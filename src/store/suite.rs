//! What every backend must do; each backend's own tests run this over it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Assert, Batch, Commit, Port, Range, Space};
use crate::auth::Tenant;

fn batch(puts: &[(&str, &str)]) -> Batch {
    Batch {
        puts: puts.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect(),
        ..Batch::default()
    }
}

fn version(commit: Commit) -> u64 {
    match commit {
        Commit::Done(version) => version,
        Commit::Conflict => panic!("conflict"),
    }
}

fn keys(port: &dyn Port, space: &Space, range: Range<'_>, limit: usize) -> Vec<String> {
    let page = port.range(space, range, limit).unwrap();
    page.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

/// Runs every rule of the port against an empty backend.
pub fn run(port: Arc<dyn Port>) {
    let al = Space::Tenant(Tenant::parse("al").unwrap());
    let bo = Space::Tenant(Tenant::parse("bo").unwrap());
    assert_eq!(port.get(&al, b"k").unwrap_err().status(), 404, "a space that was never made is not found");
    port.create(&al).unwrap();
    port.create(&al).unwrap();
    port.create(&bo).unwrap();

    // Spaces are apart.
    let first = version(port.commit(&al, &batch(&[("k", "1")])).unwrap());
    assert_eq!(port.get(&al, b"k").unwrap().unwrap().value, b"1");
    assert!(port.get(&bo, b"k").unwrap().is_none());
    assert!(port.get(&Space::Platform, b"k").unwrap().is_none());

    // A failed assert writes nothing.
    let second = version(port.commit(&al, &batch(&[("k", "2")])).unwrap());
    assert!(second > first);
    let mut stale = batch(&[("k", "3"), ("other", "3")]);
    stale.asserts.push((b"k".to_vec(), Assert::Version(first)));
    assert_eq!(port.commit(&al, &stale).unwrap(), Commit::Conflict);
    assert_eq!(port.get(&al, b"k").unwrap().unwrap().value, b"2");
    assert!(port.get(&al, b"other").unwrap().is_none());
    let mut absent = batch(&[("k", "4")]);
    absent.asserts.push((b"k".to_vec(), Assert::Absent));
    assert_eq!(port.commit(&al, &absent).unwrap(), Commit::Conflict);

    // A key that comes back never gets an old version.
    port.commit(&al, &Batch { deletes: vec![b"k".to_vec()], ..Batch::default() }).unwrap();
    assert!(port.get(&al, b"k").unwrap().is_none());
    assert!(version(port.commit(&al, &batch(&[("k", "5")])).unwrap()) > second);

    // Ranges: prefix, cursor, direction, limit; a hostile cursor stays inside.
    port.commit(&al, &batch(&[("p/a", "1"), ("p/b", "2"), ("p/c", "3"), ("q/a", "4")])).unwrap();
    let all = Range::prefix(b"p/");
    assert_eq!(keys(&*port, &al, all, 9), ["p/a", "p/b", "p/c"]);
    assert_eq!(keys(&*port, &al, Range { after: Some(b"p/a"), ..all }, 1), ["p/b"]);
    assert_eq!(keys(&*port, &al, Range { reverse: true, ..all }, 2), ["p/c", "p/b"]);
    assert_eq!(keys(&*port, &al, Range { reverse: true, after: Some(b"p/b"), ..all }, 9), ["p/a"]);
    assert_eq!(keys(&*port, &al, Range { after: Some(b"a"), ..all }, 9).len(), 3);
    assert!(keys(&*port, &al, Range { after: Some(b"z"), ..all }, 9).is_empty());
    assert_eq!(keys(&*port, &al, Range { reverse: true, after: Some(b"z"), ..all }, 9).len(), 3);
    assert!(keys(&*port, &al, Range { reverse: true, after: Some(b"a"), ..all }, 9).is_empty());
    port.commit(&al, &Batch { puts: vec![(vec![0xff, 0xff, 1], vec![])], ..Batch::default() }).unwrap();
    assert_eq!(port.range(&al, Range::prefix(&[0xff, 0xff]), 9).unwrap().len(), 1);

    // A snapshot does not move.
    let snapshot = port.snapshot(&al).unwrap();
    port.commit(&al, &batch(&[("p/d", "9")])).unwrap();
    let mut seen = 0;
    snapshot
        .scan(all, &mut |_, _, _| {
            seen += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, 3);
    drop(snapshot);

    // Commits are told.
    let mut changes = port.watch();
    port.commit(&bo, &batch(&[("seen", "1")])).unwrap();
    let change = changes.try_recv().unwrap();
    assert_eq!((change.space, change.keys[0].as_slice()), (bo.clone(), b"seen".as_slice()));

    // Leases: one holder, a fence that rises with the holder, free after the end.
    let now = Timestamp::UNIX_EPOCH;
    let ttl = Duration::from_secs(10);
    let held = port.claim(&al, "key", "one", now, ttl).unwrap().unwrap();
    assert!(port.claim(&al, "key", "two", now + Duration::from_secs(9), ttl).unwrap().is_none());
    let renewed = port.claim(&al, "key", "one", now + Duration::from_secs(9), ttl).unwrap().unwrap();
    assert_eq!(renewed.fence, held.fence);
    let taken = port.claim(&al, "key", "two", now + Duration::from_secs(20), ttl).unwrap().unwrap();
    assert!(taken.fence > held.fence);

    // A hundred writers that each add one lose nothing.
    port.commit(&al, &batch(&[("count", "0")])).unwrap();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..25 {
                    loop {
                        let row = port.get(&al, b"count").unwrap().unwrap();
                        let number: u32 = String::from_utf8(row.value).unwrap().parse().unwrap();
                        let mut next = batch(&[("count", &(number + 1).to_string())]);
                        next.asserts.push((b"count".to_vec(), Assert::Version(row.version)));
                        if port.commit(&al, &next).unwrap() != Commit::Conflict {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(port.get(&al, b"count").unwrap().unwrap().value, b"100");

    // A removed space is gone, and empty when made again.
    port.remove(&al).unwrap();
    assert_eq!(port.get(&al, b"k").unwrap_err().status(), 404);
    port.create(&al).unwrap();
    assert!(port.get(&al, b"k").unwrap().is_none());
}
