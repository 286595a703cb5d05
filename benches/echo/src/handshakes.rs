//! Connections that are opened and closed, so many at a time: TCP, the opening handshake, the
//! closing handshake, and the end of the stream, which the server is to bring (RFC 6455 §7.1.1).

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use openline::proto::Opcode;
use socket2::SockRef;

use crate::builtin::Builtin;
use crate::load::{self, Load, await_events};
use crate::process::{Command, Server};
use crate::rounds::{self, Begin, Case, Goal, Settings, What, Work};

pub fn run(
    settings: &Settings,
    connections: usize,
    others: Vec<Command>,
) -> Result<(), Box<dyn Error>> {
    let mut commands = vec![
        Command::builtin(Builtin::RawHandshakes)?,
        Command::builtin(Builtin::Openline)?,
    ];
    commands.extend(others);
    let servers = rounds::start(&commands)?;
    let begin: Box<Begin<'_>> =
        Box::new(move |_, server| Ok(Box::new(Openings::new(server, connections)?)));
    let case = Case {
        what: What::Handshake,
        load: Load::new(connections, 1, 0),
        sizes: vec![0; servers.len()],
        begin,
        goal: Goal::default(),
    };
    rounds::run(settings, &servers, [case])
}

/// Connections on their way through a short life.
struct Openings {
    address: SocketAddr,
    poll: Poll,
    slots: Vec<Option<Opening>>,
    request: Vec<u8>,
    close: Vec<u8>,
}

struct Opening {
    stream: TcpStream,
    stage: Stage,
    /// What has come of the answer.
    answer: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Opening,
    Closing,
    Ended,
}

impl Openings {
    fn new(server: &Server, connections: usize) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            address: server.address,
            poll: Poll::new()?,
            slots: (0..connections).map(|_| None).collect(),
            request: load::request(server.address, "").into_bytes(),
            close: load::masked_frame(Opcode::Close, &NORMAL),
        })
    }

    fn connect(&mut self, slot: usize) -> Result<(), Box<dyn Error>> {
        let mut stream = TcpStream::connect(self.address)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(slot), both)?;
        self.slots[slot] = Some(Opening {
            stream,
            stage: Stage::Connecting,
            answer: Vec::with_capacity(512),
        });
        Ok(())
    }
}

impl Work for Openings {
    /// Answers how many connections were opened and closed.
    fn run(&mut self, window: Duration) -> Result<u64, Box<dyn Error>> {
        let end = Instant::now() + window;
        for slot in 0..self.slots.len() {
            self.connect(slot)?;
        }
        let mut alive = self.slots.len();
        let mut count = 0;
        let mut events = Events::with_capacity(1024);
        while alive > 0 {
            await_events(&mut self.poll, &mut events)
                .map_err(|error| format!("a connection is neither opened nor closed: {error}"))?;
            let more = Instant::now() < end;
            for event in &events {
                let slot = event.token().0;
                let Some(opening) = &mut self.slots[slot] else {
                    continue;
                };
                opening.turn(&self.request, &self.close)?;
                if opening.stage != Stage::Ended {
                    continue;
                }
                // By a reset, which leaves no port in TIME-WAIT: all has been read.
                SockRef::from(&opening.stream).set_linger(Some(Duration::ZERO))?;
                self.slots[slot] = None;
                count += 1;
                match more {
                    true => self.connect(slot)?,
                    false => alive -= 1,
                }
            }
        }
        Ok(count)
    }
}

impl Opening {
    fn turn(&mut self, request: &[u8], close: &[u8]) -> Result<(), Box<dyn Error>> {
        if self.stage == Stage::Connecting {
            if let Some(error) = self.stream.take_error()? {
                return Err(error.into());
            }
            match self.stream.write(request) {
                Ok(n) if n == request.len() => self.stage = Stage::Opening,
                Ok(_) => return Err("a request does not fit into a socket".into()),
                Err(error) if is_early(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if self.stage == Stage::Closing && self.is_closed() => {
                    self.stage = Stage::Ended;
                    return Ok(());
                }
                Ok(0) => return Err("the server closed a connection too early".into()),
                Ok(n) => self.answer.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if self.stage == Stage::Opening && self.answer.ends_with(b"\r\n\r\n") {
                load::check_answer(&String::from_utf8_lossy(&self.answer), "")?;
                self.answer.clear();
                self.stream.write_all(close)?;
                self.stage = Stage::Closing;
            }
        }
    }

    /// Whether the server has answered our Close with its own.
    fn is_closed(&self) -> bool {
        self.answer == [&[0x88, 2], &NORMAL[..]].concat()
    }
}

/// The connection may not be there yet.
fn is_early(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}

/// Normal closure, 1000.
const NORMAL: [u8; 2] = [0x03, 0xe8];
