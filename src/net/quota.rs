//! Quotas: how many connections there may be, and how much each may send.
//!
//! The census of connections is the group's, and is taken when one comes and when it goes. A meter
//! is one connection's own; it looks at the time of the loop's turn, never at a clock.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::net::config::LoopConfig;

/// A limit on what a server gives to one peer, or to all of them, that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quota {
    /// [`LoopConfig::connections_max`]: the connection was refused, with 503.
    Connections,
    /// [`LoopConfig::connections_per_address_max`]: the connection was refused, with 429.
    ConnectionsPerAddress,
    /// [`LoopConfig::message_rate`]: the connection was closed, with 1008.
    Messages,
    /// [`LoopConfig::byte_rate`]: the connection was closed, with 1008.
    Bytes,
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "there are too many connections",
            Self::ConnectionsPerAddress => "this address has too many connections",
            Self::Messages => "too many messages in too short a time",
            Self::Bytes => "too many bytes in too short a time",
        })
    }
}

/// So many in a second, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many in a second, in the long run; 0 counts as 1.
    pub per_second: u32,
    /// How many at once, after a rest; 0 counts as 1.
    pub burst: u32,
}

impl Rate {
    /// So many in a second, in whatever part of it they come.
    #[must_use]
    pub const fn per_second(per_second: u32) -> Self {
        Self {
            per_second,
            burst: per_second,
        }
    }

    /// The time that `n` take at this rate.
    fn time_of(self, n: u64) -> Duration {
        let nanos = u128::from(n) * 1_000_000_000 / u128::from(self.per_second.max(1));
        u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
    }
}

/// Measures one kind of thing against its rate: a bucket that leaks, as the time when it is empty.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// `None` is long ago.
    empty_at: Option<Instant>,
}

impl Bucket {
    /// Counts `n`; answers whether the rate allows one of them, and so all: a read takes what there
    /// is, and may be larger than what is left of a burst.
    fn take(&mut self, n: u64, rate: Rate, now: Instant) -> bool {
        let since = self.empty_at.filter(|at| *at > now).unwrap_or(now);
        let fill = since - now;
        self.empty_at = since.checked_add(rate.time_of(n));
        fill + rate.time_of(1) <= rate.time_of(rate.burst.max(1).into())
    }
}

/// What one connection has sent of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    messages: Bucket,
    bytes: Bucket,
}

impl Meter {
    /// Counts a message, or a control frame.
    pub(super) fn message(&mut self, rate: Rate, now: Instant) -> Result<(), Quota> {
        match self.messages.take(1, rate, now) {
            true => Ok(()),
            false => Err(Quota::Messages),
        }
    }

    /// Counts bytes as they are read.
    pub(super) fn bytes(&mut self, n: usize, rate: Rate, now: Instant) -> Result<(), Quota> {
        match self.bytes.take(n as u64, rate, now) {
            true => Ok(()),
            false => Err(Quota::Bytes),
        }
    }
}

/// The connections that were accepted and that have not gone, over all loops of a group.
#[derive(Debug, Default)]
pub(super) struct Census {
    connections: AtomicUsize,
    /// Kept only where an address has a quota.
    by_address: Mutex<HashMap<Neighbourhood, usize>>,
}

impl Census {
    /// Counts a connection, if there may be another.
    pub(super) fn enter(&self, address: IpAddr, config: &LoopConfig) -> Result<(), Quota> {
        if self.connections.fetch_add(1, Ordering::Relaxed) >= config.connections_max {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(Quota::Connections);
        }
        // Those of a Unix socket come from this machine, often through a proxy, and have none.
        if let Some(max) = config.connections_per_address_max
            && !address.is_unspecified()
        {
            let mut by_address = self.lock();
            let count = by_address.entry(Neighbourhood::of(address)).or_default();
            if *count >= max {
                if *count == 0 {
                    by_address.remove(&Neighbourhood::of(address));
                }
                self.connections.fetch_sub(1, Ordering::Relaxed);
                return Err(Quota::ConnectionsPerAddress);
            }
            *count += 1;
        }
        Ok(())
    }

