//! What came of a case, and what that is worth.

use std::time::{Duration, SystemTime};

use openline::conformance::{Behavior, BehaviorClose, Case, Log, Logged, Outcome};

/// A case that was played.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) case: &'static Case,
    pub(super) outcome: Outcome,
    pub(super) log: Log,
    pub(super) started: SystemTime,
}

/// What an outcome is worth, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// Nothing to complain of.
    Passed,
    /// The peer lacks what it may lack.
    Unimplemented,
    /// Allowed, and not as it should be.
    NonStrict,
    /// Against the document, in the answers or in how the connection ended.
    Failed,
}

/// Both verdicts, as they stand in files of exceptions and baselines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdicts {
    pub(super) behavior: Behavior,
    pub(super) close: BehaviorClose,
}

impl Record {
    /// A case that could not even begin.
    pub(super) fn unplayed(case: &'static Case, why: &str) -> Self {
        let outcome = Outcome {
            behavior: Behavior::Failed,
            behavior_close: BehaviorClose::Failed,
            result: why.to_owned(),
            result_close: "There was no connection.".to_owned(),
            local_close_code: None,
            local_close_reason: None,
            remote_close_code: None,
            remote_close_reason: None,
            closed_by_us: false,
            dropped_by_us: false,
            clean: false,
            opened: false,
            duration: Duration::ZERO,
        };
        Self {
            case,
            outcome,
            log: Log::default(),
            started: SystemTime::now(),
        }
    }

    pub(super) fn verdicts(&self) -> Verdicts {
        Verdicts {
            behavior: self.outcome.behavior,
            close: self.outcome.behavior_close,
        }
    }

    /// Whether it failed and ran out of time: it may be the machine that was late.
    pub(super) fn is_late(&self) -> bool {
        let ended = |what: &Logged| matches!(what, Logged::Deadline | Logged::Dropped);
        self.verdicts().grade() == Grade::Failed
            && self.log.entries().iter().any(|entry| ended(&entry.what))
    }
}

impl Verdicts {
    pub(super) fn grade(self) -> Grade {
        use BehaviorClose as Close;
        match (self.behavior, self.close) {
            (Behavior::Failed, _) => Grade::Failed,
            (_, Close::WrongCode | Close::Unclean | Close::FailedByClient | Close::Failed) => {
                Grade::Failed
            }
            (Behavior::NonStrict, _) => Grade::NonStrict,
            (Behavior::Unimplemented, _) => Grade::Unimplemented,
            (Behavior::Ok | Behavior::Informational, Close::Ok | Close::Informational) => {
                Grade::Passed
            }
        }
    }

    /// In words, such as `OK` or `OK, and at the end UNCLEAN`.
    pub(super) fn words(self) -> String {
        match self.close {
            BehaviorClose::Ok | BehaviorClose::Informational => self.behavior.word().to_owned(),
            close => format!("{}, and at the end {}", self.behavior.word(), close.word()),
        }
    }
}

/// About how many bytes a case writes.
pub(super) fn weight(case: &Case) -> usize {
    fn of(steps: &[openline::conformance::Step]) -> usize {
        use openline::conformance::{Item, Step};
        steps
            .iter()
            .map(|step| match step {
                Step::Write(items, _) => items
                    .iter()
                    .map(|item| match item {
                        Item::Frame(frame) => 8 + frame.payload.len(),
                        Item::Raw(payload) => payload.len(),
                    })
                    .sum(),
                Step::Repeat(count, steps) => count * of(steps),
                _ => 0,
            })
            .sum()
    }
    of(&case.steps)
}
