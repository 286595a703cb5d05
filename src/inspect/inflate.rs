//! Compressed messages, inflated as their frames arrive ([RFC 7692 §7.2.2]).
//!
//! One message at a time, up to a limit. Behind a message that cannot be inflated, what may refer
//! to it cannot be either: it is unknown, which is no fault of its sender's.
//!
//! [RFC 7692 §7.2.2]: https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2

use crate::proto::{Decompressor, DeflateParams, Inflated, Role};

/// What one end's messages are inflated by.
#[derive(Debug)]
pub(super) struct Inflation {
    /// Whether each message is compressed by itself (§7.1.1).
    is_message_alone: bool,
    /// `None` where this build cannot inflate, and where the messages before are unknown.
    decompressor: Option<Decompressor>,
    output: Inflated,
}

/// Why no more comes out of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is not what a message compresses to.
    Corrupt,
    /// It was not inflated, and will not be.
    Unknown,
}

impl Inflation {
    /// For what the end in the role `sender` sends.
    pub(super) fn new(sender: Role, params: &DeflateParams) -> Self {
        Self {
            is_message_alone: match sender {
                Role::Client => params.client_no_context_takeover,
                Role::Server => params.server_no_context_takeover,
            },
            decompressor: decompressor(),
            output: Inflated::new(),
        }
    }

    /// Takes the next bytes of a message, unmasked, and shows what comes out of them. Of the
    /// message no more than `size_max` bytes are inflated.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        size_max: usize,
        mut show: impl FnMut(&[u8]),
    ) -> Result<(), Stop> {
        // It is put back if nothing is wrong.
        let mut decompressor = self.decompressor.take().ok_or(Stop::Unknown)?;
        let mut taken = 0;
        loop {
            let before = self.output.len();
            let size_max = size_max.saturating_add(1);
            let max = before.saturating_add(BLOCK).min(size_max);
            let rest = &piece[taken..];
            let inflated = decompressor.inflate(rest, &mut self.output, max, size_max);
            // What came out before something was wrong came out.
            show(&self.output.bytes()[before..]);
            taken += inflated.map_err(|_| Stop::Corrupt)?;
            if self.output.len() >= size_max {
                return Err(Stop::Unknown);
            }
            if taken == piece.len() && !decompressor.is_full() {
                self.decompressor = Some(decompressor);
                return Ok(());
            }
        }
    }

    /// Ends the message, all of which was taken; gives it.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Stop> {
        let decompressor = self.decompressor.as_mut().ok_or(Stop::Unknown)?;
        if decompressor.finish(&self.output).is_err() {
            self.lose();
            return Err(Stop::Corrupt);
        }
        let message = self.output.bytes().to_vec();
        self.begin();
        Ok(message)
    }

    /// What the message says is unknown, and with it what refers to it.
    pub(super) fn lose(&mut self) {
        self.decompressor = None;
        self.output.truncate(0);
    }

    /// A message is over, whatever became of it.
    pub(super) fn begin(&mut self) {
        self.output.truncate(0);
        if self.is_message_alone {
            match &mut self.decompressor {
                Some(decompressor) => decompressor.reset(),
                lost => *lost = decompressor(),
            }
        }
    }
}

#[cfg(feature = "deflate")]
fn decompressor() -> Option<Decompressor> {
    Some(Decompressor::new(&crate::proto::Deflate::default()))
}

#[cfg(not(feature = "deflate"))]
fn decompressor() -> Option<Decompressor> {
    None
}

/// What comes out at a time.
const BLOCK: usize = 64 << 10;
