//! Messages that are queued by reference, for vectored writes ([RFC 6455 §5.2]).
//!
//! The header is queued as a copy, the payload as it is: a write of several large messages hands
//! all of them over at once, and none is copied on the way. Where bytes must be changed or made
//! (masked, compressed), or are too few to be worth a piece of their own, they are copied.
//!
//! [RFC 6455 §5.2]: https://www.rfc-editor.org/rfc/rfc6455#section-5.2

use std::str::Utf8Error;

use bytes::Bytes;

use crate::proto::buffer::SendBuffer;
use crate::proto::connection::Connection;
use crate::proto::connection::write::Compress;
use crate::proto::error::SendError;
use crate::proto::event::Kind;

/// A message whose payload is shared by those who queue it and those who keep it.
///
/// To clone it copies no payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    kind: Kind,
    payload: Bytes,
}

impl Shared {
    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            kind: Kind::Text,
            payload: text.into().into(),
        }
    }

    /// A text message of bytes that are shared already.
    ///
    /// # Errors
    ///
    /// If they are not UTF-8 (§8.1).
    pub fn utf8(bytes: impl Into<Bytes>) -> Result<Self, Utf8Error> {
        let payload = bytes.into();
        str::from_utf8(&payload)?;
        Ok(Self {
            kind: Kind::Text,
            payload,
        })
    }

    /// A binary message.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: Kind::Binary,
            payload: bytes.into(),
        }
    }

    /// What the message is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }
}

impl Connection {
    /// Queues a message in one frame: a large one by reference, if it goes out as it is.
    ///
    /// What waits is then in several pieces, for [vectored writes](SendBuffer::slices). It counts
    /// towards [`Config::send_queue_max`](crate::proto::Config::send_queue_max) as if copied.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Instant;
    /// # use openline::proto::{Config, Connection, Role, SendBuffer};
    /// use openline::proto::Shared;
    ///
    /// # let config = Arc::new(Config::default());
    /// # let mut connection = Connection::established(Role::Server, config, Instant::now(), [0; 32]);
    /// # let mut send = SendBuffer::new();
    /// let image = Shared::binary(vec![7; 100_000]);
    /// connection.send_shared(&image, &mut send)?;
    /// connection.send_text("the same again:", &mut send)?;
    /// connection.send_shared(&image, &mut send)?;
    /// let sizes: Vec<usize> = send.slices().map(<[u8]>::len).collect();
    /// assert_eq!(sizes, [10, 100_000, 17 + 10, 100_000]); // transport.write_vectored(…)?
    /// # Ok::<(), openline::proto::SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub fn send_shared(
        &mut self,
        message: &Shared,
        send: &mut SendBuffer,
    ) -> Result<(), SendError> {
        let Shared { kind, payload } = message;
        let compress = Compress::Threshold;
        if payload.len() < SHARED_MIN
            || self.masking.is_some()
            || self.compresses(payload.len(), compress)
        {
            return self.send_message(*kind, payload, compress, send);
        }
        self.may_begin(send)?;
        send.extend(Self::frame_header(*kind, payload.len()).as_bytes());
        send.share(payload.clone());
        self.timers.sent_message();
        Ok(())
    }
}

/// Below this many bytes a copy costs less than two more pieces of a vectored write.
const SHARED_MIN: usize = 4 << 10;
