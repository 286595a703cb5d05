//! Reading: from bytes to whole messages, chunks and control frames ([RFC 6455 §5.4], §5.5).
//!
//! What is decided here are ranges of the receive buffer; `Connection` turns one into a slice.
//! Every byte is looked at once: a frame whose header was read is taken off the buffer piece by
//! piece as it arrives, unmasked, inflated if it is compressed, and, if it is text, checked.
//!
//! [RFC 6455 §5.4]: https://www.rfc-editor.org/rfc/rfc6455#section-5.4

use std::ops::Range;
use std::time::Instant;

use crate::proto::buffer::{RecvBuffer, Region};
use crate::proto::config::{Config, Delivery};
use crate::proto::connection::ShortWays;
use crate::proto::connection::compression::Compression;
use crate::proto::deflate::{Corrupt, Decompressor};
use crate::proto::error::ProtocolError;
use crate::proto::event::Kind;
use crate::proto::frame::{FrameHeader, Opcode, Role};
use crate::proto::mask::MaskingKey;
use crate::proto::message::{Fault, Frame, Message};
use crate::proto::utf8::InvalidAt;

/// What the next bytes make; the ranges are of the receive buffer, unmasked and inflated.
#[derive(Debug)]
pub(super) enum Step {
    /// More bytes, please.
    More,
    /// A message that lies there whole.
    Whole(Whole),
    /// A message that is gathered in the receive buffer. Text was checked on the way.
    Gathered(Kind, Region),
    /// A piece of a message, checked; and whether it is the last.
    Chunk(Kind, Region, Range<usize>, bool),
    /// A control frame's payload.
    Ping(Range<usize>),
    Pong(Range<usize>),
    Close(Range<usize>),
}

/// A message that lies whole in front of what is unparsed, as it came: its text is unmasked and
/// checked in one go.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(super) kind: Kind,
    /// The bytes of its header that are yet to be passed over.
    pub(super) header: usize,
    pub(super) len: usize,
    pub(super) key: Option<MaskingKey>,
}

/// The message that has begun and not ended, if there is one; most end in the read in which they
/// begin, and idle connections have none.
#[derive(Debug, Default)]
pub(super) struct Reader {
    message: Option<Box<Message>>,
}

/// The next message in `recv`, if it lies there whole in one frame with a length of 7 or 16 bits,
/// and may go the short way.
///
/// Almost every message does: whatever is unusual, or wrong, is left untouched for
/// [`Reader::next`], which would take the same step here.
#[inline(always)]
pub(super) fn next_whole(ways: ShortWays, recv: &RecvBuffer) -> Option<Whole> {
    let unparsed = recv.unparsed();
    let (&[first, second], rest) = unparsed.split_first_chunk()?;
    let kind = match first {
        0x81 => Kind::Text,
        0x82 => Kind::Binary,
        _ => return None,
    };
    // The mask bit as it must be is taken away; as it must not be, it makes a long length.
    let (len, size) = match second ^ ways.mask {
        short @ 0..126 => (usize::from(short), 2),
        126 => match u16::from_be_bytes(*rest.first_chunk()?) {
            len @ 126.. => (usize::from(len), 4),
            _ => return None,
        },
        _ => return None,
    };
    if len >= usize::from(ways.message_end) {
        return None;
    }
    let (header, key) = match ways.mask {
        0 => (size, None),
        _ => {
            let key = unparsed.get(size..size + 4)?.first_chunk()?;
            (size + 4, Some(MaskingKey::new(*key)))
        }
    };
    if unparsed.len() < header + len {
        return None;
    }
    Some(Whole {
        kind,
        header,
        len,
        key,
    })
}

