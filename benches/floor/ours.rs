//! Openline over the same streams, by its public API.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use openline::proto::{Config, Connection, Data, Event, RecvBuffer, Role, SendBuffer, Shared};

use super::calls;
use super::stream::{Content, DRAIN_SIZE, Stream, copy};

/// A connection that receives.
pub(crate) struct Receiver {
    connection: Connection,
    recv: RecvBuffer,
    send: SendBuffer,
    now: Instant,
}

impl Receiver {
    pub(crate) fn new(role: Role) -> Self {
        let now = Instant::now();
        Self {
            connection: established(role, now),
            recv: RecvBuffer::new(),
            send: SendBuffer::new(),
            now,
        }
    }

    /// Takes the whole stream, read by read; returns the number of messages.
    pub(crate) fn pass(&mut self, stream: &Stream) -> usize {
        self.pass_seeing(stream, |payload| {
            black_box(payload);
        })
    }

    /// The same; `see` gets each payload.
    #[inline]
    pub(crate) fn pass_seeing(&mut self, stream: &Stream, see: impl Fn(&[u8])) -> usize {
        let (mut messages, mut rest) = (0, &stream.bytes[..]);
        while !rest.is_empty() {
            let lacking = usize::try_from(self.recv.lacking()).unwrap_or(usize::MAX);
            let size = stream.next_read(self.recv.len(), lacking);
            let read;
            (read, rest) = rest.split_at(size.min(rest.len()));
            calls::call();
            copy(read, &mut self.recv.spare_mut(size)[..read.len()]);
            self.recv.commit(read.len());
            while let Some(event) = self
                .connection
                .poll(self.now, &mut self.recv, &mut self.send)
                .expect("the stream obeys the protocol")
            {
                match event {
                    Event::Text(text) => see(text.as_bytes()),
                    Event::Binary(data) => see(data),
                    other => unreachable!("the stream has whole messages only: {other:?}"),
                }
                messages += 1;
            }
        }
        messages
    }
}

/// A connection that sends, drained whenever it holds [`DRAIN_SIZE`].
pub(crate) struct Sender {
    connection: Connection,
    send: SendBuffer,
}

impl Sender {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            connection: established(role, Instant::now()),
            send: SendBuffer::new(),
        }
    }

    /// Sends one message; `drain` gets the bytes when enough wait.
    #[inline]
    pub(crate) fn send(&mut self, message: Data<'_>, drain: impl FnOnce(&[u8])) {
        match message {
            Data::Text(text) => self.connection.send_text(text, &mut self.send),
            Data::Binary(data) => self.connection.send_binary(data, &mut self.send),
        }
        .expect("the queue is drained below its bound");
        if self.send.len() >= DRAIN_SIZE {
            calls::call();
            drain(black_box(self.send.pending()));
            self.send.advance(self.send.len());
        }
    }

    /// Sends one message by reference; `drain` gets the pieces when [`SHARED_DRAIN_SIZE`] wait, as
    /// one vectored write.
    #[inline]
    pub(crate) fn send_shared(&mut self, message: &Shared, drain: impl FnMut(&[u8])) {
        self.connection
            .send_shared(message, &mut self.send)
            .expect("the queue is drained below its bound");
        if self.send.len() >= SHARED_DRAIN_SIZE {
            calls::call();
            self.send.slices().for_each(drain);
            self.send.advance(self.send.len());
        }
    }
}

/// What waits by reference is in no buffer that would have to fit in a cache.
const SHARED_DRAIN_SIZE: usize = 64 << 10;

/// A payload as a message to be sent by reference.
pub(crate) fn shared(content: Content, payload: Bytes) -> Shared {
    match content {
        Content::Binary => Shared::binary(payload),
        _ => Shared::utf8(payload).expect("the payload is text"),
    }
}

/// A payload as its kind of message.
pub(crate) fn data(content: Content, payload: &[u8]) -> Data<'_> {
    match content {
        Content::Binary => Data::Binary(payload),
        _ => Data::Text(str::from_utf8(payload).expect("the payload is text")),
    }
}

fn established(role: Role, now: Instant) -> Connection {
    Connection::established(role, Arc::new(Config::default()), now, [7; 32])
}
