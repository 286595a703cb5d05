//! Messages there and back: of every size, in every cut, in both roles.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use openline::net::{
    Asking, ConnectionId, Decision, End, EndWhy, EventLoop, Handler, LoopConfig, Message, Peer,
    Remote,
};
use openline::proto::{
    Acceptance, ClientRequest, CloseCode, Closed, ClosedWhy, Config, Delivery, Refusal, Request,
    Role, SendError,
};

use crate::support::{BINARY, CLOSE, PING, PONG, Raw, Seen, Server, TEXT, config, echo, frame};

#[test]
fn messages_of_every_size_come_back() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    for size in [0, 1, 125, 126, 16_384, 65_535, 65_536, 300_000, 5 << 20] {
        let payload: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut writer = Raw(raw.0.try_clone().unwrap());
        let sent = frame(BINARY, &payload);
        let writing = thread::spawn(move || writer.send(&sent));
        assert_eq!(raw.frame(), (BINARY, payload));
        writing.join().unwrap();
    }
    server.stop();
}

#[test]
fn what_is_sent_behind_an_echo_comes_behind_it() {
    let handler = |peer: &mut Peer<'_>, message: Message<'_>| {
        let Message::Binary(bytes) = message else {
            return Ok(());
        };
        assert_eq!(peer.queued(), 0);
        peer.send_binary(bytes)?;
        let header = if bytes.len() < 65_536 { 4 } else { 10 };
        assert_eq!(peer.queued(), header + bytes.len());
        match bytes[0] {
            0 => peer.send_binary(bytes),
            1 => peer.send_text("behind"),
            2 => peer.ping(b"behind"),
            3 => peer.send_binary(&bytes[1..]),
            4 => peer.text_fragments()?.finish("behind"),
            _ => peer.close(CloseCode::NORMAL, "behind"),
        }
    };
    let server = Server::start(config(Config::default()), handler);
    for size in [4095, 4096, 20_000, 65_536, 300_000] {
        let mut raw = Raw::open(server.address);
        for what in 0..6 {
            let payload = vec![what; size];
            let mut writer = Raw(raw.0.try_clone().unwrap());
            let sent = frame(BINARY, &payload);
            let writing = thread::spawn(move || writer.send(&sent));
            assert_eq!(raw.frame(), (BINARY, payload.clone()));
            let behind = match what {
                0 => (BINARY, payload),
                1 | 4 => (TEXT, b"behind".to_vec()),
                2 => (PING, b"behind".to_vec()),
                3 => (BINARY, payload[1..].to_vec()),
                _ => (CLOSE, b"\x03\xe8behind".to_vec()),
            };
            assert_eq!(raw.frame(), behind);
            writing.join().unwrap();
        }
    }
    server.stop();
}

#[test]
fn large_messages_in_one_write_come_back_in_order_and_whole() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    let message = |n: usize| -> Vec<u8> {
        let size = [4096, 10, 40_000, 70_000, 5000, 200_000][n % 6];
        vec![u8::try_from(n).unwrap(); size + n]
    };
    let all: Vec<u8> = (0..60).flat_map(|n| frame(BINARY, &message(n))).collect();
    let mut writer = Raw(raw.0.try_clone().unwrap());
    let writing = thread::spawn(move || writer.send(&all));
    // So that not all finds room at once.
    thread::sleep(Duration::from_millis(50));
    for n in 0..60 {
        assert_eq!(raw.frame(), (BINARY, message(n)));
    }
    writing.join().unwrap();
    server.stop();
}

#[test]
fn many_messages_in_one_write_come_back_in_order() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    let all: Vec<u8> = (0..20_000_u32)
        .flat_map(|n| frame(TEXT, n.to_string().as_bytes()))
        .collect();
    let mut writer = Raw(raw.0.try_clone().unwrap());
    let writing = thread::spawn(move || writer.send(&all));
    for n in 0..20_000_u32 {
        assert_eq!(raw.frame(), (TEXT, n.to_string().into_bytes()));
    }
    writing.join().unwrap();
    server.stop();
}

#[test]
fn a_fragmented_message_a_few_bytes_at_a_time() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    let mut bytes = frame(0x01, "sl\u{f6}w".as_bytes());
    bytes.extend(frame(PING, b"?"));
    bytes.extend(frame(0x00, b" and "));
    bytes.extend(frame(0x80, b"steady"));
    for byte in bytes.chunks(3) {
        raw.send(byte);
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(raw.frame(), (PONG, b"?".to_vec()));
    assert_eq!(raw.frame(), (TEXT, "sl\u{f6}w and steady".into()));
    server.stop();
}

