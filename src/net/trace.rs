//! What the log says of one connection: who it is, how long it lasted, and how much passed.
//!
//! Nothing of it is kept, counted or spelled out unless somebody listens: counts, if events of
//! level INFO are wanted, and spans, if those of level DEBUG are. A connection without a listener
//! has none of this, and its messages pay for nothing.

use std::cell::RefCell;
use std::fmt;
use std::time::{Duration, Instant};

use tracing::{Level, Span, debug_span, enabled};

use crate::net::metrics::Mark;
use crate::net::peer::{ConnectionId, Link};
use crate::proto::Role;

/// What is known of a connection for the log.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// What the handler said of the request.
    pub(super) note: Note,
    tally: Option<Tally>,
    /// Of the handshake, and then of the session.
    span: Option<Span>,
}

/// What a handler says of a request, for the log.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// Who it is.
    subject: RefCell<Option<Box<str>>>,
    /// Why it is refused.
    reason: RefCell<Option<Box<str>>>,
}

/// How much has passed over an open connection.
#[derive(Debug)]
struct Tally {
    since: Instant,
    sum: Mark,
    /// The bytes of the handshake's answer, which are sent only now.
    answer: u64,
}

/// A duration in seconds, with three digits behind the point: no unit changes within a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasted(Duration);

impl Note {
    pub(super) fn identify(&self, subject: &str) {
        write(&self.subject, subject);
    }

    pub(super) fn explain(&self, reason: &dyn fmt::Display) {
        write(&self.reason, reason);
    }

    pub(super) fn subject(&self) -> Option<String> {
        let subject = self.subject.borrow();
        subject.as_deref().map(str::to_owned)
    }

    pub(super) fn reason(&self) -> Option<String> {
        let reason = self.reason.borrow();
        reason.as_deref().map(str::to_owned)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subject.borrow().is_none() && self.reason.borrow().is_none()
    }
}

fn write(place: &RefCell<Option<Box<str>>>, text: impl fmt::Display) {
    if enabled!(target: "openline", Level::INFO) {
        place.replace(Some(text.to_string().into()));
    }
}

impl Trace {
    /// Adds what has passed in a turn of the connection.
    pub(super) fn add(&mut self, passed: Mark) {
        if let Some(tally) = &mut self.tally {
            tally.sum = tally.sum + passed;
        }
    }

    /// Enters the span, if there is one, until what is returned is dropped.
    pub(super) fn enter(&self) -> Option<tracing::span::EnteredSpan> {
        self.span.clone().map(Span::entered)
    }

    /// How long the connection has been open.
    pub(super) fn lasted(&self, now: Instant) -> Option<Lasted> {
        let since = self.tally.as_ref()?.since;
        Some(Lasted(now.saturating_duration_since(since)))
    }

    /// What has passed since it was open.
    pub(super) fn passed(&self) -> Option<Mark> {
        self.tally.as_ref().map(|tally| Mark {
            bytes_sent: tally.sum.bytes_sent.saturating_sub(tally.answer),
            ..tally.sum
        })
    }
}

impl Link {
    /// The handshake begins.
    pub(super) fn trace_handshake(&mut self, id: ConnectionId, role: Role) {
        let span = debug_span!(
            target: "openline",
            "handshake",
            connection = %id, peer = %self.address, ?role
        );
        if !span.is_disabled() {
            self.extras().trace.span = Some(span);
        }
    }

    /// The connection is open, with so many bytes of its handshake still to be sent.
    pub(super) fn trace_session(
        &mut self,
        id: ConnectionId,
        role: Role,
        now: Instant,
        queued: usize,
    ) {
        if enabled!(target: "openline", Level::INFO) {
            self.extras().trace.tally = Some(Tally {
                since: now,
                sum: Mark::default(),
                answer: queued as u64,
            });
        }
        let subject = self.subject();
        let span = debug_span!(
            target: "openline",
            "session",
            connection = %id, peer = %self.address, ?role, subject
        );
        if !span.is_disabled() {
            self.extras().trace.span = Some(span);
        }
    }

    /// Who it is, if the handler said so.
    pub(super) fn subject(&self) -> Option<String> {
        self.extras.as_ref()?.trace.note.subject()
    }

    /// The handler has said something of the request.
    pub(super) fn note(&mut self, note: Note) {
        if !note.is_empty() {
            self.extras().trace.note = note;
        }
    }
}

impl fmt::Display for Lasted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}
