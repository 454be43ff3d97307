//! Real parts for tests: an RTMP platform, a browser, media made by ffmpeg.
#![allow(dead_code)] // Not every test uses every part.

pub mod browser;
pub mod clip;
pub mod events;
pub mod listener;
pub mod network;
pub mod nginx;
pub mod old_home;
pub mod provider;
pub mod server;
pub mod youtube;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Child;

/// Chooses ring for every HTTP client of this process; again, it changes nothing.
pub fn choose_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A loopback port that was free a moment ago. Another process may take it: start again if so.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Folder for what tests write, on the disk of the build; `name` keeps it apart from others.
pub fn scratch(name: &str) -> tempfile::TempDir {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(parent).unwrap();
    tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(parent).unwrap()
}

/// The build's `target` folder.
pub fn target_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

/// A child process that ends, together with what it started itself, when this is dropped.
pub struct Ending(pub Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // The tree is read before the first one dies: orphans lose their parent.
        let family = descendants(self.0.id());
        let _ = self.0.kill();
        let _ = self.0.wait();
        for pid in family {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

fn descendants(root: u32) -> Vec<u32> {
    let mut parents = vec![];
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // "pid (name) state ppid …", and the name may hold anything.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.push((pid, parent.unwrap_or(0)));
    }
    let mut family = vec![root];
    let mut next = 0;
    while next < family.len() {
        let parent = family[next];
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    family.split_off(1)
}
