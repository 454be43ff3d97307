//! A handle to one process that never comes to mean another one.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process, by its pidfd.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    fd: OwnedFd,
}

impl ProcessHandle {
    /// Nothing if there is no such process.
    pub(crate) fn open(pid: i32) -> io::Result<Option<ProcessHandle>> {
        let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(ProcessHandle { fd })),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a signal; a process that has ended takes it in silence.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.fd, signal) {
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the process has open by this number, open here too.
    pub(crate) fn copy_of(&self, number: RawFd) -> io::Result<OwnedFd> {
        Ok(pidfd_getfd(&self.fd, number, PidfdGetfdFlags::empty())?)
    }

    /// Something that waits for the end of the process: before it is reaped, and for any process, not only a child.
    pub(crate) fn watch(self) -> io::Result<Exit> {
        // SAFETY: an OwnedFd is open for as long as it lives and always gives the same descriptor; the AsyncFd owns
        // it, and nobody else can close or replace it.
        let fd = unsafe { AsyncFd::register_with_interest(self.fd, Interest::READABLE) }.map_err(io::Error::from)?;
        Ok(Exit { fd })
    }
}

/// The end of a process.
#[derive(Debug)]
pub(crate) struct Exit {
    fd: AsyncFd<OwnedFd>,
}

impl Exit {
    /// Resolves when the process has ended, and again at once when asked again. May be dropped at any await.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        self.fd.readable().await?.retain_ready();
        Ok(())
    }
}
