//! The ruler: a TCP echo with nothing between one read and one write; and for handshakes, a server
//! that answers with bytes that it always has ready.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::SockRef;

struct Connection {
    stream: TcpStream,
    /// What the kernel did not take; while there is some, nothing is read.
    pending: Vec<u8>,
}

/// Echoes bytes until it is killed.
pub fn serve(port: u16) -> io::Result<()> {
    run(port, Connection::turn)
}

/// Answers what is taken for an opening handshake, and then what is taken for a Close, until it is
/// killed.
pub fn open_and_close(port: u16) -> io::Result<()> {
    run(port, Connection::answer)
}

/// Calls `turn` for every connection that is ready, until that says that it lives no longer.
fn run(port: u16, turn: impl Fn(&mut Connection, &mut [u8]) -> io::Result<bool>) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
    // What is accepted has it of the listener.
    SockRef::from(&listener).set_tcp_nodelay(true)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections = Slab::<Connection>::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 << 10];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections)?;
                continue;
            }
            let Token(key) = event.token();
            let alive = match connections.get_mut(key) {
                Some(connection) => turn(connection, &mut buffer).unwrap_or(false),
                None => continue,
            };
            if !alive {
                connections.remove(key);
            }
        }
    }
}

impl Connection {
    /// Whether the connection lives on.
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            self.write(&pending)?;
        }
        while self.pending.is_empty() {
            let n = match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.write(&buffer[..n])?;
            // A short read has taken all there was: the next edge tells of more.
            if n < buffer.len() {
                break;
            }
        }
        Ok(true)
    }

    /// The same for one that is opened and closed.
    fn answer(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match self.stream.read(buffer) {
            Ok(0) => Ok(false),
            Ok(n) if buffer[..n].ends_with(b"\r\n\r\n") => {
                self.stream.write_all(SWITCHING)?;
                Ok(true)
            }
            Ok(_) => {
                self.stream.write_all(&CLOSE)?;
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let n = match self.stream.write(bytes) {
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.pending.extend_from_slice(&bytes[n..]);
        Ok(())
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    connections: &mut Slab<Connection>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let entry = connections.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut stream, Token(entry.key()), both)?;
        entry.insert(Connection {
            stream,
            pending: Vec::new(),
        });
    }
}

/// The answer to the key that the generator always has (RFC 6455 §1.3).
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// Normal closure, 1000.
const CLOSE: [u8; 4] = [0x88, 2, 0x03, 0xe8];

const LISTENER: Token = Token(usize::MAX);
