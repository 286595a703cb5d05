//! A loop in a thread, a handler that reports, and a client made by hand.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use openline::net::{
    Asking, ConnectionId, Decision, End, EventLoop, Handler, LoopConfig, Message, OwnedMessage,
    Peer, Remote, Undelivered,
};
use openline::proto::{
    Acceptance, Close, Config, Refusal, Request, Response, Role, SendError, Status,
};

/// How long any test may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a handler was told.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Response(u16),
    Open(ConnectionId, Role),
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Closing(Option<(u16, String)>),
    Flushed,
    Undelivered(OwnedMessage, Undelivered),
    /// It is to be tried again: why, as `Debug` has it.
    Lost(String),
    /// Whether there was data of the connection, and why, as `Debug` has it.
    End(bool, String),
}

/// Reports all that it is told, and answers messages with `answer`.
pub(crate) struct Reporter<A> {
    pub(crate) seen: Sender<Seen>,
    pub(crate) answer: A,
}

/// What a [`Reporter`] does at each callback that has a peer.
pub(crate) trait Answer: Send + 'static {
    fn open(&mut self, _: &mut Peer<'_>) {}
    fn message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError>;
    fn control(&mut self, _: &mut Peer<'_>) {}
    fn flushed(&mut self, _: &mut Peer<'_>) {}
}

impl<F> Answer for F
where
    F: FnMut(&mut Peer<'_>, Message<'_>) -> Result<(), SendError> + Send + 'static,
{
    fn message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
        self(peer, message)
    }
}

/// The answer that sends each message back.
pub(crate) fn echo(peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
    peer.send(message)
}

impl<A: Answer> Reporter<A> {
    fn tell(&self, seen: Seen) {
        // The test may have seen enough.
        let _ = self.seen.send(seen);
    }
}

impl<A: Answer> Handler for Reporter<A> {
    type Connection = ();

    fn request(&mut self, request: &Request<'_>, _: &Asking<'_>) -> Result<Decision<()>, Refusal> {
        match request.path() {
            "/forbidden" => Err(Refusal::new(Status::FORBIDDEN).with_text("not you\n")),
            "/wrong" => {
                let subprotocol = Some("unasked".to_owned());
                let acceptance = Acceptance {
                    subprotocol,
                    ..Acceptance::default()
                };
                Ok(Decision::Accept(acceptance, ()))
            }
            _ => Ok(Decision::Accept(Acceptance::default(), ())),
        }
    }

    fn response(&mut self, (): &mut (), response: &Response<'_>) {
        self.tell(Seen::Response(response.status()));
    }

    fn open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.tell(Seen::Open(peer.id(), peer.role()));
        self.answer.open(peer);
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        self.tell(Seen::Message(match message {
            Message::Text(text) => text.into(),
            Message::Binary(bytes) => bytes.into(),
            Message::Chunk(chunk) => chunk.data.into(),
        }));
        self.answer.message(peer, message)
    }

    fn ping(&mut self, (): &mut (), peer: &mut Peer<'_>, payload: &[u8]) {
        self.tell(Seen::Ping(payload.into()));
        self.answer.control(peer);
    }

    fn pong(&mut self, (): &mut (), peer: &mut Peer<'_>, payload: &[u8]) {
        self.tell(Seen::Pong(payload.into()));
        self.answer.control(peer);
    }

    fn closing(&mut self, (): &mut (), peer: &mut Peer<'_>, close: Option<Close<'_>>) {
        let close = close.map(|close| (close.code.number(), close.reason.to_owned()));
        self.tell(Seen::Closing(close));
        self.answer.control(peer);
    }

    fn flushed(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.tell(Seen::Flushed);
        self.answer.flushed(peer);
    }

    fn undelivered(&mut self, _: ConnectionId, message: OwnedMessage, why: Undelivered) {
        self.tell(Seen::Undelivered(message, why));
    }

    fn lost(&mut self, (): &mut (), end: &End, _: Duration) -> bool {
        self.tell(Seen::Lost(format!("{:?}", end.why)));
        end.may_pass()
    }

    fn end(&mut self, connection: Option<()>, end: &End) {
        let why = format!("{:?}", end.why);
        self.tell(Seen::End(connection.is_some(), why));
    }
}

/// A server in a thread of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) remote: Remote,
    pub(crate) seen: Receiver<Seen>,
    thread: JoinHandle<io::Result<()>>,
    done: Receiver<()>,
}