    /// A connection that was counted has gone.
    pub(super) fn leave(&self, address: IpAddr, config: &LoopConfig) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        if config.connections_per_address_max.is_none() || address.is_unspecified() {
            return;
        }
        let mut by_address = self.lock();
        let neighbourhood = Neighbourhood::of(address);
        if let Some(count) = by_address.get_mut(&neighbourhood) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&neighbourhood);
            }
        }
    }

    /// A panic while the lock was held left nothing half-done: no step within can panic midway.
    fn lock(&self) -> MutexGuard<'_, HashMap<Neighbourhood, usize>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses that count as one: in IPv6 a network of 2^64 is what one customer is given
/// (RFC 6177 §2, RFC 4291 §2.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Neighbourhood {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl Neighbourhood {
    fn of(address: IpAddr) -> Self {
        let of_v6 = |address: Ipv6Addr| {
            let [a, b, c, d, ..] = address.segments();
            Self::V6([a, b, c, d])
        };
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Census, Meter, Quota, Rate};
    use crate::net::config::LoopConfig;

    #[test]
    fn a_burst_and_then_the_rate() {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        let start = Instant::now();
        let mut meter = Meter::default();
        let mut take = |millis| {
            let now = start + Duration::from_millis(millis);
            meter.message(rate, now).is_ok()
        };
        assert!(take(0) && take(0) && take(0));
        assert!(take(100) && take(200) && take(301));
        // One more than it allows; what was refused counts as well.
        assert!(!take(302) && !take(310));
        assert!(take(10_000) && take(10_000) && take(10_000) && !take(10_000));
    }

    #[test]
    fn a_read_may_be_larger_than_what_is_left_and_is_paid_for_afterwards() {
        let (start, mut meter) = (Instant::now(), Meter::default());
        let rate = Rate::per_second(1000);
        let mut take = |n, millis| meter.bytes(n, rate, start + Duration::from_millis(millis));
        assert_eq!(take(5000, 0), Ok(()));
        assert_eq!(take(1, 3999), Err(Quota::Bytes));
        assert_eq!(take(1, 4100), Ok(()));
    }

    #[test]
    fn rates_at_the_ends_of_their_range() {
        let start = Instant::now();
        for rate in [Rate::per_second(0), Rate::per_second(u32::MAX)] {
            let mut meter = Meter::default();
            assert_eq!(meter.bytes(usize::MAX, rate, start), Ok(()));
            assert_eq!(meter.message(rate, start), Ok(()));
        }
    }

    #[test]
    fn connections_in_all_and_of_an_address() {
        let config = LoopConfig {
            connections_max: 4,
            connections_per_address_max: Some(2),
            ..LoopConfig::default()
        };
        let census = Census::default();
        let enter = |address: &str| census.enter(address.parse().unwrap(), &config);
        let leave = |address: &str| census.leave(address.parse().unwrap(), &config);
        assert_eq!(enter("10.0.0.1"), Ok(()));
        assert_eq!(enter("::ffff:10.0.0.1"), Ok(()));
        assert_eq!(enter("10.0.0.1"), Err(Quota::ConnectionsPerAddress));
        leave("10.0.0.1");
        assert_eq!(enter("10.0.0.1"), Ok(()));
        assert_eq!(enter("2001:db8::1"), Ok(()));
        assert_eq!(enter("2001:db8::ffff:2"), Ok(()));
        assert_eq!(enter("2001:db8:0:1::1"), Err(Quota::Connections));
        for address in ["10.0.0.1", "10.0.0.1", "2001:db8::3", "2001:db8::4"] {
            leave(address);
        }
        assert!(census.lock().is_empty(), "nobody is remembered");
        let nobody = LoopConfig {
            connections_per_address_max: Some(0),
            ..LoopConfig::default()
        };
        let refused = census.enter("10.0.0.1".parse().unwrap(), &nobody);
        assert_eq!(refused, Err(Quota::ConnectionsPerAddress));
        assert!(census.lock().is_empty());
    }
}
