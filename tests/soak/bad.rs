//! The mob: peers that come as often as those of the crowd, and behave badly.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use openline::net::ClientTls;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::SockRef;

use crate::random::Random;
use crate::server::{REQUEST, Server, Trust};

/// For both servers together: most of their time goes into waiting.
const THREADS: usize = 8;
/// Each thread's pause between two misdeeds.
const PAUSE: Duration = Duration::from_millis(15);
/// What each thread waits for at most: a flood finds out that nobody listens by this.
const PATIENCE: Duration = Duration::from_millis(100);

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Misdeed {
    /// Nothing is said, not even TLS.
    Silent,
    /// Half of the first record, and no more.
    HalfHello,
    /// Half of a request, and no more.
    HalfRequest,
    /// What is no request.
    Garbage,
    /// A reset within a frame.
    Reset,
    /// An end of file within a frame, and the connection is held on to.
    HalfOpen,
    /// A frame that is declared and does not come.
    Claim,
    /// Echoes that are never read.
    SlowReader,
    /// A frame that is against the rules.
    Violation,
}

const MISDEEDS: [Misdeed; 9] = [
    Misdeed::Silent,
    Misdeed::HalfHello,
    Misdeed::HalfRequest,
    Misdeed::Garbage,
    Misdeed::Reset,
    Misdeed::HalfOpen,
    Misdeed::Claim,
    Misdeed::SlowReader,
    Misdeed::Violation,
];

/// Against the rules: no mask, a reserved opcode, a reserved bit, a long Ping, bad UTF-8, a
/// continuation of nothing, a length with the top bit, a Close of one byte.
const VIOLATIONS: [&[u8]; 8] = [
    b"\x81\x01a",
    b"\x83\x80\0\0\0\0",
    b"\xc1\x80\0\0\0\0",
    b"\x89\xfe\0\x7e\0\0\0\0",
    b"\x81\x81\0\0\0\0\xff",
    b"\x80\x80\0\0\0\0",
    b"\x82\xff\xff\0\0\0\0\0\0\0\0\0\0\0",
    b"\x88\x81\0\0\0\0a",
];

/// A mob at work.
pub(crate) struct Mob {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Misdeeds>>,
}

/// How often what was done.
#[derive(Default)]
pub(crate) struct Misdeeds(BTreeMap<Misdeed, u64>);

impl Mob {
    /// Some threads for each server, with so many bad connections at once between them.
    pub(crate) fn start(servers: &[Server; 2], trust: &Trust, size: usize, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let all = servers.iter().cycle().take(THREADS);
        let threads = (0..).zip(all).map(|(n, server)| {
            let mut member = Member {
                address: server.address,
                tls: server.is_tls.then(|| trust.client.clone()),
                random: Random::new(seed.wrapping_mul(1000).wrapping_add(n)),
                held: VecDeque::new(),
                held_max: size / THREADS,
            };
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut done = Misdeeds::default();
                while !stop.load(Ordering::Relaxed) {
                    let misdeed = MISDEEDS[member.random.below(MISDEEDS.len())];
                    // A server that does not put up with it is right.
                    let _ = member.misbehave(misdeed);
                    *done.0.entry(misdeed).or_default() += 1;
                    thread::sleep(PAUSE);
                }
                done
            })
        });
        Self {
            threads: threads.collect(),
            stop,
        }
    }

    pub(crate) fn stop(self) -> Misdeeds {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Misdeeds::default();
        for thread in self.threads {
            for (misdeed, count) in thread.join().unwrap().0 {
                *all.0.entry(misdeed).or_default() += count;
            }
        }
        all
    }
}

impl fmt::Display for Misdeeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.0.values().sum();
        write!(f, "{all} came badly:")?;
        for (misdeed, count) in &self.0 {
            write!(f, " {misdeed:?} {count}")?;
        }
        Ok(())
    }
}

struct Member {
    address: SocketAddr,
    tls: Option<ClientTls>,
    random: Random,
    /// Those that stay until there are too many.
    held: VecDeque<Stream>,
    held_max: usize,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Member {
    fn misbehave(&mut self, misdeed: Misdeed) -> io::Result<()> {
        let tcp = TcpStream::connect(self.address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        match misdeed {
            Misdeed::Silent => {
                self.hold(Stream::Plain(tcp));
                return Ok(());
            }
            Misdeed::HalfHello => {
                let mut hello = Vec::new();
                if let Some(mut session) = self.session() {
                    session.write_tls(&mut hello)?;
                }
                (&tcp).write_all(&hello[..hello.len() / 2])?;
                self.hold(Stream::Plain(tcp));
                return Ok(());
            }
            _ => {}
        }
        let mut stream = match self.session() {
            None => Stream::Plain(tcp),
            Some(session) => Stream::Tls(Box::new(StreamOwned::new(session, tcp))),
        };
        match misdeed {
            Misdeed::HalfRequest => stream.say(&REQUEST[..60])?,
            Misdeed::Garbage => {
                stream.say(b"\x16\x03\x01 \r\n\r\nSSH-2.0-x\r\n\r\n")?;
                stream.hear_out();
                return Ok(());
            }
            _ => {
                stream.say(REQUEST)?;
                stream.hear(129)?;
            }
        }
        match misdeed {
            Misdeed::Reset => {
                stream.say(b"\x82\x85\0\0\0\0ab")?;
                return SockRef::from(stream.tcp()).set_linger(Some(Duration::ZERO));
            }
            Misdeed::HalfOpen => {
                stream.say(b"\x82\x85\0\0\0\0ab")?;
                stream.tcp().shutdown(Shutdown::Write)?;
            }
            Misdeed::Claim => stream.say(b"\x82\xff\0\0\0\0\x01\0\0\0\0\0\0\0")?,
            Misdeed::SlowReader => {
                let mut message = b"\x82\xff\0\0\0\0\0\x01\0\0\0\0\0\0".to_vec();
                message.resize(message.len() + (64 << 10), 7);
                // Until nobody listens any more.
                for _ in 0..200 {
                    if stream.say(&message).is_err() {
                        break;
                    }
                }
            }
            Misdeed::Violation => {
                stream.say(VIOLATIONS[self.random.below(VIOLATIONS.len())])?;
                stream.hear_out();
                return Ok(());
            }
            _ => {}
        }
        self.hold(stream);
        Ok(())
    }

    fn session(&self) -> Option<ClientConnection> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let config = self.tls.as_ref()?.config();
        Some(ClientConnection::new(config, name).unwrap())
    }

    fn hold(&mut self, stream: Stream) {
        self.held.push_back(stream);
        if self.held.len() > self.held_max {
            self.held.pop_front();
        }
    }
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.write_all(bytes),
            Self::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }

    /// Reads the answer to a request, at least this many bytes.
    fn hear(&mut self, n: usize) -> io::Result<()> {
        let mut heard = 0;
        while heard < n {
            match self.read(&mut [0; 512])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => heard += more,
            }
        }
        Ok(())
    }

    /// Reads to the end, or as long as something comes.
    fn hear_out(&mut self) {
        while self.read(&mut [0; 512]).is_ok_and(|n| n > 0) {}
    }
}
