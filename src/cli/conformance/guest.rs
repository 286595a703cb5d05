//! A client that has come, until its case begins or its question is answered: a stream whose calls
//! wait, through TLS or without.
//!
//! Each wait ends at the guest's deadline, that for the handshake of TLS too, in however many
//! pieces it comes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::cli::conformance::drive::Link;

/// A connection that was accepted.
#[derive(Debug)]
pub(super) enum Guest {
    Plain(Timed),
    Tls(Box<StreamOwned<ServerConnection, Timed>>),
}

/// A stream whose calls fail at a deadline.
#[derive(Debug)]
pub(super) struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Guest {
    /// Takes a stream in; the handshake of TLS, if that is wanted, passes with the first bytes.
    pub(super) fn new(
        stream: TcpStream,
        tls: Option<Arc<ServerConfig>>,
        deadline: Instant,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let timed = Timed { stream, deadline };
        Ok(match tls {
            None => Self::Plain(timed),
            Some(config) => {
                let session = ServerConnection::new(config).map_err(io::Error::other)?;
                Self::Tls(Box::new(StreamOwned::new(session, timed)))
            }
        })
    }

    fn timed(&mut self) -> &mut Timed {
        match self {
            Self::Plain(timed) => timed,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    /// Waits until then, from now on.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.timed().deadline = deadline;
    }

    /// Brings our wait to an end earlier, if `deadline` is earlier.
    pub(super) fn hurry(&mut self, deadline: Instant) {
        let timed = self.timed();
        timed.deadline = timed.deadline.min(deadline);
    }

    /// Ends our direction of the stream.
    pub(super) fn shutdown(&mut self) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        self.timed().stream.shutdown(Shutdown::Write)
    }

    /// What a case is played over.
    pub(super) fn link(self) -> io::Result<Link> {
        match self {
            Self::Plain(timed) => Link::plain(timed.stream),
            Self::Tls(stream) => {
                let (session, timed) = stream.into_parts();
                Link::tls_server(session, timed.stream)
            }
        }
    }
}

impl Read for Guest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.read(buffer),
            Self::Tls(stream) => match stream.read(buffer) {
                // To end without a close_notify is no fault of WebSocket's.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }
}

impl Write for Guest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Timed {
    /// What is left of the time, which is never zero: that would be for ever.
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(left),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
