//! R1, R2, R4 and R6: peers that do not read, that vanish, that want too much, or that talk on.

use std::io::{ErrorKind, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use openline::net::{Asking, Decision, End, Handler, LoopConfig, Message, Peer, Rate, SlowReader};
use openline::proto::{
    Acceptance, CloseCode, Config, Prepared, Refusal, Request, SendError, Status,
};

use crate::server::{PATIENCE, Server, Stream, Wire, frame, limits, request, status};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Of the message that is asked for by "all of it".
const LARGE: usize = 8 << 20;

/// Does what it is told by a text, echoes what is binary, and reports each end.
struct Obedient(Sender<&'static str>);

impl Handler for Obedient {
    type Connection = ();

    fn request(&mut self, request: &Request<'_>, _: &Asking<'_>) -> Result<Decision<()>, Refusal> {
        match request.path() {
            "/" => Ok(Decision::Accept(Acceptance::default(), ())),
            _ => Err(Refusal::new(Status::NOT_FOUND)),
        }
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        match message {
            Message::Text("close") => peer.close(CloseCode::NORMAL, ""),
            Message::Text("all of it") => {
                peer.send_binary(&vec![5; LARGE])?;
                peer.close(CloseCode::NORMAL, "")
            }
            Message::Text(topic) => match peer.subscribe(topic) {
                Ok(_) => peer.send_text("subscribed"),
                Err(error) => peer.send_text(&error.to_string()),
            },
            message => peer.send(message),
        }
    }

    fn end(&mut self, _: Option<()>, end: &End) {
        // The test may have seen enough.
        let _ = self.0.send(end.why.label());
    }
}

/// A server, and what it says of each end.
fn start(wire: Wire, config: LoopConfig) -> (Server, Receiver<&'static str>) {
    let (ends, when_ended) = channel();
    (Server::run(wire, config, Obedient(ends)), when_ended)
}

/// Of one peer; the message that reaches it is the last that is queued.
const SEND_QUEUE_MAX: usize = 64 << 10;

fn narrow(slow_reader: SlowReader) -> LoopConfig {
    LoopConfig {
        slow_reader,
        ..limits(Config {
            send_queue_max: SEND_QUEUE_MAX,
            ..Config::default()
        })
    }
}

/// Sends the frame again and again until there is no room; returns how many left whole, and the
/// rest of the last.
fn fill(stream: &mut Stream, frame: &[u8]) -> (usize, Vec<u8>) {
    let patience = Some(Duration::from_millis(300));
    stream.tcp().set_write_timeout(patience).unwrap();
    for whole in 0.. {
        let bytes = stream.encode(frame);
        let mut at = 0;
        while at < bytes.len() {
            match stream.tcp().write(&bytes[at..]) {
                Ok(n) => at += n,
                Err(error) => {
                    let kind = error.kind();
                    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut));
                    stream.tcp().set_write_timeout(Some(PATIENCE)).unwrap();
                    return (whole, bytes[at..].to_vec());
                }
            }
        }
        assert!(whole * frame.len() < 1 << 30, "the server stops listening");
    }
    unreachable!("some time the server stops listening")
}

fn check(stream: &mut Stream) {
    stream.send(&frame(BINARY, b"quick"));
    assert_eq!(stream.frame(), (BINARY, b"quick".to_vec()));
}

#[test]
fn r1_who_never_reads_costs_its_bound_and_loses_nothing() {
    for wire in Wire::ALL {
        let (server, _) = start(wire, narrow(limits(Config::default()).slow_reader));
        let mut other = server.open();
        for (first, answer, size) in [(BINARY, BINARY, 10_000), (PING, PONG, 125)] {
            let mut slow = server.open();
            let payload = vec![3; size];
            let (whole, rest) = fill(&mut slow, &frame(first, &payload));
            for _ in 0..100 {
                check(&mut other);
            }
            let queued = server.counts().queued_bytes;
            let bound = (SEND_QUEUE_MAX + size + 16) as u64;
            assert!((1..=bound).contains(&queued), "{queued}");
            for n in 0..whole {
                let echo = slow.frame();
                assert!(echo == (answer, payload.clone()), "{n} of {whole}");
            }
            slow.tcp().write_all(&rest).unwrap();
            assert_eq!(slow.frame(), (answer, payload));
        }
        server.wait("all is read", |counts| counts.queued_bytes == 0);
    }
}

