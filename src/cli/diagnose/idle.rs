//! The step of idleness: after which silence something cuts the connection, who does, and how
//! often to ping so that it does not.
//!
//! Several connections wait side by side: one is silent to the end, some are silent for a part
//! of the time and then asked whether they live (for what forgets a connection tells nobody), and
//! one is pinged all along, which tells a limit on silence from a limit on age.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::diagnose::cause::{Cause, Culprit, Step};
use crate::cli::diagnose::finding::{Finding, milliseconds, time};
use crate::cli::diagnose::open::{End, Heard, Open};
use crate::cli::diagnose::pings;

/// How a connection fared that waited.
#[derive(Debug)]
enum Fate {
    /// It lives: it answered a ping in the end.
    Lives {
        /// The longest time in which nothing passed.
        silence: Duration,
    },
    /// It ended while it waited.
    Cut { after: Duration, end: End },
    /// It seems to stand, and nothing comes back.
    Forgotten,
}

impl Fate {
    fn cut(start: Instant, end: End) -> Self {
        let after = start.elapsed();
        Self::Cut { after, end }
    }
}

/// The step: `open` waits for `hold`, and those that `more` opens wait beside it.
pub(super) fn check(
    open: &mut Open,
    hold: Duration,
    timeout: Duration,
    more: impl Fn() -> Option<Open> + Sync,
) -> Finding {
    let start = Instant::now();
    let interval = (hold / 20).clamp(Duration::from_millis(20), Duration::from_secs(15));
    // When the connection that is pinged may stop.
    let until = Mutex::new(None);
    let (fate, parts, pinged) = thread::scope(|scope| {
        let parts: Vec<_> = [8, 4, 2]
            .into_iter()
            .map(|part| hold / part)
            .filter(|silence| *silence >= Duration::from_millis(250))
            .map(|silence| {
                let more = &more;
                let wait = move || {
                    let mut open = more()?;
                    let fate = wait(&mut open, silence, timeout);
                    open.leave();
                    Some(fate)
                };
                (silence, scope.spawn(wait))
            })
            .collect();
        let (more, until) = (&more, &until);
        let pinged = scope.spawn(move || {
            let mut open = more()?;
            let fate = keep(&mut open, interval, timeout, until);
            open.leave();
            Some(fate)
        });
        let fate = wait(open, hold, timeout);
        let grace = match &fate {
            Fate::Cut { after, .. } => *after / 4 + interval * 2,
            _ => Duration::ZERO,
        };
        *until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + grace);
        let parts: Vec<_> = parts
            .into_iter()
            .filter_map(|(silence, part)| Some((silence, part.join().ok()??)))
            .collect();
        (fate, parts, pinged.join().ok().flatten())
    });
    let finding = match &fate {
        Fate::Lives { silence } => lives(hold, *silence),
        Fate::Cut { after, end } => cut(*after, end, interval, pinged.as_ref()),
        Fate::Forgotten => forgotten(hold, &parts, pinged.as_ref()),
    };
    finding
        .fact("hold_ms", milliseconds(hold))
        .took(start.elapsed())
}

/// Is silent for `silence` and then asks.
fn wait(open: &mut Open, silence: Duration, timeout: Duration) -> Fate {
    let start = open.passed();
    let mut longest = Duration::ZERO;
    loop {
        let last = open.passed();
        match open.next(start + silence) {
            Heard::Ended(end) => return Fate::cut(start, end),
            Heard::Quiet => break,
            // The server broke the silence, and a Ping of its is answered.
            _ => longest = longest.max(open.passed() - last),
        }
    }
    longest = longest.max(open.passed().elapsed());
    match pings::is_alive(open, timeout) {
        Ok(true) => Fate::Lives { silence: longest },
        Ok(false) => Fate::Forgotten,
        Err(end) => Fate::cut(start, end),
    }
}

/// Pings every `interval`, until it may stop.
fn keep(
    open: &mut Open,
    interval: Duration,
    timeout: Duration,
    until: &Mutex<Option<Instant>>,
) -> Fate {
    let start = Instant::now();
    loop {
        let next = Instant::now() + interval;
        while !matches!(open.next(next), Heard::Quiet | Heard::Ended(_)) && Instant::now() < next {}
        match pings::is_alive(open, timeout) {
            Ok(true) => {}
            Ok(false) => return Fate::Forgotten,
            Err(end) => return Fate::cut(start, end),
        }
        let until = *until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| until <= Instant::now()) {
            return Fate::Lives { silence: interval };
        }
    }
}

fn lives(hold: Duration, silence: Duration) -> Finding {
    let finding = match silence * 10 < hold * 9 {
        // What a timer is late by is no message.
        true => Finding::ok(
            Step::Idle,
            format!(
                "the connection outlives {}; the server is never silent for longer than {}",
                time(hold),
                time(silence)
            ),
        ),
        false => Finding::ok(
            Step::Idle,
            format!("the connection outlives {} of silence", time(hold)),
        ),
    };
    finding.fact("silence_ms", milliseconds(silence))
}

