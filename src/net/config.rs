//! The limits and choices of a loop: their defaults, and why those.

use std::sync::Arc;
use std::time::Duration;

use crate::proto::Config;

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

    /// After an accept has failed, as it does when descriptors are used up: how long until the
    /// next. Default: 250 ms, rarely enough to cost nothing.
    pub accept_pause: Duration,

    /// After the end: how long the peer may take to read our last bytes and close its side; the
    /// time starts anew as long as it reads. Default: 5 s, as for the closing handshake.
    pub linger_timeout: Duration,

    /// After the end: how many bytes of the peer are read and thrown away before the socket is
    /// closed over its words. Default: 64 MiB, four times the largest message that is allowed, so
    /// that a browser that sends a larger one learns 1009, and not 1006 from a reset.
    pub linger_size_max: usize,

    /// The topics that one connection may subscribe to. Default: 256, several times what a
    /// dashboard shows; it bounds what a peer can have a server remember.
    pub subscriptions_max: usize,

    /// When the loop shuts down: how long connections may take for their closing handshakes.
    /// Default: 10 s, what process supervisors commonly wait before they kill.
    pub shutdown_timeout: Duration,

    /// The messages of [`Remote`](crate::net::Remote)s that may wait for the loop. Default:
    /// 65,536, seconds of a busy program's output.
    pub mailbox_max: usize,
}

impl Default for LoopConfig {
    fn default() -> Self {
        Self {
            protocol: Arc::default(),
            reuse_port: false,
            backlog: 1024,
            accept_pause: Duration::from_millis(250),
            linger_timeout: Duration::from_secs(5),
            linger_size_max: 64 << 20,
            subscriptions_max: 256,
            shutdown_timeout: Duration::from_secs(10),
            mailbox_max: 65_536,
        }
    }
}
