//! A server in a thread, and connections to it over a transport.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openline::net::auth::Guard;
use openline::net::metrics::Snapshot;
use openline::net::{Asking, Decision, EventLoop, Handler, LoopConfig, Message, Peer, Remote};
use openline::proto::{Acceptance, Config, Prepared, Refusal, Request, SendError};

/// How long any test may wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What lies beneath HTTP and WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Plain,
    #[cfg(feature = "tls")]
    Tls,
}

impl Wire {
    #[cfg(not(feature = "tls"))]
    pub(crate) const ALL: [Self; 1] = [Self::Plain];
    #[cfg(feature = "tls")]
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Tls];
}

/// An echo server that lets in whom its guard admits.
pub(crate) struct Server {
    wire: Wire,
    address: SocketAddr,
    remote: Remote,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// Where Linux keeps what it knows of the loop's thread.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux has it")
    )]
    schedstat: PathBuf,
}

struct Echo(Guard);

impl Handler for Echo {
    type Connection = ();

    fn request(
        &mut self,
        request: &Request<'_>,
        asking: &Asking<'_>,
    ) -> Result<Decision<()>, Refusal> {
        self.0.admit(request, asking)?;
        Ok(Decision::Accept(Acceptance::default(), ()))
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        peer.send(message)
    }
}

impl Server {
    pub(crate) fn start(wire: Wire, protocol: Config) -> Self {
        Self::guarded(wire, protocol, Guard::new())
    }

    pub(crate) fn guarded(wire: Wire, protocol: Config, guard: Guard) -> Self {
        Self::run(wire, limits(protocol), Echo(guard))
    }

    /// With any handler, and any limits of the loop's.
    pub(crate) fn run<H: Handler + Send + 'static>(
        wire: Wire,
        config: LoopConfig,
        handler: H,
    ) -> Self {
        Self::run_with(wire, config, handler, |_, _| {})
    }

    /// The same, and `prepare` is given the handler once there is a loop.
    pub(crate) fn run_with<H: Handler + Send + 'static>(
        wire: Wire,
        config: LoopConfig,
        handler: H,
        prepare: impl FnOnce(&mut H, Remote) + Send + 'static,
    ) -> Self {
        let (ready, when_ready) = channel();
        let thread = thread::spawn(move || {
            let mut server = EventLoop::new(handler, config).unwrap();
            let remote = server.remote();
            prepare(server.handler_mut(), remote);
            let address = match wire {
                Wire::Plain => server.listen("127.0.0.1:0").unwrap(),
                #[cfg(feature = "tls")]
                Wire::Tls => {
                    let tls = crate::tls::server();
                    server.listen_tls("127.0.0.1:0", tls).unwrap()
                }
            };
            ready.send((address, server.remote(), schedstat())).unwrap();
            server.run()
        });
        let (address, remote, schedstat) = when_ready.recv_timeout(PATIENCE).unwrap();
        Self {
            wire,
            address,
            remote,
            thread: Some(thread),
            schedstat,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection at whose transport there is nothing left to do.
    pub(crate) fn connect(&self) -> Stream {
        let tcp = self.knock();
        match self.wire {
            Wire::Plain => Stream::Plain(tcp),
            #[cfg(feature = "tls")]
            Wire::Tls => Stream::Tls(Box::new(crate::tls::client(tcp))),
        }
    }

    /// A connection beneath the transport.
    pub(crate) fn knock(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }

    /// A connection after its handshake.
    pub(crate) fn open(&self) -> Stream {
        let mut stream = self.connect();
        stream.send(request("").as_bytes());
        assert!(stream.head().starts_with("HTTP/1.1 101 "));
        stream
    }

    /// All that is answered to these bytes; of a 101, which is not the end, the head.
    pub(crate) fn answer(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.send(bytes.as_ref());
        let head = stream.head();
        match head.starts_with("HTTP/1.1 101 ") {
            true => head,
            false => head + &stream.rest(),
        }
    }

    pub(crate) fn counts(&self) -> Snapshot {
        self.remote.metrics().snapshot()
    }

    pub(crate) fn publish(&self, topic: &str, message: &Prepared) {
        self.remote.publish(topic, message).unwrap();
    }

    /// The time on a core that the loop's thread has had.
    #[cfg(target_os = "linux")]
    pub(crate) fn core_time(&self) -> Duration {
        let stat = std::fs::read_to_string(&self.schedstat).unwrap();
        Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
    }

    /// Waits until the counts are so.
    pub(crate) fn wait(&self, what: &str, mut are_so: impl FnMut(&Snapshot) -> bool) {
        let begun = Instant::now();
        while !are_so(&self.counts()) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:#?}", self.counts());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    /// A loop that did not stand it fails the test.
    fn drop(&mut self) {
        // The second time it waits for nobody.
        let _ = self.remote.shutdown();
        let _ = self.remote.shutdown();
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// Of the thread that asks.
fn schedstat() -> PathBuf {
    let task = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    Path::new("/proc").join(task).join("schedstat")
}

/// The loop's limits, with these for each connection.
pub(crate) fn limits(protocol: Config) -> LoopConfig {
    LoopConfig {
        protocol: Arc::new(protocol),
        linger_timeout: Duration::from_secs(2),
        ..LoopConfig::default()
    }
}

/// A client's end, blocking and impatient.
pub(crate) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::Client>),
}

impl Stream {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// Sends what the server may not want to hear any more.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.flush()
    }

    /// These bytes as the transport has them.
    pub(crate) fn encode(&mut self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain(_) => bytes.to_vec(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => crate::tls::encrypt(&mut stream.conn, bytes),
        }
    }

    /// Sends them, but for the last `n` of what the socket would be given.
    pub(crate) fn send_short_of(&mut self, bytes: &[u8], n: usize) {
        let sent = self.encode(bytes);
        self.tcp().write_all(&sent[..sent.len() - n]).unwrap();
    }

    /// Says that nothing more will come.
    pub(crate) fn finish(&mut self) {
        #[cfg(feature = "tls")]
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }
        self.cut();
    }

    /// Ends the sending direction of the socket, without a word.
    pub(crate) fn cut(&mut self) {
        self.tcp().shutdown(Shutdown::Write).unwrap();
    }

    /// Drops the connection without a word.
    pub(crate) fn reset(mut self) {
        let socket = socket2::SockRef::from(&*self.tcp());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The socket beneath.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.take(1));
        }
        String::from_utf8(head).unwrap()
    }

    /// The next frame of the server: its first byte, and its payload.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.take(2);
        let size = match head[1] {
            126 => u16::from_be_bytes(self.take(2).try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.take(8).try_into().unwrap()),
            size => size.into(),
        };
        (head[0], self.take(usize::try_from(size).unwrap()))
    }

    /// The code of the Close frame that comes next, whatever frames come before it.
    pub(crate) fn close_code(&mut self) -> u16 {
        loop {
            let (first, payload) = self.frame();
            if first == 0x88 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }

    /// All until the end of the stream, which is no reset.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A legal request with these header fields besides, each with its CR LF.
pub(crate) fn request(headers: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// A client's frame, under a masking key that changes nothing.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        n @ ..126 => frame.push(0x80 | u8::try_from(n).unwrap()),
        n @ ..65_536 => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(n).unwrap().to_be_bytes());
        }
        n => {
            frame.push(0x80 | 127);
            frame.extend((n as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    let status = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
        .parse()
        .unwrap()
}
