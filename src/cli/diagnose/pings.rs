//! The step of round trips: pings one after the other (RFC 6455 §5.5.2), and how long each took.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli::diagnose::cause::{Cause, Step};
use crate::cli::diagnose::finding::{Finding, count, milliseconds, time};
use crate::cli::diagnose::open::{End, Heard, Open};

/// What one Ping came to.
enum Echo {
    Answered(Duration),
    /// Only Pongs with another payload came.
    Wrong,
    Unanswered,
    Ended(End),
}

/// Sends `n` pings. `network` is how long connecting took: one round trip without the server.
pub(super) fn check(open: &mut Open, n: u32, network: Duration, timeout: Duration) -> Finding {
    let start = Instant::now();
    let mut trips = Vec::new();
    for number in 0..n {
        match once(open, number, timeout) {
            Echo::Answered(trip) => trips.push(trip),
            echo => {
                let answered = count(trips.len(), "ping was", "pings were");
                return explain(&echo, timeout)
                    .seen(format!("{answered} answered before that"))
                    .fact("answered", trips.len())
                    .took(start.elapsed());
            }
        }
        // Listening meanwhile, so that what the server sends is not counted to the next.
        let pause = Instant::now() + PAUSE;
        while !matches!(open.next(pause), Heard::Quiet | Heard::Ended(_)) {
            if Instant::now() >= pause {
                break;
            }
        }
    }
    judge(&trips, network).took(start.elapsed())
}

/// Between two pings.
const PAUSE: Duration = Duration::from_millis(50);

/// Sends one and waits for its Pong.
fn once(open: &mut Open, number: u32, timeout: Duration) -> Echo {
    let payload = format!("openline {number}");
    let start = Instant::now();
    // What cannot be sent shows as the end.
    let _ = open.ping(payload.as_bytes());
    let mut is_wrong = false;
    loop {
        match open.next(start + timeout) {
            Heard::Pong(pong) if pong == payload.as_bytes() => {
                return Echo::Answered(start.elapsed());
            }
            // §5.5.3: a Pong may come unasked, so another one proves nothing yet.
            Heard::Pong(_) => is_wrong = true,
            Heard::Message(_) | Heard::Ping => {}
            Heard::Ended(end) => return Echo::Ended(end),
            Heard::Quiet if is_wrong => return Echo::Wrong,
            Heard::Quiet => return Echo::Unanswered,
        }
        if start.elapsed() >= timeout {
            return if is_wrong {
                Echo::Wrong
            } else {
                Echo::Unanswered
            };
        }
    }
}

/// Whether a connection still answers.
pub(super) fn is_alive(open: &mut Open, timeout: Duration) -> Result<bool, End> {
    match once(open, u32::MAX, timeout) {
        Echo::Answered(_) => Ok(true),
        Echo::Ended(end) => Err(end),
        Echo::Wrong | Echo::Unanswered => Ok(false),
    }
}

fn explain(echo: &Echo, timeout: Duration) -> Finding {
    match echo {
        Echo::Wrong => Finding::failed(
            Cause::PongWrong,
            "the server's pongs do not carry what our pings did",
        )
        .means(
            "A Pong repeats the payload of its Ping (§5.5.3); without that, no client can \
             measure.",
        )
        .todo("Mend the server, or bring its library up to date."),
        Echo::Ended(end) => Finding::failed(
            Cause::PingClosed,
            "the connection ended when it was pinged",
        )
        .seen(end.to_string())
        .means(
            "The server, or a proxy that reads frames, does not take Ping frames, which every \
             endpoint must answer (§5.5.2), or it hung up by chance just then.",
        )
        .todo(
            "Run this again: if it ends at the first ping each time, mend what handles control \
             frames.",
        ),
        _ => Finding::failed(
            Cause::PingUnanswered,
            format!("a ping was not answered within {}", time(timeout)),
        )
        .means(
            "Every endpoint must answer a Ping (§5.5.2). The server's program hangs, or is too \
             busy to read its connections, or it ignores pings, or the way died without a word.",
        )
        .todo(
            "Does it answer messages meanwhile? If so, its library ignores pings: bring it up to \
             date.",
        )
        .todo(
            "If not, it hangs: look at its CPU, its threads and its event loop (a blocking \
             call?).",
        ),
    }
}

