//! Messages over TLS: of every size, in every version, in every cut, and past a full socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use openline::net::{Message, Peer};
use openline::proto::{CloseCode, Config, SendError};
use rustls::version::{TLS12, TLS13};

use crate::certificates::Authority;
use crate::peer::{Tls, connect, connect_with, end, serve, serve_with};
use crate::support::{Answer, BINARY, CLOSE, TEXT, echo, frame};

/// Sends a message of each size, one after the other as they come back, and then closes.
struct Sizes(Vec<usize>);

impl Sizes {
    fn next(&mut self, peer: &mut Peer<'_>) -> Result<(), SendError> {
        match self.0.last() {
            Some(&size) => peer.send_binary(&payload(size)),
            None => peer.close(CloseCode::NORMAL, ""),
        }
    }
}

impl Answer for Sizes {
    fn open(&mut self, peer: &mut Peer<'_>) {
        self.next(peer).unwrap();
    }

    fn message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
        let size = self.0.pop().unwrap();
        assert!(message == Message::Binary(&payload(size)), "{size} bytes");
        self.next(peer)
    }
}

fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

fn sizes() -> Sizes {
    Sizes(vec![
        5 << 20,
        300_000,
        65_537,
        65_536,
        65_535,
        32_768,
        16_385,
        16_384,
        16_383,
        126,
        125,
        1,
        0,
    ])
}

#[test]
fn messages_of_every_size_come_back_in_both_roles() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost", "127.0.0.1"]).server());
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("wss://{host}:{}/", address.port());
        let seen = connect(&url, Some(authority.client()), sizes());
        let why = end(&seen);
        assert!(
            why.contains("by: Us, ") && why.contains("Handshake {"),
            "{why}"
        );
    }
    server.stop();
}

#[test]
fn both_versions() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    for version in [&TLS12, &TLS13] {
        let mut config = Tls::config(&authority, &[version]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut tls = Tls::open(address, config);
        assert_eq!(tls.0.conn.protocol_version(), Some(version.version));
        assert_eq!(tls.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        tls.send(&frame(TEXT, b"hello"));
        assert_eq!(tls.read(7), b"\x81\x05hello");
        // What comes back is longer than sockets hold, and nobody reads for a while.
        let long = payload(8 << 20);
        tls.send(&frame(BINARY, &long));
        assert_eq!(tls.read(10)[..2], [BINARY, 127]);
        assert!(tls.read(long.len()) == long);
        tls.send(&frame(CLOSE, &[3, 232]));
        assert_eq!(tls.read(4), [CLOSE, 2, 3, 232]);
        // The server ends its side in order: close_notify and no reset.
        let mut rest = Vec::new();
        tls.0.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
    }
    server.stop();
}

#[test]
fn many_messages_in_one_record_and_one_message_in_many() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    let mut tls = Tls::open(address, Tls::config(&authority, &[&TLS13]));
    let many: Vec<u8> = (0..1000).flat_map(|_| frame(TEXT, b"hi")).collect();
    tls.send(&many);
    assert_eq!(tls.read(4000), b"\x81\x02hi".repeat(1000));
    for byte in frame(TEXT, b"byte by byte") {
        tls.send(&[byte]);
    }
    assert_eq!(tls.read(14), b"\x81\x0cbyte by byte");
    server.stop();
}

#[test]
fn what_comes_with_the_end_of_the_handshake_is_not_lost() {
    // The request, and messages of a client that does not wait for the answer, in one flight
    // with the client's Finished.
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    let relay = relay(address, |from, to| {
        let mut bytes = vec![0; 1 << 16];
        let hello = from.read(&mut bytes).unwrap();
        to.write_all(&bytes[..hello]).unwrap();
        // All that follows at once.
        let mut rest = Vec::new();
        from.read_to_end(&mut rest).unwrap();
        to.write_all(&rest).unwrap();
    });
    let mut tls = Tls::connect(relay, Tls::config(&authority, &[&TLS13]));
    while tls.0.conn.is_handshaking() {
        tls.0.conn.complete_io(&mut tls.0.sock).unwrap();
    }
    let mut flight = crate::support::request("/").into_bytes();
    flight.extend(frame(BINARY, &payload(100_000)));
    flight.extend(frame(CLOSE, &[3, 232]));
    tls.send(&flight);
    tls.0.conn.send_close_notify();
    tls.0.conn.complete_io(&mut tls.0.sock).unwrap();
    tls.0.sock.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    tls.0.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert!(answer.ends_with(&[CLOSE, 2, 3, 232]));
    assert!(answer.len() > 100_000);
    drop(server);
}

#[test]
fn a_byte_at_a_time_both_ways() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    let relay = relay(address, |from, to| {
        let mut byte = [0];
        while from.read(&mut byte).is_ok_and(|n| n == 1) && to.write_all(&byte).is_ok() {}
    });
    let url = format!("wss://localhost:{}/", relay.port());
    let seen = connect(&url, Some(authority.client()), Sizes(vec![2000, 1, 0]));
    let why = end(&seen);
    assert!(why.contains("Handshake {"), "{why}");
    server.stop();
}

#[test]
fn a_peer_that_does_not_read_is_not_listened_to() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    let mut tls = Tls::open(address, Tls::config(&authority, &[&TLS13]));
    let mut writer = tls.0.sock.try_clone().unwrap();
    // Far more than the two sockets hold, encrypted in advance: the server stops reading.
    let one = frame(BINARY, &payload(60_000));
    let total = 400;
    let mut encrypted = Vec::new();
    tls.0.conn.set_buffer_limit(None);
    for _ in 0..total {
        tls.0.conn.writer().write_all(&one).unwrap();
        while tls.0.conn.wants_write() {
            tls.0.conn.write_tls(&mut encrypted).unwrap();
        }
    }
    let writing = thread::spawn(move || writer.write_all(&encrypted).unwrap());
    thread::sleep(std::time::Duration::from_millis(300));
    assert!(
        !writing.is_finished(),
        "the server reads on while nobody takes its answers"
    );
    for n in 0..total {
        assert_eq!(tls.read(4)[..2], [BINARY, 126], "message {n}");
        assert!(tls.read(60_000) == payload(60_000), "message {n}");
    }
    writing.join().unwrap();
    server.stop();
}

#[test]
fn pings_keep_a_tls_connection() {
    let authority = Authority::new("tests");
    let protocol = Config {
        ping_interval: Some(std::time::Duration::from_millis(50)),
        ..Config::default()
    };
    let pair = authority.sign(&["localhost"]);
    let (server, address) = serve_with(pair.server(), protocol, echo);
    let url = format!("wss://localhost:{}/", address.port());
    let seen = connect_with(&url, Some(authority.client()), Config::default(), echo);
    let pings = seen
        .iter()
        .filter(|seen| matches!(seen, crate::support::Seen::Ping(_)));
    assert_eq!(pings.take(3).count(), 3);
    server.stop();
}

/// Passes bytes on to `address` by `forward`, and back as they come.
pub(crate) fn relay(
    address: SocketAddr,
    forward: impl FnOnce(&mut TcpStream, &mut TcpStream) + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(address).unwrap();
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let back = thread::spawn(move || {
            // Either end may be gone first.
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
        forward(&mut client, &mut server);
        let _ = server.shutdown(std::net::Shutdown::Write);
        back.join().unwrap();
    });
    relay
}
