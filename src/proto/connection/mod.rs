//! A connection after its opening handshake ([RFC 6455 §5], §7).
//!
//! [`Connection::poll`] is the one place that decides what the next bytes mean and answers what
//! must be answered; [`read`] takes bytes off the receive buffer, [`write`] puts frames onto the
//! send buffer, [`close`] has the states and the timers.
//!
//! [RFC 6455 §5]: https://www.rfc-editor.org/rfc/rfc6455#section-5

mod close;
mod compression;
mod masking;
mod prepared;
mod read;
mod shared;
mod write;

use std::sync::Arc;
use std::time::Instant;

use crate::proto::buffer::{RecvBuffer, Region, SendBuffer};
use crate::proto::close::Close;
use crate::proto::config::{Config, Delivery};
use crate::proto::deflate::DeflateParams;
use crate::proto::error::ProtocolError;
use crate::proto::event::{Chunk, Event, Kind};
use crate::proto::frame::{Opcode, Role};
use crate::proto::timer::Timers;

use close::State;
use compression::Compression;
use masking::MaskingKeys;
pub use prepared::Prepared;
pub(crate) use read::Whole;
use read::{Reader, Step, mask_bit};
pub use shared::Shared;
use write::Writing;
pub use write::{Compress, Data, Fragments, Vectored};

/// One end of an open connection: bytes in, events out, bytes out.
///
/// It owns no buffer, reads no clock and draws no entropy of its own:
///
/// ```
/// use std::sync::Arc;
/// use std::time::Instant;
/// use openline::proto::{Config, Connection, Event, RecvBuffer, Role, SendBuffer};
///
/// let now = Instant::now();
/// let config = Arc::new(Config::default());
/// let mut connection = Connection::established(Role::Server, config, now, [0; 32]);
/// let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
///
/// recv.extend(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
/// while let Some(event) = connection.poll(now, &mut recv, &mut send)? {
///     if let Event::Text(text) = event {
///         connection.send_text(text, &mut send)?; // the event is still borrowed: no copy
///     }
/// }
/// assert_eq!(send.pending(), b"\x81\x05Hello"); // transport.write(send.pending())?
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// After any of its calls, write what is [pending](SendBuffer::pending), and look at
/// [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    /// The client's; a server has none.
    masking: Option<Box<MaskingKeys>>,
    state: Result<State, ProtocolError>,
    reader: Reader,
    /// The message in fragments that we have begun to send.
    writing: Option<Writing>,
    timers: Timers,
    compression: Compression,
    /// Whether the peer's stream has ended.
    eof: bool,
    short_ways: ShortWays,
}

/// Which messages may go the short ways, so that almost every message asks this alone. It follows
/// from the rest of the connection, and is found anew whenever that changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ShortWays {
    /// The mask bit of the frames that are received (§5.1).
    mask: u8,
    /// A message is received so if it has fewer bytes: 0 within another, and at the end.
    message_end: u16,
    /// How a message is sent, if there is room in the queue.
    sends: Sends,
}

/// The short ways of a message that is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sends {
    /// None: with compression, within another message, and at the end.
    #[default]
    Otherwise,
    /// A server's.
    Plain,
    /// A client's.
    Masked,
}

/// What [`Connection::look`] finds.
pub(crate) enum Look {
    /// A message, for [`Connection::take`].
    Whole(Whole),
    /// Nothing: more bytes, please.
    Nothing,
    /// What [`Connection::poll_any`] has to look at.
    Other,
}

impl Connection {
    /// A connection whose opening handshake took place elsewhere.
    ///
    /// `seed` is a client's source of masking keys and must be unpredictable (§5.3, §10.3); a
    /// server does not use it.
    #[must_use]
    pub fn established(role: Role, config: Arc<Config>, now: Instant, seed: [u8; 32]) -> Self {
        let mut this = Self {
            config,
            masking: match role {
                Role::Client => Some(Box::new(MaskingKeys::new(seed))),
                Role::Server => None,
            },
            state: Ok(State::Open),
            reader: Reader::default(),
            writing: None,
            timers: Timers::new(now),
            compression: Compression::default(),
            eof: false,
            short_ways: ShortWays::default(),
        };
        this.find_short_ways();
        this
    }

