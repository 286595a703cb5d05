//! Files of verdicts: known exceptions, and a baseline to compare with.
//!
//! Both have a line for each case or pattern of cases, `PATTERN VERDICT[/CLOSE]`, and `#` begins a
//! comment. Verdicts are Autobahn's words, in any case, with a dash for a blank: `NON-STRICT`,
//! `OK/WRONG-CODE`. Without a CLOSE, the end was OK.

use std::fs;
use std::path::Path;

use openline::conformance::{Behavior, BehaviorClose};

use crate::cli::conformance::record::{Grade, Record, Verdicts};
use crate::cli::conformance::selection::fits;

/// The lines of a file.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    number: usize,
    pattern: String,
    verdicts: Verdicts,
    met: bool,
    /// Whether a case of it was played at all.
    played: bool,
}

/// How an outcome differs from a baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The baseline does not have the case.
    New,
    /// It had these verdicts, in words, and the present ones are better or worse.
    Better(String),
    Worse(String),
    /// The present ones are otherwise, and worth the same.
    Other(String),
}

impl Exceptions {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or the first line that cannot be understood.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
        Self::parse(&text?).map_err(|error| format!("{}, {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let number = n + 1;
            // An id may have blanks and a # in it; a word of a comment begins with one.
            let words = line.split_whitespace();
            let mut words: Vec<_> = words.take_while(|word| !word.starts_with('#')).collect();
            let Some(verdicts) = words.pop() else {
                continue;
            };
            if words.is_empty() {
                return Err(format!(
                    "line {number}: a line is PATTERN VERDICT[/CLOSE], such as: 6.4.* NON-STRICT"
                ));
            }
            lines.push(Line {
                number,
                pattern: words.join(" "),
                verdicts: parse_verdicts(verdicts).map_err(|e| format!("line {number}: {e}"))?,
                met: false,
                played: false,
            });
        }
        Ok(Self { lines })
    }

    /// Whether the outcome is a known exception.
    pub(super) fn expects(&mut self, record: &Record) -> bool {
        let verdicts = record.verdicts();
        let mut expected = false;
        for line in &mut self.lines {
            if fits(&line.pattern, &record.case.id) {
                line.played = true;
                if line.verdicts == verdicts {
                    line.met = true;
                    expected = true;
                }
            }
        }
        expected
    }

    /// The exceptions that did not occur though their cases were played, each in a sentence.
    pub(super) fn stale(&self) -> Vec<String> {
        let stale = self.lines.iter().filter(|line| line.played && !line.met);
        stale
            .map(|line| {
                format!(
                    "line {}: {} is no longer {}",
                    line.number,
                    line.pattern,
                    line.verdicts.words()
                )
            })
            .collect()
    }

    /// How an outcome differs from this baseline; `None` if it does not.
    pub(super) fn change(&self, record: &Record) -> Option<Change> {
        let now = record.verdicts();
        let line = self
            .lines
            .iter()
            .find(|line| fits(&line.pattern, &record.case.id));
        let Some(then) = line.map(|line| line.verdicts) else {
            return Some(Change::New);
        };
        if then == now {
            return None;
        }
        let words = then.words();
        Some(match now.grade().cmp(&then.grade()) {
            std::cmp::Ordering::Less => Change::Better(words),
            std::cmp::Ordering::Greater => Change::Worse(words),
            std::cmp::Ordering::Equal => Change::Other(words),
        })
    }
}

impl Change {
    /// Whether it is for the worse: a case that the baseline does not have, when it fails.
    pub(super) fn is_worse(&self, grade: Grade) -> bool {
        match self {
            Self::New => grade == Grade::Failed,
            Self::Worse(_) => true,
            Self::Better(_) | Self::Other(_) => false,
        }
    }
}

