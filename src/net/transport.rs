//! The byte stream beneath a connection: a socket as it is, or TLS over one.
//!
//! Nothing above knows which. What TLS asks of a session beyond a plain socket is three answers:
//! whether the stream is [still opening](Transport::is_opening), whether a read has
//! [drained](Received::drained) it, and what [was wrong with it](Transport::verdict) at the end.

use std::io;

use mio::{Registry, Token};

use crate::net::end::EndWhy;
use crate::net::socket::Socket;
#[cfg(feature = "tls")]
use crate::net::tls::TlsStream;
use crate::rare::rare;

/// Whether a read that fills less than it was given has drained the socket, so that the next
/// readiness is told by an event and no second read is needed to learn that nothing is there.
/// So it is with epoll and kqueue; elsewhere only a read that would block arms the next event.
pub(super) const SHORT_READ_DRAINS: bool = cfg!(unix);

/// A non-blocking stream in a loop.
#[derive(Debug)]
pub(super) enum Transport {
    /// None yet: a client is still connecting.
    Absent,
    /// The socket as it is.
    Plain(Socket),
    /// TLS over it; boxed, so that plain connections do not pay for its size.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

/// What a loop lends each transport to work in.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    #[cfg(feature = "tls")]
    pub(super) tls: crate::net::tls::Scratch,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// So many bytes: none, if all that came is a part of what TLS must have whole.
    Bytes {
        n: usize,
        /// Whether that was all there was, so that an event tells of more.
        drained: bool,
    },
    /// The end of the stream.
    End,
}

impl Transport {
    /// Whether the stream takes and gives no bytes yet: TLS has its handshake to do.
    #[inline]
    pub(super) fn is_opening(&self) -> bool {
        match self {
            Self::Absent | Self::Plain(_) => false,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_opening(),
        }
    }

    /// Goes on with the opening as far as the socket allows; answers whether that is done. Then
    /// there may be something to read, and there is room to write.
    pub(super) fn open(&mut self, scratch: &mut Scratch) -> io::Result<bool> {
        let _ = scratch;
        match self {
            Self::Absent | Self::Plain(_) => Ok(true),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.open(&mut scratch.tls),
        }
    }

    /// Reads what is there: `None` if nothing is.
    #[inline(always)]
    pub(super) fn recv(
        &mut self,
        bytes: &mut [u8],
        scratch: &mut Scratch,
    ) -> io::Result<Option<Received>> {
        let _ = scratch;
        match self {
            Self::Absent => {
                rare();
                Ok(None)
            }
            Self::Plain(socket) => {
                let n = socket.recv(bytes)?;
                Ok(n.map(|n| match n {
                    0 => Received::End,
                    n => Received::Bytes {
                        n,
                        drained: n < bytes.len() && SHORT_READ_DRAINS,
                    },
                }))
            }
            #[cfg(feature = "tls")]
            Self::Tls(stream) => {
                // What it costs is elsewhere: its call need not stand in the way of a plain one.
                rare();
                stream.recv(bytes, &mut scratch.tls)
            }
        }
    }

    /// Writes what there is room for: `None` if there is none.
    ///
    /// What was not taken is to be given again, in front of all else: TLS may have encrypted it.
    #[inline(always)]
    pub(super) fn send(
        &mut self,
        bytes: &[u8],
        scratch: &mut Scratch,
    ) -> io::Result<Option<usize>> {
        let _ = scratch;
        match self {
            Self::Absent => {
                rare();
                Ok(None)
            }
            Self::Plain(socket) => socket.send(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => {
                // What it costs is elsewhere: its call need not stand in the way of a plain one.
                rare();
                stream.send(bytes, &mut scratch.tls)
            }
        }
    }

    /// Ends the sending direction: the peer reads all that was written, and then the end. Answers
    /// whether that is done; if not, it is to be called again when there is room to write.
    pub(super) fn half_close(&mut self) -> io::Result<bool> {
        match self {
            Self::Absent => Ok(true),
            Self::Plain(socket) => socket.half_close().map(|()| true),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.half_close(),
        }
    }

    /// Has every readiness of the stream told under `token`: once, for its whole life.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Absent => Ok(()),
            Self::Plain(socket) => socket.register(registry, token),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.socket_mut().register(registry, token),
        }
    }

    /// Has all that the stream is ready for told anew.
    pub(super) fn reregister(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Absent => Ok(()),
            Self::Plain(socket) => socket.reregister(registry, token),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.socket_mut().reregister(registry, token),
        }
    }

    /// What is to be said of the end, given what this stream knows of it: an end of file that TLS
    /// did not announce may be anyone's doing.
    pub(super) fn verdict(&self, why: EndWhy) -> EndWhy {
        match self {
            Self::Absent | Self::Plain(_) => why,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.verdict(why),
        }
    }
}
