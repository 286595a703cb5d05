//! What a run comes to: lines for people, an object for programs, and an exit code for scripts.

use std::fmt::Write as _;
use std::time::Duration;

use openline::proto::Party;
use serde_json::{Value, json};

use crate::cli::bench::conduct::Outcome;
use crate::cli::bench::plan::{Mode, Plan};
use crate::cli::bench::tally::{Failure, Stage};
use crate::cli::connect::Exit;
use crate::cli::terminal::neutralise;

/// The quantiles that are reported, by their names.
const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// What a run comes to.
pub(super) struct Report<'a> {
    pub(super) plan: &'a Plan,
    pub(super) is_text: bool,
    pub(super) wants_compression: bool,
    pub(super) outcome: &'a Outcome,
}

impl Report<'_> {
    /// What is wrong with it, in a word for programs and as an exit code.
    pub(super) fn verdict(&self) -> (&'static str, Exit) {
        let outcome = self.outcome;
        let tally = &outcome.tally;
        if outcome.fault.is_some() {
            return ("wrong-answer", Exit::Protocol);
        }
        if tally.opened == 0 {
            let first = tally.failures.values().next();
            return match first {
                Some(failure) => ("no-connection", failure.exit),
                None => ("interrupted", Exit::Failure),
            };
        }
        if outcome.stalled.is_some() {
            return ("stalled", Exit::Abnormal);
        }
        if !tally.failures.is_empty() {
            return ("connections-lost", Exit::Abnormal);
        }
        if tally.unanswered > 0 {
            return ("unanswered", Exit::Abnormal);
        }
        ("ok", Exit::Clean)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let (plan, outcome) = (self.plan, self.outcome);
        let tally = &outcome.tally;
        let mut text = String::new();
        let mut line = |name: &str, what: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<13}{what}");
        };
        line("load", self.load());
        let opened = match outcome.opening {
            Some(opening) if plan.mode != Mode::Handshakes => {
                format!("{} opened in {}", tally.opened, span(opening))
            }
            _ => format!("{} opened", tally.opened),
        };
        line("connections", opened);
        let seconds = outcome.measured.as_secs_f64();
        let rate = |count: u64| {
            if seconds > 0.0 {
                count as f64 / seconds
            } else {
                0.0
            }
        };
        if plan.mode != Mode::Idle {
            let name = match plan.mode {
                Mode::Broadcast => "deliveries",
                Mode::Handshakes => "handshakes",
                _ => "messages",
            };
            let count = tally.messages;
            line(
                name,
                format!("{:.0}/s   ({count} in {seconds:.2} s)", rate(count)),
            );
        }
        if plan.mode == Mode::Broadcast {
            let count = tally.publications;
            line("publications", format!("{:.0}/s   ({count})", rate(count)));
        }
        if matches!(plan.mode, Mode::Echo | Mode::Broadcast) {
            line("payload", format!("{}/s each way", size(rate(tally.bytes))));
        }
        if !tally.latency.is_empty() {
            let quantiles = QUANTILES.map(|(name, quantile)| {
                format!(
                    "{name} {}",
                    nanos(tally.latency.value_at_quantile(quantile) as f64)
                )
            });
            let max = nanos(tally.latency.max() as f64);
            line("latency", format!("{}  max {max}", quantiles.join("  ")));
        }
        if tally.behind > 0 {
            line(
                "behind",
                format!(
                    "{} messages were due and not sent: the rate was not kept",
                    tally.behind
                ),
            );
        }
        if let Some(server) = outcome.server {
            let mut said = Vec::new();
            if let Some(cpu) = server.cpu_time {
                let what = match plan.mode {
                    Mode::Broadcast => "delivery",
                    Mode::Handshakes => "handshake",
                    _ => "message",
                };
                said.push(format!("{} of CPU time a {what}", nanos(cpu)));
            }
            if let Some(cores) = server.cores {
                said.push(share(cores));
            }
            if let Some(resident) = server.resident {
                said.push(format!("{} resident", size(resident as f64)));
            }
            if let Some(each) = server.resident_each {
                said.push(format!("{each:.0} bytes a connection"));
            }
            line("server", said.join(", "));
        }
        if let Some(cores) = outcome.generator_cores.filter(|_| !plan.spins) {
            line("generator", share(cores));
            let server = outcome.server.and_then(|server| server.cores);
            if plan.interval.is_none()
                && let Some(hint) = hint(plan.mode, cores / plan.threads as f64, server)
            {
                line("", hint.to_owned());
            }
        }
        self.faults(&mut line);
        text
    }

    /// What went wrong.
    fn faults(&self, line: &mut impl FnMut(&str, String)) {
        let outcome = self.outcome;
        let tally = &outcome.tally;
        for ((stage, label), failure) in &tally.failures {
            let Failure { count, said, .. } = failure;
            let what = match stage {
                Stage::Opening => "did not open",
                Stage::Open => "ended",
            };
            let said = neutralise(said);
            line("failed", format!("{count} {what}: {said} ({label})"));
        }
        if tally.opened == 0
            && tally
                .failures
                .keys()
                .any(|(_, label)| *label == "connect-failed")
        {
            line(
                "",
                "is the server running, and are host and port right?".to_owned(),
            );
        }
        if let Some(waiting) = outcome.stalled {
            let timeout = span(self.plan.timeout);
            line(
                "stalled",
                format!("nothing came for {timeout} while {waiting} messages were under way"),
            );
            if self.plan.mode == Mode::Broadcast {
                line(
                    "",
                    "does the server send to everyone what one sends?".to_owned(),
                );
            }
        } else if tally.unanswered > 0 {
            line("unanswered", format!("{} messages", tally.unanswered));
        }
        if self.wants_compression && tally.compressed < tally.opened {
            let without = tally.opened - tally.compressed;
            line("note", format!("{without} connections without compression"));
        }
        if let Some(fault) = &outcome.fault {
            line("wrong", neutralise(fault).to_string());
        }
    }

    fn load(&self) -> String {
        let plan = self.plan;
        let mut load = format!("{} connections", plan.connections);
        if matches!(plan.mode, Mode::Echo | Mode::Broadcast) {
            let kind = if self.is_text { "text" } else { "binary" };
            let sizes = match plan.sizes.to_string() {
                sizes if sizes.contains(|c: char| !c.is_ascii_digit()) => sizes,
                sizes => format!("{sizes} bytes"),
            };
            load += &format!(", {} in flight, {sizes} of {kind}", plan.in_flight);
            if let Some(rate) = self.rate() {
                load += &format!(", {rate:.0} messages/s wanted");
            }
        }
        if plan.threads > 1 {
            load += &format!(", {} threads", plan.threads);
        }
        format!("{}: {load}", plan.mode.name())
    }

    fn rate(&self) -> Option<f64> {
        let senders = match self.plan.mode {
            Mode::Broadcast => 1,
            _ => self.plan.connections,
        };
        let interval = self.plan.interval?;
        Some(senders as f64 / interval.as_secs_f64())
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let (plan, outcome) = (self.plan, self.outcome);
        let tally = &outcome.tally;
        let seconds = outcome.measured.as_secs_f64();
        let rate = |count: u64| (seconds > 0.0).then(|| count as f64 / seconds);
        let latency = (!tally.latency.is_empty()).then(|| {
            let micros = |nanos: u64| nanos as f64 / 1000.0;
            let mut latency = json!({
                "min": micros(tally.latency.min()),
                "mean": tally.latency.mean() / 1000.0,
                "max": micros(tally.latency.max()),
            });
            for (name, quantile) in QUANTILES {
                latency[name] = micros(tally.latency.value_at_quantile(quantile)).into();
            }
            latency
        });
        let failures = tally.failures.iter().map(|((stage, label), failure)| {
            json!({
                "stage": match stage { Stage::Opening => "opening", Stage::Open => "open" },
                "verdict": label,
                "by": failure.by.map(|by| match by { Party::Us => "us", Party::Peer => "peer" }),
                "count": failure.count,
                "said": failure.said,
            })
        });
        let server = outcome.server.map(|server| {
            json!({
                "cpu_us_per_message": server.cpu_time.map(|nanos| nanos / 1000.0),
                "cores": server.cores,
                "resident_bytes": server.resident,
                "bytes_per_connection": server.resident_each,
            })
        });
        json!({
            "verdict": self.verdict().0,
            "mode": plan.mode.name(),
            "url": plan.request.url().to_string(),
            "connections": plan.connections,
            "threads": plan.threads,
            "in_flight": plan.in_flight,
            "rate": self.rate(),
            "size": plan.sizes.to_string(),
            "kind": if self.is_text { "text" } else { "binary" },
            "opened": tally.opened,
            "opening_seconds": outcome.opening.map(|opening| opening.as_secs_f64()),
            "compressed": tally.compressed,
            "seconds": seconds,
            "messages": tally.messages,
            "messages_per_second": rate(tally.messages),
            "bytes": tally.bytes,
            "bytes_per_second": rate(tally.bytes),
            "publications": (plan.mode == Mode::Broadcast).then_some(tally.publications),
            "latency_us": latency,
            "unanswered": tally.unanswered,
            "behind": tally.behind,
            "failed_to_open": tally.failed(Stage::Opening),
            "lost": tally.failed(Stage::Open),
            "failures": failures.collect::<Vec<_>>(),
            "stalled": outcome.stalled,
            "fault": outcome.fault,
            "server": server,
            "generator_cores": outcome.generator_cores,
        })
    }
}

