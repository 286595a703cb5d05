//! Writing: messages, fragments, prepared messages, pings ([RFC 6455 §5.4], §5.5).
//!
//! Nothing is queued that may not be sent: a continuation needs the guard of a message that
//! has begun, and after a Close frame every method answers [`SendError::Closed`].
//!
//! [RFC 6455 §5.4]: https://www.rfc-editor.org/rfc/rfc6455#section-5.4

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::proto::buffer::SendBuffer;
use crate::proto::connection::{Connection, State};
use crate::proto::copy::copy;
use crate::proto::error::SendError;
use crate::proto::event::{Chunk, Kind};
use crate::proto::frame::{CONTROL_PAYLOAD_MAX, FrameHeader, Opcode, Role};
use crate::proto::mask::MaskingKey;

/// A client's source of masking keys: unpredictable, and fresh for each frame (§5.3).
pub(super) struct MaskingKeys(StdRng);

impl MaskingKeys {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self(StdRng::from_seed(seed))
    }

    #[inline]
    fn draw(&mut self) -> MaskingKey {
        MaskingKey::new(self.0.next_u32().to_ne_bytes())
    }
}

/// Its state would tell the keys to come.
impl fmt::Debug for MaskingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskingKeys")
    }
}

/// The content of a data message to send (§5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// Text.
    Text(&'a str),
    /// Arbitrary bytes.
    Binary(&'a [u8]),
}

impl<'a> Data<'a> {
    fn split(self) -> (Kind, &'a [u8]) {
        match self {
            Self::Text(text) => (Kind::Text, text.as_bytes()),
            Self::Binary(bytes) => (Kind::Binary, bytes),
        }
    }
}

impl Connection {
    /// Queues a text message in one frame.
    ///
    /// # Errors
    ///
    /// After a Close frame, within a message in fragments, or while the queue is full.
    #[inline]
    pub fn send_text(&mut self, text: &str, send: &mut SendBuffer) -> Result<(), SendError> {
        self.send_message(Kind::Text, text.as_bytes(), send)
    }

    /// Queues a binary message in one frame.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary(&mut self, data: &[u8], send: &mut SendBuffer) -> Result<(), SendError> {
        self.send_message(Kind::Binary, data, send)
    }

    /// Queues a message that was encoded once for many peers.
    ///
    /// A client masks it as any other (§5.3); the bytes are shared among a server's peers.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub fn send_prepared(
        &mut self,
        prepared: &Prepared,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        if self.masking.is_some() {
            let payload = &prepared.frame[prepared.header_size..];
            return self.send_message(prepared.kind, payload, send);
        }
        self.may_begin(send)?;
        send.extend(&prepared.frame);
        self.timers.sent_message();
        Ok(())
    }

    /// Queues the header of a message whose payload, being large, is not to be copied.
    ///
    /// The two belong together: what [`Vectored`] names is to be written by vectored writes,
    /// and what was not written when it is dropped is queued, as a copy. A client's payload is
    /// queued at once, since masking copies it anyhow.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub fn send_unbuffered<'a>(
        &mut self,
        data: Data<'a>,
        send: &'a mut SendBuffer,
    ) -> Result<Vectored<'a>, SendError> {
        let (kind, payload) = data.split();
        if self.masking.is_some() {
            self.send_message(kind, payload, send)?;
            return Ok(Vectored { send, payload: &[] });
        }
        self.may_begin(send)?;
        let header = FrameHeader {
            fin: true,
            rsv1: false,
            opcode: opcode(kind),
            mask: None,
            payload_len: payload.len() as u64,
        };
        send.extend(header.encode().as_bytes());
        self.timers.sent_message();
        Ok(Vectored { send, payload })
    }

    /// Begins a text message in fragments; each piece is text by itself.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub fn text_fragments<'a>(
        &'a mut self,
        send: &'a mut SendBuffer,
    ) -> Result<Fragments<'a, str>, SendError> {
        self.may_begin(send)?;
        Ok(Fragments::new(self, send, opcode(Kind::Text)))
    }

    /// Begins a binary message in fragments.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub fn binary_fragments<'a>(
        &'a mut self,
        send: &'a mut SendBuffer,
    ) -> Result<Fragments<'a, [u8]>, SendError> {
        self.may_begin(send)?;
        Ok(Fragments::new(self, send, opcode(Kind::Binary)))
    }

    /// Goes on with the text message whose [`Fragments`] was dropped unfinished; `None` if there
    /// is no such message.
    pub fn resume_text<'a>(&'a mut self, send: &'a mut SendBuffer) -> Option<Fragments<'a, str>> {
        (self.writing == Some(Kind::Text)).then(|| Fragments::new(self, send, Opcode::Continuation))
    }

    /// Goes on with the binary message whose [`Fragments`] was dropped unfinished; `None` if
    /// there is no such message.
    pub fn resume_binary<'a>(
        &'a mut self,
        send: &'a mut SendBuffer,
    ) -> Option<Fragments<'a, [u8]>> {
        (self.writing == Some(Kind::Binary))
            .then(|| Fragments::new(self, send, Opcode::Continuation))
    }

    /// Queues a piece of a message as it was received, as the next fragment or the last: what an
    /// echo or a proxy does with [`Event::Chunk`](crate::proto::Event::Chunk). The pieces of a
    /// text are UTF-8 as a whole, as they came.
    ///
    /// # Errors
    ///
    /// After a Close frame, within a message of the other kind, or while the queue is full.
    pub fn send_chunk(&mut self, chunk: Chunk<'_>, send: &mut SendBuffer) -> Result<(), SendError> {
        let opcode = match self.writing {
            Some(kind) if kind == chunk.kind => Opcode::Continuation,
            Some(_) => return Err(SendError::MessageUnfinished),
            None => opcode(chunk.kind),
        };
        self.may_send()?;
        self.may_queue(send)?;
        self.queue(chunk.last, opcode, chunk.data, send);
        self.writing = (!chunk.last).then_some(chunk.kind);
        self.timers.sent_message();
        Ok(())
    }

    /// Queues a Ping; its Pong comes as [`Event::Pong`](crate::proto::Event::Pong).
    ///
    /// # Errors
    ///
    /// After a Close frame, or with a payload above 125 bytes. A full queue is no hindrance.
    pub fn send_ping(&mut self, payload: &[u8], send: &mut SendBuffer) -> Result<(), SendError> {
        self.send_control(Opcode::Ping, payload, send)
    }

    /// Queues a Pong that nobody asked for: a heartbeat in one direction (§5.5.3).
    ///
    /// # Errors
    ///
    /// As [`send_ping`](Self::send_ping).
    pub fn send_pong(&mut self, payload: &[u8], send: &mut SendBuffer) -> Result<(), SendError> {
        self.send_control(Opcode::Pong, payload, send)
    }

    fn send_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        if payload.len() > CONTROL_PAYLOAD_MAX {
            return Err(SendError::ControlTooLong);
        }
        self.may_send()?;
        self.queue(true, opcode, payload, send);
        Ok(())
    }

    #[inline]
    fn send_message(
        &mut self,
        kind: Kind,
        payload: &[u8],
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.may_begin(send)?;
        self.queue(true, opcode(kind), payload, send);
        self.timers.sent_message();
        Ok(())
    }

    /// §5.5.1: nothing is sent after a Close frame.
    #[inline]
    fn may_send(&self) -> Result<(), SendError> {
        match self.state {
            Ok(State::Open) => Ok(()),
            _ => Err(SendError::Closed),
        }
    }

    #[inline]
    fn may_begin(&self, send: &SendBuffer) -> Result<(), SendError> {
        self.may_send()?;
        // §5.4: messages are not interleaved.
        if self.writing.is_some() {
            return Err(SendError::MessageUnfinished);
        }
        self.may_queue(send)
    }

    #[inline]
    fn may_queue(&self, send: &SendBuffer) -> Result<(), SendError> {
        let queued = send.len();
        match queued < self.config.send_queue_max {
            true => Ok(()),
            false => Err(SendError::QueueFull { queued }),
        }
    }

    /// Appends one frame, masked if this is the client.
    #[inline]
    pub(super) fn queue(
        &mut self,
        fin: bool,
        opcode: Opcode,
        payload: &[u8],
        send: &mut SendBuffer,
    ) {
        let mask = self.masking.as_mut().map(|keys| keys.draw());
        let header = FrameHeader {
            fin,
            rsv1: false,
            opcode,
            mask,
            payload_len: payload.len() as u64,
        };
        let body = send.append_frame(&header.encode(), payload.len());
        match mask {
            Some(key) => key.copy(payload, body),
            None => copy(payload, body),
        }
    }
}

