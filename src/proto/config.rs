//! Every limit: its default, and a sentence saying why that number ([RFC 6455 §10.4]).
//!
//! Limits are tested against what a peer declares, before anything is allocated for it.
//!
//! [RFC 6455 §10.4]: https://www.rfc-editor.org/rfc/rfc6455#section-10.4

use std::time::Duration;

use crate::proto::deflate::Deflate;

/// How data messages reach the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Each message whole, as `Event::Text` or `Event::Binary`.
    #[default]
    Whole,
    /// Each message in the pieces in which it arrives, as `Event::Chunk`: for messages larger
    /// than one would hold in memory. Only the present piece is held.
    Chunks,
}

/// The limits and the timers of a connection, shared by all that are alike.
///
/// ```
/// use openline::proto::Config;
///
/// let config = Config { message_size_max: 64 << 10, ..Config::default() };
/// assert_eq!(config.handshake_size_max, 16 << 10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whole messages, or chunks. Default: whole.
    pub delivery: Delivery,

    /// What to do about compression (RFC 7692), if it is to be negotiated. Default: nothing; it
    /// costs more time than it saves on fast networks, and what is secret should not be
    /// compressed together with what an attacker chooses.
    pub compression: Option<Deflate>,

    /// The bytes of payload that one frame may declare. Default: 16 MiB, as a whole message,
    /// for most senders never fragment.
    pub frame_size_max: u64,

    /// The bytes of payload of one message, over all its fragments. Default: 16 MiB, the
    /// largest that the field's conformance suite sends, and far above what chat, signalling
    /// and dashboards need; a server that knows its messages should say less.
    ///
    /// Of a compressed message it is what comes out that counts; compressed, it and its frames
    /// may be an eighth and 1 KiB larger than the limits, since not everything gets smaller.
    pub message_size_max: u64,

    /// The frames of one message. Default: 131,072, twice what 4 MiB in fragments of 64 bytes
    /// take; it bounds the work that empty fragments can make. The first frame always counts as
    /// allowed.
    pub fragments_max: u32,

    /// From the first bytes of a message to its last, where messages are delivered whole; `None`:
    /// for ever. Default: 2 min, in which the largest message that is allowed comes over a poor
    /// line (1.1 Mbit/s); who never finishes one holds memory of ours. Chunks hold none, and
    /// may take as long as they like.
    pub message_timeout: Option<Duration>,

    /// The bytes that may wait to be sent before data messages are refused and parsing pauses.
    /// Default: 1 MiB, some ten times what a kernel takes at once; a peer that does not read
    /// costs this and one message more.
    pub send_queue_max: usize,

    /// The bytes of the opening handshake's head. Default: 16 KiB, what the field's HTTP servers
    /// allow, cookies and tokens included.
    pub handshake_size_max: usize,

    /// The header fields of the opening handshake. Default: 100, several times what browsers
    /// and the proxies before us add together.
    pub headers_max: usize,

    /// From the first byte expected to the handshake's end, absolute: slow senders gain nothing.
    /// Default: 10 s, several round trips on a poor mobile network.
    pub handshake_timeout: Duration,

    /// After this long without a byte from the peer we send a Ping; `None`: never. Default: 25 s,
    /// below the 30 to 60 s at which load balancers and address translators forget idle flows.
    pub ping_interval: Option<Duration>,

    /// From our Ping to a byte from the peer, whatever it is: any byte shows life. So does room
    /// in a transport that was [full](crate::proto::Connection::handle_progress): a peer that
    /// reads slowly has as long as it goes on reading. Default: 20 s, so that a dead peer is
    /// noticed within a minute.
    pub pong_timeout: Duration,

    /// After this long without a data message in either direction we close; `None`: never.
    /// Default: never, since a subscriber may rightly be silent for hours.
    pub idle_timeout: Option<Duration>,

    /// From our Close to the peer's. Default: 5 s, ample for a round trip behind full queues.
    pub close_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            delivery: Delivery::Whole,
            compression: None,
            frame_size_max: 16 << 20,
            message_size_max: 16 << 20,
            fragments_max: 131_072,
            message_timeout: Some(Duration::from_secs(120)),
            send_queue_max: 1 << 20,
            handshake_size_max: 16 << 10,
            headers_max: 100,
            handshake_timeout: Duration::from_secs(10),
            ping_interval: Some(Duration::from_secs(25)),
            pong_timeout: Duration::from_secs(20),
            idle_timeout: None,
            close_timeout: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// The limits of a frame and of a message, in bytes of payload, as they go over the wire.
    #[inline]
    pub(crate) fn declared_max(&self, compressed: bool) -> (u64, u64) {
        let max = |limit: u64| match compressed {
            true => limit.saturating_add(limit / 8).saturating_add(1 << 10),
            false => limit,
        };
        (max(self.frame_size_max), max(self.message_size_max))
    }
}