/// How much of the machine a process had.
fn share(cores: f64) -> String {
    match cores {
        ..1.005 => format!("{:.0} % of a core", cores * 100.0),
        _ => format!("{cores:.2} cores"),
    }
}

/// How the load might be made higher, given how many cores each thread of the generator, and the
/// server, kept busy in the closed loop.
fn hint(mode: Mode, thread: f64, server: Option<f64>) -> Option<&'static str> {
    match (mode, thread, server) {
        (Mode::Idle, ..) => None,
        // It has one thread, that all deliveries are counted in.
        (Mode::Broadcast, BUSY.., _) => Some("that is all it has: the server may do more"),
        (_, BUSY.., _) => Some("that is all it has: with more --threads the load may be higher"),
        (Mode::Handshakes, _, Some(..BUSY)) => Some(
            "neither it nor the server had all of a core: with more --connections the load may be \
             higher, unless others kept the cores busy",
        ),
        (_, _, Some(..BUSY)) => Some(
            "neither it nor the server had all of a core: with more --connections or --in-flight \
             the load may be higher, unless others kept the cores busy",
        ),
        _ => None,
    }
}

/// The part of a core that is as good as all of it.
const BUSY: f64 = 0.95;

fn span(span: Duration) -> String {
    nanos(span.as_nanos() as f64)
}

