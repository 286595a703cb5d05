//! Writing: messages, fragments, pings ([RFC 6455 §5.4], §5.5).
//!
//! Nothing is queued that may not be sent: a continuation needs the guard of a message that
//! has begun, and after a Close frame every method answers [`SendError::Closed`].
//!
//! [RFC 6455 §5.4]: https://www.rfc-editor.org/rfc/rfc6455#section-5.4

use std::marker::PhantomData;
use std::sync::Arc;

use crate::proto::buffer::SendBuffer;
use crate::proto::connection::{Connection, Sends, ShortWays, State};
use crate::proto::copy::copy;
use crate::proto::error::SendError;
use crate::proto::event::{Chunk, Event, Kind};
use crate::proto::frame::{CONTROL_PAYLOAD_MAX, EncodedHeader, FrameHeader, Opcode};

/// The content of a data message to send (§5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// Text.
    Text(&'a str),
    /// Arbitrary bytes.
    Binary(&'a [u8]),
}

/// Whether a message is to be compressed, where compression was agreed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compress {
    /// If it has [`Deflate::threshold`](crate::proto::Deflate::threshold) bytes or more. A
    /// message in fragments has, unless its first is its last.
    #[default]
    Threshold,
    /// Whatever its length.
    Always,
    /// Not at all: for what is compressed already, or is secret and stands beside what a
    /// stranger chooses.
    Never,
}

/// The message in fragments that we have begun to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Writing {
    kind: Kind,
    compressed: bool,
}

