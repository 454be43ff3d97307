//! Streams on air.
//!
//! People change orders ([`stream`]); a run is written down ([`run`]) and one [`supervisor`] a run makes the world
//! match, woken by the [`engine`]. What pages show comes from the [`board`].
//!
//! For every target of every run the server starts one **keeper** ([`keeper`]): our own binary in a session of its own,
//! which outlives the server and supervises exactly one ffmpeg at a time. The server talks to it through the files of
//! the run's folder and by signals ([`process`]). What ffmpeg is told and what it says is pure ([`ffmpeg`],
//! [`progress`]); where streams may go is decided in [`target`].

pub mod admission;
pub mod board;
mod calls;
pub mod engine;
mod export;
pub mod ffmpeg;
mod fit;
mod frame;
mod history;
pub mod keeper;
pub mod kept_key;
mod keys;
pub mod launch;
pub mod overlay;
pub mod paint;
mod pidfd;
pub mod process;
pub mod progress;
pub mod redact;
pub mod run;
mod runs;
pub(crate) mod sample;
pub(crate) mod start;
mod stop_time;
pub mod stream;
mod supervisor;
pub mod target;

pub use board::{Board, Load, OnAir, OnAirCount, PlatformWord, State, StateName, TargetState, Watch};
pub use calls::{StreamFilter, StreamQuery, StreamSort, StreamView};
pub use engine::Engine;
pub use fit::{Fit, Odd};
pub use overlay::Overlay;
pub(crate) use run::runs_between;
pub use run::{
    Run, RunFilter, RunOutcome, RunQuery, RunSort, RunTarget, open_runs, pinned, played_videos, streams_playing,
    streams_showing,
};
pub(crate) use stop_time::put_stop_time;
pub use stream::{End, LiveStream, NewStream, Order, PlayOrder, StreamChange, Target, TargetInput};
pub use target::Platform;