/// A time with three digits and its unit.
fn nanos(nanos: f64) -> String {
    let (value, unit) = match nanos {
        ..1e3 => return format!("{nanos:.0} ns"),
        ..1e6 => (nanos / 1e3, "µs"),
        ..1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    format!("{} {unit}", three(value))
}

/// A number of bytes with three digits and its unit.
fn size(bytes: f64) -> String {
    let (value, unit) = match bytes {
        ..1024.0 => return format!("{bytes:.0} B"),
        ..1_048_576.0 => (bytes / 1024.0, "KiB"),
        ..1_073_741_824.0 => (bytes / 1_048_576.0, "MiB"),
        _ => (bytes / 1_073_741_824.0, "GiB"),
    };
    format!("{} {unit}", three(value))
}

fn three(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Mode, hint, nanos, size};

    #[test]
    fn who_keeps_the_load_from_being_higher() {
        assert!(
            hint(Mode::Echo, 0.99, Some(0.99))
                .unwrap()
                .contains("--threads")
        );
        assert!(
            hint(Mode::Handshakes, 0.99, None)
                .unwrap()
                .contains("--threads")
        );
        assert!(
            hint(Mode::Echo, 0.5, Some(0.4))
                .unwrap()
                .contains("--in-flight")
        );
        // Options that there are.
        let handshakes = hint(Mode::Handshakes, 0.5, Some(0.4)).unwrap();
        assert!(!handshakes.contains("--in-flight"), "{handshakes}");
        let broadcast = hint(Mode::Broadcast, 0.99, None).unwrap();
        assert!(!broadcast.contains("--threads"), "{broadcast}");
        assert_eq!(hint(Mode::Idle, 0.0, Some(0.0)), None);
        // The server is at its limit, or nobody knows.
        assert_eq!(hint(Mode::Echo, 0.5, Some(0.97)), None);
        assert_eq!(hint(Mode::Echo, 0.5, Some(2.5)), None);
        assert_eq!(hint(Mode::Echo, 0.5, None), None);
    }

    #[test]
    fn three_digits_and_a_unit() {
        assert_eq!(nanos(999.0), "999 ns");
        assert_eq!(nanos(1_234.0), "1.23 µs");
        assert_eq!(nanos(56_780_000.0), "56.8 ms");
        assert_eq!(nanos(3_000_000_000.0), "3.00 s");
        assert_eq!(size(1023.0), "1023 B");
        assert_eq!(size(1536.0), "1.50 KiB");
        assert_eq!(size(2.0 * 1_073_741_824.0), "2.00 GiB");
    }
}
