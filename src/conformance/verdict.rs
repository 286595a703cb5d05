//! What a case found, in Autobahn's words.
//!
//! The first verdict is about what the peer answered, the second about how the connection ended.

use std::fmt;
use std::time::Duration;

/// The verdict on a peer's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Behavior {
    /// As the document says.
    Ok,
    /// Allowed, and not the best.
    NonStrict,
    /// The document leaves it open.
    Informational,
    /// The peer lacks what the case is about, which it may.
    Unimplemented,
    /// Against the document.
    Failed,
}

impl Behavior {
    /// Autobahn's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NonStrict => "NON-STRICT",
            Self::Informational => "INFORMATIONAL",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Failed => "FAILED",
        }
    }
}

impl fmt::Display for Behavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The verdict on the end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BehaviorClose {
    /// As expected.
    Ok,
    /// The document leaves it open.
    Informational,
    /// The peer's Close frame had a code that does not fit.
    WrongCode,
    /// A Close frame is missing.
    Unclean,
    /// The server should have dropped the connection, and we, the client, had to.
    FailedByClient,
    /// The wrong end closed, or none.
    Failed,
}

impl BehaviorClose {
    /// Autobahn's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Informational => "INFORMATIONAL",
            Self::WrongCode => "WRONG CODE",
            Self::Unclean => "UNCLEAN",
            Self::FailedByClient => "FAILED BY CLIENT",
            Self::Failed => "FAILED",
        }
    }
}

impl fmt::Display for BehaviorClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Both verdicts on a peer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// On what it answered.
    pub behavior: Behavior,
    /// On how the connection ended.
    pub behavior_close: BehaviorClose,
    /// Why, in a sentence.
    pub result: String,
    /// Why of the end, in a sentence.
    pub result_close: String,
    /// The code of our Close frame, if we sent one that has a code.
    pub local_close_code: Option<u16>,
    /// The reason of our Close frame.
    pub local_close_reason: Option<String>,
    /// The code of the peer's Close frame, if it sent one that has a code.
    pub remote_close_code: Option<u16>,
    /// The reason of the peer's Close frame; bytes that are not UTF-8 are replaced.
    pub remote_close_reason: Option<String>,
    /// Whether our Close frame came first.
    pub closed_by_us: bool,
    /// Whether we dropped the connection, since the peer did not in time.
    pub dropped_by_us: bool,
    /// Whether both Close frames were exchanged.
    pub clean: bool,
    /// Whether the opening handshake was completed.
    pub opened: bool,
    /// From the first call to the end.
    pub duration: Duration,
}

impl Outcome {
    /// Whether there is nothing to complain of: both verdicts are OK or informational.
    #[must_use]
    pub fn passed(&self) -> bool {
        matches!(self.behavior, Behavior::Ok | Behavior::Informational)
            && matches!(
                self.behavior_close,
                BehaviorClose::Ok | BehaviorClose::Informational
            )
    }
}
