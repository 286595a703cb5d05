//! A message while its frames arrive ([RFC 6455 §5.4], §8.1).
//!
//! All of its bytes are checked; as many are kept as the limit allows.
//!
//! [RFC 6455 §5.4]: https://www.rfc-editor.org/rfc/rfc6455#section-5.4

use bytes::Bytes;

use crate::inspect::frame::{Message, TextState};
use crate::proto::Kind;
use crate::proto::utf8::{InvalidAt, Validator};

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
    /// Whether some of it was lost, so that nothing is known of it.
    has_gap: bool,
}

impl Assembly {
    /// The message whose first frame begins at `offset`, of which `kept_max` bytes are kept.
    pub(super) fn new(kind: Kind, offset: u64, kept_max: usize) -> Self {
        Self {
            kind,
            frames: 1,
            offset,
            len: 0,
            kept: Vec::new(),
            kept_max,
            utf8: Some(Validator::new()),
            has_gap: false,
        }
    }

    /// Takes the next bytes, unmasked; `is_kept` elsewhere, they are only checked. Says where in
    /// them a text is first seen not to be UTF-8.
    pub(super) fn push(&mut self, piece: &[u8], is_kept: bool) -> Option<usize> {
        self.len += piece.len() as u64;
        if self.has_gap {
            return None;
        }
        if !is_kept {
            let room = self.kept_max - self.kept.len();
            self.kept.extend_from_slice(&piece[..room.min(piece.len())]);
        }
        if self.kind != Kind::Text {
            return None;
        }
        let InvalidAt(at) = self.utf8.as_mut()?.push(piece).err()?;
        self.utf8 = None;
        Some(at)
    }

    /// The next `n` bytes are lost: what follows is neither kept nor checked.
    pub(super) fn skip(&mut self, n: u64) {
        self.len += n;
        self.has_gap = true;
    }

    /// Whether the text so far ends within a character.
    pub(super) fn cuts_character(&self) -> bool {
        self.kind == Kind::Text
            && !self.has_gap
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
            Some(_) if self.has_gap => TextState::Unknown,
            Some(utf8) if utf8.is_complete() => TextState::Complete,
            Some(_) => TextState::MidCharacter,
        })
    }

    /// The message, now that its last frame has ended. One that is `whole` in that frame shares
    /// its payload.
    pub(super) fn finish(self, whole: Option<&Bytes>) -> Message {
        let payload = match whole {
            Some(payload) => payload.slice(..payload.len().min(self.kept_max)),
            None => self.kept.into(),
        };
        Message {
            kind: self.kind,
            offset: self.offset,
            frames: self.frames,
            wire_len: self.len,
            len: self.len,
            payload,
            is_compressed: false,
        }
    }
}