#[test]
fn a_large_message_in_fragments_beside_small_ones_of_others() {
    let server = Server::start(config(Config::default()), echo);
    let mut slow = Raw::open(server.address);
    let mut quick = Raw::open(server.address);
    let piece = vec![b'x'; 40_000];
    slow.send(&frame(0x01, &piece));
    for n in 0..10_u8 {
        quick.send(&frame(BINARY, &[n]));
        assert_eq!(quick.frame(), (BINARY, vec![n]));
        slow.send(&frame(0x00, &piece));
    }
    slow.send(&frame(0x80, &piece));
    assert_eq!(slow.frame(), (TEXT, piece.repeat(12)));
    server.stop();
}

#[test]
fn chunks_are_sent_on_as_fragments_though_a_character_is_cut() {
    let protocol = Config {
        delivery: Delivery::Chunks,
        ..Config::default()
    };
    let server = Server::start(config(protocol), echo);
    let mut raw = Raw::open(server.address);
    let text = "\u{1f600}".repeat(50);
    for byte in frame(TEXT, text.as_bytes()).chunks(7) {
        raw.send(byte);
        thread::sleep(Duration::from_millis(1));
    }
    let (mut first, mut whole) = raw.frame();
    assert_eq!(first & 0x0f, 1);
    while first & 0x80 == 0 {
        let (next, piece) = raw.frame();
        assert_eq!(next & 0x0f, 0);
        first = next;
        whole.extend(piece);
    }
    assert_eq!(String::from_utf8(whole).unwrap(), text);
    server.stop();
}

#[test]
fn ten_pings_in_a_row_are_all_answered() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    let pings: Vec<u8> = (0..10).flat_map(|n| frame(PING, &[n; 125])).collect();
    raw.send(&pings);
    for n in 0..10 {
        assert_eq!(raw.frame(), (PONG, vec![n; 125]));
    }
    server.stop();
}

#[test]
fn what_follows_the_request_at_once_is_not_lost() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::connect(server.address);
    let mut bytes = crate::support::request("/").into_bytes();
    bytes.extend(frame(TEXT, b"eager"));
    bytes.extend(frame(CLOSE, b"\x03\xe8"));
    raw.send(&bytes);
    raw.head();
    assert_eq!(raw.frame(), (TEXT, b"eager".to_vec()));
    assert_eq!(raw.rest(), b"\x88\x02\x03\xe8");
    server.stop();
}

/// Servers echo; clients count down, and close.
struct Both {
    remote: Option<Remote>,
    ended: usize,
}

const CLIENTS: usize = 20;

impl Handler for Both {
    type Connection = u32;

    fn request(&mut self, _: &Request<'_>, _: &Asking<'_>) -> Result<Decision<u32>, Refusal> {
        Ok(Decision::Accept(Acceptance::default(), 0))
    }

    fn open(&mut self, left: &mut u32, peer: &mut Peer<'_>) {
        if peer.role() == Role::Client {
            peer.send_text(&left.to_string()).unwrap();
        }
    }

    fn message(
        &mut self,
        left: &mut u32,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        if peer.role() == Role::Server {
            return peer.send(message);
        }
        assert_eq!(message, Message::Text(&left.to_string()));
        match left.checked_sub(1) {
            Some(next) => {
                *left = next;
                peer.send_text(&next.to_string())
            }
            None => peer.close(CloseCode::NORMAL, "enough"),
        }
    }

    fn end(&mut self, connection: Option<u32>, end: &End) {
        assert_eq!(connection, Some(0));
        assert!(
            matches!(
                end.why,
                EndWhy::Closed(Closed {
                    why: ClosedWhy::Handshake {
                        code: Some(CloseCode::NORMAL)
                    },
                    ..
                })
            ),
            "{end:?}"
        );
        self.ended += 1;
        if self.ended == 2 * CLIENTS {
            self.remote.as_ref().unwrap().shutdown().unwrap();
        }
    }
}

#[test]
fn both_roles_in_one_loop() {
    let (done, when_done) = channel();
    thread::spawn(move || {
        let both = Both {
            remote: None,
            ended: 0,
        };
        let mut both = EventLoop::new(both, LoopConfig::default()).unwrap();
        let address = both.listen("127.0.0.1:0").unwrap();
        let ids: Vec<ConnectionId> = (0..CLIENTS)
            .map(|_| {
                let request = ClientRequest::new(format!("ws://{address}/").parse().unwrap());
                both.connect(request, 100).unwrap()
            })
            .collect();
        assert!(ids.windows(2).all(|two| two[0] != two[1]));
        let remote = both.remote();
        both.handler_mut().remote = Some(remote);
        both.run().unwrap();
        done.send(both.handler().ended).unwrap();
    });
    let ended = when_done.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(ended, 2 * CLIENTS);
}

#[test]
fn flushed_is_told_when_everything_has_left() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"x"));
    raw.frame();
    let seen: Vec<Seen> = (0..4).map(|_| server.seen.recv().unwrap()).collect();
    assert!(matches!(seen[0], Seen::Open(..)));
    assert_eq!(
        seen[1..],
        [Seen::Flushed, Seen::Message(b"x".to_vec()), Seen::Flushed]
    );
    server.stop();
}
