//! In which mode the servers' core runs whose code: looked at ten thousand times a second.
//!
//! The kernel counts a process's time in user mode too, but only from one tick to the next, of which
//! a server that is in user mode for a twentieth of its time sees few.

use std::io;

use perf_event::events::Software;
use perf_event::{Builder, SampleFlag, Sampler};

use crate::process::SERVER_CORE;

/// How often is looked, in nanoseconds: no divisor of what the kernel does at its ticks.
const PERIOD: u64 = 99_991;
/// Room for some seven seconds.
const ROOM: usize = 2 << 20;
/// What a record's header says of the mode (perf_event_open(2), `misc`).
const MODE: u16 = 0b111;
const USER: u16 = 2;

/// Looks at the servers' core while it is asked to.
pub struct Modes {
    sampler: Sampler,
}

/// How often a process was seen there.
#[derive(Clone, Copy, Default)]
pub struct Seen {
    pub user: u64,
    /// In either mode.
    pub total: u64,
}

impl Modes {
    /// Takes root, or CAP_PERFMON.
    pub fn new() -> io::Result<Self> {
        let mut builder = Builder::new(Software::CPU_CLOCK);
        builder
            .any_pid()
            .one_cpu(SERVER_CORE)
            .include_kernel()
            .exclude_idle(true)
            .sample_period(PERIOD)
            .sample(SampleFlag::TID);
        let sampler = builder.build()?.sampled(ROOM)?;
        Ok(Self { sampler })
    }

    pub fn begin(&mut self) -> io::Result<()> {
        // What is left of an error.
        while self.sampler.next_record().is_some() {}
        self.sampler.enable()
    }

    /// Ends what was begun; answers for the process of this number.
    pub fn end(&mut self, process: u32) -> io::Result<Seen> {
        self.sampler.disable()?;
        let mut seen = Seen::default();
        while let Some(record) = self.sampler.next_record() {
            let parsed = record.parse_record().map_err(io::Error::other)?;
            if let perf_event::data::Record::Sample(sample) = parsed
                && sample.pid() == Some(process)
            {
                seen.total += 1;
                seen.user += u64::from(record.misc() & MODE == USER);
            }
        }
        Ok(seen)
    }
}
