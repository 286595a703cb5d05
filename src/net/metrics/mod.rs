//! What a server counts: of connections, handshakes, messages, bytes, queues, pings and ends.
//!
//! Each loop counts for itself, in numbers that only its own thread writes: a message costs an
//! addition, and no lock or atomic exchange. Whoever asks reads them from any thread, and adds
//! those of a group up:
//!
//! ```
//! use openline::net::{EventLoop, LoopConfig, Message, Peer};
//!
//! let echo = |peer: &mut Peer<'_>, message: Message<'_>| peer.send(message);
//! let server = EventLoop::new(echo, LoopConfig::default())?;
//! let metrics = server.remote().metrics(); // may go to another thread
//! let snapshot = metrics.snapshot();
//! assert_eq!(snapshot.connections.server, 0);
//! // In the text format of Prometheus, for a page or a file.
//! assert!(snapshot.to_string().contains("# TYPE openline_connections gauge"));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A [`Page`](crate::proto::Page) with [`CONTENT_TYPE`] shows it to a Prometheus server, as
//! `openline serve --metrics` does.

mod counters;
mod histogram;
mod snapshot;
mod text;

pub(super) use counters::{Counters, Mark};
pub use histogram::Distribution;
pub use snapshot::{ByKind, ByRole, HandshakeOutcome, Snapshot, Verdict};
pub use text::CONTENT_TYPE;

use crate::net::remote::Remote;

/// Reads what the loops of a group count, from any thread, also when they have ended:
/// [`Remote::metrics`].
#[derive(Clone, Debug)]
pub struct Metrics {
    remote: Remote,
}

impl Metrics {
    pub(super) fn new(remote: Remote) -> Self {
        Self { remote }
    }

    /// All numbers as they are now, each by itself: a message that is under way may be counted in
    /// one and not yet in another.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (counters, letters) in self.remote.counted() {
            snapshot.mailbox_letters += letters as u64;
            counters.add_to(&mut snapshot);
        }
        snapshot
    }
}
