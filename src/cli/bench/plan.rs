//! What a run is to do: the arguments, made ready for the threads that do it.

use std::time::Duration;

use openline::net::ConnectOptions;
use openline::proto::ClientRequest;

use crate::cli::bench::payload::Pattern;
use crate::cli::bench::size::Sizes;

/// What a run is to do.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) request: ClientRequest,
    pub(super) options: ConnectOptions,
    pub(super) mode: Mode,
    pub(super) connections: usize,
    pub(super) threads: usize,
    /// The most messages, or publications, that wait for their answers: of each connection, or of
    /// the publisher.
    pub(super) in_flight: usize,
    /// In the rate-limited mode: from one message of a connection to its next.
    pub(super) interval: Option<Duration>,
    pub(super) sizes: Sizes,
    pub(super) pattern: Pattern,
    pub(super) ramp: Duration,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// How long a server may leave everything unanswered.
    pub(super) timeout: Duration,
    pub(super) spins: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Messages that come back to their sender.
    Echo,
    /// Messages of the first connection that come to all of them.
    Broadcast,
    /// Connections that say nothing.
    Idle,
    /// Connections that are opened, closed, and opened again.
    Handshakes,
}

impl Mode {
    /// Its name, as the report has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Broadcast => "broadcast",
            Self::Idle => "idle",
            Self::Handshakes => "handshakes",
        }
    }
}
