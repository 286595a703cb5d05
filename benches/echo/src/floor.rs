//! The other ruler: the least that an echo server for WebSocket does. It finds each frame, unmasks
//! it, and sends it back with a header of its own, or to everyone.
//!
//! It refuses nothing, and has no limit, no timer and no control frames: what a server takes beyond
//! it is what these cost. Only this program's generator may connect to it.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use openline::proto::{
    Acceptance, Config, HEADER_SIZE_MAX, MaskingKey, RecvBuffer, SendBuffer, ServerHandshake,
};
use slab::Slab;

/// What is read at once: it stays in the nearest cache.
const READ_SIZE: usize = 32 << 10;
/// An answer of this size takes the place of the request it answers; a smaller one is copied, so
/// that many leave in one write.
const IN_PLACE: usize = 4 << 10;
/// The bytes of a mask.
const KEY_SIZE: usize = 4;

/// Where a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    Sender,
    Everyone,
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a frame; it keeps its memory.
    input: Vec<u8>,
    /// What the kernel did not take; while there is some, nothing is read.
    pending: Vec<u8>,
}

/// Echoes messages until it is killed.
pub fn serve(port: u16, to: To) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections = Slab::<Connection>::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; READ_SIZE];
    let mut answers = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections)?;
                continue;
            }
            let Token(key) = event.token();
            let alive = match connections.get_mut(key) {
                Some(connection) => connection
                    .turn(&mut buffer, &mut answers, to)
                    .unwrap_or(false),
                None => continue,
            };
            if !alive {
                connections.remove(key);
            }
            // Empty unless it is for everyone. Who is gone is noticed at a turn of its own.
            if !answers.is_empty() {
                for (_, connection) in &mut connections {
                    let _ = connection.write(&answers);
                }
                answers.clear();
            }
        }
    }
}

impl Connection {
    /// Whether the connection lives on.
    fn turn(&mut self, buffer: &mut [u8], answers: &mut Vec<u8>, to: To) -> io::Result<bool> {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            self.write(&pending)?;
        }
        while self.pending.is_empty() {
            let (read, wanted) = match self.input.is_empty() {
                true => (self.stream.read(buffer), buffer.len()),
                false => self.read_rest(),
            };
            let n = match read {
                Ok(0) => return Ok(false),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            if self.input.is_empty() {
                let used = self.answer(&mut buffer[..n], answers, to)?;
                self.input.extend_from_slice(&buffer[used..n]);
            } else {
                let mut input = std::mem::take(&mut self.input);
                let used = self.answer(&mut input, answers, to)?;
                input.drain(..used);
                self.input = input;
            }
            // A short read has taken all there was: the next edge tells of more.
            if n < wanted {
                break;
            }
        }
        Ok(true)
    }

    /// Reads what the frame that has begun still lacks, into its place; and how much that is.
    fn read_rest(&mut self) -> (io::Result<usize>, usize) {
        let lacking = match Frame::find(&self.input) {
            Some(frame) => frame.end() - self.input.len(),
            None => HEADER_SIZE_MAX - self.input.len(),
        };
        let before = self.input.len();
        self.input.reserve(lacking);
        let read = (&self.stream)
            .take(lacking as u64)
            .read_to_end(&mut self.input);
        match (read, self.input.len() - before) {
            (Err(error), 0) => (Err(error), lacking),
            (_, n) => (Ok(n), lacking),
        }
    }

    /// Answers the frames that are there; returns how long they are. What is for everyone is left in
    /// `answers`.
    fn answer(&mut self, bytes: &mut [u8], answers: &mut Vec<u8>, to: To) -> io::Result<usize> {
        let mut used = 0;
        while let Some(frame) = Frame::find(&bytes[used..]) {
            let Some(bytes) = bytes[used..].get_mut(..frame.end()) else {
                break;
            };
            used += frame.end();
            let (header, payload) = bytes.split_at_mut(frame.header_size);
            frame.key.apply(payload);
            header[1] &= 0x7f;
            let header_size = frame.header_size - KEY_SIZE;
            if payload.len() < IN_PLACE || to == To::Everyone {
                answers.extend_from_slice(&header[..header_size]);
                answers.extend_from_slice(payload);
                continue;
            }
            // The header moves to where the key was.
            header.copy_within(..header_size, KEY_SIZE);
            if !answers.is_empty() {
                self.write(answers)?;
                answers.clear();
            }
            self.write(&bytes[KEY_SIZE..])?;
        }
        if to == To::Sender && !answers.is_empty() {
            self.write(answers)?;
            answers.clear();
        }
        Ok(used)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // What waits goes first.
        let n = match self.pending.is_empty() {
            false => 0,
            true => match self.stream.write(bytes) {
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            },
        };
        self.pending.extend_from_slice(&bytes[n..]);
        Ok(())
    }
}

/// Where a frame's payload lies, and its key.
struct Frame {
    header_size: usize,
    payload_len: usize,
    key: MaskingKey,
}

impl Frame {
    /// The frame that `bytes` begin with, if its header is there (RFC 6455 §5.2).
    fn find(bytes: &[u8]) -> Option<Self> {
        let (payload_len, at) = match bytes.get(1)? & 0x7f {
            126 => {
                let len = bytes.get(2..4)?.try_into().ok()?;
                (usize::from(u16::from_be_bytes(len)), 4)
            }
            127 => {
                let len = bytes.get(2..10)?.try_into().ok()?;
                (usize::try_from(u64::from_be_bytes(len)).ok()?, 10)
            }
            len => (usize::from(len), 2),
        };
        let key: [u8; KEY_SIZE] = bytes.get(at..at + KEY_SIZE)?.try_into().ok()?;
        Some(Self {
            header_size: at + KEY_SIZE,
            payload_len,
            key: MaskingKey::new(key),
        })
    }

    fn end(&self) -> usize {
        self.header_size + self.payload_len
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    connections: &mut Slab<Connection>,
) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let stream = std::net::TcpStream::from(stream);
        // Who looks whether there is a server, and leaves, is no connection.
        let Ok(stream) = shake_hands(stream) else {
            continue;
        };
        let mut stream = TcpStream::from_std(stream);
        let entry = connections.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut stream, Token(entry.key()), both)?;
        entry.insert(Connection {
            stream,
            input: Vec::new(),
            pending: Vec::new(),
        });
    }
}

/// The opening handshake, which is not measured: the generator sends nothing before its end.
fn shake_hands(mut stream: std::net::TcpStream) -> Result<std::net::TcpStream, Box<dyn Error>> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let now = Instant::now();
    let mut handshake = ServerHandshake::new(Arc::new(Config::default()), now);
    let (mut recv, mut send) = (RecvBuffer::new(), SendBuffer::new());
    let upgrade = loop {
        match stream.read(recv.spare_mut(1024))? {
            0 => return Err("it ended".into()),
            n => recv.commit(n),
        }
        if let Some(upgrade) = handshake.poll(&recv)? {
            break upgrade;
        }
    };
    upgrade.accept(now, &mut recv, &Acceptance::default(), &mut send)?;
    stream.write_all(send.pending())?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

const LISTENER: Token = Token(usize::MAX);