impl<'a> From<Data<'a>> for Event<'a> {
    fn from(data: Data<'a>) -> Self {
        match data {
            Data::Text(text) => Self::Text(text),
            Data::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

impl<'a> Data<'a> {
    /// What it is.
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// What it is, and its bytes.
    #[inline]
    pub(crate) fn split(self) -> (Kind, &'a [u8]) {
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
        self.send_message(Kind::Text, text.as_bytes(), Compress::Threshold, send)
    }

    /// Queues a binary message in one frame.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary(&mut self, data: &[u8], send: &mut SendBuffer) -> Result<(), SendError> {
        self.send_message(Kind::Binary, data, Compress::Threshold, send)
    }

    /// Queues a message in one frame, compressed or not as it is wished.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub fn send_data(
        &mut self,
        data: Data<'_>,
        compress: Compress,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let (kind, payload) = data.split();
        self.send_message(kind, payload, compress, send)
    }

    /// Begins a message of `len` bytes that the caller writes by itself, in the frame that
    /// [`frame_header`](Self::frame_header) begins, with nothing queued before it. Answers whether
    /// it may: a client's is masked on the way to the queue, and what is compressed changes.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn begin_unqueued(
        &mut self,
        len: usize,
        send: &SendBuffer,
    ) -> Result<bool, SendError> {
        self.may_begin(send)?;
        if self.masking.is_some() || self.compresses(len, Compress::Threshold) {
            return Ok(false);
        }
        self.timers.sent_message();
        Ok(true)
    }

    /// Begins whole messages of which there are the frames, `len` bytes of them, and nothing is
    /// queued: so many peers have the same bytes written. Answers whether that may be.
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn begin_encoded(&mut self, len: usize) -> bool {
        debug_assert_eq!(self.short_ways, ShortWays::of(self));
        let may = self.short_ways.sends == Sends::Plain && len <= self.config.send_queue_max;
        if may {
            self.timers.sent_message();
        }
        may
    }

    /// Queues the message that was [begun](Self::begin_unqueued), after all.
    #[cfg(feature = "net")]
    pub(crate) fn queue_begun(&mut self, kind: Kind, payload: &[u8], send: &mut SendBuffer) {
        self.queue(true, kind.opcode(), payload, send);
    }

    /// The header of a server's message in one frame.
    #[inline]
    pub(crate) fn frame_header(kind: Kind, len: usize) -> EncodedHeader {
        FrameHeader::of_message(kind.opcode(), len).encode()
    }

    /// Queues the header of a message whose payload, being large, is not to be copied.
    ///
    /// The two belong together: what [`Vectored`] names is to be written by vectored writes,
    /// and what was not written when it is dropped is queued, as a copy. A client's payload is
    /// queued at once, since masking copies it anyhow, and so is one that is compressed.
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
        let compress = Compress::Threshold;
        if self.masking.is_some() || self.compresses(payload.len(), compress) {
            self.send_message(kind, payload, compress, send)?;
            return Ok(Vectored { send, payload: &[] });
        }
        self.may_begin(send)?;
        send.extend(Self::frame_header(kind, payload.len()).as_bytes());
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
        Ok(Fragments::new(self, send, Kind::Text))
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
        Ok(Fragments::new(self, send, Kind::Binary))
    }

    /// Goes on with the text message whose [`Fragments`] was dropped unfinished; `None` if there
    /// is no such message.
    pub fn resume_text<'a>(&'a mut self, send: &'a mut SendBuffer) -> Option<Fragments<'a, str>> {
        self.is_writing(Kind::Text)
            .then(|| Fragments::new(self, send, Kind::Text))
    }

    /// Goes on with the binary message whose [`Fragments`] was dropped unfinished; `None` if
    /// there is no such message.
    pub fn resume_binary<'a>(
        &'a mut self,
        send: &'a mut SendBuffer,
    ) -> Option<Fragments<'a, [u8]>> {
        self.is_writing(Kind::Binary)
            .then(|| Fragments::new(self, send, Kind::Binary))
    }

    /// Queues a piece of a message as it was received, as the next fragment or the last: what an
    /// echo or a proxy does with [`Event::Chunk`](crate::proto::Event::Chunk). The pieces of a
    /// text are UTF-8 as a whole, as they came.
    ///
    /// # Errors
    ///
    /// After a Close frame, within a message of the other kind, or while the queue is full.
    pub fn send_chunk(&mut self, chunk: Chunk<'_>, send: &mut SendBuffer) -> Result<(), SendError> {
        if self
            .writing
            .is_some_and(|writing| writing.kind != chunk.kind)
        {
            return Err(SendError::MessageUnfinished);
        }
        let piece = (chunk.data, chunk.last);
        self.send_fragment(chunk.kind, piece, Compress::Threshold, send)
    }

    /// Queues a Ping; its Pong comes as [`Event::Pong`](crate::proto::Event::Pong).
    ///
    /// # Errors
    ///
    /// After a Close frame, or with a payload above 125 bytes. A full queue is no hindrance.
    pub fn send_ping(&mut self, payload: &[u8], send: &mut SendBuffer) -> Result<(), SendError> {
        self.send_control(Opcode::Ping, payload, send)?;
        self.timers.pinged_otherwise();
        Ok(())
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

    #[inline(always)]
    pub(crate) fn send_message(
        &mut self,
        kind: Kind,
        payload: &[u8],
        compress: Compress,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        debug_assert_eq!(self.short_ways, ShortWays::of(self));
        let has_room = send.len() < self.config.send_queue_max;
        if self.short_ways.sends == Sends::Plain && has_room {
            self.timers.sent_message();
            send.push_message(kind.opcode(), payload);
            return Ok(());
        }
        if self.short_ways.sends == Sends::Masked
            && has_room
            && let Some(keys) = &mut self.masking
        {
            self.timers.sent_message();
            keys.queue_message(kind.opcode(), payload, send);
            return Ok(());
        }
        self.send_any(kind, payload, compress, send)
    }

    /// [`send_message`](Self::send_message) without its short way.
    #[inline(never)]
    fn send_any(
        &mut self,
        kind: Kind,
        payload: &[u8],
        compress: Compress,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.may_begin(send)?;
        self.queue_message(kind, payload, compress, send);
        Ok(())
    }

    /// Queues messages, each in one frame, if there is room for the first.
    #[cfg(feature = "net")]
    #[inline(always)]
    pub(crate) fn send_messages<'m>(
        &mut self,
        messages: impl Iterator<Item = (Kind, &'m [u8])>,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.may_begin(send)?;
        if self.short_ways.sends == Sends::Masked
            && let Some(keys) = &mut self.masking
        {
            self.timers.sent_message();
            for (kind, payload) in messages {
                keys.queue_message(kind.opcode(), payload, send);
            }
            return Ok(());
        }
        for (kind, payload) in messages {
            self.queue_message(kind, payload, Compress::Threshold, send);
        }
        Ok(())
    }

    /// Queues a message that may be queued.
    fn queue_message(
        &mut self,
        kind: Kind,
        payload: &[u8],
        compress: Compress,
        send: &mut SendBuffer,
    ) {
        self.timers.sent_message();
        match self.compresses(payload.len(), compress) {
            true => self.queue_compressed(true, kind.opcode(), payload, send),
            false => self.queue(true, kind.opcode(), payload, send),
        }
    }

    /// Queues the next fragment of a message, with whether it is the last.
    fn send_fragment(
        &mut self,
        kind: Kind,
        (piece, last): (&[u8], bool),
        compress: Compress,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        self.may_send()?;
        self.may_queue(send)?;
        let (opcode, compressed) = match self.writing {
            Some(writing) => (Opcode::Continuation, writing.compressed),
            None => {
                let len = match last {
                    true => piece.len(),
                    // How long it will be is not known: long, or it would not be in fragments.
                    false => usize::MAX,
                };
                (kind.opcode(), self.compresses(len, compress))
            }
        };
        match compressed {
            false => self.queue(last, opcode, piece, send),
            true => self.queue_compressed(last, opcode, piece, send),
        }
        self.writing = (!last).then_some(Writing { kind, compressed });
        self.find_short_ways();
        self.timers.sent_message();
        Ok(())
    }

    /// Whether a message of `len` bytes is compressed.
    #[inline]
    pub(super) fn compresses(&self, len: usize, compress: Compress) -> bool {
        if self.compression.params().is_none() {
            return false;
        }
        match (&self.config.compression, compress) {
            (Some(settings), Compress::Threshold) => len >= settings.threshold,
            (Some(_), Compress::Always) => true,
            _ => false,
        }
    }

    fn is_writing(&self, kind: Kind) -> bool {
        self.writing.is_some_and(|writing| writing.kind == kind)
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
    pub(super) fn may_begin(&self, send: &SendBuffer) -> Result<(), SendError> {
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
        self.queue_frame(fin, false, opcode, payload, send);
    }

    /// The same, compressed. RFC 7692 §6.1: RSV1 says so on the first frame of a message.
    #[inline(never)]
    fn queue_compressed(&mut self, fin: bool, opcode: Opcode, piece: &[u8], send: &mut SendBuffer) {
        let role = self.role();
        let config = Arc::clone(&self.config);
        let Some(settings) = &config.compression else {
            return;
        };
        let shared = send.compressors();
        let mut compressor = self.compression.take_compressor(settings, role, shared);
        let (output, size) = shared.compress(&mut compressor, piece, fin);
        self.compression
            .put_compressor(compressor, fin, role, shared);
        let is_first = opcode != Opcode::Continuation;
        self.queue_frame(fin, is_first, opcode, &output[..size], send);
        send.compressors().put_output(output);
    }

    #[inline]
    fn queue_frame(
        &mut self,
        fin: bool,
        rsv1: bool,
        opcode: Opcode,
        payload: &[u8],
        send: &mut SendBuffer,
    ) {
        let header = FrameHeader {
            fin,
            rsv1,
            opcode,
            mask: None,
            payload_len: payload.len() as u64,
        };
        match &mut self.masking {
            Some(keys) => keys.queue(header, payload, send),
            None => copy(payload, send.append_frame(&header.encode(), payload.len())),
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
    kind: Kind,
    compress: Compress,
    piece: PhantomData<fn(&P)>,
}

impl<'a, P: ?Sized + AsRef<[u8]>> Fragments<'a, P> {
    fn new(connection: &'a mut Connection, send: &'a mut SendBuffer, kind: Kind) -> Self {
        Self {
            connection,
            send,
            kind,
            compress: Compress::Threshold,
            piece: PhantomData,
        }
    }

    /// Wishes that the message be compressed, or not: a wish that counts before the first
    /// fragment.
    #[must_use]
    pub fn compress(self, compress: Compress) -> Self {
        Self { compress, ..self }
    }

    /// Queues the next fragment.
    ///
    /// # Errors
    ///
    /// While the queue is full, or after a Close frame.
    pub fn send(&mut self, piece: &P) -> Result<(), SendError> {
        self.queue(piece, false)
    }

    /// Queues the last fragment, which may be empty.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); the message is then still unfinished.
    pub fn finish(mut self, piece: &P) -> Result<(), SendError> {
        self.queue(piece, true)
    }

    fn queue(&mut self, piece: &P, last: bool) -> Result<(), SendError> {
        let piece = (piece.as_ref(), last);
        self.connection
            .send_fragment(self.kind, piece, self.compress, self.send)
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
