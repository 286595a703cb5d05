//! The connections of a capture: which they are, who is the client, what they say.
//!
//! Each connection is told apart by its addresses and its SYN. The bytes of both directions go,
//! as the capture has them, to a [`Conversation`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use openline::inspect::{Conversation, Item, Limits, Sides, Start, guess_sender};
use openline::proto::Role;

use crate::cli::inspect::packet::Packet;
use crate::cli::inspect::tcp::{Counts, Direction, Piece};

/// What a connection turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Nothing was said yet.
    Unknown,
    WebSocket,
    /// HTTP without an upgrade to WebSocket.
    Http,
    /// Encrypted: nothing can be said without its keys.
    Tls,
    Other,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) number: usize,
    /// The two ends; the one of the first packet first.
    pub(super) ends: [SocketAddr; 2],
    /// Which end is the client.
    pub(super) client: Option<usize>,
    pub(super) nature: Nature,
    pub(super) begun: Duration,
    directions: [Direction; 2],
    /// What came before it was known who is the client, by end.
    early: Vec<(usize, Piece)>,
    conversation: Conversation,
    saw_syn: bool,
    fins: [bool; 2],
    is_over: bool,
}

/// Something that happened on a connection.
#[derive(Debug)]
pub(super) enum What {
    Item(Item),
    /// The connection is over.
    End,
}

