//! The frames of one direction, decoded leniently ([RFC 6455 §5]).
//!
//! A [`Decoder`] never stops at a fault: it names it and reads on as well as that can be done.
//! However the bytes arrive, the same frames come out; what it holds is bounded by [`Limits`].
//!
//! [RFC 6455 §5]: https://www.rfc-editor.org/rfc/rfc6455#section-5

use bytes::Bytes;

use crate::inspect::assembly::Assembly;
use crate::inspect::frame::{CloseBody, Frame, Part};
use crate::inspect::inflate::Inflation;
use crate::inspect::rules::{self, Broken};
use crate::inspect::violation::{Fault, Violation};
use crate::proto::{DeflateParams, Kind, Opcode, ProtocolError, Role};

/// How much is kept of what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes kept of one frame's payload. Default: 16 MiB, what the strict half of the crate
    /// takes. All that come are checked, whether they are kept or not.
    pub frame_kept_max: usize,
    /// The bytes kept of one message. Default: 16 MiB, for the same reason. One that is compressed
    /// is inflated no further, and what it says then is unknown.
    pub message_kept_max: usize,
    /// The bytes of one head of the opening handshake. Default: 64 KiB, four times what the
    /// strict half takes: what is longer is not a head.
    pub head_size_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_kept_max: 16 << 20,
            message_kept_max: 16 << 20,
            head_size_max: 64 << 10,
        }
    }
}

/// Decodes the frames that one end sent.
///
/// ```
/// use openline::inspect::{Decoder, Limits};
/// use openline::proto::{ProtocolError, Role};
///
/// let mut decoder = Decoder::new(Role::Server, Limits::default());
/// let mut bytes: &[u8] = b"\x81\x05Hello\x83\x00";
/// let frame = decoder.next(&mut bytes).unwrap();
/// assert_eq!(frame.message.unwrap().text(), Some("Hello"));
/// let frame = decoder.next(&mut bytes).unwrap();
/// assert_eq!(frame.violations[0].offset, 7);
/// assert_eq!(frame.violations[0].fault.close_code().unwrap().number(), 1002);
/// ```
#[derive(Debug)]
pub struct Decoder {
    sender: Role,
    limits: Limits,
    /// Where the next byte lies.
    offset: u64,
    /// The frame that has begun, and what is kept of its payload.
    frame: Option<(Frame, Vec<u8>)>,
    frames: u64,
    message: Option<Assembly>,
    /// What inflates, if permessage-deflate was agreed to.
    inflation: Option<Box<Inflation>>,
    is_closed: bool,
    /// Whether the beginning was not seen: a message may have begun before.
    is_joined: bool,
}

impl Decoder {
    /// A decoder for what the end in the role `sender` sends, from its first frame on.
    #[must_use]
    pub fn new(sender: Role, limits: Limits) -> Self {
        Self::starting_at(0, sender, limits)
    }

    /// The same where `offset` bytes of the direction came before its first frame.
    #[must_use]
    pub fn starting_at(offset: u64, sender: Role, limits: Limits) -> Self {
        Self {
            sender,
            limits,
            offset,
            frame: None,
            frames: 0,
            message: None,
            inflation: None,
            is_closed: false,
            is_joined: false,
        }
    }

    /// The same where what came before was not seen: a continuation may come first.
    #[must_use]
    pub fn joining_at(offset: u64, sender: Role, limits: Limits) -> Self {
        Self {
            is_joined: true,
            ..Self::starting_at(offset, sender, limits)
        }
    }

    /// The same where permessage-deflate was agreed to with these parameters.
    #[must_use]
    pub fn with_compression(mut self, params: &DeflateParams) -> Self {
        self.inflation = Some(Box::new(Inflation::new(self.sender, params)));
        self
    }