impl Reader {
    /// Takes the next step that the bytes in `recv` allow, as the end in the role `role`.
    #[inline]
    pub(super) fn next(
        &mut self,
        config: &Config,
        role: Role,
        recv: &mut RecvBuffer,
        compression: &mut Compression,
    ) -> Result<Step, ProtocolError> {
        loop {
            if let Some(message) = &mut self.message
                && message.is_within_frame()
                && let Some(step) = match message.compressed {
                    false => message.take_payload(config, recv)?,
                    true => message.take_compressed(config, role, recv, compression)?,
                }
            {
                return Ok(self.pass(step, recv));
            }
            let Some((header, size)) = FrameHeader::decode(recv.unparsed(), role.peer())? else {
                recv.set_lacking(0);
                return Ok(Step::More);
            };
            // §5.2, and RFC 7692 §6: RSV1 says of a message's first frame that the message is
            // compressed, if that was agreed to, and has no meaning on any other frame.
            if header.rsv1
                && (compression.params().is_none()
                    || !matches!(header.opcode, Opcode::Text | Opcode::Binary))
            {
                return Err(ProtocolError::ReservedBits);
            }
            let kind = match header.opcode {
                Opcode::Ping => return Ok(take_control(header, size, recv, Step::Ping)),
                Opcode::Pong => return Ok(take_control(header, size, recv, Step::Pong)),
                Opcode::Close => return Ok(take_control(header, size, recv, Step::Close)),
                Opcode::Text => Some(Kind::Text),
                Opcode::Binary => Some(Kind::Binary),
                Opcode::Continuation => None,
            };
            if let (Some(kind), true, None, Delivery::Whole) =
                (kind, header.fin, &self.message, config.delivery)
                && !header.rsv1
                && header.payload_len <= config.frame_size_max.min(config.message_size_max)
                && let Some(len) = take_header(header, size, recv)
            {
                return Ok(Step::Whole(Whole {
                    kind,
                    header: 0,
                    len,
                    key: header.mask,
                }));
            }
            if let Some(step) = self.begin(config, kind, header, size, recv)? {
                return Ok(self.pass(step, recv));
            }
        }
    }

    /// Whether a message has begun and not ended.
    #[inline]
    pub(super) fn is_mid_message(&self) -> bool {
        self.message.is_some()
    }

    /// All that has come was read: the time of a message that is unfinished counts from here.
    pub(super) fn pause(&mut self, now: Instant) {
        if let Some(message) = &mut self.message {
            message.begun.get_or_insert(now);
        }
    }

    /// When the unfinished message, if there is one, must be finished.
    pub(super) fn deadline(&self, config: &Config) -> Option<Instant> {
        match (&self.message, config.delivery) {
            (Some(message), Delivery::Whole) => message.begun?.checked_add(config.message_timeout?),
            _ => None,
        }
    }

    /// Begins a frame of data: its header is taken off the buffer, its payload as it comes.
    fn begin(
        &mut self,
        config: &Config,
        kind: Option<Kind>,
        header: FrameHeader,
        size: usize,
        recv: &mut RecvBuffer,
    ) -> Result<Option<Step>, ProtocolError> {
        let message = match (&mut self.message, kind) {
            (message @ None, Some(kind)) => {
                message.insert(recv.begin_message(Message::new(kind, header.rsv1)))
            }
            (Some(message), None) => message,
            // §5.4: fragments of one message are not interleaved with another's.
            (Some(_), Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            (None, None) => return Err(ProtocolError::UnexpectedContinuation),
        };
        // §10.4: limits hold for what is declared, before it comes.
        let (frame_size_max, message_size_max) = config.declared_max(message.compressed);
        if header.payload_len > frame_size_max {
            return Err(ProtocolError::FrameTooLarge {
                declared: header.payload_len,
                max: frame_size_max,
            });
        }
        message.declared = message.declared.saturating_add(header.payload_len);
        if message.declared > message_size_max {
            return Err(ProtocolError::MessageTooLarge {
                declared: message.declared,
                max: message_size_max,
            });
        }
        if message.fragments >= config.fragments_max.max(1) {
            return Err(ProtocolError::TooManyFragments {
                max: config.fragments_max,
            });
        }
        message.fragments += 1;
        message.frame = Frame {
            fin: header.fin,
            lacking: header.payload_len,
            key: header.mask,
        };
        recv.consume(size);
        // An empty frame has no payload to wait for.
        match header.payload_len {
            0 if message.compressed => {
                message.unfinished = header.fin;
                Ok(None)
            }
            0 => message.end_frame(config),
            _ => Ok(None),
        }
    }

    /// Passes a step on; the message is over if the step ends it.
    #[inline]
    fn pass(&mut self, step: Step, recv: &mut RecvBuffer) -> Step {
        if let Step::Gathered(..) | Step::Chunk(.., true) = step {
            recv.end_message(self.message.take());
        }
        step
    }
}

impl Message {
    /// Takes what has come of the frame's payload; `None` when the frame is over and another
    /// has to follow.
    fn take_payload(
        &mut self,
        config: &Config,
        recv: &mut RecvBuffer,
    ) -> Result<Option<Step>, ProtocolError> {
        if let Some(fault) = self.refused {
            return Err(fault.error(config));
        }
        let n = usize::try_from(self.frame.lacking)
            .unwrap_or(usize::MAX)
            .min(recv.unparsed_len());
        let key = self.frame.key;
        self.frame.lacking -= n as u64;
        self.frame.key = key.map(|key| key.at(n as u64));
        recv.set_lacking(self.frame.lacking);
        match (config.delivery, self.kind) {
            (Delivery::Whole, kind) => {
                match kind {
                    Kind::Binary => recv.absorb(n, key),
                    // §8.1: what can no longer become UTF-8 fails now, not when it is complete.
                    Kind::Text => recv
                        .absorb_text(n, key)
                        .map_err(|_| ProtocolError::InvalidUtf8)?,
                }
                match self.frame.lacking {
                    0 => self.end_frame(config),
                    _ => Ok(Some(Step::More)),
                }
            }
            (Delivery::Chunks, _) if n == 0 => Ok(Some(Step::More)),
            (Delivery::Chunks, kind) => {
                let piece = recv.unmask(n, key);
                let last = self.frame.lacking == 0 && self.frame.fin;
                self.chunk(kind, Region::Received, piece, last, recv)
            }
        }
    }