    /// The same connection with the compression that its handshake agreed to (RFC 7692).
    ///
    /// # Panics
    ///
    /// If its [`Config::compression`] does not say how to compress.
    #[must_use]
    pub fn with_compression(mut self, params: DeflateParams) -> Self {
        assert!(
            self.config.compression.is_some(),
            "who agrees to compression knows how to compress"
        );
        self.compression = Compression::agreed(params);
        self.find_short_ways();
        self
    }

    /// The next event that the bytes in `recv` make; `None`: more bytes, please.
    ///
    /// Replies (Pong, Close) are queued in `send`. While `send` holds
    /// [`Config::send_queue_max`] bytes or more, nothing is parsed and the answer is `None`: a
    /// peer that does not read is not listened to.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol, or a limit. The Close frame that says so is queued; every
    /// later call answers the same error.
    #[inline(always)]
    pub fn poll<'b>(
        &mut self,
        now: Instant,
        recv: &'b mut RecvBuffer,
        send: &mut SendBuffer,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        match self.look(recv, send) {
            Look::Whole(whole) => {
                self.note_message(now);
                match self.take(whole, recv, send) {
                    Some(message) => Ok(Some(message.into())),
                    None => self.poll_end(),
                }
            }
            Look::Nothing => Ok(None),
            Look::Other => self.poll_any(now, recv, send),
        }
    }

    /// Whether [`poll`](Self::poll) may go its short way, which almost every message does, or even
    /// finds nothing left, as in the end it almost always does.
    #[inline(always)]
    pub(crate) fn look(&self, recv: &mut RecvBuffer, send: &SendBuffer) -> Look {
        debug_assert_eq!(self.short_ways, ShortWays::of(self));
        if send.len() >= self.config.send_queue_max {
            return Look::Other;
        }
        if let Some(whole) = read::next_whole(self.short_ways, recv) {
            return Look::Whole(whole);
        }
        if recv.unparsed_len() == 0 && self.short_ways.message_end > 0 && !self.eof {
            recv.set_lacking(0);
            return Look::Nothing;
        }
        Look::Other
    }

    /// Up to how many bytes, not included, a message may have that is [foreseen], and passed over
    /// instead of being polled: 0 within another, at the end, and where frames are masked.
    ///
    /// [foreseen]: RecvBuffer::pass_message
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn passes_below(&self, send: &SendBuffer) -> usize {
        match self.short_ways.mask == 0 && send.len() < self.config.send_queue_max {
            true => usize::from(self.short_ways.message_end),
            false => 0,
        }
    }

    /// [`poll`](Self::poll) without its short way.
    #[inline(never)]
    pub(crate) fn poll_any<'b>(
        &mut self,
        now: Instant,
        recv: &'b mut RecvBuffer,
        send: &mut SendBuffer,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let (Ok(State::Open) | Ok(State::Closing { .. })) = self.state else {
            return self.poll_end();
        };
        if send.len() >= self.config.send_queue_max {
            return Ok(None);
        }
        let unparsed = recv.unparsed_len();
        let role = self.role();
        let next = self
            .reader
            .next(&self.config, role, recv, &mut self.compression);
        self.find_short_ways();
        let step = match next {
            Ok(step) => step,
            Err(error) => return Err(self.fail(error, send)),
        };
        Ok(Some(match step {
            Step::Whole(whole) => {
                self.note_message(now);
                match self.take(whole, recv, send) {
                    Some(message) => message.into(),
                    None => return self.poll_end(),
                }
            }
            Step::Gathered(kind, region) => {
                self.timers.received_message(now);
                match kind {
                    Kind::Binary => {
                        let payload = match region {
                            Region::Received => recv.finish(),
                            Region::Inflated => recv.finish_inflated(),
                        };
                        Event::Binary(recv.at_region(region, payload))
                    }
                    Kind::Text => match recv.finish_text(region) {
                        Some(text) => Event::Text(text),
                        None => return Err(self.fail(ProtocolError::InvalidUtf8, send)),
                    },
                }
            }
            Step::Chunk(kind, region, payload, last) => {
                self.timers.received_message(now);
                Event::Chunk(Chunk {
                    kind,
                    data: recv.at_region(region, payload),
                    last,
                })
            }
            Step::Ping(payload) => {
                self.timers.received(now);
                let payload = recv.at(payload);
                // §5.5.2: each Ping is answered with its payload, unless our Close went out.
                if self.is_open() {
                    self.queue(true, Opcode::Pong, payload, send);
                }
                Event::Ping(payload)
            }
            Step::Pong(payload) => {
                self.timers.received(now);
                Event::Pong(recv.at(payload))
            }
            Step::Close(payload) => match Close::decode(recv.at(payload)) {
                Ok(close) => {
                    self.handle_close(now, close, send);
                    Event::Close(close)
                }
                Err(error) => return Err(self.fail(error, send)),
            },
            Step::More => {
                if recv.unparsed_len() != unparsed {
                    self.timers.received(now);
                }
                if self.eof {
                    self.end_of_file(now, recv.unparsed_len() > 0);
                    return self.poll_end();
                }
                self.reader.pause(now);
                return Ok(None);
            }
        }))
    }

    /// Takes a message: unmasks it where it lies, and checks its text. `None` if that is none:
    /// the connection has failed, as the next poll tells.
    #[inline(always)]
    pub(crate) fn take<'b>(
        &mut self,
        whole: Whole,
        recv: &'b mut RecvBuffer,
        send: &mut SendBuffer,
    ) -> Option<Data<'b>> {
        let Whole {
            kind,
            header,
            len,
            key,
        } = whole;
        match kind {
            Kind::Binary => Some(Data::Binary(recv.take_binary(header, len, key))),
            Kind::Text => match recv.take_text(header, len, key) {
                Some(text) => Some(Data::Text(text)),
                None => {
                    self.fail(ProtocolError::InvalidUtf8, send);
                    None
                }
            },
        }
    }

    /// A message was received, or several were, before anything that looks at the clock.
    #[inline]
    pub(crate) fn note_message(&mut self, now: Instant) {
        self.timers.received_message(now);
    }

    /// Finds the short ways anew, when something that they follow from has changed.
    fn find_short_ways(&mut self) {
        self.short_ways = ShortWays::of(self);
    }

    /// Which end this is.
    #[inline]
    #[must_use]
    pub fn role(&self) -> Role {
        masking::role(self.masking.as_deref())
    }

    /// The compression that was agreed to, if any was.
    #[must_use]
    pub fn compression(&self) -> Option<&DeflateParams> {
        self.compression.params()
    }

    /// The limits and timers in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}

impl ShortWays {
    fn of(connection: &Connection) -> Self {
        let config = &connection.config;
        let reads = matches!(connection.state, Ok(State::Open | State::Closing { .. }))
            && !connection.reader.is_mid_message()
            && config.delivery == Delivery::Whole;
        let sends = connection.is_open()
            && connection.writing.is_none()
            && connection.compression.params().is_none();
        let message_max = config.message_size_max.min(config.frame_size_max);
        let message_end = u16::try_from(message_max.saturating_add(1)).unwrap_or(u16::MAX);
        Self {
            mask: mask_bit(connection.role().peer()),
            message_end: if reads { message_end } else { 0 },
            sends: match connection.role() {
                _ if !sends => Sends::Otherwise,
                Role::Server => Sends::Plain,
                Role::Client => Sends::Masked,
            },
        }
    }
}
