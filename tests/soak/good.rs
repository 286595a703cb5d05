//! Peers that behave, one message at a time, and how long each took to come back. One of them
//! talks to a bare TCP echo in this process: that is what the machine makes of it meanwhile.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::server::{REQUEST, Server, Trust, connect};

/// Between two messages of a peer.
const PAUSE: Duration = Duration::from_millis(5);
/// The peers of each server.
const PEERS: usize = 2;
const PAYLOAD: usize = 32;

/// Peers at work.
pub(crate) struct Measuring {
    stop: Arc<AtomicBool>,
    plain: Vec<JoinHandle<Result<Latency, io::Error>>>,
    tls: Vec<JoinHandle<Result<Latency, io::Error>>>,
    control: Vec<JoinHandle<Result<Latency, io::Error>>>,
}

/// What they saw.
pub(crate) struct Measured {
    pub(crate) plain: Latency,
    pub(crate) tls: Latency,
    pub(crate) control: Latency,
    /// Those that did not come to the end.
    pub(crate) cut_off: u64,
}

/// How long each message took, in order of that once all are there.
#[derive(Default)]
pub(crate) struct Latency(Vec<Duration>);

impl Measuring {
    pub(crate) fn start(servers: &[Server; 2], trust: &Trust) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let [plain, tls] = servers.each_ref().map(|server| {
            let peers = (0..PEERS).map(|_| {
                let tcp = server.connect();
                let stop = Arc::clone(&stop);
                match server.is_tls {
                    false => thread::spawn(move || converse(tcp, &stop)),
                    true => {
                        let stream = trust.stream(tcp);
                        thread::spawn(move || converse(stream, &stop))
                    }
                }
            });
            peers.collect()
        });
        let address = bare_echo();
        let control = (0..PEERS)
            .map(|_| {
                let tcp = connect(address);
                let stop = Arc::clone(&stop);
                thread::spawn(move || measure(tcp, &stop, Some(FRAME_SIZE)))
            })
            .collect();
        Self {
            stop,
            plain,
            tls,
            control,
        }
    }

    pub(crate) fn stop(self) -> Measured {
        self.stop.store(true, Ordering::Relaxed);
        let mut cut_off = 0;
        let [plain, tls, control] = [self.plain, self.tls, self.control].map(|threads| {
            let mut all = Vec::new();
            for thread in threads {
                match thread.join().unwrap() {
                    Ok(latency) => all.extend(latency.0),
                    Err(error) => {
                        eprintln!("a peer that behaves: {error}");
                        cut_off += 1;
                    }
                }
            }
            all.sort_unstable();
            Latency(all)
        });
        Measured {
            plain,
            tls,
            control,
            cut_off,
        }
    }
}

impl Measured {
    /// The messages, all of which came back but for those of peers that were cut off.
    pub(crate) fn sent(&self) -> u64 {
        (self.plain.0.len() + self.tls.0.len()) as u64
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plain,
            tls,
            control,
            ..
        } = self;
        write!(f, "latency plain {plain}; TLS {tls}; bare echo {control}")
    }
}

impl Latency {
    pub(crate) fn quantile(&self, at: f64) -> Duration {
        #[allow(clippy::cast_possible_truncation, reason = "it is an index")]
        let index = (self.0.len() as f64 * at) as usize;
        self.0
            .get(index)
            .or(self.0.last())
            .copied()
            .unwrap_or_default()
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p99] = [0.5, 0.99].map(|at| self.quantile(at));
        write!(f, "{median:.2?} p50, {p99:.2?} p99")
    }
}

/// A text's frame from a client, and how many bytes it has more than one from a server.
const FRAME_SIZE: usize = 6 + PAYLOAD;

/// The opening handshake, messages, and the closing handshake.
fn converse(mut stream: impl Read + Write, stop: &AtomicBool) -> Result<Latency, io::Error> {
    stream.write_all(REQUEST)?;
    stream.flush()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(io::Error::other("refused"));
    }
    measure(stream, stop, None)
}

/// Messages one by one, until it is to stop: what comes back is the frame of a server, or what
/// was sent if it is of the size `bare`.
fn measure(
    mut stream: impl Read + Write,
    stop: &AtomicBool,
    bare: Option<usize>,
) -> Result<Latency, io::Error> {
    let mut latency = Vec::new();
    let mut frame = [&[0x81, 0x80 | 32, 0, 0, 0, 0][..], &[b'x'; PAYLOAD]].concat();
    for n in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let number = format!("{n:020}");
        frame[6..26].copy_from_slice(number.as_bytes());
        let begun = Instant::now();
        stream.write_all(&frame)?;
        stream.flush()?;
        let mut echo = vec![0; bare.unwrap_or(2 + PAYLOAD)];
        stream.read_exact(&mut echo)?;
        latency.push(begun.elapsed());
        if echo[echo.len() - PAYLOAD..] != frame[6..] {
            return Err(io::Error::other("what came is not what was sent"));
        }
        thread::sleep(PAUSE);
    }
    if bare.is_none() {
        stream.write_all(b"\x88\x82\0\0\0\0\x03\xe8")?;
        stream.flush()?;
        let mut close = [0; 4];
        stream.read_exact(&mut close)?;
        if close != *b"\x88\x02\x03\xe8" {
            return Err(io::Error::other("the Close was not answered"));
        }
    }
    Ok(Latency(latency))
}

/// Sends back what comes, whoever connects, as long as they do.
fn bare_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for _ in 0..PEERS {
            let (mut tcp, _) = listener.accept().unwrap();
            tcp.set_nodelay(true).unwrap();
            thread::spawn(move || {
                let mut bytes = [0; FRAME_SIZE];
                while tcp.read_exact(&mut bytes).is_ok() && tcp.write_all(&bytes).is_ok() {}
            });
        }
    });
    address
}