/// A message that is written in fragments (§5.4).
///
/// Dropped before [`finish`](Self::finish), the message stays open: other messages are refused
/// until it is [resumed](Connection::resume_text) and finished; control frames pass between.
#[derive(Debug)]
pub struct Fragments<'a, P: ?Sized> {
    connection: &'a mut Connection,
    send: &'a mut SendBuffer,
    /// Of the next frame: the message's, and then Continuation.
    opcode: Opcode,
    piece: PhantomData<fn(&P)>,
}

impl<'a, P: ?Sized + AsRef<[u8]>> Fragments<'a, P> {
    fn new(connection: &'a mut Connection, send: &'a mut SendBuffer, opcode: Opcode) -> Self {
        Self {
            connection,
            send,
            opcode,
            piece: PhantomData,
        }
    }

    /// Queues the next fragment.
    ///
    /// # Errors
    ///
    /// While the queue is full, or after a Close frame.
    pub fn send(&mut self, piece: &P) -> Result<(), SendError> {
        self.queue(false, piece)?;
        self.connection.writing = match self.opcode {
            Opcode::Text => Some(Kind::Text),
            Opcode::Binary => Some(Kind::Binary),
            _ => self.connection.writing,
        };
        self.opcode = Opcode::Continuation;
        Ok(())
    }

