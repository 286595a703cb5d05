//! What one end is willing to do ([RFC 7692 §7.1]), and how it compresses.
//!
//! Every value here is one that may be agreed to or that the codec can do.
//!
//! [RFC 7692 §7.1]: https://www.rfc-editor.org/rfc/rfc7692#section-7.1

use crate::proto::deflate::params::WindowBits;

/// Compression as one end would have it: what to negotiate, and how to compress.
///
/// ```
/// # #[cfg(feature = "deflate")] {
/// use openline::proto::{Config, Deflate, WindowBits};
///
/// // One compressor and one decompressor for all connections of a loop:
/// let shared = Deflate::default();
/// // Each connection its own, with the context of earlier messages and small windows:
/// let dedicated = Deflate {
///     server_no_context_takeover: false,
///     client_no_context_takeover: false,
///     server_max_window_bits: WindowBits::new(11).unwrap(),
///     ..Deflate::default()
/// };
/// let config = Config { compression: Some(shared), ..Config::default() };
/// # let _ = (config, dedicated);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// What compresses. Without the feature `deflate` there is nothing to choose, and so no
    /// value of this type.
    pub codec: Codec,

    /// Whether the server is to compress each message by itself (§7.1.1.1), so that a loop's
    /// connections share one compressor. Default: yes; a compressor for each of 100,000
    /// connections is 38 GB.
    pub server_no_context_takeover: bool,

    /// Whether the client is to compress each message by itself (§7.1.1.2), so that a loop's
    /// connections share one decompressor. Default: yes; one for each of 100,000 connections is
    /// 5 GB.
    pub client_no_context_takeover: bool,

    /// How far back the server may refer at most (§7.1.2.1). Default: 15 bits, since a window
    /// that is shared costs nothing more for being large.
    pub server_max_window_bits: WindowBits,

    /// How far back the client may refer at most (§7.1.2.2). Default: 15 bits, as above.
    ///
    /// A client that cannot be told so (§7.1.2.2: its offer does not name the parameter) is
    /// told to forget its context instead.
    pub client_max_window_bits: WindowBits,

    /// Whether a client that makes demands of the server, by the first and the third of these
    /// fields, also offers compression without them, for a server that cannot meet them (§7.1.3:
    /// several offers). Default: no; the demands are there to save memory.
    pub fallback: bool,

    /// How much effort to spend. Default: 1, from which on more time buys little on messages
    /// of a few kilobytes.
    pub level: Level,

    /// How much memory a compressor has beside its window. Default: 8, which is zlib's.
    pub memory_level: MemoryLevel,

    /// Messages below this many bytes are sent as they are, unless the caller wishes otherwise.
    /// Default: 128, below which compression by itself, without the context of other messages,
    /// gains little and often loses.
    pub threshold: usize,
}

/// What compresses and decompresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// zlib-rs: zlib in Rust.
    #[cfg(feature = "deflate")]
    ZlibRs,
}

/// The effort to compress: 0 stores, 1 is fast, 9 is thorough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Level(u8);

/// The memory of a compressor beside its window: 1 is little, 9 is most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemoryLevel(u8);

#[cfg(feature = "deflate")]
impl Default for Deflate {
    fn default() -> Self {
        Self {
            codec: Codec::ZlibRs,
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
            fallback: false,
            level: Level(1),
            memory_level: MemoryLevel(8),
            threshold: 128,
        }
    }
}

impl Level {
    /// This level, if it is 0 to 9.
    #[must_use]
    pub const fn new(level: u8) -> Option<Self> {
        match level {
            0..=9 => Some(Self(level)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl MemoryLevel {
    /// This level, if it is 1 to 9.
    #[must_use]
    pub const fn new(level: u8) -> Option<Self> {
        match level {
            1..=9 => Some(Self(level)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}