    /// Takes what has come of a compressed frame's payload, and gives what comes out of it.
    #[inline(never)]
    fn take_compressed(
        &mut self,
        config: &Config,
        role: Role,
        recv: &mut RecvBuffer,
        compression: &mut Compression,
    ) -> Result<Option<Step>, ProtocolError> {
        if let Some(fault) = self.refused {
            return Err(fault.error(config));
        }
        if recv.unparsed_len() == 0 && !self.unfinished {
            recv.set_lacking(self.frame.lacking);
            return Ok(Some(Step::More));
        }
        let Some(settings) = &config.compression else {
            return Err(ProtocolError::ReservedBits);
        };
        let mut decompressor = compression.take_decompressor(settings, recv);
        let step = self.inflate(config, recv, &mut decompressor)?;
        let over = matches!(step, Some(Step::Gathered(..) | Step::Chunk(.., true)));
        compression.put_decompressor(decompressor, over, role.peer(), recv);
        Ok(step)
    }

    fn inflate(
        &mut self,
        config: &Config,
        recv: &mut RecvBuffer,
        decompressor: &mut Decompressor,
    ) -> Result<Option<Step>, ProtocolError> {
        let mut n = usize::try_from(self.frame.lacking)
            .unwrap_or(usize::MAX)
            .min(recv.unparsed_len());
        recv.unmask_ahead(decompressor.unmasked, n, self.frame.key);
        let unmasked = (n - decompressor.unmasked) as u64;
        self.frame.key = self.frame.key.map(|key| key.at(unmasked));
        decompressor.unmasked = n;
        if config.delivery == Delivery::Chunks {
            decompressor.keep_history();
        }
        let left = config.message_size_max.saturating_sub(decompressor.given);
        let size_max = usize::try_from(left).unwrap_or(usize::MAX);
        // Whatever the pieces in which payload comes, what is wrong first is told first.
        let mut fault = None;
        loop {
            // In blocks, so that what comes out is checked while it is near. One byte more than
            // may come shows that it does.
            let most = size_max.saturating_add(1);
            let max = most.min(recv.inflated().len().saturating_add(INFLATED_BLOCK));
            let capacity_max = match config.delivery {
                Delivery::Whole => most,
                Delivery::Chunks => max,
            };
            match recv.inflate(n, decompressor, max, capacity_max) {
                Ok(taken) => {
                    n -= taken;
                    decompressor.unmasked -= taken;
                    self.frame.lacking -= taken as u64;
                }
                Err(Corrupt) => fault = Some(Fault::Deflate),
            }
            if recv.inflated().len() > size_max {
                recv.truncate_inflated(size_max);
                fault = Some(Fault::Size);
            }
            if config.delivery == Delivery::Chunks {
                break;
            }
            // §8.1, as of a text that is not compressed.
            if self.kind == Kind::Text {
                recv.check_inflated()
                    .map_err(|_| ProtocolError::InvalidUtf8)?;
            }
            if fault.is_some() || !decompressor.is_full() {
                break;
            }
        }
        recv.set_lacking(self.frame.lacking);
        self.unfinished = decompressor.is_full();
        let mut over = self.frame.lacking == 0 && self.frame.fin && !self.unfinished;
        if over && fault.is_none() && decompressor.finish(recv.inflated()).is_err() {
            fault = Some(Fault::Deflate);
        }
        let inflated = recv.inflated().len();
        if let Some(fault) = fault {
            if config.delivery == Delivery::Whole || inflated == 0 {
                return Err(fault.error(config));
            }
            self.refused = Some(fault);
            over = false;
        }
        match config.delivery {
            Delivery::Whole if over => Ok(Some(Step::Gathered(self.kind, Region::Inflated))),
            Delivery::Chunks if over || inflated > 0 => {
                let piece = recv.finish_inflated();
                if !over {
                    decompressor.given += inflated as u64;
                }
                self.chunk(self.kind, Region::Inflated, piece, over, recv)
            }
            _ if self.frame.lacking == 0 => Ok(None),
            _ => Ok(Some(Step::More)),
        }
    }

