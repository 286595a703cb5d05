//! Openline over the same streams, by its public API.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use openline::proto::{Config, Connection, Data, Event, RecvBuffer, Role, SendBuffer};

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
            // A read that ends where the message does leaves nothing over that must be moved.
            let size = match usize::try_from(self.recv.lacking()) {
                Ok(lacking) if lacking > 0 => lacking.min(stream.read_size),
                _ => stream.read_size,
            };
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

    /// Sends one message without a copy of its payload, by one vectored write; `drain` gets
    /// header and payload.
    pub(crate) fn send_unbuffered(&mut self, message: Data<'_>, mut drain: impl FnMut(&[u8])) {
        let mut vectored = self
            .connection
            .send_unbuffered(message, &mut self.send)
            .expect("the queue is empty");
        calls::call();
        let slices = vectored.slices();
        slices.iter().for_each(|slice| drain(slice));
        let n = slices.iter().map(|slice| slice.len()).sum();
        vectored.advance(n);
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