/// A baseline of these outcomes, as a file.
pub(super) fn write_baseline(path: &Path, agent: &str, records: &[&Record]) -> Result<(), String> {
    let mut text = format!(
        "# The verdicts on {agent}, to compare with: CASE VERDICT/VERDICT-ON-THE-END\n",
        agent = crate::cli::terminal::neutralise(agent)
    );
    for record in records {
        let Verdicts { behavior, close } = record.verdicts();
        let words = format!("{behavior}/{close}").replace(' ', "-");
        text.push_str(&format!("{} {words}\n", record.case.id));
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse_verdicts(text: &str) -> Result<Verdicts, String> {
    let (behavior, close) = text.split_once('/').unwrap_or((text, "OK"));
    let is = |word: &str, given: &str| word.replace(' ', "-").eq_ignore_ascii_case(given);
    let behavior = BEHAVIORS.iter().find(|b| is(b.word(), behavior));
    let close = CLOSES.iter().find(|c| is(c.word(), close));
    match (behavior, close) {
        (Some(&behavior), Some(&close)) => Ok(Verdicts { behavior, close }),
        (None, _) => Err(format!(
            "{text}: a verdict is OK, NON-STRICT, INFORMATIONAL, UNIMPLEMENTED or FAILED"
        )),
        (_, None) => Err(format!(
            "{text}: a verdict on the end is OK, INFORMATIONAL, WRONG-CODE, UNCLEAN, \
             FAILED-BY-CLIENT or FAILED"
        )),
    }
}

const BEHAVIORS: [Behavior; 5] = [
    Behavior::Ok,
    Behavior::NonStrict,
    Behavior::Informational,
    Behavior::Unimplemented,
    Behavior::Failed,
];

const CLOSES: [BehaviorClose; 6] = [
    BehaviorClose::Ok,
    BehaviorClose::Informational,
    BehaviorClose::WrongCode,
    BehaviorClose::Unclean,
    BehaviorClose::FailedByClient,
    BehaviorClose::Failed,
];

#[cfg(test)]
mod tests {
    use openline::conformance::{Behavior, BehaviorClose, Vectors};

    use super::{Change, Exceptions};
    use crate::cli::conformance::record::{Grade, Record};

    fn record(id: &str, behavior: Behavior, close: BehaviorClose) -> Record {
        let case = Vectors::embedded().case(id).unwrap();
        let mut record = Record::unplayed(case, "");
        record.outcome.behavior = behavior;
        record.outcome.behavior_close = close;
        record
    }

    #[test]
    fn an_exception_is_expected_and_missed_when_it_is_gone() {
        let text = "# known\n6.4.* non-strict # late\n\n2.1 OK/WRONG-CODE\n9 FAILED\n";
        let mut file = Exceptions::parse(text).unwrap();
        let late = record("6.4.1", Behavior::NonStrict, BehaviorClose::Ok);
        assert!(file.expects(&late));
        assert!(!file.expects(&record("6.4.2", Behavior::Failed, BehaviorClose::Ok)));
        assert!(!file.expects(&record("2.1", Behavior::Ok, BehaviorClose::Ok)));
        assert_eq!(
            file.stale(),
            ["line 4: 2.1 is no longer OK, and at the end WRONG CODE"]
        );
    }

    #[test]
    fn a_line_that_cannot_be_understood_is_told() {
        for (text, error) in [
            ("6.4.1", "line 1: a line is"),
            ("\n6.4.1 GOOD", "line 2: GOOD: a verdict is"),
            ("6.4.1 OK/BAD", "line 1: OK/BAD: a verdict on the end is"),
        ] {
            let found = Exceptions::parse(text).unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
    }

    #[test]
    fn a_baseline_tells_what_changed() {
        let file = Exceptions::parse("1.1.1 OK/OK\n1.1.2 FAILED/OK\n1.1.3 OK/OK").unwrap();
        let change = |id, behavior| file.change(&record(id, behavior, BehaviorClose::Ok));
        assert_eq!(change("1.1.1", Behavior::Ok), None);
        let worse = change("1.1.1", Behavior::Failed).unwrap();
        assert_eq!(worse, Change::Worse("OK".to_owned()));
        assert!(worse.is_worse(Grade::Failed));
        let better = change("1.1.2", Behavior::Ok).unwrap();
        assert_eq!(better, Change::Better("FAILED".to_owned()));
        assert_eq!(change("2.1", Behavior::Ok), Some(Change::New));
    }
}
