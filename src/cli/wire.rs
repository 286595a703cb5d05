//! A socket that does not block, bare or with TLS over it.
//!
//! For tools that look on: bytes in, bytes out, nothing known of what they mean.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream as StdStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use openline::net::TlsError;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

/// One end of a connection.
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Box<rustls::Connection>>,
    /// What is encrypted and not yet written is in `tls`; the rest waits here.
    is_half_closed: bool,
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Bytes(usize),
    /// Nothing is there; more may come.
    Nothing,
    /// The peer sends no more.
    End,
}

impl Wire {
    /// Bare TCP.
    pub(crate) fn plain(socket: StdStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // Whoever measures time does not want the kernel to wait for more to send.
        socket.set_nodelay(true)?;
        Ok(Self {
            socket: TcpStream::from_std(socket),
            tls: None,
            is_half_closed: false,
        })
    }

    /// The server's side of TLS.
    pub(crate) fn tls_server(socket: StdStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = ServerConnection::new(config).map_err(failed)?;
        Ok(Self {
            tls: Some(Box::new(session.into())),
            ..Self::plain(socket)?
        })
    }

    /// The client's side of TLS, to the server of this name.
    pub(crate) fn tls_client(
        socket: StdStream,
        config: Arc<ClientConfig>,
        host: &str,
    ) -> io::Result<Self> {
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let session = ClientConnection::new(config, name).map_err(failed)?;
        Ok(Self {
            tls: Some(Box::new(session.into())),
            ..Self::plain(socket)?
        })
    }

    /// For a poll to watch.
    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Reads what is there.
    pub(crate) fn recv(&mut self, bytes: &mut [u8]) -> io::Result<Received> {
        loop {
            let Some(tls) = &mut self.tls else {
                return received(retry(|| self.socket.read(bytes)));
            };
            match tls.reader().read(bytes) {
                Ok(0) => return Ok(Received::End),
                Ok(n) => return Ok(Received::Bytes(n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            match received(retry(|| tls.read_tls(&mut self.socket)))? {
                Received::Nothing => return Ok(Received::Nothing),
                // The reader will say whether that end was announced.
                Received::Bytes(_) | Received::End => {}
            }
            let processed = tls.process_new_packets();
            // An answer, or an alert, is to go before anything else.
            let flushed = self.flush();
            processed.map_err(failed)?;
            flushed?;
        }
    }

    /// Writes what there is room for.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return written(retry(|| self.socket.write(bytes)));
        };
        // What was encrypted goes first, or memory would grow with a peer that does not read.
        if tls.is_handshaking() || tls.wants_write() {
            self.flush()?;
        }
        match &mut self.tls {
            Some(tls) if !tls.is_handshaking() && !tls.wants_write() => {
                let n = tls
                    .writer()
                    .write(&bytes[..bytes.len().min(TLS_PIECE_MAX)])?;
                self.flush()?;
                Ok(n)
            }
            _ => Ok(0),
        }
    }

    /// Writes what TLS has to say by itself; answers whether nothing is left.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.wants_write() {
            if written(retry(|| tls.write_tls(&mut self.socket)))? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says that no more will be sent.
    pub(crate) fn half_close(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_half_closed, true) {
            return Ok(());
        }
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            self.flush()?;
        }
        match self.socket.shutdown(Shutdown::Write) {
            Err(error) if error.kind() != ErrorKind::NotConnected => Err(error),
            _ => Ok(()),
        }
    }

    /// Has the end be a reset: what the other side did is done to this one.
    pub(crate) fn reset(&self) {
        // If that cannot be, it is an ordinary end.
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}

/// Connects, to each of the host's addresses in turn.
pub(crate) fn connect(host: &str, port: u16) -> io::Result<StdStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let mut failed = None;
    for address in (host, port).to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        match connect_to(&address, left.max(Duration::from_millis(1))) {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::new(ErrorKind::NotFound, "the host has no address")))
}

fn connect_to(address: &SocketAddr, timeout: Duration) -> io::Result<StdStream> {
    StdStream::connect_timeout(address, timeout)
}

/// In the words that the library has for it.
fn failed(error: rustls::Error) -> io::Error {
    TlsError::from(error).into()
}

fn received(read: io::Result<usize>) -> io::Result<Received> {
    match read {
        Ok(0) => Ok(Received::End),
        Ok(n) => Ok(Received::Bytes(n)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
        Err(error) => Err(error),
    }
}

fn written(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// How long it may take to reach a host, with all of its addresses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is encrypted at a time.
const TLS_PIECE_MAX: usize = 64 << 10;
