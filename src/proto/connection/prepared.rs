//! Messages encoded once for many peers ([RFC 6455 §5.2], RFC 7692 §6.1).
//!
//! A server does not mask, so its frames are the same for all peers; compressed ones are, for all
//! that agreed to compression of each message by itself and to a window that is large enough.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use bytes::Bytes;

use crate::proto::buffer::SendBuffer;
use crate::proto::connection::Connection;
use crate::proto::connection::write::{Compress, opcode};
use crate::proto::deflate::{Compressors, Deflate, WindowBits};
use crate::proto::error::SendError;
use crate::proto::event::Kind;
use crate::proto::frame::{FrameHeader, Role};

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
    deflated: Option<Deflated>,
}

/// The same message, compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deflated {
    frame: Bytes,
    /// How far back it refers at most.
    window_bits: WindowBits,
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

    /// The same message, also compressed: once for all peers that can share the bytes. The
    /// others get it as they agreed, compressed for each by itself, or not at all.
    ///
    /// The window is `settings`'s of the server.
    #[must_use]
    pub fn compressed(self, settings: &Deflate, compressors: &mut Compressors) -> Self {
        let window_bits = settings.server_max_window_bits;
        let mut compressor = compressors.take(settings, window_bits);
        let mut output = compressors.take_output();
        let size = compressor.compress(self.payload(), &mut output, true);
        let (frame, _) = frame(self.kind, true, &output[..size]);
        compressors.put_output(output);
        compressors.put(compressor);
        Self {
            deflated: Some(Deflated { frame, window_bits }),
            ..self
        }
    }

    fn new(kind: Kind, payload: &[u8]) -> Self {
        let (frame, header_size) = frame(kind, false, payload);
        Self {
            kind,
            header_size,
            frame,
            deflated: None,
        }
    }

    fn payload(&self) -> &[u8] {
        &self.frame[self.header_size..]
    }

    /// The compressed frame, if a peer may get it that agreed to such a window.
    fn within(&self, window_bits: WindowBits) -> Option<&[u8]> {
        let deflated = self.deflated.as_ref()?;
        // Nothing refers further back than the message's beginning.
        let fits =
            deflated.window_bits <= window_bits || self.payload().len() <= window_bits.size();
        fits.then_some(&deflated.frame)
    }
}

impl Connection {
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
        self.may_begin(send)?;
        if let Some(frame) = self.shareable(prepared) {
            send.extend(frame);
            self.timers.sent_message();
            return Ok(());
        }
        self.send_message(prepared.kind, prepared.payload(), Compress::Threshold, send)
    }

    /// The bytes that this peer can get as all others do.
    fn shareable<'p>(&self, prepared: &'p Prepared) -> Option<&'p [u8]> {
        if self.role() == Role::Client {
            return None;
        }
        if self.compression.params().is_some()
            && self.compression.is_message_alone(Role::Server)
            && let Some(frame) = prepared.within(self.compression.window_bits(Role::Server))
        {
            return Some(frame);
        }
        let compresses = self.compresses(prepared.payload().len(), Compress::Threshold);
        (!compresses).then_some(&prepared.frame)
    }
}

/// A frame that is a whole message, and the size of its header.
fn frame(kind: Kind, compressed: bool, payload: &[u8]) -> (Bytes, usize) {
    let header = FrameHeader {
        fin: true,
        rsv1: compressed,
        opcode: opcode(kind),
        mask: None,
        payload_len: payload.len() as u64,
    };
    let header = header.encode();
    let header = header.as_bytes();
    ([header, payload].concat().into(), header.len())
}
