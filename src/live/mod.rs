//! Streams on air.
//!
//! For every target of every run the server starts one **keeper** ([`keeper`]): our own binary in a session of its own,
//! which outlives the server and supervises exactly one ffmpeg at a time. The server talks to it through the files of
//! the run's folder and by signals ([`process`]). What ffmpeg is told and what it says is pure ([`ffmpeg`],
//! [`progress`]); where streams may go is decided in [`target`].

pub mod ffmpeg;
pub mod keeper;
pub mod launch;
mod pidfd;
pub mod process;
pub mod progress;
pub mod redact;
pub mod target;