impl Server {
    pub(crate) fn start(config: LoopConfig, answer: impl Answer) -> Self {
        Self::start_with(config, answer, |_| {})
    }

    /// `prepare` may begin connections before the loop runs.
    pub(crate) fn start_with<A: Answer>(
        config: LoopConfig,
        answer: A,
        prepare: impl FnOnce(&mut EventLoop<Reporter<A>>) + Send + 'static,
    ) -> Self {
        Self::run(config, |seen| Reporter { seen, answer }, prepare)
    }

    /// In a thread of this name.
    pub(crate) fn start_named(name: &str, config: LoopConfig, answer: impl Answer) -> Self {
        let thread = thread::Builder::new().name(name.to_owned());
        let reporter = |seen| Reporter { seen, answer };
        Self::run_in(thread, config, reporter, |_| {})
    }

    /// With any handler, which tells what it wants to have seen.
    pub(crate) fn run<H: Handler>(
        config: LoopConfig,
        handler: impl FnOnce(Sender<Seen>) -> H + Send + 'static,
        prepare: impl FnOnce(&mut EventLoop<H>) + Send + 'static,
    ) -> Self {
        Self::run_in(thread::Builder::new(), config, handler, prepare)
    }

    fn run_in<H: Handler>(
        thread: thread::Builder,
        config: LoopConfig,
        handler: impl FnOnce(Sender<Seen>) -> H + Send + 'static,
        prepare: impl FnOnce(&mut EventLoop<H>) + Send + 'static,
    ) -> Self {
        let (seen, receiver) = channel();
        let (ready, when_ready) = channel();
        let (done, when_done) = channel();
        let thread = thread.spawn(move || {
            let mut server = EventLoop::new(handler(seen), config).unwrap();
            let address = server.listen("127.0.0.1:0").unwrap();
            prepare(&mut server);
            ready.send((address, server.remote())).unwrap();
            let result = server.run();
            let _ = done.send(());
            result
        });
        let thread = thread.unwrap();
        let (address, remote) = when_ready.recv_timeout(PATIENCE).unwrap();
        Self {
            address,
            remote,
            seen: receiver,
            thread,
            done: when_done,
        }
    }

    /// What the handler is told next, other than that everything was flushed.
    pub(crate) fn next(&self) -> Seen {
        loop {
            match self.seen.recv_timeout(PATIENCE).unwrap() {
                Seen::Flushed => {}
                seen => return seen,
            }
        }
    }

    /// The next message that the handler is told of.
    pub(crate) fn next_message(&self) -> Vec<u8> {
        loop {
            if let Seen::Message(message) = self.next() {
                return message;
            }
        }
    }

    /// What the handler is told of the end, next or later.
    pub(crate) fn end(&self) -> String {
        loop {
            if let Seen::End(_, why) = self.next() {
                return why;
            }
        }
    }

    /// Waits until the loop has returned without an error.
    pub(crate) fn join(self) {
        self.done.recv_timeout(PATIENCE).expect("the loop returns");
        self.thread.join().unwrap().unwrap();
    }

    /// Has the loop drop everyone, and waits until it has returned.
    pub(crate) fn stop(self) {
        self.remote.shutdown().unwrap();
        // It may have gone already, if there was nobody to wait for.
        let _ = self.remote.shutdown();
        self.join();
    }
}

/// A loop's limits, with these for each connection.
pub(crate) fn config(protocol: Config) -> LoopConfig {
    LoopConfig {
        protocol: Arc::new(protocol),
        linger_timeout: Duration::from_secs(2),
        ..LoopConfig::default()
    }
}

/// A client made by hand: blocking, and impatient.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// After the opening handshake.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut raw = Self::connect(address);
        raw.send(request("/").as_bytes());
        assert!(raw.head().starts_with("HTTP/1.1 101 "));
        raw
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The head of an HTTP response.
    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read(1));
        }
        String::from_utf8(head).unwrap()
    }

    pub(crate) fn read(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next frame: its first byte, and its payload.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.read(2);
        let n = match head[1] {
            126 => u16::from_be_bytes(self.read(2).try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.read(8).try_into().unwrap()),
            n => n.into(),
        };
        (head[0], self.read(usize::try_from(n).unwrap()))
    }

    /// All that is left until the end of the stream, which is no reset.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }
}

/// An opening handshake.
pub(crate) fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
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

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
