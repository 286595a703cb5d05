//! Sockets, clock and entropy: servers and clients on one mio event loop.
//!
//! An echo server is one line:
//!
//! ```no_run
//! openline::net::serve("127.0.0.1:9001", |peer, message| peer.send(message))?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A [`Handler`] has a say in everything else: who is let in, what each connection carries along,
//! pings, and the end. An [`EventLoop`] drives it for any number of listeners and of connections,
//! of either role, in one thread; a [`Remote`] reaches the loop from other threads:
//!
//! ```no_run
//! use openline::net::{Asking, Decision, EventLoop, Handler, LoopConfig, Message, Peer};
//! use openline::proto::{Acceptance, Refusal, Request, SendError};
//!
//! struct Counting;
//!
//! impl Handler for Counting {
//!     type Connection = u64; // messages so far
//!
//!     fn request(
//!         &mut self,
//!         _: &Request<'_>,
//!         _: &Asking<'_>,
//!     ) -> Result<Decision<u64>, Refusal> {
//!         Ok(Decision::Accept(Acceptance::default(), 0))
//!     }
//!
//!     fn message(
//!         &mut self,
//!         count: &mut u64,
//!         peer: &mut Peer<'_>,
//!         _: Message<'_>,
//!     ) -> Result<(), SendError> {
//!         *count += 1;
//!         peer.send_text(&format!("that was message {count}"))
//!     }
//! }
//!
//! let mut server = EventLoop::new(Counting, LoopConfig::default())?;
//! let address = server.listen("127.0.0.1:0")?;
//! let remote = server.remote(); // for a thread that waits for signals: remote.shutdown()
//! server.run()?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # More than one thread, and more than one peer
//!
//! [`Threads`] runs a loop for each core at one address. A peer [subscribes](Peer::subscribe) to
//! topics and [publishes](Peer::publish) to them, whatever loop the others are in; a [`Handle`]
//! or a [`Remote`] does so from any other thread. A request may be decided about
//! [later](Asking::later), and a [page](Handler::page) may be served where WebSocket is.
//!
//! # What a loop promises
//!
//! - One system call to read and one to write for each readiness of a socket, however many
//!   messages that was; none to wait for writability, none to arm a timer.
//! - A connection with nothing half-received and nothing half-sent holds no buffer.
//! - A peer that does not read is not listened to: what waits for it is bounded.
//! - What is published in a turn leaves for each subscriber in one write, encoded once for all.
//! - No lock is on a message's way within a loop; loops of a group meet in mailboxes only.
//! - Everything that a peer can make grow or go on has a limit, with a default and a reason: those
//!   of a connection in [`Config`](crate::proto::Config), those of all in [`LoopConfig`].
//! - Each end has a verdict: who, when, why, and a [word](EndWhy::label) for it.
//! - The last reply is never lost to a reset: the sending direction is closed first, and input is
//!   drained, within bounds, before the socket goes.

mod alarm;
pub mod auth;
mod backoff;
mod buffers;
mod client;
mod config;
mod connect;
mod connector;
mod decision;
mod end;
mod event_loop;
#[cfg(test)]
mod faults;
mod handle;
mod handler;
mod hub;
mod incoming;
mod listener;
mod mailbox;
pub mod metrics;
mod peer;
mod proxy;
mod quota;
mod remote;
mod session;
mod socket;
mod threads;
mod timers;
#[cfg(feature = "tls")]
mod tls;
mod topics;
mod trace;
mod transport;

pub use backoff::Backoff;
pub use client::{Client, ClientError};
pub use config::{LoopConfig, SlowReader};
pub use connect::ConnectOptions;
pub use connector::Connector;
pub use decision::{Asking, Decision, Later, Ticket, TooLate};
pub use end::{End, EndWhy};
pub use event_loop::{EventLoop, serve};
pub use handle::Handle;
pub use handler::{Handler, Message};
pub use incoming::Incoming;
pub use peer::{ConnectionId, Peer};
pub use proxy::{
    Proxy, ProxyChoice, ProxyError, ProxyUrlError, ProxyVariableError, SocksReply, Tunnel,
};
pub use quota::{Quota, Rate};
pub use remote::{OwnedMessage, Remote, RemoteError, Undelivered};
pub use threads::{ClientThreads, Threads};
#[cfg(feature = "tls")]
pub use tls::{
    Alert, Authorities, ClientCertificates, ClientTls, Identity, ServerTls, TlsConfigError,
    TlsConfigFault, TlsError,
};
pub use topics::{SubscribeError, TOPIC_MAX};
