//! The byte stream beneath a connection: a socket for now.
//!
//! That there is nothing to read, or no room to write, is a value here and no error.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// Whether a read that fills less than it was given has drained the socket, so that the next
/// readiness is told by an event and no second read is needed to learn that nothing is there.
/// So it is with epoll and kqueue; elsewhere only a read that would block arms the next event.
pub(super) const SHORT_READ_DRAINS: bool = cfg!(unix);

/// A non-blocking stream in a loop.
#[derive(Debug)]
pub(super) enum Transport {
    /// TCP as it is.
    Plain(TcpStream),
}

impl Transport {
    /// Takes over a stream, connected or about to be.
    pub(super) fn plain(stream: TcpStream) -> Self {
        // Frames leave as soon as they are queued; a failure costs only latency.
        let _ = stream.set_nodelay(true);
        Self::Plain(stream)
    }

    /// Reads what is there: `None` if nothing is, and 0 bytes at the end of the stream.
    #[inline]
    pub(super) fn recv(&mut self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(stream) => retry(|| stream.read(bytes)),
        }
    }

    /// Writes what there is room for: `None` if there is none.
    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(stream) => retry(|| stream.write(bytes)),
        }
    }

    /// Ends the sending direction: the peer reads all that was written, and then the end.
    pub(super) fn half_close(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Whether a connect has come to its end.
    pub(super) fn connected(&self) -> io::Result<bool> {
        let Self::Plain(stream) = self;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has every readiness of the stream told under `token`: once, for its whole life.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let Self::Plain(stream) = self;
        stream.register(registry, token, Interest::READABLE | Interest::WRITABLE)
    }
}

#[inline]
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(n) => return Ok(Some(n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
