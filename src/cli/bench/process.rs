//! What the kernel says of the server's process (Linux).

use std::fs;
use std::io;

/// The process that is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process(pub(super) u32);

impl Process {
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

    /// The nanoseconds that all its threads have run.
    ///
    /// The kernel counts a thread's time when it leaves its core, so that of a busy one lags
    /// behind by a tick.
    pub(super) fn cpu_time(self) -> io::Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.0))? {
            let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
            let ran = schedstat.split_whitespace().next();
            let ran = ran.and_then(|number| number.parse::<u64>().ok());
            sum += ran.ok_or_else(|| io::Error::other("the kernel does not count its time"))?;
        }
        Ok(sum)
    }
}
