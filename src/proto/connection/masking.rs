//! The keys that a client masks its frames with ([RFC 6455 §5.3]).
//!
//! [RFC 6455 §5.3]: https://www.rfc-editor.org/rfc/rfc6455#section-5.3

use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::proto::buffer::SendBuffer;
use crate::proto::frame::{FrameHeader, Opcode, Role};
use crate::proto::mask::MaskingKey;

/// A client's source of masking keys: unpredictable, and fresh for each frame (§5.3).
///
/// Some are drawn ahead: the generator is long, and would be inlined where each is used, or called
/// for each.
pub(super) struct MaskingKeys {
    random: StdRng,
    ahead: [[u8; 4]; AHEAD],
    /// How many of those, from the first on, are yet to be used.
    left: usize,
}

/// How many keys are drawn at once.
const AHEAD: usize = 16;

impl MaskingKeys {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            random: StdRng::from_seed(seed),
            ahead: [[0; 4]; AHEAD],
            left: 0,
        }
    }

    #[inline]
    fn draw(&mut self) -> MaskingKey {
        if self.left == 0 {
            self.draw_ahead();
        }
        self.left -= 1;
        MaskingKey::new(self.ahead[self.left % AHEAD])
    }

    #[inline(never)]
    fn draw_ahead(&mut self) {
        self.random.fill_bytes(self.ahead.as_flattened_mut());
        self.left = AHEAD;
    }

    /// Appends a message in one frame, masked.
    #[inline(always)]
    pub(super) fn queue_message(&mut self, opcode: Opcode, payload: &[u8], send: &mut SendBuffer) {
        send.push_masked(opcode, self.draw(), payload);
    }

    /// Appends one frame, masked.
    #[inline]
    pub(super) fn queue(&mut self, header: FrameHeader, payload: &[u8], send: &mut SendBuffer) {
        let key = self.draw();
        let header = FrameHeader {
            mask: Some(key),
            ..header
        };
        let body = send.append_frame(&header.encode(), payload.len());
        key.copy(payload, body);
    }
}

/// Its state would tell the keys to come.
impl fmt::Debug for MaskingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskingKeys")
    }
}

/// The role of an end with or without a source of masking keys.
pub(super) const fn role(masking: Option<&MaskingKeys>) -> Role {
    match masking {
        Some(_) => Role::Client,
        None => Role::Server,
    }
}
