//! Killed at any moment, it goes on and ends as if it never was.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{command, count, from, holdings, run};
use crate::support::old_home::{OldHome, people};
use crate::support::scratch;
use crate::support::server::Server;

/// Numbers that come again with the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[tokio::test]
async fn a_move_that_is_killed_fifty_times_ends_as_one_that_was_not() {
    let seed = std::env::var("JADWAL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| jiff::Timestamp::now().as_nanosecond() as u64);
    eprintln!("JADWAL_TEST_SEED={seed}");
    let mut chance = Chance(seed);
    let old = OldHome::tidy();
    // The demo's sample takes longer to make than all the rest.
    let mut users = people();
    users.as_object_mut().unwrap().remove("demo");
    old.database("users.json", &users);
    let whole = scratch("whole");
    let begun = Instant::now();
    assert_eq!(run(whole.path(), &from(&old, &["--apply"])).code, 3);
    let takes = u64::try_from(begun.elapsed().as_millis()).unwrap();
    let expected = holdings(whole.path()).await;
    let mut kills = 0;
    while kills < 50 {
        let home = scratch("killed");
        // Each home is killed many times, each time somewhere else; then it is brought to its end.
        for _ in 0..12 {
            let mut child = command(home.path(), &from(&old, &["--apply"]));
            let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(20 + chance.below(takes / 2))).await;
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
            }
            child.wait().unwrap();
        }
        let last = run(home.path(), &from(&old, &["--apply"]));
        assert_eq!(last.code, 3, "{last:?}");
        let again = run(home.path(), &from(&old, &["--apply"]));
        assert_eq!(count(&again.json(), "imported"), 0, "{again:?}");
        // One start more clears what was cut off in between.
        let mut server = Server::start_in(home, &[], &["--no-demo"]).await;
        assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
        server.stop().await;
        std::fs::remove_file(server.home().join("server.log")).unwrap();
        assert_eq!(holdings(server.home()).await, expected, "after {kills} kills");
    }
}