/// Something ended it, and showed that.
fn cut(after: Duration, end: &End, interval: Duration, pinged: Option<&Fate>) -> Finding {
    let said = time(after);
    let do_pings_help = match pinged {
        // It was pinged too seldom to tell.
        _ if after < interval * 2 => None,
        Some(Fate::Lives { .. }) => Some(true),
        Some(Fate::Cut { after: too, .. }) if too.abs_diff(after) < after / 4 + interval * 2 => {
            Some(false)
        }
        _ => None,
    };
    let advice = recommend(after / 2);
    let finding = match (do_pings_help, end) {
        (Some(false), _) => Finding::failed(
            Cause::AgeLimit,
            format!("the connection is ended after {said}, whether or not it is pinged"),
        )
        .means(
            "It is not about silence: connections may last only so long (a token that expires, a \
             limit of the gateway, a wait for a first message that did not come).",
        )
        .todo("Pings do not help. Have clients connect again, and raise or remove the limit.")
        .todo("If the server waits for a first message: give it by --send."),
        (_, End::Closed(..)) => Finding::failed(
            Cause::IdleClosed,
            format!("the server closes a connection after {said} of silence"),
        )
        .means(
            "A Close frame came, so this is the idle timeout of a WebSocket endpoint: the \
             server's own, or a gateway's that speaks WebSocket.",
        )
        .todo(format!("Ping at least every {}.", time(advice)))
        .todo("Or raise that idle timeout."),
        (_, End::Reset(_)) => Finding::failed(
            Cause::IdleDropped,
            format!("the connection is cut after {said} of silence"),
        )
        .blames(Culprit::Firewall)
        .means(
            "It was reset, without a Close frame: a firewall or load balancer with an idle \
             timeout mostly does that.",
        )
        .todo(format!("Ping at least every {}.", time(advice)))
        .todo("Or raise the idle timeout of the load balancer or firewall."),
        _ => Finding::failed(
            Cause::IdleDropped,
            format!("the connection is dropped after {said} of silence"),
        )
        .means(
            "No Close frame came, as one would from a WebSocket server in order: a proxy or load \
             balancer with an idle timeout does that (nginx: proxy_read_timeout, 60 s unless set; \
             AWS ALB: 60 s; HAProxy: timeout tunnel).",
        )
        .todo(format!(
            "Ping at least every {}, from either side.",
            time(advice)
        ))
        .todo("Or raise that timeout."),
    };
    let finding = finding.seen(format!("after {said}: {end}"));
    let finding = match (do_pings_help, pinged) {
        (Some(true), _) => finding.seen(format!(
            "a connection beside it, pinged every {}, lives on: pings help",
            time(interval)
        )),
        (Some(false), Some(Fate::Cut { after, end })) => finding.seen(format!(
            "a connection beside it, pinged every {}, ended after {}: {end}",
            time(interval),
            time(*after)
        )),
        _ => finding.seen(format!(
            "whether pings help was not to be seen; --hold {}s would show it",
            (after.as_secs() + 1) * 8
        )),
    };
    let finding = finding
        .fact("cut_after_ms", milliseconds(after))
        .fact("pings_help", do_pings_help);
    match do_pings_help {
        Some(false) => finding,
        _ => finding.fact("ping_interval_ms", milliseconds(advice)),
    }
}

/// It seems to stand, and nothing comes back.
fn forgotten(hold: Duration, parts: &[(Duration, Fate)], pinged: Option<&Fate>) -> Finding {
    let answered = parts
        .iter()
        .filter(|(_, fate)| matches!(fate, Fate::Lives { .. }))
        .map(|(silence, _)| *silence)
        .max();
    let dead = parts
        .iter()
        .filter(|(_, fate)| matches!(fate, Fate::Forgotten))
        .map(|(silence, _)| *silence)
        .min()
        .unwrap_or(hold);
    let advice = recommend(answered.unwrap_or(dead / 4));
    let between = match answered {
        Some(answered) => format!("more than {} and at most {}", time(answered), time(dead)),
        None => format!("at most {}", time(dead)),
    };
    if let Some(Fate::Forgotten | Fate::Cut { .. }) = pinged {
        return Finding::failed(
            Cause::AgeLimit,
            format!(
                "the connection goes dead within {}, whether or not it is pinged",
                time(hold)
            ),
        )
        .seen(format!("after {} a ping was not answered", time(hold)))
        .seen("a connection beside it that was pinged all along went dead as well")
        .means(
            "It is not about silence: after a time the server stops reading its connections, or \
             something on the way drops what it passed before.",
        )
        .todo("Look whether the server hangs at that time: its CPU, its threads, its log.")
        .fact("pings_help", false);
    }
    let finding = Finding::failed(
        Cause::IdleForgotten,
        format!("the connection is dead after {between} of silence, and nobody says so"),
    )
    .seen(format!(
        "after {} of silence a ping was not answered",
        time(hold)
    ))
    .means(
        "Neither end was told: an address translator (NAT) or firewall on the way forgot the \
         connection and drops what comes, or the server stopped reading it.",
    )
    .todo(format!("Ping at least every {}.", time(advice)))
    .todo("Have both ends give up a connection on which pings go unanswered.")
    .fact("dead_after_ms", milliseconds(dead))
    .fact("alive_after_ms", answered.map(milliseconds))
    .fact("ping_interval_ms", milliseconds(advice));
    match pinged {
        Some(Fate::Lives { .. }) => finding
            .seen("a connection beside it that was pinged lives on: pings help")
            .fact("pings_help", true),
        _ => finding.fact("pings_help", None::<bool>),
    }
}

/// An interval that people would write, at most this.
fn recommend(most: Duration) -> Duration {
    let ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    let step = match ms {
        0..=99 => 10,
        100..=999 => 50,
        1_000..=9_999 => 500,
        _ => 5_000,
    };
    Duration::from_millis((ms / step * step).max(10))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::recommend;

    #[test]
    fn an_interval_is_round_and_no_longer() {
        for (most, interval) in [
            (5, 10),
            (149, 100),
            (1_234, 1_000),
            (30_400, 30_000),
            (74_000, 70_000),
        ] {
            let recommended = recommend(Duration::from_millis(most));
            assert_eq!(recommended, Duration::from_millis(interval));
        }
    }
}
