//! How long things took, in buckets.

use std::time::Duration;

use crate::net::metrics::counters::Counter;

/// The upper bounds of the buckets, from what a loopback takes to what a timeout allows: about
/// three to a power of ten.
const BOUNDS: [Duration; 16] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Counts durations, in one thread.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// Each of its own bucket only; the last is for those beyond the bounds.
    buckets: [Counter; BOUNDS.len() + 1],
    nanos: Counter,
}

impl Histogram {
    pub(super) fn record(&self, took: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < took);
        self.buckets[bucket].add(1);
        self.nanos
            .add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn add_to(&self, distribution: &mut Distribution) {
        for (sum, bucket) in distribution.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.read();
        }
        distribution.nanos = distribution.nanos.saturating_add(self.nanos.read());
    }
}

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    buckets: [u64; BOUNDS.len() + 1],
    nanos: u64,
}

impl Distribution {
    /// How often it was measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time that all of it took.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// For each bound how often it took no longer, the shortest first.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let counts = self.buckets.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS.into_iter().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BOUNDS, Distribution, Histogram};

    #[test]
    fn a_time_belongs_to_the_first_bound_that_it_does_not_exceed() {
        assert!(BOUNDS.is_sorted());
        let histogram = Histogram::default();
        let times = [0, 100, 101, 1_000, 9_999_999, 10_000_000, 10_000_001];
        for micros in times {
            histogram.record(Duration::from_micros(micros));
        }
        let mut read = Distribution::default();
        histogram.add_to(&mut read);
        for (bound, count) in read.cumulative() {
            let within = times
                .iter()
                .filter(|micros| Duration::from_micros(**micros) <= bound);
            assert_eq!(count, within.count() as u64, "{bound:?}");
        }
        assert_eq!(read.count(), times.len() as u64);
        assert_eq!(read.sum(), Duration::from_micros(times.iter().sum()));
    }
}
