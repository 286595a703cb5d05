//! What is shown while cases are played and at their end, and what it adds up to.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use openline::conformance::Behavior;
use serde_json::json;

use crate::cli::conformance::exceptions::{Change, Exceptions};
use crate::cli::conformance::record::{Grade, Record};
use crate::cli::terminal::{neutralise, neutralise_json};

/// Counts outcomes and shows them.
#[derive(Debug)]
pub(super) struct Tally {
    bar: ProgressBar,
    plain: bool,
    json: bool,
    strict: bool,
    counts: [usize; 5],
    /// Outcomes that count against the peer.
    wrong: usize,
    /// How many are known exceptions.
    expected: usize,
    expect: Option<Exceptions>,
    baseline: Option<Exceptions>,
    shown: Instant,
    total: u64,
}

/// How a tally is shown and what it is held against.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) json: bool,
    pub(super) strict: bool,
    pub(super) expect: Option<Exceptions>,
    pub(super) baseline: Option<Exceptions>,
}

impl Tally {
    pub(super) fn new(total: usize, rules: Rules) -> Self {
        let plain = !io::stderr().is_terminal();
        let total = total as u64;
        let bar = match plain {
            true => ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden()),
            false => ProgressBar::new(total),
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}") {
            bar.set_style(style);
        }
        Self {
            bar,
            plain,
            json: rules.json,
            strict: rules.strict,
            counts: [0; 5],
            wrong: 0,
            expected: 0,
            expect: rules.expect,
            baseline: rules.baseline,
            shown: Instant::now(),
            total,
        }
    }

    /// Takes an outcome in, and tells of it if there is something to tell.
    pub(super) fn add(&mut self, record: &Record, agent: Option<&str>) {
        self.counts[place(record.outcome.behavior)] += 1;
        let grade = record.verdicts().grade();
        let expected = self
            .expect
            .as_mut()
            .is_some_and(|file| file.expects(record));
        let change = self.baseline.as_ref().map(|file| file.change(record));
        let is_wrong = match &change {
            _ if expected => false,
            Some(None) => false,
            Some(Some(change)) => change.is_worse(grade),
            None => grade == Grade::Failed || self.strict && grade == Grade::NonStrict,
        };
        self.wrong += usize::from(is_wrong);
        self.expected += usize::from(expected);
        if self.json {
            self.write_json(record, agent, is_wrong);
        } else {
            let note = match change {
                Some(None) => None,
                Some(Some(Change::New)) if !is_wrong => None,
                Some(Some(Change::New)) => Some("; the baseline does not have it".to_owned()),
                Some(Some(Change::Better(was))) => Some(format!("; better: it was {was}")),
                Some(Some(Change::Worse(was))) => Some(format!("; worse: it was {was}")),
                Some(Some(Change::Other(was))) => Some(format!("; it was {was}")),
                None if grade >= Grade::NonStrict && !expected => Some(String::new()),
                None => None,
            };
            if let Some(note) = note {
                self.tell(record, agent, &note);
            }
        }
        self.bar.inc(1);
        self.bar.set_message(self.words());
        let done = self.bar.position();
        if self.plain && !self.json && self.shown.elapsed() > PLAIN_INTERVAL && done < self.total {
            self.shown = Instant::now();
            let _ = writeln!(io::stderr(), "{done} of {}: {}", self.total, self.words());
        }
    }

    fn tell(&self, record: &Record, agent: Option<&str>, note: &str) {
        let outcome = &record.outcome;
        let whose = agent.map_or_else(String::new, |agent| format!("{agent}: "));
        let is_end =
            outcome.behavior != Behavior::Failed && record.verdicts().grade() == Grade::Failed;
        let why = if is_end {
            &outcome.result_close
        } else {
            &outcome.result
        };
        let text = format!(
            "{whose}{} {}{note}\n    {} ({})\n    {why}",
            record.case.id,
            record.verdicts().words(),
            record.case.title,
            record.case.rfc,
        );
        let lines: Vec<_> = text.lines().map(neutralise).collect();
        self.bar.suspend(|| {
            // Whoever does not listen misses it.
            let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
        });
    }

    /// Tells of what is no outcome.
    pub(super) fn note(&self, what: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "note: {}", neutralise(what));
        });
    }

    fn write_json(&self, record: &Record, agent: Option<&str>, is_wrong: bool) {
        let outcome = &record.outcome;
        let line = json!({
            "agent": agent,
            "case": record.case.id,
            "title": record.case.title,
            "rfc": record.case.rfc,
            "behavior": outcome.behavior.word(),
            "behaviorClose": outcome.behavior_close.word(),
            "result": outcome.result,
            "resultClose": outcome.result_close,
            "remoteCloseCode": outcome.remote_close_code,
            "milliseconds": millis(outcome.duration),
            "wrong": is_wrong,
        });
        self.bar.suspend(|| {
            let _ = writeln!(io::stdout(), "{}", neutralise_json(&line.to_string()));
        });
    }

    fn words(&self) -> String {
        let counts = BEHAVIORS.iter().zip(self.counts);
        let said: Vec<_> = counts
            .filter(|(_, count)| *count > 0)
            .map(|(behavior, count)| format!("{count} {behavior}"))
            .collect();
        said.join(", ")
    }

    /// Says what it adds up to; answers how many outcomes count against the peer.
    pub(super) fn finish(mut self, seconds: Duration) -> usize {
        self.bar.finish_and_clear();
        let stale = self
            .expect
            .as_ref()
            .map_or_else(Vec::new, Exceptions::stale);
        if self.strict {
            self.wrong += stale.len();
        }
        if self.json {
            return self.wrong;
        }
        let mut out = io::stdout().lock();
        for sentence in &stale {
            let _ = writeln!(out, "{}", neutralise(sentence));
        }
        let played = self.counts.iter().sum::<usize>();
        let _ = write!(
            out,
            "{played} cases in {:.1} s: {}; ",
            seconds.as_secs_f64(),
            self.words()
        );
        if self.expected > 0 {
            let _ = write!(out, "{} known; ", self.expected);
        }
        let _ = match (self.wrong, self.baseline.is_some()) {
            (0, false) => writeln!(out, "nothing to complain of"),
            (0, true) => writeln!(out, "nothing worse than the baseline"),
            (n, false) => writeln!(out, "{n} to complain of"),
            (n, true) => writeln!(out, "{n} worse than the baseline"),
        };
        self.wrong
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn place(behavior: Behavior) -> usize {
    BEHAVIORS.iter().position(|b| *b == behavior).unwrap_or(0)
}

const BEHAVIORS: [Behavior; 5] = [
    Behavior::Ok,
    Behavior::NonStrict,
    Behavior::Informational,
    Behavior::Unimplemented,
    Behavior::Failed,
];

/// How often a log without a terminal hears how far it is.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
