//! `jadwalstream launch`: the last step before ffmpeg. It ties ffmpeg's life to its keeper and becomes ffmpeg.
//!
//! Done by exec of our own binary, because between fork and exec of another program nothing but unsafe code could do
//! it. The lock on the stream key is already open in this process and stays open in ffmpeg.
//!
//! An ffmpeg that decodes, which is where files do their harm, sees no more of the disk than it needs. One that copies
//! looks only at the outside of what the gate has let in.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use crate::media::walls::keep_off_the_disk;

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "launch";

/// Exit code when the program is not there, as shells have it.
pub(crate) const NOT_FOUND: i32 = 127;
/// Exit code when the program cannot be run.
pub(crate) const NOT_RUNNABLE: i32 = 126;
/// Exit code when the keeper has gone meanwhile (EX_TEMPFAIL).
pub(crate) const KEEPER_GONE: i32 = 75;

/// `launch KEEPER_PID COUNT PATH… PROGRAM ARGUMENT…`: with paths, the program reads no more of the disk than these and
/// the system's, and writes no more than reports into a pipe among them.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut number = || arguments.next()?.to_str()?.parse::<i64>().ok();
    let (Some(keeper), Some(count)) = (number(), number()) else { return ExitCode::from(2) };
    let paths: Vec<PathBuf> = arguments.by_ref().take(usize::try_from(count).unwrap_or(0)).map(PathBuf::from).collect();
    let Some(program) = arguments.next() else { return ExitCode::from(2) };
    if prctl::set_pdeathsig(Signal::SIGKILL).is_err() || setrlimit(Resource::RLIMIT_CORE, 0, 0).is_err() {
        return ExitCode::from(NOT_RUNNABLE as u8);
    }
    // Had the keeper died before the line above, no signal would ever come.
    if nix::unistd::getppid().as_raw() as i64 != keeper {
        return ExitCode::from(KEEPER_GONE as u8);
    }
    if !paths.is_empty()
        && let Err(cause) = keep_off_the_disk(&program, &paths)
    {
        eprintln!("[fatal] cannot keep ffmpeg off the disk: {cause}");
        return ExitCode::from(NOT_RUNNABLE as u8);
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("[fatal] cannot run ffmpeg: {error}");
    ExitCode::from(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE } as u8)
}
