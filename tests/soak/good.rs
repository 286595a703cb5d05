//! Peers that behave, one message at a time, and how long each took to come back. Some of them
//! talk to a bare TCP echo in this process: that is what the machine makes of it meanwhile.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::server::{REQUEST, Server, Trust, connect};

/// Between two messages of a peer.
const PAUSE: Duration = Duration::from_millis(5);
/// The peers of each server.
const PEERS: usize = 4;
const PAYLOAD: usize = 32;

/// Peers at work.
pub(crate) struct Measuring {
    orders: Arc<Orders>,
    plain: Vec<Peer>,
    tls: Vec<Peer>,
    control: Vec<Peer>,
}

type Peer = JoinHandle<Result<Seen, io::Error>>;

/// What peers are told.
#[derive(Default)]
struct Orders {
    stop: AtomicBool,
    /// The window that messages which begin now are measured for; 0 is none.
    window: AtomicUsize,
}

/// What one peer saw: its messages, and what those of each window took.
#[derive(Default)]
struct Seen {
    sent: u64,
    took: Vec<Vec<Duration>>,
}

/// What they saw, by window.
pub(crate) struct Measured {
    pub(crate) plain: Vec<Latency>,
    pub(crate) tls: Vec<Latency>,
    pub(crate) control: Vec<Latency>,
    /// The messages to the servers, all of which came back but for those of peers that were cut
    /// off.
    pub(crate) sent: u64,
    /// Those that did not come to the end.
    pub(crate) cut_off: u64,
}

/// How long each message of a window took, in order of that.
#[derive(Default)]
pub(crate) struct Latency(Vec<Duration>);

impl Measuring {
    pub(crate) fn start(servers: &[Server; 2], trust: &Trust) -> Self {
        let orders = Arc::<Orders>::default();
        let [plain, tls] = servers.each_ref().map(|server| {
            let peers = (0..PEERS).map(|_| {
                let tcp = server.connect();
                let orders = Arc::clone(&orders);
                match server.is_tls {
                    false => thread::spawn(move || converse(tcp, &orders)),
                    true => {
                        let stream = trust.stream(tcp);
                        thread::spawn(move || converse(stream, &orders))
                    }
                }
            });
            peers.collect()
        });
        let address = bare_echo();
        let control = (0..PEERS)
            .map(|_| {
                let tcp = connect(address);
                let orders = Arc::clone(&orders);
                thread::spawn(move || measure(tcp, &orders, Some(FRAME_SIZE)))
            })
            .collect();
        Self {
            orders,
            plain,
            tls,
            control,
        }
    }

    /// From now on, until another is.
    pub(crate) fn record(&self, window: Option<usize>) {
        let window = window.map_or(0, |window| window + 1);
        self.orders.window.store(window, Ordering::Relaxed);
    }

    pub(crate) fn stop(self) -> Measured {
        self.orders.stop.store(true, Ordering::Relaxed);
        let (mut sent, mut cut_off) = (0, 0);
        let mut join = |peers: Vec<Peer>, count: bool| {
            let mut all = Vec::new();
            for peer in peers {
                match peer.join().unwrap() {
                    Ok(seen) => {
                        sent += if count { seen.sent } else { 0 };
                        all.resize_with(all.len().max(seen.took.len()), Latency::default);
                        for (all, took) in all.iter_mut().zip(seen.took) {
                            all.0.extend(took);
                        }
                    }
                    Err(error) => {
                        eprintln!("a peer that behaves: {error}");
                        cut_off += 1;
                    }
                }
            }
            for latency in &mut all {
                latency.0.sort_unstable();
            }
            all
        };
        let (plain, tls) = (join(self.plain, true), join(self.tls, true));
        let control = join(self.control, false);
        Measured {
            plain,
            tls,
            control,
            sent,
            cut_off,
        }
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

/// A text's frame from a client, and how many bytes it has more than one from a server.
const FRAME_SIZE: usize = 6 + PAYLOAD;

/// The opening handshake, messages, and the closing handshake.
fn converse(mut stream: impl Read + Write, orders: &Orders) -> Result<Seen, io::Error> {
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
    measure(stream, orders, None)
}

/// Messages one by one, until it is to stop: what comes back is the frame of a server, or what
/// was sent if it is of the size `bare`.
fn measure(
    mut stream: impl Read + Write,
    orders: &Orders,
    bare: Option<usize>,
) -> Result<Seen, io::Error> {
    let mut seen = Seen::default();
    let mut frame = [&[0x81, 0x80 | 32, 0, 0, 0, 0][..], &[b'x'; PAYLOAD]].concat();
    for n in 0_u64.. {
        if orders.stop.load(Ordering::Relaxed) {
            break;
        }
        let window = orders.window.load(Ordering::Relaxed);
        let number = format!("{n:020}");
        frame[6..26].copy_from_slice(number.as_bytes());
        let begun = Instant::now();
        stream.write_all(&frame)?;
        stream.flush()?;
        let mut echo = vec![0; bare.unwrap_or(2 + PAYLOAD)];
        stream.read_exact(&mut echo)?;
        seen.sent += 1;
        if let Some(window) = window.checked_sub(1) {
            let windows = seen.took.len().max(window + 1);
            seen.took.resize_with(windows, Vec::new);
            seen.took[window].push(begun.elapsed());
        }
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
    Ok(seen)
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
