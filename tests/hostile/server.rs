//! A server in a thread, and connections to it over a transport.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use openline::net::auth::Guard;
use openline::net::metrics::Snapshot;
use openline::net::{Asking, Decision, EventLoop, Handler, LoopConfig, Message, Peer, Remote};
use openline::proto::{Acceptance, Config, Refusal, Request, SendError};

/// How long any test may wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What lies beneath HTTP and WebSocket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wire {
    Plain,
}

impl Wire {
    pub(crate) const ALL: [Self; 1] = [Self::Plain];
}

/// An echo server that lets in whom its guard admits.
pub(crate) struct Server {
    wire: Wire,
    address: SocketAddr,
    remote: Remote,
    thread: Option<JoinHandle<io::Result<()>>>,
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
        let config = LoopConfig {
            protocol: Arc::new(protocol),
            linger_timeout: Duration::from_secs(2),
            ..LoopConfig::default()
        };
        let (ready, when_ready) = channel();
        let thread = thread::spawn(move || {
            let mut server = EventLoop::new(Echo(guard), config).unwrap();
            let address = match wire {
                Wire::Plain => server.listen("127.0.0.1:0").unwrap(),
            };
            ready.send((address, server.remote())).unwrap();
            server.run()
        });
        let (address, remote) = when_ready.recv_timeout(PATIENCE).unwrap();
        Self {
            wire,
            address,
            remote,
            thread: Some(thread),
        }
    }

    pub(crate) fn connect(&self) -> Stream {
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        match self.wire {
            Wire::Plain => Stream { tcp },
        }
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

/// A client's end, blocking and impatient.
pub(crate) struct Stream {
    tcp: TcpStream,
}

impl Stream {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.tcp.write_all(bytes).unwrap();
    }

    /// Sends what the server may not want to hear any more.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tcp.write_all(bytes)
    }

    /// Says that nothing more will come.
    pub(crate) fn finish(&mut self) {
        self.tcp.shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn read(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.tcp.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read(1));
        }
        String::from_utf8(head).unwrap()
    }

    /// The next frame of the server: its first byte, and its payload.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.read(2);
        let size = match head[1] {
            126 => u16::from_be_bytes(self.read(2).try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.read(8).try_into().unwrap()),
            size => size.into(),
        };
        (head[0], self.read(usize::try_from(size).unwrap()))
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
        self.tcp.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
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
    let size = u8::try_from(payload.len()).unwrap();
    assert!(size < 126);
    [&[first, 0x80 | size, 0, 0, 0, 0], payload].concat()
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
