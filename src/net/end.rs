//! The verdict on a connection: who ended it, when and why.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::net::peer::ConnectionId;
use crate::proto::{Closed, HandshakeError, ProtocolError, Role};

/// The end of a connection, or of an attempt at one.
#[derive(Debug)]
pub struct End {
    /// Whose.
    pub id: ConnectionId,
    /// What we were in it.
    pub role: Role,
    /// The other end: of a client that never connected, the address that was tried last.
    pub address: SocketAddr,
    /// When it was known.
    pub at: Instant,
    /// Why, and by whom.
    pub why: EndWhy,
}

/// Why a connection, or an attempt at one, came to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum EndWhy {
    /// It kept to the protocol to the end: by a Close frame, a timer, or the end of the peer's
    /// stream. It says by whom.
    Closed(Closed),
    /// The peer broke the protocol, or one of our limits; a Close frame told it so.
    Protocol(ProtocolError),
    /// The opening handshake was answered with this status instead of 101: by the handler as a
    /// server, by the other end as a client, where [`Handler::response`] saw the answer.
    ///
    /// [`Handler::response`]: crate::net::Handler::response
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// An ordinary request was answered with this status, and that was all there was to do.
    Page {
        /// The HTTP status.
        status: u16,
    },
    /// The other end broke the rules of the opening handshake, or took too long over it.
    Handshake(HandshakeError),
    /// No address of the server could be connected to; this was the last one's error.
    Connect(io::Error),
    /// The other end, or something on the way, dropped the connection without a word.
    Reset,
    /// Any other error of the socket.
    Io(io::Error),
    /// The loop shut down and its deadline passed, or the opening handshake was not over yet.
    Shutdown,
    /// A [`Remote`](crate::net::Remote) closed it before it was open.
    Abandoned,
}

impl EndWhy {
    pub(super) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Reset,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for EndWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) => closed.fmt(f),
            Self::Protocol(error) => write!(f, "the peer broke the protocol: {error}"),
            Self::Refused { status } => {
                write!(f, "the opening handshake was refused with status {status}")
            }
            Self::Page { status } => write!(f, "a page was sent with status {status}"),
            Self::Handshake(error) => write!(f, "the opening handshake failed: {error}"),
            Self::Connect(error) => write!(f, "could not connect: {error}"),
            Self::Reset => f.write_str("the connection was reset"),
            Self::Io(error) => write!(f, "the socket failed: {error}"),
            Self::Shutdown => f.write_str("the event loop shut down"),
            Self::Abandoned => f.write_str("the opening handshake was abandoned"),
        }
    }
}

impl Error for EndWhy {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Handshake(error) => Some(error),
            Self::Connect(error) | Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
