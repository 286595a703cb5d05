//! The verdict on a connection: who ended it, when and why.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::net::peer::ConnectionId;
use crate::net::quota::Quota;
#[cfg(feature = "tls")]
use crate::net::tls::TlsError;
use crate::proto::{CloseCode, Closed, ClosedWhy, HandshakeError, Party, ProtocolError, Role};

/// The end of a connection, or of an attempt at one.
#[derive(Debug)]
pub struct End {
    /// Whose.
    pub id: ConnectionId,
    /// What we were in it.
    pub role: Role,
    /// The other end: of a client that never connected, the address that was tried last, and the
    /// unspecified one, `[::]:0`, if there was none.
    pub address: SocketAddr,
    /// When it was known.
    pub at: Instant,
    /// How many publications to its topics it did not get: because the peer read too slowly, or
    /// because its loop's [mailbox](crate::net::LoopConfig::mailbox_max) was full.
    pub dropped: u64,
    /// Why, and by whom.
    pub why: EndWhy,
}

impl End {
    /// Whether a client that tries again later may fare better: the network or the server was at
    /// fault, and not what we asked for, sent, or decided.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match &self.why {
            EndWhy::Closed(closed) => match closed.why {
                ClosedWhy::Handshake { code } => {
                    let is_our_fault =
                        matches!(code.map(CloseCode::number), Some(1002 | 1003 | 1007..=1010));
                    closed.by == Party::Peer && !is_our_fault
                }
                ClosedWhy::IdleTimeout => false,
                _ => true,
            },
            // RFC 9110 §15: what says that the server is at fault, or that it is too early.
            EndWhy::Refused { status } => matches!(status, 408 | 425 | 429 | 500..=599),
            EndWhy::Handshake(error) => {
                matches!(error, HandshakeError::TimedOut | HandshakeError::EndOfFile)
            }
            EndWhy::Connect(_) | EndWhy::Reset | EndWhy::Io(_) => true,
            #[cfg(feature = "tls")]
            EndWhy::Tls(error) => matches!(error, TlsError::EndOfFile | TlsError::Truncated),
            _ => false,
        }
    }
}

impl End {
    /// A copy, for who keeps it; of an error of the system's, what it says.
    pub(super) fn duplicate(&self) -> Self {
        let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        let why = match &self.why {
            EndWhy::Closed(closed) => EndWhy::Closed(*closed),
            EndWhy::Protocol(error) => EndWhy::Protocol(*error),
            EndWhy::Refused { status } => EndWhy::Refused { status: *status },
            EndWhy::Page { status } => EndWhy::Page { status: *status },
            EndWhy::Quota(quota) => EndWhy::Quota(*quota),
            EndWhy::SlowReader { queued, code } => EndWhy::SlowReader {
                queued: *queued,
                code: *code,
            },
            EndWhy::Handshake(error) => EndWhy::Handshake(*error),
            EndWhy::Connect(error) => EndWhy::Connect(copy(error)),
            #[cfg(feature = "tls")]
            EndWhy::Tls(error) => EndWhy::Tls(error.clone()),
            EndWhy::Reset => EndWhy::Reset,
            EndWhy::Io(error) => EndWhy::Io(copy(error)),
            EndWhy::Shutdown => EndWhy::Shutdown,
            EndWhy::Abandoned => EndWhy::Abandoned,
        };
        Self { why, ..*self }
    }
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
    /// A quota was exceeded.
    Quota(Quota),
    /// The peer read more slowly than was sent to it, as
    /// [`slow_reader`](crate::net::LoopConfig::slow_reader) has it.
    SlowReader {
        /// The bytes that waited for it.
        queued: usize,
        /// The code that it was closed with.
        code: CloseCode,
    },
    /// The other end broke the rules of the opening handshake, or took too long over it.
    Handshake(HandshakeError),
    /// No address of the server could be connected to; this was the last one's error.
    Connect(io::Error),
    /// TLS failed: its handshake, a certificate, an alert, or a stream that was cut off.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// The other end, or something on the way, dropped the connection without a word.
    Reset,
    /// Any other error of the socket.
    Io(io::Error),
    /// The loop shut down and its deadline passed, or the opening handshake was not over yet.
    Shutdown,
    /// A [`Remote`](crate::net::Remote) closed it before it was open.
    Abandoned,
}

