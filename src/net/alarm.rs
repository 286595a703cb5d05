//! What ends a loop's wait for its sockets when nothing comes from them.
//!
//! A wait with a time limit costs more than one without, although hardly any limit is ever reached:
//! the kernel reads its clock to know when it would be, at each wait. On Linux the limit is
//! therefore a timer of its own, which lasts over many waits: it is set only when it is to ring
//! sooner than it would, and rings now and then for nothing. Elsewhere the wait has a limit.

#[cfg(target_os = "linux")]
pub(super) use linux::Alarm;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::Alarm;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::{Duration, Instant};

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

    /// A timer among the sockets.
    #[derive(Debug)]
    pub(in crate::net) struct Alarm {
        timer: TimerFd,
        /// When it rings.
        at: Option<Instant>,
    }

    impl Alarm {
        /// One that does not ring yet; when it does, `token` is among the events.
        pub(in crate::net) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            let descriptor = timer.as_fd().as_raw_fd();
            registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
            Ok(Self { timer, at: None })
        }

        /// How long to wait, so as not to wait beyond `until`; `None`: until an event comes.
        #[inline]
        pub(in crate::net) fn patience(&mut self, until: Instant) -> Option<Duration> {
            match self.at {
                Some(at) if at <= until => None,
                _ => self.set(until),
            }
        }

        #[cold]
        fn set(&mut self, until: Instant) -> Option<Duration> {
            let left = until.saturating_duration_since(Instant::now());
            // Nothing would turn it off.
            let at_least = left.max(Duration::from_nanos(1));
            let expiration = Expiration::OneShot(at_least.into());
            match self.timer.set(expiration, TimerSetTimeFlags::empty()) {
                Ok(()) => {
                    self.at = Some(until);
                    None
                }
                Err(_) => Some(left),
            }
        }

        /// Its event came. The event tells each ringing once, so that nothing need be read.
        pub(in crate::net) fn rang(&mut self) {
            self.at = None;
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::io;
    use std::time::{Duration, Instant};

    use mio::{Registry, Token};

    /// The limit of a wait.
    #[derive(Debug)]
    pub(in crate::net) struct Alarm;

    impl Alarm {
        /// Nothing is registered.
        pub(in crate::net) fn new(_: &Registry, _: Token) -> io::Result<Self> {
            Ok(Self)
        }

        /// How long to wait, so as not to wait beyond `until`.
        pub(in crate::net) fn patience(&mut self, until: Instant) -> Option<Duration> {
            Some(until.saturating_duration_since(Instant::now()))
        }

        /// There is no event of this kind.
        pub(in crate::net) fn rang(&mut self) {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use mio::{Events, Poll, Token};

    use super::Alarm;

    #[test]
    fn a_wait_ends_by_the_soonest_and_again_by_the_next() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        let mut alarm = Alarm::new(poll.registry(), Token(7)).unwrap();
        let begun = Instant::now();
        let [past, soon, late] = [0, 20, 3_600_000].map(|n| begun + Duration::from_millis(n));
        // Later than what is set already, sooner, long past, and set anew after each.
        for (limits, until) in [
            (&[late, soon][..], soon),
            (&[soon, late], soon),
            (&[late, past], past),
        ] {
            let waits = limits.iter().map(|limit| alarm.patience(*limit));
            let patience = waits.last().unwrap();
            poll.poll(&mut events, patience).unwrap();
            assert!(Instant::now() >= until);
            assert!(begun.elapsed() < Duration::from_secs(60), "it never rang");
            alarm.rang();
        }
    }
}
