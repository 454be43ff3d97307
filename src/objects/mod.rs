//! Stored bytes and where they lie.

mod file;

pub use file::LocalFile;
