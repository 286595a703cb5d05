//! What the kernel says of a process: the server's, and this one (Linux).

use std::fs;
use std::io;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use nix::time::clock_getcpuclockid;
#[cfg(target_os = "linux")]
use nix::unistd::Pid;

/// A process that is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process(pub(super) u32);

/// How long its threads had run by some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    at: Instant,
    pub(super) nanoseconds: u64,
}

impl Spent {
    /// How many cores it kept busy in between.
    pub(super) fn cores_since(self, before: Self) -> Option<f64> {
        let elapsed = (self.at - before.at).as_nanos();
        let ran = self.nanoseconds.saturating_sub(before.nanoseconds);
        (elapsed > 0).then(|| ran as f64 / elapsed as f64)
    }
}

impl Process {
    /// The one that generates.
    pub(super) fn this() -> Self {
        Self(std::process::id())
    }

    /// The bytes of its memory that are resident.
    pub(super) fn resident(self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        let kibibytes = kibibytes.and_then(|number| number.parse::<u64>().ok());
        kibibytes
            .map(|kibibytes| kibibytes << 10)
            .ok_or_else(|| io::Error::other("the kernel does not say how much it holds"))
    }

    /// The nanoseconds that all its threads have run, up to now: those of a busy one, too, of which
    /// `/proc` tells only when it next leaves its core.
    #[cfg(target_os = "linux")]
    pub(super) fn spent(self) -> io::Result<Spent> {
        let pid = i32::try_from(self.0).map_err(io::Error::other)?;
        let clock = clock_getcpuclockid(Pid::from_raw(pid))?;
        let ran = Duration::from(clock.now()?).as_nanos();
        Ok(Spent {
            at: Instant::now(),
            nanoseconds: u64::try_from(ran).map_err(io::Error::other)?,
        })
    }

    /// Nobody says it here.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn spent(self) -> io::Result<Spent> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
