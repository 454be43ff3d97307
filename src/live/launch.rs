//! `jadwalstream launch`: the last step before ffmpeg. It ties ffmpeg's life to its keeper and becomes ffmpeg.
//!
//! Done by exec of our own binary, because between fork and exec of another program nothing but unsafe code could do
//! it. The lock on the stream key is already open in this process and stays open in ffmpeg.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "launch";

/// Exit code when the program is not there, as shells have it.
pub(crate) const NOT_FOUND: i32 = 127;
/// Exit code when the program cannot be run.
pub(crate) const NOT_RUNNABLE: i32 = 126;
/// Exit code when the keeper has gone meanwhile (EX_TEMPFAIL).
pub(crate) const KEEPER_GONE: i32 = 75;

/// `launch KEEPER_PID PROGRAM ARGUMENT…`
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut number = || arguments.next()?.to_str()?.parse::<i64>().ok();
    let (Some(keeper), Some(program)) = (number(), arguments.next()) else {
        return ExitCode::from(2);
    };
    if prctl::set_pdeathsig(Signal::SIGKILL).is_err() || setrlimit(Resource::RLIMIT_CORE, 0, 0).is_err() {
        return ExitCode::from(NOT_RUNNABLE as u8);
    }
    // Had the keeper died before the line above, no signal would ever come.
    if nix::unistd::getppid().as_raw() as i64 != keeper {
        return ExitCode::from(KEEPER_GONE as u8);
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("[fatal] cannot run ffmpeg: {error}");
    ExitCode::from(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE } as u8)
}
