//! The log of one target: redacted before it reaches the disk, limited in rate, length and size.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::files::TargetFolder;
use crate::live::redact::redact;

/// A log file of this size makes way for the next; one older file is kept.
pub(crate) const FULL: u64 = 256 * 1024;

/// Longest line, in bytes.
const LINE: usize = 1024;

/// Lines kept in one second.
const RATE: u32 = 50;

/// Writes lines. A disk that takes no more is no reason to go off air: what cannot be written is lost.
#[derive(Debug)]
pub(crate) struct Log {
    folder: TargetFolder,
    secrets: Vec<String>,
    file: Option<File>,
    size: u64,
    second: Instant,
    lines: u32,
    dropped: u64,
}

impl Log {
    pub(crate) fn open(folder: &TargetFolder, secrets: Vec<String>) -> Log {
        let mut log =
            Log { folder: folder.clone(), secrets, file: None, size: 0, second: Instant::now(), lines: 0, dropped: 0 };
        log.reopen();
        log
    }

    /// A line of the keeper itself.
    pub(crate) fn note(&mut self, text: &str) {
        self.close_second();
        self.write(&format!("[keeper] {text}"));
    }

    /// A line of ffmpeg.
    pub(crate) fn line(&mut self, text: &str) {
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.close_second();
        }
        if self.lines >= RATE {
            self.dropped += 1;
            return;
        }
        self.lines += 1;
        self.write(text);
    }

    /// Says how many lines were left out, if any were.
    pub(crate) fn close_second(&mut self) {
        self.second = Instant::now();
        self.lines = 0;
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            self.write(&format!("[keeper] {dropped} lines dropped"));
        }
    }

    fn write(&mut self, text: &str) {
        let text: String = redact(text, &self.secrets).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut line = format!("{:.3} {text}", Timestamp::now());
        if line.len() > LINE - 1 {
            line.truncate(line.floor_char_boundary(LINE - 1));
        }
        line.push('\n');
        if self.size + line.len() as u64 > FULL {
            self.turn();
        }
        if self.file.is_none() {
            self.reopen();
        }
        if let Some(file) = &mut self.file
            && file.write_all(line.as_bytes()).is_ok()
        {
            self.size += line.len() as u64;
        }
    }

    fn turn(&mut self) {
        self.file = None;
        if fs::rename(self.folder.log(), self.folder.older_log()).is_err() {
            // Rather an empty log than one that grows.
            let _ = fs::remove_file(self.folder.log());
        }
        self.reopen();
    }

    fn reopen(&mut self) {
        self.file = OpenOptions::new().create(true).append(true).mode(0o600).open(self.folder.log()).ok();
        self.size = self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, TargetFolder) {
        let home = tempfile::tempdir().unwrap();
        let folder = TargetFolder::new(home.path(), 0);
        folder.create().unwrap();
        (home, folder)
    }

    #[test]
    fn lines_are_stamped_redacted_and_capped() {
        let (_home, folder) = folder();
        let mut log = Log::open(&folder, vec!["secret-key".into()]);
        log.line("to rtmp://h/live/secret-key\u{1b}[31m: ü");
        log.line(&"ü".repeat(3000));
        let lines = folder.log_tail(9);
        assert!(lines[0].ends_with("Z to rtmp://h/live/**** [31m: ü"), "{}", lines[0]);
        assert!(lines[1].len() < LINE && lines[1].len() > LINE - 4);
    }

    #[test]
    fn a_flood_is_counted_not_kept() {
        let (_home, folder) = folder();
        let mut log = Log::open(&folder, vec![]);
        for number in 0..10_000 {
            log.line(&format!("line {number}"));
        }
        log.close_second();
        let lines = folder.log_tail(100_000);
        assert!(lines.len() < 400, "{}", lines.len());
        assert!(lines.iter().any(|line| line.ends_with("lines dropped")));
    }

    #[test]
    fn two_full_files_are_the_most() {
        let (_home, folder) = folder();
        let mut log = Log::open(&folder, vec![]);
        for _ in 0..2000 {
            log.note(&"x".repeat(900));
        }
        for path in [folder.log(), folder.older_log()] {
            let size = fs::metadata(path).unwrap().len();
            assert!(size <= FULL && size > 0, "{size}");
        }
    }
}
