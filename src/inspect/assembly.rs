//! A message while its frames arrive ([RFC 6455 §5.4], §8.1).
//!
//! All of its bytes are checked; as many are kept as the limit allows.
//!
//! [RFC 6455 §5.4]: https://www.rfc-editor.org/rfc/rfc6455#section-5.4

use bytes::Bytes;

use crate::inspect::frame::{Message, TextState};
use crate::inspect::inflate::{Inflation, Stop};
use crate::proto::utf8::{InvalidAt, Validator};
use crate::proto::{Kind, ProtocolError};

/// The message that has begun and not ended.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) kind: Kind,
    pub(super) frames: u64,
    offset: u64,
    len: u64,
    kept: Vec<u8>,
    kept_max: usize,
    /// `None` once it is known not to be UTF-8.
    utf8: Option<Validator>,
    /// Whether nothing is known of what is yet to come of it: some was lost, or cannot be inflated.
    is_unknown: bool,
    pub(super) is_compressed: bool,
    /// The bytes of payload so far.
    wire_len: u64,
}

impl Assembly {
    /// The message whose first frame begins at `offset`, of which `kept_max` bytes are kept.
    pub(super) fn new(kind: Kind, offset: u64, is_compressed: bool, kept_max: usize) -> Self {
        Self {
            kind,
            frames: 1,
            offset,
            len: 0,
            kept: Vec::new(),
            kept_max,
            utf8: Some(Validator::new()),
            is_unknown: false,
            is_compressed,
            wire_len: 0,
        }
    }

    /// Takes the next bytes, unmasked; `is_kept` elsewhere, they are only checked. Says where in
    /// them a text is first seen not to be UTF-8.
    pub(super) fn push(&mut self, piece: &[u8], is_kept: bool) -> Option<usize> {
        self.wire_len += piece.len() as u64;
        self.len += piece.len() as u64;
        if self.is_unknown {
            return None;
        }
        if !is_kept {
            let room = self.kept_max - self.kept.len();
            self.kept.extend_from_slice(&piece[..room.min(piece.len())]);
        }
        self.check(piece)
    }

    /// Takes the next bytes of a compressed message, unmasked; says what is wrong with them.
    pub(super) fn inflate(
        &mut self,
        piece: &[u8],
        inflation: &mut Inflation,
    ) -> Option<ProtocolError> {
        self.wire_len += piece.len() as u64;
        if self.is_unknown {
            return None;
        }
        let mut is_invalid = false;
        let inflated = inflation.push(piece, self.kept_max, |out| {
            self.len += out.len() as u64;
            is_invalid |= self.check(out).is_some();
        });
        self.is_unknown |= inflated.is_err();
        // What is wrong first is told first: the text came out before.
        match (is_invalid, inflated) {
            (true, _) => Some(ProtocolError::InvalidUtf8),
            (false, Err(Stop::Corrupt)) if !self.is_refused() => {
                Some(ProtocolError::InvalidDeflate)
            }
            (false, _) => None,
        }
    }

    /// Ends a compressed message, all of which was taken.
    pub(super) fn finish_inflating(&mut self, inflation: &mut Inflation) -> Option<ProtocolError> {
        if self.is_unknown {
            inflation.lose();
            inflation.begin();
            return None;
        }
        let finished = inflation.finish();
        match finished {
            Ok(message) => {
                self.kept = message;
                None
            }
            Err(stop) => {
                self.is_unknown = true;
                inflation.begin();
                let is_news = stop == Stop::Corrupt && !self.is_refused();
                is_news.then_some(ProtocolError::InvalidDeflate)
            }
        }
    }

    /// Whether it was found not to be UTF-8 already: what is wrong besides is no news.
    fn is_refused(&self) -> bool {
        self.kind == Kind::Text && self.utf8.is_none()
    }

    /// Checks the next bytes of a text; says where in them it is first seen not to be UTF-8.
    fn check(&mut self, piece: &[u8]) -> Option<usize> {
        if self.kind != Kind::Text {
            return None;
        }
        let InvalidAt(at) = self.utf8.as_mut()?.push(piece).err()?;
        self.utf8 = None;
        Some(at)
    }

    /// The next `n` bytes are lost: what follows is neither kept nor checked.
    pub(super) fn skip(&mut self, n: u64) {
        self.wire_len += n;
        self.len += n;
        self.is_unknown = true;
    }

    /// Whether the text so far ends within a character.
    pub(super) fn cuts_character(&self) -> bool {
        self.kind == Kind::Text
            && !self.is_unknown
            && self.utf8.is_some_and(|utf8| !utf8.is_complete())
    }

    /// The text is not UTF-8 after all.
    pub(super) fn refuse(&mut self) {
        self.utf8 = None;
    }

    /// How the text stands; `None` for what is no text.
    pub(super) fn text_state(&self) -> Option<TextState> {
        (self.kind == Kind::Text).then_some(match self.utf8 {
            None => TextState::Invalid,
            Some(_) if self.is_unknown => TextState::Unknown,
            Some(utf8) if utf8.is_complete() => TextState::Complete,
            Some(_) => TextState::MidCharacter,
        })
    }

    /// The message, now that its last frame has ended. One that is `whole` in that frame shares
    /// its payload.
    pub(super) fn finish(self, whole: Option<&Bytes>) -> Message {
        let payload = match whole {
            Some(payload) if !self.is_compressed => {
                payload.slice(..payload.len().min(self.kept_max))
            }
            _ => self.kept.into(),
        };
        Message {
            kind: self.kind,
            offset: self.offset,
            frames: self.frames,
            wire_len: self.wire_len,
            len: self.len,
            payload,
            is_compressed: self.is_compressed,
            is_unknown: self.is_unknown,
        }
    }
}
