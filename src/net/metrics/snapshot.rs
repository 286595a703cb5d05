//! The numbers at one moment.
//!
//! Labels come from fixed lists, whatever peers do: none grows with what they send.

use std::collections::BTreeMap;

use crate::net::end::{End, EndWhy};
use crate::net::metrics::histogram::Distribution;
use crate::proto::{CloseCode, Party, Role};

/// What the loops of a group have counted since they began. Its `Display` is the text format of
/// Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The connections that are open.
    pub connections: ByRole,
    /// Those that were opened, these and others.
    pub opened: ByRole,
    /// How those that were open have ended.
    pub ends: BTreeMap<Verdict, u64>,
    /// What came of each opening handshake, and of each request for a page.
    pub handshakes: BTreeMap<HandshakeOutcome, u64>,
    /// How long the accepted handshakes took, from the accept or from the first attempt on.
    pub handshake: Distribution,
    /// The sockets that were accepted.
    pub accepts: u64,
    /// The accepts that failed, as they do when descriptors are used up.
    pub accept_failures: u64,
    /// The messages that were received whole.
    pub messages_received: ByKind,
    /// The messages that were queued to be sent; one in fragments counts from its first.
    pub messages_sent: ByKind,
    /// The messages that were compressed. One that many peers
    /// [share](crate::proto::Prepared) counts once.
    pub messages_compressed: u64,
    /// The bytes that were read from sockets, above TLS; handshakes are among them.
    pub bytes_received: u64,
    /// The bytes that sockets took.
    pub bytes_sent: u64,
    /// The bytes that wait to be sent, after the last turn of each connection.
    pub queued_bytes: u64,
    /// The connections that have any.
    pub queued_connections: u64,
    /// The messages of other threads that wait for the loops.
    pub mailbox_letters: u64,
    /// The topics that have subscribers; one with subscribers in several loops counts for each.
    pub topics: u64,
    /// The subscriptions.
    pub subscriptions: u64,
    /// The publications to topics that had subscribers; to several loops, for each of them.
    pub publications: u64,
    /// The publications that were not queued for a subscriber, because it reads too slowly.
    pub publications_dropped: u64,
    /// The publications that did not come to the subscribers of a loop, because its mailbox was
    /// full.
    pub publications_lost: u64,
    /// How long our Pings were under way until they were answered.
    pub round_trip: Distribution,
}

/// A number for each role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByRole {
    /// We are the server.
    pub server: u64,
    /// We are the client.
    pub client: u64,
}

/// A number for each kind of message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByKind {
    /// Text.
    pub text: u64,
    /// Binary.
    pub binary: u64,
}

/// How a connection ended, in labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verdict {
    /// What we were: `server` or `client`.
    pub role: &'static str,
    /// Why: [`EndWhy::label`].
    pub why: &'static str,
    /// Who ended it: `us`, `peer`, or empty.
    pub by: &'static str,
    /// The close code: its number if the registry knows it, else `3xxx` or `4xxx`; or empty.
    pub code: &'static str,
}

/// What an opening handshake came to, in labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandshakeOutcome {
    /// What we were: `server` or `client`.
    pub role: &'static str,
    /// `accepted`, or [`EndWhy::label`].
    pub outcome: &'static str,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
}

impl Verdict {
    pub(super) fn of(end: &End) -> Self {
        Self {
            role: role(end.role),
            why: end.why.label(),
            by: match end.by() {
                Some(Party::Us) => "us",
                Some(Party::Peer) => "peer",
                None => "",
            },
            code: end.code().map_or("", code),
        }
    }
}

impl HandshakeOutcome {
    pub(super) fn accepted(role: Role) -> Self {
        Self {
            role: self::role(role),
            outcome: "accepted",
            status: Some(101),
        }
    }

    pub(super) fn of(end: &End) -> Self {
        Self {
            role: role(end.role),
            outcome: end.why.label(),
            status: match &end.why {
                EndWhy::Refused { status } | EndWhy::Page { status } => Some(*status),
                _ => None,
            },
        }
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Server => "server",
        Role::Client => "client",
    }
}

/// A label of a code: peers can choose among thousands.
const fn code(code: CloseCode) -> &'static str {
    match code.number() {
        1000 => "1000",
        1001 => "1001",
        1002 => "1002",
        1003 => "1003",
        1007 => "1007",
        1008 => "1008",
        1009 => "1009",
        1010 => "1010",
        1011 => "1011",
        1012 => "1012",
        1013 => "1013",
        1014 => "1014",
        3000..=3999 => "3xxx",
        _ => "4xxx",
    }
}
