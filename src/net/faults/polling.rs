//! Waits and registrations that fail, under a loop that runs.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::net::config::LoopConfig;
use crate::net::connect::ConnectOptions;
use crate::net::decision::{Asking, Decision};
use crate::net::end::End;
use crate::net::event_loop::EventLoop;
use crate::net::faults::ENOSPC;
use crate::net::faults::calls::{self, Call};
use crate::net::handler::{Handler, Message};
use crate::net::peer::Peer;
use crate::proto::{Acceptance, ClientRequest, Refusal, Request, SendError};

const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Echoes, and remembers each end.
#[derive(Default)]
struct Echo {
    ends: Vec<String>,
}

impl Handler for Echo {
    type Connection = ();

    fn request(&mut self, _: &Request<'_>, _: &Asking<'_>) -> Result<Decision<()>, Refusal> {
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

    fn end(&mut self, _: Option<()>, end: &End) {
        self.ends.push(format!("{:?}", end.why));
    }
}

fn server() -> (EventLoop<Echo>, SocketAddr) {
    let config = LoopConfig {
        accept_pause: Duration::from_millis(20),
        ..LoopConfig::default()
    };
    let mut server = EventLoop::new(Echo::default(), config).unwrap();
    let address = server.listen("127.0.0.1:0").unwrap();
    (server, address)
}

/// Takes turns, some of which may fail, until this is so.
fn until(server: &mut EventLoop<Echo>, mut is_so: impl FnMut(&mut EventLoop<Echo>) -> bool) -> u32 {
    let begun = Instant::now();
    let mut failed = 0;
    while !is_so(server) {
        assert!(begun.elapsed() < PATIENCE);
        let soon = Instant::now() + Duration::from_millis(5);
        failed += u32::from(server.turn(Some(soon)).is_err());
    }
    failed
}

/// Whether these bytes have come next.
fn has_come(stream: &mut TcpStream, expected: &[u8]) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut bytes = vec![0; expected.len()];
    match stream.peek(&mut bytes) {
        Ok(n) if n == bytes.len() => {
            stream.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, expected);
            true
        }
        _ => false,
    }
}

/// A connection after its handshake, in the same thread as the server.
fn open(server: &mut EventLoop<Echo>, address: SocketAddr) -> (TcpStream, u32) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(REQUEST).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut head = Vec::new();
    let failed = until(server, |_| {
        let mut bytes = [0; 512];
        if let Ok(n) = stream.read(&mut bytes) {
            head.extend(&bytes[..n]);
        }
        head.ends_with(b"\r\n\r\n")
    });
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    (stream, failed)
}

fn hello(server: &mut EventLoop<Echo>, stream: &mut TcpStream) -> u32 {
    stream.set_nonblocking(false).unwrap();
    stream.write_all(b"\x81\x85\0\0\0\0Hello").unwrap();
    until(server, |_| has_come(stream, b"\x81\x05Hello"))
}

#[test]
fn a_wait_that_is_interrupted_or_fails_loses_no_event() {
    let (mut server, address) = server();
    let (mut stream, failed) = open(&mut server, address);
    assert_eq!(failed, 0);
    // A signal is no error of the loop's; memory that is used up is, once, and not for good.
    let script = || {
        let signal = || Some(io::Error::from(ErrorKind::Interrupted));
        let memory = Some(io::Error::from(ErrorKind::OutOfMemory));
        [signal(), signal(), memory, None, signal()]
    };
    for _ in 0..20 {
        calls::fail(Call::Wait, script());
        assert_eq!(hello(&mut server, &mut stream), 1);
    }
    calls::fail(Call::Wait, script());
    let (mut other, failed) = open(&mut server, address);
    assert_eq!(failed, 1);
    calls::fail(Call::Wait, script());
    // Nor is a deadline that passes meanwhile.
    drop(stream);
    until(&mut server, |server| server.handler().ends.len() == 1);
    assert_eq!(hello(&mut server, &mut other), 0);
}

#[test]
fn the_loop_ends_by_a_wait_that_fails_and_says_so() {
    let (mut server, address) = server();
    let (stream, _) = open(&mut server, address);
    let remote = server.remote();
    let late = remote.clone();
    thread::spawn(move || {
        thread::sleep(PATIENCE);
        // It is to be gone by then.
        let _ = late.shutdown();
    });
    calls::fail(Call::Wait, [Some(ErrorKind::OutOfMemory.into())]);
    assert_eq!(server.run().unwrap_err().kind(), ErrorKind::OutOfMemory);
    drop(server);
    // Its descriptors went with it, and nobody waits for it in vain.
    assert!(remote.shutdown().is_err());
    let mut stream = stream;
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn what_cannot_be_registered_is_dropped_and_the_next_is_served_after_a_pause() {
    let (mut server, address) = server();
    let (mut inside, _) = open(&mut server, address);
    let full = || Some(io::Error::from_raw_os_error(ENOSPC));
    calls::fail(Call::Register, [full(), full()]);
    let mut refused = Vec::new();
    for failures in 1..=2 {
        refused.push(TcpStream::connect(address).unwrap());
        let metrics = server.remote().metrics();
        until(&mut server, |_| {
            metrics.snapshot().accept_failures == failures
        });
        assert_eq!(hello(&mut server, &mut inside), 0);
    }
    for mut stream in refused {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(
            stream.read(&mut [0; 8]).unwrap(),
            0,
            "it is dropped at once"
        );
    }
    let (mut next, _) = open(&mut server, address);
    assert_eq!(hello(&mut server, &mut next), 0);
    assert_eq!(hello(&mut server, &mut inside), 0);
    // Nobody is counted who is not there.
    let snapshot = server.remote().metrics().snapshot();
    assert_eq!((snapshot.accepts, snapshot.connections.server), (4, 2));
}

#[test]
fn a_quota_is_not_used_up_by_those_that_could_not_be_registered() {
    let config = LoopConfig {
        connections_max: 1,
        accept_pause: Duration::from_millis(1),
        ..LoopConfig::default()
    };
    let mut server = EventLoop::new(Echo::default(), config).unwrap();
    let address = server.listen("127.0.0.1:0").unwrap();
    calls::fail(Call::Register, [Some(io::Error::from_raw_os_error(ENOSPC))]);
    let dropped = TcpStream::connect(address).unwrap();
    let metrics = server.remote().metrics();
    until(&mut server, |_| metrics.snapshot().accept_failures == 1);
    let (mut inside, _) = open(&mut server, address);
    assert_eq!(hello(&mut server, &mut inside), 0);
    drop(dropped);
}

#[test]
fn a_connect_that_fails_at_once_is_told_and_others_go_on() {
    let (mut server, address) = server();
    let (mut inside, _) = open(&mut server, address);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    // No descriptor, no local port, no route.
    for errno in [24, 99, 101] {
        calls::dial([Err(io::Error::from_raw_os_error(errno))]);
        let request = ClientRequest::new(url.parse().unwrap());
        let options = ConnectOptions::default();
        server.connect_with(request, &options, ()).unwrap();
        until(&mut server, |server| !server.handler().ends.is_empty());
        let ends = std::mem::take(&mut server.handler_mut().ends);
        assert_eq!(ends.len(), 1);
        assert!(ends[0].contains(&format!("code: {errno}")), "{ends:?}");
        assert_eq!(hello(&mut server, &mut inside), 0);
    }
}