    /// Takes bytes off the front of `bytes` until a frame ends; `None` when all are taken.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        loop {
            let (frame, _) = self.frame.get_or_insert_with(|| {
                self.frames += 1;
                let frame = Frame::new(self.sender, self.frames, self.offset);
                (frame, Vec::new())
            });
            if frame.is_whole() {
                return self.end_frame();
            }
            if bytes.is_empty() {
                return None;
            }
            match frame.header.is_whole() {
                false => self.take_header(bytes),
                true => self.take_payload(bytes),
            }
        }
    }

    /// The next `n` bytes are lost. Whether that is no great harm, for they are all of one
    /// payload; if not, where the next frame begins is unknown, and this decoder is of no use.
    pub fn skip(&mut self, n: u64) -> bool {
        let Some((frame, _)) = &mut self.frame else {
            return false;
        };
        let lacking = frame.header.payload_len().unwrap_or_default() - frame.received;
        if !frame.header.is_whole() || lacking < n {
            return false;
        }
        frame.received += n;
        frame.missing += n;
        self.offset += n;
        if let (Some(message), Some(_)) = (&mut self.message, frame.part) {
            message.skip(n);
        }
        true
    }

    /// The stream has ended: gives what came of a frame that did not.
    pub fn finish(&mut self) -> Option<Frame> {
        let (mut frame, kept) = self.frame.take()?;
        if frame.header.is_empty() {
            return None;
        }
        frame.payload = kept.into();
        Some(frame)
    }

    /// What came so far of a frame that has not ended; its payload is not in it yet.
    #[must_use]
    pub fn pending(&self) -> Option<&Frame> {
        let (frame, _) = self.frame.as_ref()?;
        (!frame.header.is_empty()).then_some(frame)
    }

    /// Where the next byte lies in the direction's stream.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.message.is_some()
    }

    /// Whether a Close frame came.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    fn take_header(&mut self, bytes: &mut &[u8]) {
        let (frame, _) = self.frame.as_mut().expect("a frame has begun");
        let Some((first, rest)) = bytes.split_first() else {
            return;
        };
        *bytes = rest;
        self.offset += 1;
        frame.header.push(*first);
        let header = frame.header;
        let came = header.as_bytes().len();
        if self.is_closed {
            if came == 1 {
                frame.violations.push(Violation {
                    offset: frame.offset,
                    fault: Fault::AfterClose,
                    expected: "nothing: the receiver reads no further".into(),
                });
            }
        } else {
            let length_at = 2 + header.extended_length().len();
            if came == 2 {
                blame(frame, rules::first_two(&header, self.sender));
            }
            if came == length_at && header.payload_len().is_some() && came > 2 {
                blame(frame, rules::extended_length(&header));
            }
            if header.is_whole() {
                blame(frame, rules::rsv1(&header, self.inflation.is_some()));
            }
        }
        if header.is_whole() {
            self.begin();
        }
    }

    /// The header is whole: finds the frame's place among the others (§5.4).
    fn begin(&mut self) {
        let (frame, _) = self.frame.as_mut().expect("a frame has begun");
        let kind = match frame.header.opcode() {
            Some(Opcode::Text) => Some(Kind::Text),
            Some(Opcode::Binary) => Some(Kind::Binary),
            Some(Opcode::Continuation) => None,
            _ => return,
        };
        let fin = frame.header.fin() == Some(true);
        match (kind, &mut self.message) {
            (Some(kind), message) => {
                if message.is_some() && !self.is_closed {
                    let expected = "a continuation, for the message before is not finished";
                    let error = ProtocolError::ExpectedContinuation;
                    blame(frame, [(0, error, expected.into())]);
                }
                self.is_joined = false;
                let is_compressed = frame.header.rsv1() == Some(true) && self.inflation.is_some();
                if let (Some(unfinished), Some(inflation)) = (&message, &mut self.inflation)
                    && unfinished.is_compressed
                {
                    // It was left in the middle, and nothing can build on it.
                    inflation.lose();
                    inflation.begin();
                }
                let kept_max = self.limits.message_kept_max;
                *message = Some(Assembly::new(kind, frame.offset, is_compressed, kept_max));
                frame.is_compressed = is_compressed;
                frame.part = Some(if fin { Part::Whole } else { Part::First });
                frame.kind = Some(kind);
            }
            (None, Some(message)) => {
                message.frames += 1;
                frame.part = Some(if fin { Part::Last } else { Part::Middle });
                frame.kind = Some(message.kind);
                frame.is_compressed = message.is_compressed;
            }
            (None, None) if self.is_closed => {}
            (None, None) if self.is_joined => {
                frame.part = Some(if fin { Part::Last } else { Part::Middle });
                self.is_joined = !fin;
            }
            (None, None) => {
                let expected = "text or binary, for there is no message to continue";
                let error = ProtocolError::UnexpectedContinuation;
                blame(frame, [(0, error, expected.into())]);
            }
        }
    }

    fn take_payload(&mut self, bytes: &mut &[u8]) {
        let (frame, kept) = self.frame.as_mut().expect("a frame has begun");
        let lacking = frame.header.payload_len().unwrap_or_default() - frame.received;
        let n = usize::try_from(lacking).unwrap_or(usize::MAX);
        let (piece, rest) = bytes.split_at(n.min(bytes.len()).min(PIECE_MAX));
        *bytes = rest;
        let mut piece = piece.to_vec();
        if let Some(key) = frame.header.masking_key() {
            key.at(frame.received).apply(&mut piece);
        }
        // Behind a gap, what came no longer lies where it belongs.
        let room = match frame.missing {
            0 => self.limits.frame_kept_max - kept.len(),
            _ => 0,
        };
        kept.extend_from_slice(&piece[..room.min(piece.len())]);
        if let (Some(message), Some(part)) = (&mut self.message, frame.part) {
            let wrong = match (message.is_compressed, &mut self.inflation) {
                // Where in what came out it is wrong says nothing of where in what came.
                (true, Some(inflation)) => message
                    .inflate(&piece, inflation)
                    .map(|error| (frame.payload_offset().unwrap_or(self.offset), error)),
                _ => message
                    .push(&piece, part == Part::Whole)
                    .map(|at| (self.offset + at as u64, ProtocolError::InvalidUtf8)),
            };
            if let (Some((offset, error)), false) = (wrong, self.is_closed) {
                frame.violations.push(of_text(offset, error));
            }
        }
        frame.received += piece.len() as u64;
        self.offset += piece.len() as u64;
    }

    fn end_frame(&mut self) -> Option<Frame> {
        let (mut frame, kept) = self.frame.take()?;
        frame.payload = Bytes::from(kept);
        match (frame.header.opcode(), frame.part) {
            (Some(Opcode::Close), _) => {
                let payload_at = frame.header.as_bytes().len();
                if !self.is_closed && frame.missing == 0 {
                    let broken = rules::close(&frame.payload, payload_at);
                    blame(&mut frame, broken);
                }
                frame.close = Some(CloseBody::new(&frame.payload));
                self.is_closed = true;
            }
            (_, Some(part)) => {
                let ends = matches!(part, Part::Whole | Part::Last);
                if let Some(message) = &mut self.message {
                    let mut wrong = None;
                    if let (true, true, Some(inflation)) =
                        (ends, message.is_compressed, &mut self.inflation)
                    {
                        wrong = message.finish_inflating(inflation);
                    }
                    if ends && wrong.is_none() && message.cuts_character() {
                        wrong = Some(ProtocolError::InvalidUtf8);
                        message.refuse();
                    }
                    if let (Some(error), false) = (wrong, self.is_closed) {
                        frame.violations.push(of_text(self.offset, error));
                    }
                    frame.text = message.text_state();
                }
                if ends {
                    let message = self.message.take();
                    let whole = (part == Part::Whole).then_some(&frame.payload);
                    frame.message = message.map(|message| message.finish(whole));
                }
            }
            _ => {}
        }
        Some(frame)
    }
}

/// The bytes that are unmasked at a time.
const PIECE_MAX: usize = 16 << 10;

fn blame(frame: &mut Frame, broken: impl IntoIterator<Item = Broken>) {
    for (at, error, expected) in broken {
        frame.violations.push(Violation {
            offset: frame.offset + at as u64,
            fault: Fault::Protocol(error),
            expected,
        });
    }
    frame.violations.sort_by_key(|violation| violation.offset);
}

/// What is wrong with what a message says.
fn of_text(offset: u64, error: ProtocolError) -> Violation {
    let expected = match error {
        ProtocolError::InvalidDeflate => {
            "DEFLATE, flushed, without the four bytes 00 00 ff ff at its end"
        }
        _ => "UTF-8, in its shortest form and without surrogates",
    };
    Violation {
        offset,
        fault: Fault::Protocol(error),
        expected: expected.into(),
    }
}
