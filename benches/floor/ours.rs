//! Openline over the same streams, by its public API.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use openline::proto::{Config, Connection, Data, Event, RecvBuffer, Role, SendBuffer};

use super::stream::{DRAIN_SIZE, READ_SIZE, Stream};

/// A server's connection that receives.
pub(crate) struct Receiver {
    connection: Connection,
    recv: RecvBuffer,
    send: SendBuffer,
    now: Instant,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            connection: established(Role::Server, now),
            recv: RecvBuffer::new(),
            send: SendBuffer::new(),
            now,
        }
    }

    /// Takes the whole stream, read by read; returns the number of messages.
    pub(crate) fn pass(&mut self, stream: &Stream) -> usize {
        let (mut messages, mut rest) = (0, &stream.bytes[..]);
        while !rest.is_empty() {
            // A read that ends where the message does leaves nothing over that must be moved.
            let size = match usize::try_from(self.recv.lacking()) {
                Ok(lacking @ 1..READ_SIZE) => lacking,
                _ => READ_SIZE,
            };
            let read;
            (read, rest) = rest.split_at(size.min(rest.len()));
            self.recv.spare_mut(size)[..read.len()].copy_from_slice(read);
            self.recv.commit(read.len());
            while let Some(event) = self
                .connection
                .poll(self.now, &mut self.recv, &mut self.send)
                .expect("the stream obeys the protocol")
            {
                match event {
                    Event::Text(text) => {
                        black_box(text);
                    }
                    Event::Binary(data) => {
                        black_box(data);
                    }
                    other => unreachable!("the stream has whole messages only: {other:?}"),
                }
                messages += 1;
            }
        }
        messages
    }
}

/// A connection that sends binary messages, drained whenever it holds [`DRAIN_SIZE`].
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
    pub(crate) fn send(&mut self, payload: &[u8], drain: impl FnOnce(&[u8])) {
        self.connection
            .send_binary(payload, &mut self.send)
            .expect("the queue is drained below its bound");
        if self.send.len() >= DRAIN_SIZE {
            drain(black_box(self.send.pending()));
            self.send.advance(self.send.len());
        }
    }

    /// Sends one message without a copy of its payload; `drain` gets header and payload.
    pub(crate) fn send_unbuffered(&mut self, payload: &[u8], mut drain: impl FnMut(&[u8])) {
        let mut vectored = self
            .connection
            .send_unbuffered(Data::Binary(payload), &mut self.send)
            .expect("the queue is empty");
        let slices = vectored.slices();
        slices.iter().for_each(|slice| drain(slice));
        let n = slices.iter().map(|slice| slice.len()).sum();
        vectored.advance(n);
    }
}

fn established(role: Role, now: Instant) -> Connection {
    Connection::established(role, Arc::new(Config::default()), now, [7; 32])
}