    /// The step that delivers a piece, or as much of it as is text if it is to be text.
    fn chunk(
        &mut self,
        kind: Kind,
        region: Region,
        mut piece: Range<usize>,
        mut last: bool,
        recv: &RecvBuffer,
    ) -> Result<Option<Step>, ProtocolError> {
        if kind == Kind::Text
            && let Err(InvalidAt(valid)) = self.check(recv.at_region(region, piece.clone()), last)
        {
            if valid == 0 {
                return Err(ProtocolError::InvalidUtf8);
            }
            self.refused = Some(Fault::Utf8);
            piece.end = piece.start + valid;
            last = false;
        }
        Ok(Some(Step::Chunk(kind, region, piece, last)))
    }

    /// Checks the next piece of a text, and the end of the text behind its last piece.
    fn check(&mut self, piece: &[u8], last: bool) -> Result<(), InvalidAt> {
        self.utf8.push(piece)?;
        match last && !self.utf8.is_complete() {
            true => Err(InvalidAt(piece.len())),
            false => Ok(()),
        }
    }

    /// Ends a frame that was gathered, or was empty, and the message if it was the last.
    fn end_frame(&self, config: &Config) -> Result<Option<Step>, ProtocolError> {
        if !self.frame.fin {
            return Ok(None);
        }
        match config.delivery {
            Delivery::Whole => Ok(Some(Step::Gathered(self.kind, Region::Received))),
            // An empty last frame has no piece with which the end would have been checked.
            Delivery::Chunks if !self.utf8.is_complete() => Err(ProtocolError::InvalidUtf8),
            Delivery::Chunks => Ok(Some(Step::Chunk(self.kind, Region::Received, 0..0, true))),
        }
    }
}

/// How much is inflated at a time before it is looked at.
const INFLATED_BLOCK: usize = 64 << 10;

/// The mask bit of the frames that this end sends (§5.1).
pub(super) const fn mask_bit(sender: Role) -> u8 {
    match sender {
        Role::Client => 0x80,
        Role::Server => 0,
    }
}

/// The length of a frame's payload, once all of it is there; its header is passed over.
#[inline]
fn take_header(header: FrameHeader, size: usize, recv: &mut RecvBuffer) -> Option<usize> {
    let len = usize::try_from(header.payload_len).ok()?;
    if recv.unparsed_len() - size < len {
        return None;
    }
    recv.consume(size);
    Some(len)
}

/// A control frame, at most 125 bytes, is waited for.
fn take_control(
    header: FrameHeader,
    size: usize,
    recv: &mut RecvBuffer,
    step: fn(Range<usize>) -> Step,
) -> Step {
    match take_header(header, size, recv) {
        Some(len) => step(recv.unmask(len, header.mask)),
        None => {
            recv.set_lacking(0);
            Step::More
        }
    }
}
