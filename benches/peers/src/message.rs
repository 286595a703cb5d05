//! What all send: one message, as often as fills a mebibyte, within reason.

use bytes::Bytes;
use openline::proto::Role;

use crate::floor::stream::Content;

pub struct Message {
    pub sender: Role,
    pub content: Content,
    pub payload: Bytes,
    /// How often a pass sends it.
    pub times: usize,
}

impl Message {
    pub fn new(sender: Role, content: Content, size: usize) -> Self {
        Self {
            sender,
            content,
            payload: content.payload(size).into(),
            times: ((1 << 20) / size).clamp(4, 4096),
        }
    }

    pub fn is_text(&self) -> bool {
        self.content != Content::Binary
    }
}
