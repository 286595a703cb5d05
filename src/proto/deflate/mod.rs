//! permessage-deflate: messages compressed by DEFLATE ([RFC 7692]).
//!
//! [`Deflate`] is what one end is willing to do, [`DeflateParams`] what both have agreed to
//! (§7.1). A [`Compressor`] makes the payloads of messages (§7.2.1) and a [`Decompressor`] reads
//! them (§7.2.2), never further than it is told to. Only `codec` knows who compresses in truth.
//!
//! # What it costs to hold
//!
//! Nothing is allocated before the first compressed message, and what is agreed to takes no
//! memory of its own. From then on, in bytes on 64-bit machines, as `tests/memory.rs` counts them:
//!
//! | | held |
//! | --- | --- |
//! | a compressor with a window of 15 bits and memory level 8, the defaults | 380,192 |
//! | with a window of 12 bits | 265,504 |
//! | with a window of 12 bits and memory level 5 | 165,152 |
//! | with a window of 9 bits and memory level 1 | 137,376 |
//! | a decompressor, whatever its window | 47,896 |
//!
//! With no context takeover, the default, the compressors and the decompressor are *shared*: one
//! of each for an event loop, held by its [`SendBuffer`] and its [`RecvBuffer`], however many
//! connections it has. A connection holds one only while a message is in the middle of being
//! sent in fragments, or received. With context takeover they are *dedicated*: each connection
//! holds its own from its first compressed message on, which makes short messages that resemble
//! each other much smaller; the window and the [`MemoryLevel`] then decide how much it holds.
//!
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
//! [`SendBuffer`]: crate::proto::SendBuffer
//! [`RecvBuffer`]: crate::proto::RecvBuffer

#[cfg(feature = "deflate")]
mod codec;
#[cfg(not(feature = "deflate"))]
#[path = "absent.rs"]
mod codec;
mod compress;
mod decompress;
mod params;
mod settings;

pub(crate) use compress::Compressor;
pub use compress::Compressors;
pub(crate) use decompress::{Corrupt, Decompressor, Inflated};
pub use params::{DeflateParams, WindowBits};
pub(crate) use params::{ParamsError, accept_offer, offers, read_answer, verify_answer};
pub use settings::{Codec, Deflate, Level, MemoryLevel};

/// What ends a block that a flush ended: §7.2.1, step 3, takes it off, and §7.2.2, step 1, puts
/// it back.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