    /// Queues the last fragment, which may be empty.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); the message is then still unfinished.
    pub fn finish(mut self, piece: &P) -> Result<(), SendError> {
        self.queue(true, piece)?;
        self.connection.writing = None;
        Ok(())
    }

    fn queue(&mut self, fin: bool, piece: &P) -> Result<(), SendError> {
        self.connection.may_send()?;
        self.connection.may_queue(self.send)?;
        self.connection
            .queue(fin, self.opcode, piece.as_ref(), self.send);
        self.connection.timers.sent_message();
        Ok(())
    }
}

/// A large message on its way without a copy: what is queued, and the payload behind it.
#[derive(Debug)]
pub struct Vectored<'a> {
    send: &'a mut SendBuffer,
    payload: &'a [u8],
}

impl Vectored<'_> {
    /// The bytes to write, in order: for one vectored write.
    #[must_use]
    pub fn slices(&self) -> [&[u8]; 2] {
        [self.send.pending(), self.payload]
    }

    /// Counts the first `n` of these bytes as sent.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn advance(&mut self, n: usize) {
        let queued = n.min(self.send.len());
        self.send.advance(queued);
        self.payload = &self.payload[n - queued..];
    }
}

impl Drop for Vectored<'_> {
    fn drop(&mut self) {
        self.send.extend(self.payload);
    }
}

/// A message encoded once, as a server sends it, for any number of peers.
///
/// ```
/// use openline::proto::Prepared;
///
/// let news = Prepared::text("Hello");
/// assert_eq!(news.frame(), b"\x81\x05Hello");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    kind: Kind,
    header_size: usize,
    frame: Bytes,
}

impl Prepared {
    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Kind::Text, text.as_bytes())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(data: &[u8]) -> Self {
        Self::new(Kind::Binary, data)
    }

    /// What the message is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The frame: header and payload, unmasked.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    fn new(kind: Kind, payload: &[u8]) -> Self {
        let header = FrameHeader {
            fin: true,
            rsv1: false,
            opcode: opcode(kind),
            mask: None,
            payload_len: payload.len() as u64,
        };
        let header = header.encode();
        Self {
            kind,
            header_size: header.as_bytes().len(),
            frame: [header.as_bytes(), payload].concat().into(),
        }
    }
}

/// The role of an end with or without a source of masking keys.
pub(super) const fn role(masking: Option<&MaskingKeys>) -> Role {
    match masking {
        Some(_) => Role::Client,
        None => Role::Server,
    }
}

const fn opcode(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}
