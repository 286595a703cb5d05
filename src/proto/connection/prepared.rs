//! Messages encoded once for many peers ([RFC 6455 §5.2], RFC 7692 §6.1).
//!
//! A server does not mask, so its frames are the same for all peers. Compressed ones are, for all
//! that agreed to compression of each message by itself and to a window that is large enough: the
//! first of them has it compressed, and what comes of it stays with the message for the others,
//! in whatever thread they are.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use std::array;
use std::sync::{Arc, OnceLock};

use crate::proto::buffer::SendBuffer;
use crate::proto::connection::Connection;
use crate::proto::connection::write::Compress;
use crate::proto::deflate::{Compressors, Deflate, WindowBits};
use crate::proto::error::SendError;
use crate::proto::event::Kind;
use crate::proto::frame::{FrameHeader, Role};

/// A message encoded once, as a server sends it, for any number of peers. A clone is the same
/// message, and costs as little as a reference.
///
/// It is also compressed once for all that can share it. Who gets it how:
///
/// | a peer that agreed to | gets it |
/// | --- | --- |
/// | no compression | as it is |
/// | compression of each message by itself (`server_no_context_takeover`, our default) | compressed once for all whose windows are large enough: at most once for each size of window |
/// | compression that builds on earlier messages | compressed by its own compressor |
///
/// All of them get messages below their [threshold](Deflate::threshold) as they are. What is
/// shared is compressed by the settings of the first peer that wants it.
///
/// ```
/// use openline::proto::Prepared;
///
/// let news = Prepared::text("Hello");
/// assert_eq!(news.frame(), b"\x81\x05Hello");
/// ```
#[derive(Clone, Debug)]
pub struct Prepared(Arc<Frames>);

/// The same message, in each way that it is sent.
#[derive(Debug)]
struct Frames {
    kind: Kind,
    header_size: usize,
    plain: Box<[u8]>,
    /// Compressed, by how far back it may refer.
    deflated: [OnceLock<Box<[u8]>>; WINDOWS],
}

/// How many sizes of window there are.
const WINDOWS: usize = (WindowBits::MAX.number() - WindowBits::MIN.number() + 1) as usize;

impl PartialEq for Prepared {
    fn eq(&self, other: &Self) -> bool {
        // The header tells the kind, and the rest follows from these.
        self.frame() == other.frame()
    }
}

impl Eq for Prepared {}

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
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The frame: header and payload, unmasked.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.0.plain
    }

    /// The same message, compressed now and whatever its length, for all peers that can share
    /// the bytes: ahead of the first of them, which would have it done otherwise.
    ///
    /// The window is `settings`'s of the server.
    #[must_use]
    pub fn compressed(self, settings: &Deflate, compressors: &mut Compressors) -> Self {
        self.deflated(settings.server_max_window_bits, settings, compressors);
        self
    }

    fn new(kind: Kind, payload: &[u8]) -> Self {
        let (plain, header_size) = frame(kind, false, payload);
        Self(Arc::new(Frames {
            kind,
            header_size,
            plain,
            deflated: array::from_fn(|_| OnceLock::new()),
        }))
    }

    fn payload(&self) -> &[u8] {
        &self.0.plain[self.0.header_size..]
    }

    /// The compressed frame for a peer that agreed to such a window: one that is there, or a new
    /// one that stays.
    fn deflated(
        &self,
        window_bits: WindowBits,
        settings: &Deflate,
        compressors: &mut Compressors,
    ) -> &[u8] {
        self.within(window_bits).unwrap_or_else(|| {
            self.0.deflated[place(window_bits)].get_or_init(|| {
                let mut compressor = compressors.take(settings, window_bits);
                let (output, size) = compressors.compress(&mut compressor, self.payload(), true);
                let (frame, _) = frame(self.0.kind, true, &output[..size]);
                compressors.put_output(output);
                compressors.put(compressor);
                frame
            })
        })
    }

    /// A compressed frame that is there, if a peer may get it that agreed to such a window.
    fn within(&self, window_bits: WindowBits) -> Option<&[u8]> {
        // Nothing refers further back than the message's beginning.
        let largest = match self.payload().len() <= window_bits.size() {
            true => WindowBits::MAX,
            false => window_bits,
        };
        let fitting = self.0.deflated[..=place(largest)].iter().rev();
        fitting
            .filter_map(OnceLock::get)
            .map(|frame| &**frame)
            .next()
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
        if let Some(frame) = self.shareable(prepared, send.compressors()) {
            send.extend(frame);
            self.timers.sent_message();
            return Ok(());
        }
        let payload = prepared.payload();
        self.send_message(prepared.kind(), payload, Compress::Threshold, send)
    }

    /// The bytes that this peer can get as others do.
    fn shareable<'p>(
        &self,
        prepared: &'p Prepared,
        compressors: &mut Compressors,
    ) -> Option<&'p [u8]> {
        if self.role() == Role::Client {
            return None;
        }
        let compresses = self.compresses(prepared.payload().len(), Compress::Threshold);
        if self.compression.params().is_some() && self.compression.is_message_alone(Role::Server) {
            let window_bits = self.compression.window_bits(Role::Server);
            let deflated = match &self.config.compression {
                Some(settings) if compresses => {
                    Some(prepared.deflated(window_bits, settings, compressors))
                }
                // What was compressed ahead of its peers is there for small messages too.
                _ => prepared.within(window_bits),
            };
            if deflated.is_some() {
                return deflated;
            }
        }
        (!compresses).then_some(prepared.frame())
    }
}

/// Where the frame of this window stands.
fn place(window_bits: WindowBits) -> usize {
    usize::from(window_bits.number() - WindowBits::MIN.number())
}

/// A frame that is a whole message, and the size of its header.
fn frame(kind: Kind, compressed: bool, payload: &[u8]) -> (Box<[u8]>, usize) {
    let header = FrameHeader {
        fin: true,
        rsv1: compressed,
        opcode: kind.opcode(),
        mask: None,
        payload_len: payload.len() as u64,
    };
    let header = header.encode();
    let header = header.as_bytes();
    ([header, payload].concat().into(), header.len())
}
