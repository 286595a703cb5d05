//! What passed on each connection, as records for the tab whose wire it is.
//!
//! Only tabs' connections, and those of the peers that they ask for, are recorded; of others the
//! bytes are counted. A tab's records wait until it follows them over a second connection.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use openline::inspect::{Conversation, Item, Limits, Sides, Start, json};
use openline::net::ConnectionId;
use openline::proto::Role;
use serde_json::{Value, json};

use crate::cli::demo::room::Post;

/// What is known of every connection, and of those that ended a moment ago.
#[derive(Debug, Default)]
pub(super) struct Wires {
    wires: HashMap<ConnectionId, Wire>,
    /// Who follows the wire of a tab.
    followers: HashMap<ConnectionId, ConnectionId>,
    /// The bytes that each tab's polls have cost.
    polled: HashMap<ConnectionId, u64>,
}

#[derive(Debug)]
struct Wire {
    what: What,
    start: Instant,
    conversation: Conversation,
    /// Records that cannot be told yet: what the connection is for is not known, or nobody
    /// follows it.
    backlog: VecDeque<Value>,
    /// What passed in both directions.
    size: u64,
    end: Option<(Instant, String)>,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Its request has not come yet.
    Unknown,
    /// A tab's own.
    Tab,
    /// Of a peer that this tab asked for.
    Peer(ConnectionId),
    /// It tells a tab of its wire, or fetches a page; perhaps for this tab.
    Other(Option<ConnectionId>),
}

impl Wires {
    /// Bytes passed; gives the records that they complete, and whom they are for.
    pub(super) fn pass(&mut self, id: ConnectionId, sender: Role, bytes: &[u8]) -> Vec<Post> {
        let wire = self.wires.entry(id).or_insert_with(Wire::new);
        wire.size += bytes.len() as u64;
        if let What::Other(_) = wire.what {
            return Vec::new();
        }
        let at = wire.start.elapsed().as_secs_f64();
        for item in wire.conversation.push(sender, bytes) {
            let board = is_of_board(&item);
            let record = json!({"at": at, "board": board, "item": json::item(&item)});
            wire.backlog.push_back(record);
        }
        self.post(id)
    }

    /// The request has come that says what the connection is for.
    pub(super) fn know(&mut self, id: ConnectionId, what: What) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.what = what;
        }
    }

    /// `follower` is told of the wire of `tab` from now on, and of what was there before.
    pub(super) fn follow(&mut self, tab: ConnectionId, follower: ConnectionId) -> Vec<Post> {
        self.followers.insert(tab, follower);
        self.post(tab)
    }

    /// A connection has ended; the last bytes of the server may be yet to come.
    pub(super) fn end(&mut self, id: ConnectionId, why: String) {
        self.followers.retain(|_, follower| *follower != id);
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.end = Some((Instant::now(), why));
        }
    }

    /// Tells the ends that are told late enough, and forgets those connections.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Post> {
        let over: Vec<_> = self
            .wires
            .iter()
            .filter(|(_, wire)| {
                let end = wire.end.as_ref();
                end.is_some_and(|(at, _)| now.duration_since(*at) >= LAST_BYTES)
            })
            .map(|(id, _)| *id)
            .collect();
        let mut posts = Vec::new();
        for id in over {
            if let Some(wire) = self.wires.get_mut(&id)
                && let Some((at, why)) = &wire.end
            {
                let at = at.duration_since(wire.start).as_secs_f64();
                wire.backlog.push_back(json!({"at": at, "end": why}));
                posts.extend(self.post(id));
            }
            if let Some(wire) = self.wires.remove(&id)
                && let What::Other(Some(tab)) = wire.what
            {
                *self.polled.entry(tab).or_default() += wire.size;
            }
            self.followers.remove(&id);
            self.polled.remove(&id);
        }
        posts
    }

    /// The bytes that the tab's polls have cost so far.
    pub(super) fn polled(&self, tab: ConnectionId) -> u64 {
        self.polled.get(&tab).copied().unwrap_or_default()
    }

    /// The bytes that passed on a connection, its opening handshake included.
    pub(super) fn size(&self, id: ConnectionId) -> u64 {
        self.wires.get(&id).map_or(0, |wire| wire.size)
    }

    /// The connections that are open.
    pub(super) fn open(&self) -> usize {
        self.wires
            .values()
            .filter(|wire| wire.end.is_none())
            .count()
    }

    /// The records of a connection that can be told by now.
    fn post(&mut self, id: ConnectionId) -> Vec<Post> {
        let Some(wire) = self.wires.get_mut(&id) else {
            return Vec::new();
        };
        let (tab, who) = match wire.what {
            What::Tab => (id, "tab"),
            What::Peer(tab) => (tab, "peer"),
            What::Unknown | What::Other(_) => return Vec::new(),
        };
        let Some(to) = self.followers.get(&tab).copied() else {
            let excess = wire.backlog.len().saturating_sub(BACKLOG_MAX);
            wire.backlog.drain(..excess);
            return Vec::new();
        };
        let records = wire.backlog.drain(..).map(|mut record| {
            record["who"] = who.into();
            Post {
                to,
                text: record.to_string(),
            }
        });
        records.collect()
    }
}

impl Wire {
    fn new() -> Self {
        Self {
            what: What::Unknown,
            start: Instant::now(),
            conversation: Conversation::new(Sides::Both, Start::Handshake, LIMITS),
            backlog: VecDeque::new(),
            size: 0,
            end: None,
        }
    }
}

/// Whether this is a message of the dashboard, of which there is one a second.
fn is_of_board(item: &Item) -> bool {
    matches!(item, Item::Frame(frame) if frame.payload.starts_with(BOARD.as_bytes()))
}

/// How a message of the dashboard begins.
pub(super) const BOARD: &str = r#"{"type":"metrics""#;

/// How long the last bytes may take behind the end: the transport is taken down meanwhile.
const LAST_BYTES: Duration = Duration::from_millis(250);
/// The records that wait for a tab to follow them.
const BACKLOG_MAX: usize = 500;
/// What is shown of a payload is far less than what it may be.
const LIMITS: Limits = Limits {
    frame_kept_max: 1024,
    message_kept_max: 1024,
    head_size_max: 16 << 10,
};
