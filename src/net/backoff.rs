//! When to connect again: exponential backoff with full jitter, as a value without a clock.
//!
//! The n-th delay is drawn evenly from 0 to the least of [`max`](Backoff::max) and
//! [`first`](Backoff::first) doubled n times. So a thousand clients that one restart threw out come
//! back spread over time and not in waves, which is what the jitter is for; RFC 6455 §7.2.3 asks
//! for it.

use std::time::Duration;

/// How long to wait between attempts to connect.
///
/// ```
/// use std::time::Duration;
/// use openline::net::Backoff;
///
/// let mut backoff = Backoff { attempts_max: Some(3), ..Backoff::default() };
/// // The entropy is the caller's: here the most that can be drawn.
/// assert_eq!(backoff.next(u32::MAX), Some(Duration::from_millis(500)));
/// assert_eq!(backoff.next(u32::MAX), Some(Duration::from_secs(1)));
/// assert_eq!(backoff.next(u32::MAX), Some(Duration::from_secs(2)));
/// assert_eq!(backoff.next(u32::MAX), None);
/// backoff.reset();
/// assert_eq!(backoff.next(0), Some(Duration::ZERO));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The most that the first delay can be. Default: 500 ms, so that one lost connection is
    /// hardly noticed, and a crowd is spread over what a handshake takes a thousand times.
    pub first: Duration,
    /// The most that any delay can be. Default: 30 s, so that after an outage of hours nobody
    /// waits longer than people do.
    pub max: Duration,
    /// After how many attempts in a row to give up; `None`: never. Default: never.
    pub attempts_max: Option<u32>,
    /// How long a connection must have been open to count as a success, after which delays begin
    /// anew. Default: 10 s: a server that accepts and fails at once is not pressed harder.
    pub stable: Duration,
    /// The attempts since the last success.
    pub attempts: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            max: Duration::from_secs(30),
            attempts_max: None,
            stable: Duration::from_secs(10),
            attempts: 0,
        }
    }
}

impl Backoff {
    /// How long to wait before the next attempt, which is counted; `None` if there is to be none.
    /// `random` is where between nothing and the most that it could be.
    pub fn next(&mut self, random: u32) -> Option<Duration> {
        if self.attempts_max.is_some_and(|max| self.attempts >= max) {
            return None;
        }
        let doubled = 2_u32
            .checked_pow(self.attempts)
            .and_then(|factor| self.first.checked_mul(factor))
            .unwrap_or(self.max);
        self.attempts = self.attempts.saturating_add(1);
        Some(
            doubled
                .min(self.max)
                .mul_f64(f64::from(random) / f64::from(u32::MAX)),
        )
    }

    /// A connection that was open for `lived` is lost: delays begin anew if that was long enough.
    pub fn lost(&mut self, lived: Duration) {
        if lived >= self.stable {
            self.reset();
        }
    }

    /// Delays begin anew.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, prop_assert, proptest};

    use super::Backoff;

    #[test]
    fn delays_double_up_to_the_most() {
        let mut backoff = Backoff::default();
        let mut delays = Vec::new();
        for _ in 0..100 {
            delays.push(backoff.next(u32::MAX).unwrap().as_millis());
        }
        assert_eq!(
            delays[..8],
            [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
        );
        assert_eq!(delays[99], 30_000);
    }

    #[test]
    fn only_a_connection_that_lasted_is_a_success() {
        let mut backoff = Backoff::default();
        let most = |backoff: &mut Backoff| backoff.next(u32::MAX).unwrap().as_millis();
        assert_eq!(most(&mut backoff), 500);
        backoff.lost(Duration::from_secs(1));
        assert_eq!(most(&mut backoff), 1000);
        backoff.lost(Duration::from_secs(10));
        assert_eq!(most(&mut backoff), 500);
    }

    proptest! {
        #[test]
        fn jitter_is_full_and_bounded(draws in proptest::collection::vec(any::<u32>(), 1..80)) {
            let mut backoff = Backoff::default();
            let mut least = Backoff::default();
            for random in draws {
                let delay = backoff.next(random).unwrap();
                prop_assert!(delay <= Duration::from_secs(30));
                prop_assert!(least.next(0) == Some(Duration::ZERO));
            }
        }
    }
}