impl Flow {
    /// The client's address and the server's.
    pub(super) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        let client = self.client.unwrap_or_default();
        (self.ends[client], self.ends[1 - client])
    }

    /// What was seen of the direction that this end sends.
    pub(super) fn counts(&self, sender: Role) -> Counts {
        let client = self.client.unwrap_or_default();
        let at = match sender {
            Role::Client => client,
            Role::Server => 1 - client,
        };
        self.directions[at].counts
    }

    /// What both sides agreed to.
    pub(super) fn conversation(&self) -> &Conversation {
        &self.conversation
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Flows {
    flows: Vec<Flow>,
    /// The present connection between two ends.
    present: HashMap<(SocketAddr, SocketAddr), usize>,
    limits: Limits,
}

impl Flows {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub(super) fn all(&self) -> &[Flow] {
        &self.flows
    }

    /// Takes a packet; gives which connection it is of and what it makes happen there.
    pub(super) fn take(&mut self, time: Duration, packet: &Packet<'_>) -> (usize, Vec<What>) {
        let mut key = [packet.from, packet.to];
        key.sort_unstable();
        let key = (key[0], key[1]);
        let is_first_syn = packet.segment.syn && packet.ack.is_none();
        let found = self.present.get(&key).copied().filter(|at| {
            let flow = &self.flows[*at];
            // The same ports again: a new connection, unless the SYN was merely sent twice.
            !(is_first_syn
                && (flow.is_over || flow.directions.iter().any(|way| way.counts.bytes > 0)))
        });
        let at = found.unwrap_or_else(|| {
            let number = self.flows.len() + 1;
            self.flows
                .push(Flow::new(number, time, packet, self.limits));
            self.flows.len() - 1
        });
        self.present.insert(key, at);
        (at, self.flows[at].take(packet))
    }

    /// The capture is over.
    pub(super) fn finish(&mut self) -> Vec<(usize, Vec<What>)> {
        let flows = self.flows.iter_mut().enumerate();
        flows.map(|(at, flow)| (at, flow.finish())).collect()
    }
}

impl Flow {
    fn new(number: usize, begun: Duration, packet: &Packet<'_>, limits: Limits) -> Self {
        let start = match packet.segment.syn {
            true => Start::Detect,
            false => Start::Joined,
        };
        Self {
            number,
            ends: [packet.from, packet.to],
            client: match (packet.segment.syn, packet.ack) {
                (true, None) => Some(0),
                (true, Some(_)) => Some(1),
                (false, _) => None,
            },
            nature: Nature::Unknown,
            begun,
            directions: Default::default(),
            early: Vec::new(),
            conversation: Conversation::new(Sides::Both, start, limits),
            saw_syn: packet.segment.syn,
            fins: [false; 2],
            is_over: false,
        }
    }

    fn take(&mut self, packet: &Packet<'_>) -> Vec<What> {
        let from = usize::from(packet.from != self.ends[0]);
        let mut pieces: Vec<(usize, Piece)> = Vec::new();
        let received = self.directions[from].receive(packet.segment);
        pieces.extend(received.into_iter().map(|piece| (from, piece)));
        if let Some(ack) = packet.ack {
            let acknowledged = self.directions[1 - from].acknowledge(ack);
            pieces.extend(acknowledged.into_iter().map(|piece| (1 - from, piece)));
        }
        let mut happened = self.read(pieces);
        self.fins[from] |= packet.fin;
        if packet.rst || self.fins == [true; 2] {
            happened.extend(self.finish());
        }
        happened
    }

    /// Nothing more will come.
    fn finish(&mut self) -> Vec<What> {
        if self.is_over {
            return Vec::new();
        }
        self.is_over = true;
        let mut pieces = Vec::new();
        for from in 0..2 {
            let held = self.directions[from].finish();
            pieces.extend(held.into_iter().map(|piece| (from, piece)));
        }
        let mut happened = self.read(pieces);
        if self.client.is_none() && !self.early.is_empty() {
            self.client = Some(0);
            happened.extend(self.read(Vec::new()));
        }
        if self.nature == Nature::Tls {
            return vec![What::End];
        }
        for role in [Role::Client, Role::Server] {
            let items = self.conversation.finish(role);
            happened.extend(self.judge(items));
        }
        happened.push(What::End);
        happened
    }

    fn read(&mut self, pieces: Vec<(usize, Piece)>) -> Vec<What> {
        self.early.extend(pieces);
        if self.client.is_none() {
            self.client = self.early.iter().find_map(|(from, piece)| match piece {
                Piece::Bytes(bytes) => guess_sender(bytes).map(|role| match role {
                    Role::Client => *from,
                    Role::Server => 1 - from,
                }),
                Piece::Gap(_) => None,
            });
        }
        let Some(client) = self.client else {
            return Vec::new();
        };
        let mut happened = Vec::new();
        for (from, piece) in std::mem::take(&mut self.early) {
            if self.nature == Nature::Unknown
                && matches!(&piece, Piece::Bytes(bytes) if bytes.starts_with(b"\x16\x03"))
            {
                self.nature = Nature::Tls;
            }
            if self.nature == Nature::Tls {
                continue;
            }
            let sender = match from == client {
                true => Role::Client,
                false => Role::Server,
            };
            let items = match piece {
                Piece::Bytes(bytes) => self.conversation.push(sender, &bytes),
                Piece::Gap(missing) => self.conversation.gap(sender, missing),
            };
            happened.extend(self.judge(items));
        }
        happened
    }

    /// Decides by what was said what the connection is.
    fn judge(&mut self, items: Vec<Item>) -> Vec<What> {
        for item in &items {
            self.nature = match (self.nature, item) {
                (Nature::WebSocket, _) => Nature::WebSocket,
                (_, Item::Head(head)) => {
                    let upgrade = head.field("Upgrade").unwrap_or_default();
                    let says = upgrade.to_ascii_lowercase();
                    let asks = says.windows(9).any(|word| word == b"websocket");
                    match (head.sender, head.status()) {
                        (Role::Client, _) if asks => Nature::WebSocket,
                        (Role::Server, Some(101)) => Nature::WebSocket,
                        _ => Nature::Http,
                    }
                }
                // Without a handshake, what obeys the rules is taken for WebSocket.
                (Nature::Unknown, Item::Frame(frame)) => {
                    match frame.violations.is_empty() && frame.is_whole() && !self.saw_syn {
                        true => Nature::WebSocket,
                        false => Nature::Other,
                    }
                }
                (nature, _) => nature,
            };
        }
        items.into_iter().map(What::Item).collect()
    }
}