#[test]
fn r1_a_subscriber_that_never_reads_has_publications_dropped() {
    let news = Prepared::binary(&[7; 10_000]);
    for wire in Wire::ALL {
        let (server, _) = start(wire, narrow(SlowReader::Drop));
        let mut slow = server.open();
        let mut reader = server.open();
        for stream in [&mut slow, &mut reader] {
            stream.send(&frame(TEXT, b"news"));
            assert_eq!(stream.frame(), (TEXT, b"subscribed".to_vec()));
        }
        let mut published = 0;
        while server.counts().publications_dropped == 0 {
            server.publish("news", &news);
            published += 1;
            // The other has every one of them.
            assert_eq!(reader.frame().1.len(), 10_000);
            assert!(published < 100_000, "nothing is dropped");
        }
        let queued = server.counts().queued_bytes;
        assert!(queued < SEND_QUEUE_MAX as u64 + 10_016, "{queued}");
        // What was not dropped arrives, and then what comes next.
        for _ in 1..published {
            assert_eq!(slow.frame().1.len(), 10_000);
        }
        check(&mut slow);
    }
}

#[test]
fn r1_ten_pings_in_a_row_are_all_answered() {
    for wire in Wire::ALL {
        let (server, _) = start(wire, limits(Config::default()));
        let mut stream = server.open();
        let pings: Vec<u8> = (0..10).flat_map(|n| frame(PING, &[n])).collect();
        stream.send(&pings);
        for n in 0..10 {
            assert_eq!(stream.frame(), (PONG, vec![n]));
        }
    }
}

/// How a peer leaves.
#[derive(Clone, Copy, Debug)]
enum Leave {
    /// In order, as the transport has it.
    Finish,
    /// By an end of file that TLS was not told of.
    Cut,
    Reset,
}

#[test]
fn r2_an_end_anywhere_is_told_once_and_leaves_nothing_spinning() {
    for wire in Wire::ALL {
        let (server, ends) = start(wire, limits(Config::default()));
        let is_tls = wire != Wire::Plain;
        let request = request("");
        // Within the request, a header of either length, a payload, a message, a control frame,
        // and short of the last bytes: within a record, if there are records.
        let cases: [(bool, &[u8], usize); 9] = [
            (false, b"", 0),
            (false, request.as_bytes(), 30),
            (true, b"", 0),
            (true, b"\x81", 0),
            (true, b"\x82\xfe\x01", 0),
            (true, b"\x82\x85\0\0\0\0ab", 0),
            (true, b"\x01\x81\0\0\0\0a", 0),
            (true, b"\x89\x85\0\0\0", 0),
            (true, b"\x82\x85\0\0\0\0abcde", 3),
        ];
        let mut half_open = Vec::new();
        for (is_open, bytes, short_of) in cases {
            for leave in [Leave::Finish, Leave::Cut, Leave::Reset] {
                let expected = match leave {
                    // Nothing can be said in order within a record.
                    Leave::Finish if is_tls && short_of > 0 => continue,
                    Leave::Reset => "reset",
                    _ if !is_open => "handshake-eof",
                    Leave::Cut if is_tls => "tls-truncated",
                    _ if bytes.is_empty() => "eof",
                    _ => "eof-mid-message",
                };
                let mut stream = match is_open {
                    true => server.open(),
                    false => server.connect(),
                };
                stream.send_short_of(bytes, short_of);
                // Those that are not reset are held on to from this side.
                match leave {
                    Leave::Finish => {
                        stream.finish();
                        half_open.push(stream);
                    }
                    Leave::Cut => {
                        stream.cut();
                        half_open.push(stream);
                    }
                    Leave::Reset => stream.reset(),
                }
                let told = ends.recv_timeout(PATIENCE).unwrap();
                assert_eq!(told, expected, "{leave:?} after {bytes:x?} on {wire:?}");
            }
        }
        #[cfg(target_os = "linux")]
        {
            let before = server.core_time();
            thread::sleep(Duration::from_millis(500));
            let spent = server.core_time() - before;
            assert!(spent < Duration::from_millis(100), "{spent:?}");
        }
        check(&mut server.open());
        server.wait("only that one is open", |counts| {
            counts.connections.server <= 1
        });
        drop(half_open);
        assert!(ends.recv_timeout(PATIENCE).is_ok_and(|why| why != "reset"));
        assert!(ends.try_recv().is_err(), "an end is told twice");
    }
}