impl End {
    /// Who ended it, if that can be told.
    #[must_use]
    pub fn by(&self) -> Option<Party> {
        match (&self.why, self.role) {
            (EndWhy::Closed(closed), _) => Some(closed.by),
            (EndWhy::Handshake(HandshakeError::EndOfFile), _) => Some(Party::Peer),
            (EndWhy::Refused { .. }, Role::Client) | (EndWhy::Reset, _) => Some(Party::Peer),
            (EndWhy::Connect(_) | EndWhy::Io(_), _) => None,
            // Whoever cut a stream off did not sign.
            #[cfg(feature = "tls")]
            (EndWhy::Tls(TlsError::Truncated), _) => None,
            #[cfg(feature = "tls")]
            (EndWhy::Tls(TlsError::Alert(_) | TlsError::EndOfFile), _) => Some(Party::Peer),
            _ => Some(Party::Us),
        }
    }

    /// The code of the Close frame that began the end, if there was one with a code.
    #[must_use]
    pub fn code(&self) -> Option<CloseCode> {
        match &self.why {
            EndWhy::Closed(closed) => match closed.why {
                ClosedWhy::Handshake { code } => code,
                _ => None,
            },
            EndWhy::Protocol(error) => Some(error.close_code()),
            EndWhy::SlowReader { code, .. } => Some(*code),
            EndWhy::Quota(Quota::Messages | Quota::Bytes) => Some(CloseCode::POLICY_VIOLATION),
            _ => None,
        }
    }
}

impl EndWhy {
    /// A word for each kind of end, for logs and metrics: it stays the same when sentences change.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Closed(closed) => match closed.why {
                ClosedWhy::Handshake { .. } => "closed",
                ClosedWhy::IdleTimeout => "idle-timeout",
                ClosedWhy::PongTimeout => "pong-timeout",
                ClosedWhy::CloseTimeout => "close-timeout",
                ClosedWhy::EndOfFile { mid_message: true } => "eof-mid-message",
                ClosedWhy::EndOfFile { mid_message: false } => "eof",
            },
            Self::Protocol(error) => match error {
                ProtocolError::FrameTooLarge { .. } => "frame-too-large",
                ProtocolError::MessageTooLarge { .. } => "message-too-large",
                ProtocolError::TooManyFragments { .. } => "too-many-fragments",
                ProtocolError::MessageTooSlow { .. } => "message-too-slow",
                ProtocolError::InvalidUtf8 => "invalid-utf8",
                _ => "protocol-error",
            },
            Self::Refused { .. } => "handshake-refused",
            Self::Page { .. } => "page",
            Self::Quota(quota) => match quota {
                Quota::Connections => "quota-connections",
                Quota::ConnectionsPerAddress => "quota-connections-per-address",
                Quota::Messages => "quota-messages",
                Quota::Bytes => "quota-bytes",
            },
            Self::SlowReader { .. } => "slow-reader",
            Self::Handshake(error) => match error {
                HandshakeError::TimedOut => "handshake-timeout",
                HandshakeError::Undecided => "handshake-undecided",
                HandshakeError::EndOfFile => "handshake-eof",
                _ => "handshake-invalid",
            },
            Self::Connect(_) => "connect-failed",
            #[cfg(feature = "tls")]
            Self::Tls(error) => match error {
                TlsError::Alert(_) => "tls-alert",
                TlsError::Certificate(_) | TlsError::NoCertificate => "tls-certificate",
                TlsError::NotTls => "tls-not-spoken",
                TlsError::EndOfFile => "tls-eof",
                TlsError::Truncated => "tls-truncated",
                _ => "tls-error",
            },
            Self::Reset => "reset",
            Self::Io(_) => "io-error",
            Self::Shutdown => "shutdown",
            Self::Abandoned => "abandoned",
        }
    }

    pub(super) fn from_io(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        let error = match error.downcast::<TlsError>() {
            Ok(error) => return Self::Tls(error),
            Err(error) => error,
        };
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
            Self::Quota(quota) => write!(f, "a quota was exceeded: {quota}"),
            Self::SlowReader { queued, .. } => {
                write!(f, "the peer read too slowly: {queued} bytes waited for it")
            }
            Self::Page { status } => write!(f, "a page was sent with status {status}"),
            Self::Handshake(error) => write!(f, "the opening handshake failed: {error}"),
            Self::Connect(error) => write!(f, "could not connect: {error}"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.fmt(f),
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
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            _ => None,
        }
    }
}
