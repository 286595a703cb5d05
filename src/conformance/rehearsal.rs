//! A case played between the player and this crate's own server, to be looked at: no network, a
//! clock that only the deadlines move, and everything that passed.

use std::sync::Arc;
use std::time::Instant;

use crate::conformance::case::Case;
use crate::conformance::player::{Action, Player, Scale, Target};
use crate::conformance::verdict::Outcome;
use crate::inspect::{Conversation, Item, Limits, Sides, Start, text};
use crate::proto::{
    Acceptance, Config, Connection, Event, RecvBuffer, Role, SendBuffer, ServerHandshake,
};

/// What passed while a case was played, and what the player thinks of it.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The heads and frames of both directions, in the order in which they were complete.
    pub items: Vec<Item>,
    /// The player's verdict.
    pub outcome: Outcome,
}

impl Rehearsal {
    /// A line for each frame of either direction, and for what is wrong with it.
    #[must_use]
    pub fn frames(&self) -> String {
        let frames = self
            .items
            .iter()
            .filter(|item| matches!(item, Item::Frame(_)));
        let lines = frames.flat_map(|frame| text::item(frame, text::Options::default()));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// Plays `case` against a server that echoes and has agreed to no extension.
///
/// ```
/// use openline::conformance::{Vectors, rehearse};
///
/// let case = Vectors::embedded().case("2.2").expect("a ping with a payload");
/// let rehearsal = rehearse(case);
/// assert!(rehearsal.outcome.passed());
/// ```
#[must_use]
pub fn rehearse(case: &Case) -> Rehearsal {
    let mut now = Instant::now();
    let scale = Scale {
        repeated_bytes_max: 64 << 10,
    };
    let mut player = Player::scaled(case, Role::Server, &Target::default(), now, SEED, scale);
    let mut server = Server::new(now);
    let mut conversation = Conversation::new(Sides::Both, Start::Handshake, Limits::default());
    let mut items = Vec::new();
    loop {
        match player.next(now) {
            Action::Write(bytes) => {
                items.extend(conversation.push(Role::Client, bytes));
                server.receive(bytes, now);
            }
            Action::Shutdown => server.receive_eof(now),
            Action::Done(outcome) => {
                let outcome = outcome.clone();
                return Rehearsal { items, outcome };
            }
            Action::Wait => {
                let sent = server.send.pending();
                if !sent.is_empty() {
                    items.extend(conversation.push(Role::Server, sent));
                    player.receive(now, sent);
                    server.send.advance(server.send.len());
                } else if server.is_done && !server.is_gone {
                    server.is_gone = true;
                    player.receive_eof(now);
                } else {
                    // Nobody has anything to do: time passes.
                    let due = [player.poll_timeout(), server.poll_timeout()];
                    let due = due.into_iter().flatten().min();
                    now = due.map_or(now, |due| due.max(now));
                    server.handle_timeout(now);
                }
            }
        }
    }
}

/// The server, from its handshake to its end.
struct Server {
    handshake: ServerHandshake,
    connection: Option<Connection>,
    recv: RecvBuffer,
    send: SendBuffer,
    is_done: bool,
    /// The player knows that it is done.
    is_gone: bool,
}

impl Server {
    fn new(now: Instant) -> Self {
        Self {
            handshake: ServerHandshake::new(Arc::new(Config::default()), now),
            connection: None,
            recv: RecvBuffer::new(),
            send: SendBuffer::new(),
            is_done: false,
            is_gone: false,
        }
    }

    fn receive(&mut self, bytes: &[u8], now: Instant) {
        self.recv.extend(bytes);
        self.advance(now);
    }

    fn receive_eof(&mut self, now: Instant) {
        match &mut self.connection {
            Some(connection) => connection.handle_eof(),
            None => self.is_done = true,
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Instant) {
        if self.is_done {
            return;
        }
        if self.connection.is_none() {
            match self.handshake.poll(&self.recv) {
                Ok(None) => return,
                Ok(Some(upgrade)) => {
                    let acceptance = Acceptance::default();
                    let accepted = upgrade.accept(now, &mut self.recv, &acceptance, &mut self.send);
                    self.connection = accepted.ok();
                }
                Err(error) => error.refusal().write(&mut self.send),
            }
        }
        self.is_done = match &mut self.connection {
            Some(connection) => !echo(connection, now, &mut self.recv, &mut self.send),
            None => true,
        };
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.connection {
            _ if self.is_done => None,
            Some(connection) => connection.poll_timeout(),
            None => self.handshake.poll_timeout(),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        match &mut self.connection {
            Some(connection) => connection.handle_timeout(now, &mut self.send),
            None => self.is_done = self.handshake.handle_timeout(now).is_err(),
        }
        self.advance(now);
    }
}

/// Answers what has come; whether the connection goes on.
fn echo(
    connection: &mut Connection,
    now: Instant,
    recv: &mut RecvBuffer,
    send: &mut SendBuffer,
) -> bool {
    loop {
        // What cannot be sent at the end of a connection need not be: the next poll tells of it.
        let _ = match connection.poll(now, recv, send) {
            Ok(None) => return true,
            Ok(Some(Event::Text(text))) => connection.send_text(text, send),
            Ok(Some(Event::Binary(data))) => connection.send_binary(data, send),
            Ok(Some(Event::Closed(_))) | Err(_) => return false,
            Ok(Some(_)) => Ok(()),
        };
    }
}

/// Of the player's keys: with the same seed a case looks the same each time.
const SEED: u64 = 7;
