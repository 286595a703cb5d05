//! The generator: connections that keep a number of messages in flight and check each echo.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use openline::proto::{FrameHeader, MaskingKey, Opcode};
use socket2::{Domain, Socket, Type};

use crate::process::Server;
use crate::rounds::Work;

/// So many connections, each with so many messages of so many bytes in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    pub connections: usize,
    pub in_flight: usize,
    pub size: usize,
}

impl Load {
    pub const fn new(connections: usize, in_flight: usize, size: usize) -> Self {
        Self {
            connections,
            in_flight,
            size,
        }
    }
}

impl FromStr for Load {
    type Err = &'static str;

    fn from_str(argument: &str) -> Result<Self, Self::Err> {
        let numbers: Result<Vec<usize>, _> = argument.split(',').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[connections, in_flight, size]) if connections > 0 && in_flight > 0 => {
                Ok(Self::new(connections, in_flight, size))
            }
            _ => Err("CONNECTIONS,IN-FLIGHT,BYTES is asked for"),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            in_flight,
            size,
        } = self;
        f.pad(&format!("{connections} x {in_flight} x {size} B"))
    }
}

/// What connections send again and again, and what has to come back each time.
pub struct Exchange {
    /// Lines to add to the request of the opening handshake.
    pub offer: &'static str,
    pub frame: Vec<u8>,
    pub echo: Vec<u8>,
}

impl Exchange {
    /// A binary message of so many bytes.
    pub fn binary(server: &Server, size: usize) -> Self {
        let payload: Vec<u8> = (0..=255).cycle().take(size).collect();
        let frame = masked_frame(Opcode::Binary, &payload);
        let echo = match server.websocket {
            true => [header(Opcode::Binary, size, None).as_slice(), &payload].concat(),
            false => frame.clone(),
        };
        Self {
            offer: "",
            frame,
            echo,
        }
    }
}

/// Open connections to one server, at rest between two runs.
pub struct Generator {
    pub poll: Poll,
    pub connections: Vec<Connection>,
    pub in_flight: usize,
    /// The frames that are sent, in a row, so that any number in flight is one write.
    frames: Vec<u8>,
    frame_size: usize,
    echo: Vec<u8>,
    buffer: Vec<u8>,
}

pub struct Connection {
    stream: TcpStream,
    /// The bytes to write that the kernel has not taken, and where in a frame they begin.
    unsent: usize,
    position: usize,
    /// The bytes of echoes that are still to come, and where in an echo they begin.
    awaited: usize,
    echo_position: usize,
}

impl Generator {
    /// Opens the connections; to a WebSocket server, with the opening handshake.
    pub fn open(server: &Server, load: Load, exchange: &Exchange) -> Result<Self, Box<dyn Error>> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(load.connections);
        for i in 0..load.connections {
            let mut stream = connect(server, i, exchange.offer)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(i), both)?;
            connections.push(Connection {
                stream,
                unsent: 0,
                position: 0,
                awaited: 0,
                echo_position: 0,
            });
        }
        Ok(Self {
            poll,
            connections,
            in_flight: load.in_flight,
            frames: exchange.frame.repeat(load.in_flight + 1),
            frame_size: exchange.frame.len(),
            echo: exchange.echo.clone(),
            buffer: vec![0; 256 << 10],
        })
    }

    /// Has the first connection send a message that is to come to all.
    pub fn publish(&mut self) -> io::Result<()> {
        for connection in &mut self.connections {
            connection.awaited += self.echo.len();
        }
        self.connections[0].unsent += self.frame_size;
        self.flush_publisher()
    }

    /// Goes on with what the kernel did not take of it.
    pub fn flush_publisher(&mut self) -> io::Result<()> {
        self.connections[0].write(&self.frames, self.frame_size)
    }

    /// Takes what has come to the connection of this number; returns how many messages that
    /// completed.
    pub fn receive(&mut self, number: usize) -> Result<usize, Box<dyn Error>> {
        self.connections[number].read(&mut self.buffer, &self.echo)
    }
}

impl Work for Generator {
    /// Keeps messages in flight for about `window`, then waits for the last echo; returns how
    /// many messages came back.
    fn run(&mut self, window: Duration) -> Result<u64, Box<dyn Error>> {
        let end = Instant::now() + window;
        let mut messages = 0;
        let mut working = self.connections.len();
        let mut events = Events::with_capacity(1024);
        for connection in &mut self.connections {
            connection.awaited = self.in_flight * self.echo.len();
            connection.unsent = self.in_flight * self.frame_size;
            connection.write(&self.frames, self.frame_size)?;
        }
        while working > 0 {
            await_events(&mut self.poll, &mut events)
                .map_err(|error| format!("an echo does not come: {error}"))?;
            let more = Instant::now() < end;
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                if connection.awaited == 0 {
                    continue;
                }
                connection.write(&self.frames, self.frame_size)?;
                let echoes = connection.read(&mut self.buffer, &self.echo)?;
                messages += echoes as u64;
                if more && echoes > 0 {
                    connection.awaited += echoes * self.echo.len();
                    connection.unsent += echoes * self.frame_size;
                    connection.write(&self.frames, self.frame_size)?;
                }
                if connection.awaited == 0 {
                    working -= 1;
                }
            }
        }
        Ok(messages)
    }
}

