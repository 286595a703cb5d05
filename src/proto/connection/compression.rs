//! What a connection compresses and decompresses by ([RFC 7692 §7.1.1]).
//!
//! It holds a codec from its first compressed message on if the next message may build on that,
//! and otherwise only while a message is in the middle: then it takes one of those that are at
//! rest in the buffers, and gives it back, with nothing remembered, at the message's end.
//!
//! [RFC 7692 §7.1.1]: https://www.rfc-editor.org/rfc/rfc7692#section-7.1.1

use crate::proto::buffer::RecvBuffer;
use crate::proto::deflate::{
    Compressor, Compressors, Decompressor, Deflate, DeflateParams, WindowBits,
};
use crate::proto::frame::Role;

/// What was agreed, and the codecs that are held.
#[derive(Debug, Default)]
pub(super) struct Compression {
    params: Option<DeflateParams>,
    held: Option<Box<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    compressor: Option<Compressor>,
    decompressor: Option<Box<Decompressor>>,
}

impl Compression {
    pub(super) fn agreed(params: DeflateParams) -> Self {
        Self {
            params: Some(params),
            held: None,
        }
    }

    #[inline]
    pub(super) fn params(&self) -> Option<&DeflateParams> {
        self.params.as_ref()
    }

    /// The compressor for the next piece of a message that the end in the role `sender` sends.
    pub(super) fn take_compressor(
        &mut self,
        settings: &Deflate,
        sender: Role,
        shared: &mut Compressors,
    ) -> Compressor {
        let held = self.held.as_mut();
        held.and_then(|held| held.compressor.take())
            .unwrap_or_else(|| shared.take(settings, self.window_bits(sender)))
    }

    /// Takes it back; `over` says whether that was the message's last piece.
    pub(super) fn put_compressor(
        &mut self,
        compressor: Compressor,
        over: bool,
        sender: Role,
        shared: &mut Compressors,
    ) {
        if over && self.is_message_alone(sender) {
            shared.put(compressor);
            self.let_go();
        } else {
            self.held.get_or_insert_default().compressor = Some(compressor);
        }
    }

    /// The decompressor for what comes next of a message.
    pub(super) fn take_decompressor(
        &mut self,
        settings: &Deflate,
        recv: &mut RecvBuffer,
    ) -> Box<Decompressor> {
        let held = self.held.as_mut();
        held.and_then(|held| held.decompressor.take())
            .or_else(|| recv.take_decompressor())
            .unwrap_or_else(|| Box::new(Decompressor::new(settings)))
    }

    /// Takes it back; `over` says whether the message of the end in the role `sender` is over.
    pub(super) fn put_decompressor(
        &mut self,
        mut decompressor: Box<Decompressor>,
        over: bool,
        sender: Role,
        recv: &mut RecvBuffer,
    ) {
        if over && self.is_message_alone(sender) {
            decompressor.reset();
            recv.put_decompressor(decompressor);
            self.let_go();
        } else {
            self.held.get_or_insert_default().decompressor = Some(decompressor);
        }
    }

    /// How far back this sender may refer.
    pub(super) fn window_bits(&self, sender: Role) -> WindowBits {
        match (self.params, sender) {
            (Some(params), Role::Client) => params.client_max_window_bits,
            (Some(params), Role::Server) => params.server_max_window_bits,
            (None, _) => WindowBits::MIN,
        }
    }

    /// Whether this sender's messages do not build on one another.
    pub(super) fn is_message_alone(&self, sender: Role) -> bool {
        self.params.is_none_or(|params| match sender {
            Role::Client => params.client_no_context_takeover,
            Role::Server => params.server_no_context_takeover,
        })
    }

    /// Holds nothing more if nothing is held.
    fn let_go(&mut self) {
        let is_empty = |held: &Held| held.compressor.is_none() && held.decompressor.is_none();
        if self.held.as_deref().is_some_and(is_empty) {
            self.held = None;
        }
    }
}
