//! What a step found, what that means and what to do: three things, kept apart.
//!
//! `seen` holds only what was observed; what is concluded from it stands in `summary`, `means`
//! and `culprit`. The texts may hold bytes of the peer's: whoever shows them neutralises them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cli::diagnose::cause::{Cause, Culprit, Step};

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    /// It works, and yet there is something to look at.
    Warning,
    Failed,
    /// Not looked at, and why not is in the summary.
    Skipped,
}

impl Outcome {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The report of one step.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) step: Step,
    pub(super) outcome: Outcome,
    /// Of a failure or a warning.
    pub(super) cause: Option<Cause>,
    pub(super) culprit: Option<Culprit>,
    /// The conclusion, in a line.
    pub(super) summary: String,
    /// The observations, a line each.
    pub(super) seen: Vec<String>,
    /// Why that is a problem, and who makes it.
    pub(super) means: String,
    /// The first is the most likely to help.
    pub(super) todo: Vec<String>,
    pub(super) took: Duration,
    /// The observations, for programs.
    pub(super) facts: Map<String, Value>,
}

impl Finding {
    pub(super) fn ok(step: Step, summary: impl Into<String>) -> Self {
        Self {
            step,
            outcome: Outcome::Ok,
            cause: None,
            culprit: None,
            summary: summary.into(),
            seen: Vec::new(),
            means: String::new(),
            todo: Vec::new(),
            took: Duration::ZERO,
            facts: Map::new(),
        }
    }

    pub(super) fn skipped(step: Step, summary: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Skipped,
            ..Self::ok(step, summary)
        }
    }

    pub(super) fn failed(cause: Cause, summary: impl Into<String>) -> Self {
        Self::ok(cause.step(), summary).becomes(Outcome::Failed, cause)
    }

    pub(super) fn warning(cause: Cause, summary: impl Into<String>) -> Self {
        Self::ok(cause.step(), summary).becomes(Outcome::Warning, cause)
    }

    fn becomes(self, outcome: Outcome, cause: Cause) -> Self {
        Self {
            outcome,
            cause: Some(cause),
            culprit: Some(cause.culprit()),
            ..self
        }
    }

    pub(super) fn is_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }

    /// Adds an observation.
    pub(super) fn seen(mut self, line: impl Into<String>) -> Self {
        self.seen.push(line.into());
        self
    }

    /// Adds several.
    pub(super) fn seen_all(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.seen.extend(lines);
        self
    }

    pub(super) fn means(mut self, text: impl Into<String>) -> Self {
        self.means = text.into();
        self
    }

    /// Adds something to do.
    pub(super) fn todo(mut self, text: impl Into<String>) -> Self {
        self.todo.push(text.into());
        self
    }

    pub(super) fn blames(mut self, culprit: Culprit) -> Self {
        self.culprit = Some(culprit);
        self
    }

    pub(super) fn took(mut self, took: Duration) -> Self {
        self.took = took;
        self
    }

    /// Adds an observation for programs.
    pub(super) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// As the document of `--json` has it.
    pub(super) fn json(&self) -> Value {
        json!({
            "step": self.step.name(),
            "outcome": self.outcome.name(),
            "cause": self.cause.map(Cause::name),
            "culprit": self.culprit.map(Culprit::name),
            "summary": self.summary,
            "seen": self.seen,
            "means": self.means,
            "do": self.todo,
            "milliseconds": milliseconds(self.took),
            "facts": self.facts,
        })
    }
}

/// With three decimals, which is as much as a clock of ours is worth.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// A time as people say it: `0.4 ms`, `12 ms`, `1.5 s`, `2 min 5 s`.
pub(super) fn time(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        _ if ms < 10.0 => format!("{ms:.1} ms"),
        _ if ms < 1000.0 => format!("{ms:.0} ms"),
        _ if ms < 59_950.0 => format!("{:.1} s", ms / 1e3).replace(".0 s", " s"),
        _ => {
            let seconds = (ms / 1e3).round();
            match (seconds / 60.0, seconds % 60.0) {
                (minutes, 0.0) => format!("{} min", minutes.trunc()),
                (minutes, seconds) => format!("{} min {seconds} s", minutes.trunc()),
            }
        }
    }
}

/// `1 address`, `2 addresses`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        _ => format!("{n} {many}"),
    }
}

/// The beginning of a text, where it is too long to show.
pub(super) fn shorten(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{shorten, time};

    #[test]
    fn times_are_said_as_people_do() {
        for (ms, said) in [
            (0.04, "0.0 ms"),
            (0.44, "0.4 ms"),
            (12.3, "12 ms"),
            (1000.0, "1 s"),
            (1540.0, "1.5 s"),
            (60_000.0, "1 min"),
            (125_000.0, "2 min 5 s"),
        ] {
            assert_eq!(time(Duration::from_secs_f64(ms / 1e3)), said);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten("héllo", 5), "héllo");
        assert_eq!(shorten("héllo", 2), "hé…");
    }
}
