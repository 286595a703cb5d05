//! One player above one socket: what the case asks for is what the wire gets.
//!
//! Each write of the player's is one write of the socket's, without Nagle's delay. While the peer
//! takes nothing, what it sends is still read. The player's deadlines end every wait, and at most
//! one piece of what is to be written is held, so no peer can keep us or fill us.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use openline::conformance::{Action, Log, Outcome, Player};
use openline::proto::Role;
use rand::TryRng;
use rand::rngs::SysRng;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConnection, StreamOwned};

/// A connection whose calls never wait.
#[derive(Debug)]
pub(super) enum Link {
    Plain(mio::net::TcpStream),
    TlsClient(Box<StreamOwned<ClientConnection, mio::net::TcpStream>>),
    TlsServer(Box<StreamOwned<ServerConnection, mio::net::TcpStream>>),
}

impl Link {
    /// A link over a stream that is connected.
    pub(super) fn plain(stream: TcpStream) -> io::Result<Self> {
        Ok(Self::Plain(unwaiting(stream)?))
    }

    /// A link to a server through TLS. Its handshake passes with the first bytes.
    pub(super) fn tls_client(
        stream: TcpStream,
        name: &ServerName<'static>,
        config: Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let session = ClientConnection::new(config, name.clone()).map_err(io::Error::other)?;
        let stream = StreamOwned::new(session, unwaiting(stream)?);
        Ok(Self::TlsClient(Box::new(stream)))
    }

    /// A link to a client with which TLS has begun.
    pub(super) fn tls_server(session: ServerConnection, stream: TcpStream) -> io::Result<Self> {
        let stream = StreamOwned::new(session, unwaiting(stream)?);
        Ok(Self::TlsServer(Box::new(stream)))
    }

    fn socket(&mut self) -> &mut mio::net::TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::TlsClient(stream) => &mut stream.sock,
            Self::TlsServer(stream) => &mut stream.sock,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::TlsClient(stream) => read_tls(stream, buffer),
            Self::TlsServer(stream) => read_tls(stream, buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::TlsClient(stream) => write_tls(stream, bytes),
            Self::TlsServer(stream) => write_tls(stream, bytes),
        }
    }

    fn shutdown(&mut self) -> io::Result<()> {
        // The end of the stream says it, if a close_notify cannot.
        let _ = match self {
            Self::Plain(_) => Ok(()),
            Self::TlsClient(stream) => {
                stream.conn.send_close_notify();
                stream.flush()
            }
            Self::TlsServer(stream) => {
                stream.conn.send_close_notify();
                stream.flush()
            }
        };
        self.socket().shutdown(Shutdown::Write)
    }
}

fn unwaiting(stream: TcpStream) -> io::Result<mio::net::TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(mio::net::TcpStream::from_std(stream))
}

fn read_tls(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer) {
        // To end without a close_notify is no fault of WebSocket's.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        read => read,
    }
}

fn write_tls(stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let written = stream.write(bytes)?;
    // What is encrypted but not gone goes with the next call.
    match stream.flush() {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(written),
    }
}

/// Plays a case to its end and drops the connection.
///
/// # Errors
///
/// Only our own system's: a peer cannot cause one.
pub(super) fn drive(mut link: Link, player: &mut Player, peer: Role) -> io::Result<(Outcome, Log)> {
    let mut poll = Poll::new()?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(link.socket(), SOCKET, interest)?;
    let mut wire = Wire {
        link,
        unwritten: Vec::new(),
        writable: true,
        readable: true,
        deaf: false,
        buffer: vec![0; READ_SIZE],
    };
    let mut events = Events::with_capacity(4);
    loop {
        wire.read(player);
        wire.write_rest();
        let now = Instant::now();
        let is_due = player.poll_timeout().is_some_and(|due| due <= now);
        if wire.unwritten.is_empty() || is_due || player.outcome().is_some() {
            match player.next(now) {
                Action::Write(bytes) => {
                    wire.write(bytes);
                    continue;
                }
                Action::Shutdown => {
                    wire.shutdown();
                    continue;
                }
                Action::Done(outcome) => {
                    let outcome = outcome.clone();
                    if peer == Role::Client && outcome.clean {
                        wire.leave();
                    }
                    return Ok((outcome, player.log().clone()));
                }
                Action::Wait => {}
            }
        }
        if wire.readable {
            continue;
        }
        let now = Instant::now();
        let due = player.poll_timeout();
        let wait = due.map(|due| due.saturating_duration_since(now).max(TICK));
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        if !events.is_empty() {
            wire.readable = true;
            wire.writable = true;
        }
    }
}

/// A seed for a player's keys.
pub(super) fn seed() -> u64 {
    let mut bytes = [0; 8];
    // Without entropy the keys are the same each time, which no verdict depends on.
    let _ = SysRng.try_fill_bytes(&mut bytes);
    u64::from_ne_bytes(bytes)
}

struct Wire {
    link: Link,
    /// What the socket has not taken of the last piece.
    unwritten: Vec<u8>,
    writable: bool,
    readable: bool,
    /// The peer takes nothing any more; what it has sent is still read.
    deaf: bool,
    buffer: Vec<u8>,
}

impl Wire {
    /// Reads once; the player learns what came of it.
    fn read(&mut self, player: &mut Player) {
        if !self.readable || player.outcome().is_some() {
            return;
        }
        let read = self.link.read(&mut self.buffer);
        let now = Instant::now();
        match read {
            Ok(0) => player.receive_eof(now),
            Ok(n) => player.receive(now, &self.buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => player.receive_reset(now),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.deaf {
            return;
        }
        if !self.unwritten.is_empty() || !self.writable {
            self.unwritten.extend_from_slice(bytes);
            return;
        }
        match self.link.write(bytes) {
            Ok(n) if n == bytes.len() => {}
            Ok(n) => self.unwritten.extend_from_slice(&bytes[n..]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.unwritten.extend_from_slice(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writable = false;
                self.unwritten.extend_from_slice(bytes);
            }
            // Reading tells how it ended, after what was sent before.
            Err(_) => self.deaf = true,
        }
    }

    fn write_rest(&mut self) {
        if self.writable && !self.unwritten.is_empty() {
            let bytes = std::mem::take(&mut self.unwritten);
            self.write(&bytes);
        }
    }

    fn shutdown(&mut self) {
        // A direction that is gone cannot be ended; reading tells.
        let _ = self.link.shutdown();
    }

    /// Leaves so that what we wrote arrives: to close with unread bytes would reset the
    /// connection, and our Close frame could be lost with it (RFC 6455 §7.1.1).
    fn leave(&mut self) {
        self.shutdown();
        let until = Instant::now() + LEAVE_TIMEOUT;
        while Instant::now() < until {
            match self.link.read(&mut self.buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(LEAVE_TICK);
                }
                Err(_) => return,
            }
        }
    }
}

const SOCKET: Token = Token(0);
/// What is read at once.
const READ_SIZE: usize = 64 << 10;
/// The shortest wait: a deadline that is due in microseconds is not worth a busy loop.
const TICK: Duration = Duration::from_millis(1);
/// A client that keeps the connection when the server has ended it is not waited for longer.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often we look whether it is gone.
const LEAVE_TICK: Duration = Duration::from_millis(2);
