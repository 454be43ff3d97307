//! A network of the test's own, in which packets are really lost: the test runs itself again in a network namespace
//! whose loopback drops, in the kernel, so many of the packets from and to one port. Connections are not closed and
//! nobody is told; TCP sends again and waits, as it does over a bad line.
//!
//! Needs `unshare` (util-linux), `ip` and `tc` (iproute2), and either root or user namespaces; `scripts/test` installs
//! them. There is no way round it: where namespaces are forbidden the test fails and says so.

use std::process::{Command, Stdio};

/// Set in the inner run.
const INSIDE: &str = "JADWAL_TEST_NETWORK";

/// A port of this namespace's loopback that packets may be lost at.
pub struct Line {
    port: u16,
}

/// Whether this is the run inside; otherwise the test, by its full name, is run inside and has passed.
pub fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // Root needs no user namespace, and may be where these are forbidden.
    let kinds = if nix::unistd::geteuid().is_root() { "-n" } else { "-Urn" };
    let status = Command::new("unshare")
        .arg(kinds)
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .status()
        .expect("unshare is there (util-linux)");
    assert!(status.success(), "{test} failed in its own network: {status}. It needs root or user namespaces");
    false
}

fn run(line: &str) {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("ip and tc are there (iproute2): scripts/test installs them");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Brings the namespace's loopback up; before anything listens there.
pub fn up() {
    run("ip link set lo up");
    // Where lost packets go: a device that drops whatever is given to it.
    run("ip link add hole type ifb");
    run("ip link set hole up");
    run("tc qdisc add dev hole root blackhole");
    run("tc qdisc add dev lo clsact");
}

impl Line {
    /// To and from this port.
    pub fn to(port: u16) -> Line {
        Line { port }
    }

    /// Loses so many percent of the packets from now on: 100 is a cut, 0 is none.
    pub fn lose(&self, percent: u32) {
        // Each packet on its own, by a random number: IPv4, from or to the port, and the number in the upper part.
        let from = u64::from(100 - percent.min(100)) * (u64::from(u32::MAX) + 1) / 100;
        let (port, random, all) = (self.port, 0xffff_f000_u32 + 56, u32::MAX);
        let program = if percent == 0 {
            "1,6 0 0 0".to_owned()
        } else {
            format!(
                "10,40 0 0 12,21 0 7 2048,40 0 0 34,21 2 0 {port},40 0 0 36,21 0 3 {port},32 0 0 {random},\
                 53 0 1 {from},6 0 0 {all},6 0 0 0"
            )
        };
        let filter = "tc filter replace dev lo ingress pref 1 handle 1 bpf bytecode";
        let mut words: Vec<&str> = filter.split_whitespace().collect();
        words.push(&program);
        words.extend("action mirred egress redirect dev hole".split_whitespace());
        let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
        assert!(output.status.success(), "losing packets: {}", String::from_utf8_lossy(&output.stderr));
    }
}
