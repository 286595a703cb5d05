//! A stream to the server, plain or TLS, that is read and written with a deadline.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

/// A stream whose reading ends in time.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// Reads what is there, or comes until `deadline`; `None` if nothing did, 0 at the end.
    pub(super) fn read(
        &mut self,
        bytes: &mut [u8],
        deadline: Instant,
    ) -> io::Result<Option<usize>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Zero would mean without end.
            self.tcp().set_read_timeout(Some(left.max(SHORTEST)))?;
            let read = match self {
                Self::Plain(stream) => stream.read(bytes),
                Self::Tls(stream) => stream.read(bytes),
            };
            match read {
                Ok(n) => return Ok(Some(n)),
                Err(error) if is_timeout(&error) => {
                    if Instant::now() >= deadline {
                        return Ok(None);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An end without TLS's own good-bye is an end all the same.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Some(0)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes all, each piece within `timeout`.
    pub(super) fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        self.tcp().set_write_timeout(Some(timeout.max(SHORTEST)))?;
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Says that no more will be written, and closes. What the peer makes of it is its business.
    pub(super) fn close(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let _ = self.tcp().shutdown(Shutdown::Write);
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({:?})", self.tcp())
    }
}

/// Whether a socket's time ran out; systems differ in the word.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

const SHORTEST: Duration = Duration::from_millis(1);
