//! The limits and choices of a loop: their defaults, and why those.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::net::quota::Rate;
use crate::proto::{CloseCode, Config};

/// The limits and choices of an event loop.
///
/// ```
/// use openline::net::LoopConfig;
///
/// let config = LoopConfig { reuse_port: true, ..LoopConfig::default() };
/// assert_eq!(config.backlog, 1024);
/// ```
#[derive(Clone, Debug)]
pub struct LoopConfig {
    /// The limits and timers of each connection.
    pub protocol: Arc<Config>,

    /// Whether listeners share their port with those of other loops (`SO_REUSEPORT`), so that
    /// each thread has a loop of its own. Default: no, for a second server on the same port is
    /// more often a mistake.
    pub reuse_port: bool,

    /// The connections that the operating system accepts ahead of us. Default: 1024, so that a
    /// crowd that comes back after a restart need not try again.
    pub backlog: u32,

    /// The connections that there may be at once, in all loops of a [group](crate::net::Threads);
    /// another is refused with 503. Default: 65,536: some 16 MiB while they are idle, and a number
    /// that a server should raise only after having thought of what each may queue.
    pub connections_max: usize,

    /// The connections that an address may have at once, where an IPv6 network of 64 bits counts
    /// as one; another is refused with 429. Default: as many as there may be in all, for behind a
    /// proxy or an address translator everyone has the same.
    pub connections_per_address_max: Option<usize>,

    /// The messages and control frames that a connection may send us; one that sends more is
    /// closed with 1008. Default: no limit, for what is too much only the program knows, and no
    /// connection gets more than its turn.
    pub message_rate: Option<Rate>,

    /// The bytes that a connection may send us, as they come; one that sends more is closed with
    /// 1008. Default: no limit, as for messages.
    pub byte_rate: Option<Rate>,

    /// What becomes of a peer that reads more slowly than its topics or its handler send, when
    /// [`send_queue_max`](Config::send_queue_max) bytes wait for it. Default: it is closed with
    /// 1013, so that it can come back and ask for what it missed: nothing is lost in silence.
    pub slow_reader: SlowReader,

    /// After an accept has failed, as it does when descriptors are used up: how long until the
    /// next. Default: 250 ms, rarely enough to cost nothing.
    pub accept_pause: Duration,

    /// After the end: how long the peer may take to read our last bytes and close its side; the
    /// time starts anew as long as it reads. After both Close frames, over TCP as it is, a server
    /// waits for neither, unless more may come. Default: 5 s, as for the closing handshake.
    pub linger_timeout: Duration,

    /// After the end: how many bytes of the peer are read and thrown away before the socket is
    /// closed over its words. Default: 64 MiB, four times the largest message that is allowed, so
    /// that a browser that sends a larger one learns 1009, and not 1006 from a reset.
    pub linger_size_max: usize,

    /// The topics that one connection may subscribe to. Default: 256, several times what a
    /// dashboard shows; it bounds what a peer can have a server remember.
    pub subscriptions_max: usize,

    /// When the loop shuts down: the code that connections are closed with. Default: 1001, which
    /// says that the server goes; 1012 says that it comes back.
    pub shutdown_code: CloseCode,

    /// The reason beside that code, of at most [`REASON_MAX`](crate::proto::REASON_MAX) bytes.
    /// Default: "shutting down".
    pub shutdown_reason: Cow<'static, str>,

    /// When the loop shuts down: over how long the closing of connections is spread, each at
    /// some moment of it. Default: none, as suits a few thousand; more of them should not come
    /// back to whoever takes over in the same instant.
    pub shutdown_window: Duration,

    /// When the loop shuts down, after that window: how long connections may take for their closing handshakes.
    /// Default: 10 s, what process supervisors commonly wait before they kill.
    pub shutdown_timeout: Duration,

    /// The messages of [`Remote`](crate::net::Remote)s that may wait for the loop. Default:
    /// 65,536, seconds of a busy program's output. What finds it full is refused; publications of
    /// other loops are dropped, and [counted](crate::net::End::dropped) for each subscriber.
    pub mailbox_max: usize,
}

/// What becomes of a peer that reads too slowly. Control frames go to it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlowReader {
    /// It is closed: with this code, and with this reason of at most
    /// [`REASON_MAX`](crate::proto::REASON_MAX) bytes.
    Close(CloseCode, Cow<'static, str>),
    /// What is published is dropped for it as long as its queue is full, and counted:
    /// [`Peer::dropped`](crate::net::Peer::dropped), [`End::dropped`](crate::net::End::dropped).
    /// What its handler sends is never dropped, but [refused](crate::proto::SendError::QueueFull).
    Drop,
}

impl Default for LoopConfig {
    fn default() -> Self {
        Self {
            protocol: Arc::default(),
            reuse_port: false,
            backlog: 1024,
            connections_max: 65_536,
            connections_per_address_max: None,
            message_rate: None,
            byte_rate: None,
            slow_reader: SlowReader::Close(
                CloseCode::TRY_AGAIN_LATER,
                Cow::Borrowed("too much waits to be read"),
            ),
            accept_pause: Duration::from_millis(250),
            linger_timeout: Duration::from_secs(5),
            linger_size_max: 64 << 20,
            subscriptions_max: 256,
            shutdown_code: CloseCode::GOING_AWAY,
            shutdown_reason: Cow::Borrowed("shutting down"),
            shutdown_window: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(10),
            mailbox_max: 65_536,
        }
    }
}
