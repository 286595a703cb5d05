//! Ends of a connection without a transport: bytes by hand, time by hand.
//!
//! Whatever an [`End`] receives, a twin of it receives one byte at a time; both must see and
//! send the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openline::proto::{
    Chunk, ClosedWhy, Config, Connection, DeflateParams, Event, Kind, Party, ProtocolError,
    RecvBuffer, Role, SendBuffer,
};

/// An event with content of its own; adjacent chunks of one message are joined.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Chunk(Kind, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Closed(Party, ClosedWhy),
    Error(ProtocolError),
}

pub struct End {
    pub connection: Connection,
    pub recv: RecvBuffer,
    pub send: SendBuffer,
    pub now: Instant,
    twin: Option<Box<End>>,
}

impl End {
    pub fn server() -> Self {
        Self::new(Role::Server, Config::default())
    }

    pub fn client() -> Self {
        Self::new(Role::Client, Config::default())
    }

    pub fn new(role: Role, config: Config) -> Self {
        let now = Instant::now();
        let mut end = Self::alone(role, config.clone(), now);
        end.twin = Some(Box::new(Self::alone(role, config, now)));
        end
    }

    /// An end whose handshake agreed to compression.
    pub fn compressed(role: Role, config: Config, params: DeflateParams) -> Self {
        let now = Instant::now();
        let mut end = Self::alone_compressed(role, config.clone(), now, params);
        end.twin = Some(Box::new(Self::alone_compressed(role, config, now, params)));
        end
    }

    /// The same without a twin.
    pub fn alone_compressed(
        role: Role,
        config: Config,
        now: Instant,
        params: DeflateParams,
    ) -> Self {
        let mut end = Self::alone(role, config, now);
        end.connection = end.connection.with_compression(params);
        end
    }

    /// An end without a twin: for what is too large for one byte at a time.
    pub fn alone(role: Role, config: Config, now: Instant) -> Self {
        Self {
            connection: Connection::established(role, Arc::new(config), now, [7; 32]),
            recv: RecvBuffer::new(),
            send: SendBuffer::new(),
            now,
            twin: None,
        }
    }

    /// Receives `bytes` at once; returns what was seen.
    pub fn receive(&mut self, bytes: impl AsRef<[u8]>) -> Vec<Seen> {
        let bytes = bytes.as_ref();
        self.recv.extend(bytes);
        let mut seen = Vec::new();
        self.poll(&mut seen);
        if let Some(twin) = &mut self.twin {
            let mut twin_seen = Vec::new();
            for byte in bytes {
                twin.recv.extend(&[*byte]);
                twin.poll(&mut twin_seen);
            }
            twin.poll(&mut twin_seen);
            assert_eq!(seen, twin_seen, "one byte at a time differs");
        }
        seen
    }

    /// Polls until there is no more to see.
    pub fn poll(&mut self, seen: &mut Vec<Seen>) {
        loop {
            match self
                .connection
                .poll(self.now, &mut self.recv, &mut self.send)
            {
                Ok(Some(event)) => push(seen, own(event)),
                Ok(None) => return,
                Err(error) => {
                    let again = self
                        .connection
                        .poll(self.now, &mut self.recv, &mut self.send);
                    assert_eq!(again, Err(error), "an error is final");
                    if seen.last() != Some(&Seen::Error(error)) {
                        seen.push(Seen::Error(error));
                    }
                    return;
                }
            }
        }
    }

    /// The bytes sent since the last time.
    pub fn sent(&mut self) -> Vec<u8> {
        let sent = self.send.pending().to_vec();
        self.send.advance(sent.len());
        if let Some(twin) = &mut self.twin {
            assert_eq!(twin.sent(), sent, "one byte at a time sends otherwise");
        }
        sent
    }

    /// Does the same to the end and to its twin.
    pub fn both<T>(
        &mut self,
        mut act: impl FnMut(&mut Connection, &mut SendBuffer, Instant) -> T,
    ) -> T {
        if let Some(twin) = &mut self.twin {
            act(&mut twin.connection, &mut twin.send, twin.now);
        }
        act(&mut self.connection, &mut self.send, self.now)
    }

    /// Lets time pass and the timers act; returns what was seen.
    pub fn wait(&mut self, time: Duration) -> Vec<Seen> {
        self.now += time;
        if let Some(twin) = &mut self.twin {
            twin.now += time;
        }
        self.both(|connection, send, now| connection.handle_timeout(now, send));
        self.receive(b"")
    }

    /// The peer's stream ends.
    pub fn eof(&mut self) -> Vec<Seen> {
        self.both(|connection, _, _| connection.handle_eof());
        self.receive(b"")
    }
}

/// Two ends that are wired to each other.
pub struct Pair {
    pub client: End,
    pub server: End,
}

impl Pair {
    pub fn open() -> Self {
        Self {
            client: End::client(),
            server: End::server(),
        }
    }

    /// Carries bytes both ways until none are left; returns what client and server saw.
    pub fn exchange(&mut self) -> (Vec<Seen>, Vec<Seen>) {
        let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
        loop {
            let (up, down) = (self.client.sent(), self.server.sent());
            if up.is_empty() && down.is_empty() {
                return (at_client, at_server);
            }
            at_server.extend(self.server.receive(up));
            at_client.extend(self.client.receive(down));
        }
    }
}

/// The bytes of a hexadecimal dump; blanks are for the eye.
pub fn hex(dump: &str) -> Vec<u8> {
    let digits: Vec<u8> = dump
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| char::from(byte).to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// A frame of a client, with a masking key of zeros so that its payload can be read.
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..65_536 => {
            frame.push(0xfe);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0xff);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The header of a client's frame that declares `len` bytes, in the form that is minimal.
pub fn declared(first: u8, len: u64) -> Vec<u8> {
    let mut header = vec![first, 0xff];
    header.extend(len.to_be_bytes());
    header.extend([0; 4]);
    header
}

pub fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn own(event: Event<'_>) -> Seen {
    match event {
        Event::Text(text) => Seen::Text(text.to_owned()),
        Event::Binary(data) => Seen::Binary(data.to_vec()),
        Event::Chunk(Chunk { kind, data, last }) => Seen::Chunk(kind, data.to_vec(), last),
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong(payload) => Seen::Pong(payload.to_vec()),
        Event::Close(close) => {
            Seen::Close(close.map(|close| (close.code.number(), close.reason.to_owned())))
        }
        Event::Closed(closed) => Seen::Closed(closed.by, closed.why),
    }
}

fn push(seen: &mut Vec<Seen>, event: Seen) {
    match (seen.last_mut(), event) {
        (Some(Seen::Chunk(_, before, last @ false)), Seen::Chunk(_, data, ends)) => {
            before.extend(data);
            *last = ends;
        }
        (_, event) => seen.push(event),
    }
}
