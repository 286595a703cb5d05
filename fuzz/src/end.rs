//! One end of a connection without a transport, which remembers what it saw and sent.
//!
//! Two ends are equal when they saw and sent the same. Every step asserts the laws that hold at
//! any time: an error is final, memory stays within the limits.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openline::proto::{
    CONTROL_PAYLOAD_MAX, ClosedWhy, Config, Connection, Event, HEADER_SIZE_MAX, Kind, Party,
    ProtocolError, RecvBuffer, Role, SendBuffer,
};

/// An event with content of its own; the chunks of a message are joined.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Chunk(Kind, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Closed(Party, ClosedWhy),
    Error(ProtocolError),
}

pub struct End {
    pub connection: Connection,
    pub recv: RecvBuffer,
    pub send: SendBuffer,
    pub now: Instant,
    pub seen: Vec<Seen>,
    pub sent: Vec<u8>,
    /// The most bytes that arrived between two polls.
    read_max: usize,
    error: Option<ProtocolError>,
}

impl End {
    pub fn new(role: Role, config: Config, now: Instant) -> Self {
        Self {
            connection: Connection::established(role, Arc::new(config), now, [1; 32]),
            recv: RecvBuffer::new(),
            send: SendBuffer::new(),
            now,
            seen: Vec::new(),
            sent: Vec::new(),
            read_max: 0,
            error: None,
        }
    }

    /// Bytes arrive in pieces of these sizes; all at once when there are none.
    pub fn receive(&mut self, mut bytes: &[u8], sizes: &mut impl Iterator<Item = usize>) {
        while !bytes.is_empty() {
            let size = sizes.next().unwrap_or(bytes.len()).min(bytes.len());
            let (piece, rest) = bytes.split_at(size);
            self.read_max = self.read_max.max(self.recv.len() + size);
            self.recv.extend(piece);
            self.poll();
            bytes = rest;
        }
    }

    /// The transport takes up to `n` bytes of what waits, by one vectored write.
    pub fn drain(&mut self, n: usize) {
        let n = n.min(self.send.len());
        let waiting = self.waiting();
        self.sent.extend_from_slice(&waiting[..n]);
        self.send.advance(n);
        assert_eq!(self.waiting(), waiting[n..], "what was not sent waits");
        self.poll();
    }

    /// All that waits to be sent, in order.
    fn waiting(&self) -> Vec<u8> {
        let waiting = self.send.slices().collect::<Vec<_>>().concat();
        assert_eq!(self.send.len(), waiting.len(), "all that waits is counted");
        let first = self.send.pending();
        assert!(waiting.starts_with(first), "the first piece is the first");
        assert!(first.is_empty() == waiting.is_empty(), "it is not empty");
        waiting
    }

    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        self.connection.handle_timeout(self.now, &mut self.send);
        self.poll();
        if let Some(deadline) = self.connection.poll_timeout() {
            assert!(deadline > self.now, "what was due is done");
        }
    }

    pub fn end_of_file(&mut self) {
        self.connection.handle_eof();
        self.poll();
    }

    /// Polls until there is no more to see.
    pub fn poll(&mut self) {
        loop {
            let seen = match self
                .connection
                .poll(self.now, &mut self.recv, &mut self.send)
            {
                Ok(None) => {
                    assert_eq!(self.error, None, "an error is final");
                    break;
                }
                Ok(Some(event)) => {
                    assert_eq!(self.error, None, "an error is final");
                    own(event)
                }
                Err(error) => {
                    if self.error == Some(error) {
                        break;
                    }
                    assert_eq!(self.error, None, "an error is final");
                    self.error = Some(error);
                    Seen::Error(error)
                }
            };
            match (self.seen.last_mut(), seen) {
                (Some(Seen::Chunk(_, data, last @ false)), Seen::Chunk(_, more, ends)) => {
                    data.extend(more);
                    *last = ends;
                }
                (_, seen) => self.seen.push(seen),
            }
        }
        self.memory_is_bounded();
    }

    fn memory_is_bounded(&self) {
        let config = self.connection.config();
        let listening = self.send.len() < config.send_queue_max && !self.connection.is_closed();
        if listening && self.error.is_none() {
            let held_max = config.message_size_max as usize + HEADER_SIZE_MAX + CONTROL_PAYLOAD_MAX;
            assert!(
                self.recv.len() <= held_max,
                "{} bytes are held",
                self.recv.len()
            );
        }
        // What was held at once, and room for four reads, from a whole line of the cache on.
        let held = self.read_max.max(64);
        assert!(
            self.recv.capacity() <= 64 + 5 * held,
            "{} for {held}",
            self.recv.capacity()
        );
    }
}

/// The receive buffer of an event loop, which lends it to one connection at a time.
#[derive(Default)]
pub struct Shared {
    recv: RecvBuffer,
    /// The most that any of the connections had in it.
    read_max: usize,
}

impl Shared {
    /// Lets `end` do something in the shared buffer; what it holds afterwards it keeps itself.
    pub fn lend(&mut self, end: &mut End, act: impl FnOnce(&mut End)) {
        self.recv.put_held(&end.recv);
        end.recv = mem::take(&mut self.recv);
        end.read_max = end.read_max.max(self.read_max);
        act(end);
        self.read_max = end.read_max;
        let held = end.recv.take_held();
        self.recv = mem::replace(&mut end.recv, held);
        end.send = end.send.take_pending();
    }
}

impl PartialEq for End {
    fn eq(&self, other: &Self) -> bool {
        self.seen == other.seen && self.sent == other.sent && self.waiting() == other.waiting()
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End")
            .field("seen", &self.seen)
            .field("sent", &self.sent)
            .field("waiting", &self.waiting())
            .finish()
    }
}

fn own(event: Event<'_>) -> Seen {
    match event {
        Event::Text(text) => Seen::Text(text.to_owned()),
        Event::Binary(data) => Seen::Binary(data.to_vec()),
        Event::Chunk(chunk) => Seen::Chunk(chunk.kind, chunk.data.to_vec(), chunk.last),
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong(payload) => Seen::Pong(payload.to_vec()),
        Event::Close(close) => {
            Seen::Close(close.map(|close| (close.code.number(), close.reason.to_owned())))
        }
        Event::Closed(closed) => Seen::Closed(closed.by, closed.why),
    }
}