fn judge(trips: &[Duration], network: Duration) -> Finding {
    let mut sorted = trips.to_vec();
    sorted.sort_unstable();
    let (median, high) = (percentile(&sorted, 50), percentile(&sorted, 99));
    let jitter = jitter(trips);
    let summary = format!(
        "{}: median {}, p90 {}, p99 {}, jitter {}",
        count(trips.len(), "round trip", "round trips"),
        time(median),
        time(percentile(&sorted, 90)),
        time(high),
        time(jitter)
    );
    let is_slow = median > network * 3 + SLOW;
    let is_uneven = high > median * 4 && high - median > SLOW;
    let finding = match (is_slow, is_uneven) {
        (true, _) => Finding::warning(Cause::PingSlow, format!("slow: {summary}"))
            .seen(format!("the TCP connection itself took {}", time(network)))
            .means(
                "The network is quicker than the answers, so the time is spent behind the first \
                 hop: a busy or blocked server, or a long way between proxy and server.",
            )
            .todo("Look at the server's CPU and at what blocks its event loop."),
        (_, true) => Finding::warning(Cause::PingUneven, format!("uneven: {summary}"))
            .means(
                "Most answers are quick and some are not: a server that pauses (garbage \
                 collection, a blocking call, a noisy neighbour), or packets lost and sent again.",
            )
            .todo(
                "Repeat with --pings 100 at different hours; look at packet loss (mtr) and at \
                 pauses of the server.",
            ),
        _ => Finding::ok(Step::Pings, summary),
    };
    finding
        .fact("answered", trips.len())
        .fact(
            "round_trips_ms",
            trips
                .iter()
                .map(|trip| milliseconds(*trip))
                .collect::<Vec<_>>(),
        )
        .fact("jitter_ms", milliseconds(jitter))
        .fact(
            "percentiles_ms",
            json!({
                "min": milliseconds(percentile(&sorted, 0)),
                "p50": milliseconds(median),
                "p90": milliseconds(percentile(&sorted, 90)),
                "p99": milliseconds(high),
                "max": milliseconds(percentile(&sorted, 100)),
            }),
        )
}

/// What is noticed by people.
const SLOW: Duration = Duration::from_millis(100);

/// The smallest that is not exceeded by this many of a hundred (nearest rank).
fn percentile(sorted: &[Duration], hundredth: usize) -> Duration {
    let rank = (sorted.len() * hundredth).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// How much one differs from the one before, on average.
fn jitter(trips: &[Duration]) -> Duration {
    let differences = trips.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
    let n = u32::try_from(trips.len().saturating_sub(1)).unwrap_or(u32::MAX);
    differences.sum::<Duration>() / n.max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{jitter, judge, percentile};
    use crate::cli::diagnose::cause::Cause;

    fn ms(all: &[u64]) -> Vec<Duration> {
        all.iter().map(|ms| Duration::from_millis(*ms)).collect()
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let ten = ms(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        for (hundredth, value) in [(0, 1), (50, 5), (90, 9), (99, 10), (100, 10)] {
            assert_eq!(percentile(&ten, hundredth), Duration::from_millis(value));
        }
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn jitter_is_the_mean_difference() {
        assert_eq!(
            jitter(&ms(&[10, 20, 10, 40])),
            Duration::from_nanos(16_666_666)
        );
        assert_eq!(jitter(&ms(&[10])), Duration::ZERO);
    }

    #[test]
    fn slow_is_slower_than_the_network() {
        let far = Duration::from_millis(150);
        let cause = |trips: &[u64], network| judge(&ms(trips), network).cause;
        assert_eq!(cause(&[160, 170, 180], far), None);
        assert_eq!(
            cause(&[160, 170, 180], Duration::ZERO),
            Some(Cause::PingSlow)
        );
        assert_eq!(
            cause(&[1, 1, 1, 1, 300], Duration::ZERO),
            Some(Cause::PingUneven)
        );
    }
}