impl Connection {
    fn write(&mut self, frames: &[u8], frame_size: usize) -> io::Result<()> {
        while self.unsent > 0 {
            let n = match self.stream.write(&frames[self.position..][..self.unsent]) {
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.unsent -= n;
            self.position = (self.position + n) % frame_size;
        }
        Ok(())
    }

    /// Takes what has come; returns how many echoes it completed.
    fn read(&mut self, buffer: &mut [u8], echo: &[u8]) -> Result<usize, Box<dyn Error>> {
        let mut echoes = 0;
        loop {
            let n = match self.stream.read(buffer) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            self.awaited = (self.awaited.checked_sub(n)).ok_or("more came than was sent")?;
            let mut read = &buffer[..n];
            while !read.is_empty() {
                let expected = &echo[self.echo_position..];
                let n = expected.len().min(read.len());
                if read[..n] != expected[..n] {
                    return Err("what came is not what was sent".into());
                }
                read = &read[n..];
                self.echo_position += n;
                if self.echo_position == echo.len() {
                    self.echo_position = 0;
                    echoes += 1;
                }
            }
            if n < buffer.len() {
                break;
            }
        }
        Ok(echoes)
    }
}

/// Looks again and again until there is an event, and no longer than [`PATIENCE`].
///
/// Who sleeps has to be woken, and that is charged to the server that sends.
pub fn await_events(poll: &mut Poll, events: &mut Events) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        poll.poll(events, Some(Duration::ZERO))?;
        if !events.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

/// The `i`th connection.
fn connect(server: &Server, i: usize, offer: &str) -> Result<TcpStream, Box<dyn Error>> {
    let stream = open_offering(server, i, offer)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

/// The `i`th connection, blocking.
pub fn open(server: &Server, i: usize) -> Result<std::net::TcpStream, Box<dyn Error>> {
    open_offering(server, i, "")
}

/// The same, with lines of its own in the request.
pub fn open_offering(
    server: &Server,
    i: usize,
    offer: &str,
) -> Result<std::net::TcpStream, Box<dyn Error>> {
    let mut stream = dial(server.address, i)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    if server.websocket {
        shake_hands(&mut stream, server.address, offer)?;
    }
    Ok(stream)
}

/// The `i`th connection's stream. An address has some 28,000 ports to connect from; after that many
/// the next of 127.0.0.0/8 serves. Before, none is bound: a port that was bound stays taken for a
/// minute, whoever is to be connected to, and the next server would find none left.
pub fn dial(server: SocketAddr, i: usize) -> Result<std::net::TcpStream, Box<dyn Error>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let host @ 1.. = i / 25_000 {
        let source = Ipv4Addr::new(127, 0, 1, u8::try_from(host)?);
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    socket.connect(&server.into())?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// A request with the key of RFC 6455 §1.3, and these lines.
pub fn request(address: SocketAddr, offer: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    )
}

/// The opening handshake.
pub fn shake_hands(
    stream: &mut (impl Read + Write),
    address: SocketAddr,
    offer: &str,
) -> Result<(), Box<dyn Error>> {
    stream.write_all(request(address, offer).as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Err("the server closed a connection in the handshake".into()),
            n => answer.extend_from_slice(&buffer[..n]),
        }
    }
    check_answer(&String::from_utf8_lossy(&answer), offer)
}

/// Whether it accepts the request, and takes what it offered.
pub fn check_answer(answer: &str, offer: &str) -> Result<(), Box<dyn Error>> {
    if !answer.starts_with("HTTP/1.1 101 ") || !answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
        return Err(format!("the server refused the handshake: {answer}").into());
    }
    // Whoever is offered something has to take it, all of it and no more.
    let line = |line: &&str| {
        line.to_ascii_lowercase()
            .starts_with("sec-websocket-extensions:")
    };
    let parameters = |line: Option<&str>| {
        let (_, value) = line
            .and_then(|line| line.split_once(':'))
            .unwrap_or_default();
        let mut words: Vec<String> = value
            .split(';')
            .map(|word| word.trim().to_owned())
            .collect();
        words.sort();
        words
    };
    match parameters(answer.lines().find(line)) == parameters(offer.lines().find(line)) {
        true => Ok(()),
        false => Err(format!("the server took something else than {offer:?}: {answer}").into()),
    }
}

/// A message or a Ping in one frame, as a client sends it.
pub fn masked_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), Some(KEY));
    let start = frame.len();
    frame.extend_from_slice(payload);
    KEY.apply(&mut frame[start..]);
    frame
}

pub const KEY: MaskingKey = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);

pub fn header(opcode: Opcode, payload_len: usize, mask: Option<MaskingKey>) -> Vec<u8> {
    let header = FrameHeader {
        fin: true,
        rsv1: false,
        opcode,
        mask,
        payload_len: payload_len as u64,
    };
    header.encode().as_bytes().to_vec()
}

/// How long a server may leave the generator without a byte.
const PATIENCE: Duration = Duration::from_secs(10);