#[test]
fn r2_a_close_that_is_not_answered_has_its_deadline() {
    let protocol = || Config {
        close_timeout: Duration::from_millis(300),
        ..Config::default()
    };
    for wire in Wire::ALL {
        let (server, ends) = start(wire, limits(protocol()));
        let mut stream = server.open();
        stream.send(&frame(TEXT, b"close"));
        assert_eq!(stream.close_code(), 1000);
        // It talks on, and that changes nothing.
        let begun = Instant::now();
        while stream.try_send(&frame(BINARY, b"and")).is_ok() {
            assert!(begun.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), "close-timeout");
    }
}

#[test]
fn r4_quotas_of_connections_messages_and_subscriptions() {
    for wire in Wire::ALL {
        let config = LoopConfig {
            connections_per_address_max: Some(2),
            subscriptions_max: 2,
            message_rate: Some(Rate {
                // So slow that none is gained during the test.
                per_second: 1,
                burst: 500,
            }),
            ..limits(Config::default())
        };
        let (server, ends) = start(wire, config);
        let mut first = server.open();
        let mut second = server.open();
        match wire {
            Wire::Plain => assert_eq!(status(&server.connect().rest()), 429),
            // Nothing can be said before TLS is agreed on, and that is what a quota is to save.
            #[cfg(feature = "tls")]
            Wire::Tls => {
                let mut tcp = server.knock();
                assert_eq!(std::io::Read::read(&mut tcp, &mut [0]).unwrap(), 0);
            }
        }
        let why = ends.recv_timeout(PATIENCE).unwrap();
        assert_eq!(why, "quota-connections-per-address");

        for (topic, answer) in [("a", true), ("b", true), ("a", true), ("c", false)] {
            first.send(&frame(TEXT, topic.as_bytes()));
            let (_, text) = first.frame();
            assert_eq!(text == b"subscribed", answer, "{topic}");
        }

        for n in 0.. {
            if second.try_send(&frame(PING, b"")).is_err() || n == 2000 {
                break;
            }
        }
        assert_eq!(second.close_code(), 1008);
        assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), "quota-messages");
        check(&mut first);
    }
}

#[test]
fn r6_a_large_reply_and_a_close_arrive_whole_over_unread_input() {
    for wire in Wire::ALL {
        let (server, ends) = start(wire, limits(Config::default()));
        let mut stream = server.open();
        stream.send(&frame(TEXT, b"all of it"));
        // We answer the Close blindly, and talk on regardless.
        stream.send(&frame(CLOSE, b"\x03\xe8"));
        stream.send(&vec![0; 200_000]);
        thread::sleep(Duration::from_millis(200));
        let (first, payload) = stream.frame();
        assert_eq!((first, payload.len()), (BINARY, LARGE));
        assert!(payload.iter().all(|byte| *byte == 5));
        assert_eq!(stream.frame(), (CLOSE, b"\x03\xe8".to_vec()));
        assert_eq!(stream.rest(), "");
        assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), "closed");
    }
}
