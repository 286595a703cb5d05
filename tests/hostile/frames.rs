//! F1 to F3: lengths that lie, promises that are not kept, fragments without end.

use std::time::Duration;

use openline::proto::Config;

use crate::server::{Server, Wire, frame};

/// The head of a client's frame that declares `size` in eight bytes.
fn declares_long(first: u8, size: u64) -> Vec<u8> {
    let mut head = vec![first, 0xff];
    head.extend(size.to_be_bytes());
    head.extend([0; 4]);
    head
}

/// And in two.
fn declares_medium(first: u8, size: u16) -> Vec<u8> {
    let mut head = vec![first, 0xfe];
    head.extend(size.to_be_bytes());
    head.extend([0; 4]);
    head
}

#[test]
fn f1_lengths_that_lie_are_refused_by_their_declaration() {
    let max = 1 << 20;
    let cases = [
        (declares_long(0x82, u64::MAX), 1002),
        (declares_long(0x82, 1 << 63), 1002),
        (declares_long(0x82, (1 << 63) - 1), 1009),
        (declares_long(0x82, u64::from(u32::MAX)), 1009),
        (declares_long(0x82, u64::from(u32::MAX) + 1), 1009),
        (declares_long(0x82, u64::from(u32::MAX) + 126), 1009),
        (declares_long(0x82, max + 1), 1009),
        (declares_long(0x82, 65_535), 1002),
        (declares_long(0x82, 125), 1002),
        (declares_long(0x82, 0), 1002),
        (declares_medium(0x82, 125), 1002),
        (declares_medium(0x82, 0), 1002),
        (declares_medium(0x89, 126), 1002),
        (declares_long(0x89, 1 << 16), 1002),
    ];
    let config = || Config {
        frame_size_max: max,
        message_size_max: max,
        ..Config::default()
    };
    for wire in Wire::ALL {
        let server = Server::start(wire, config());
        for (bytes, code) in &cases {
            let mut stream = server.open();
            stream.send(bytes);
            assert_eq!(stream.close_code(), *code, "{bytes:02x?}");
        }
        // The limit itself, and one below.
        for size in [max - 1, max] {
            let mut stream = server.open();
            stream.send(&declares_long(0x82, size));
            stream.send(&vec![7; usize::try_from(size).unwrap()]);
            let (first, payload) = stream.frame();
            assert_eq!((first, payload.len() as u64), (0x82, size));
        }
        // In fragments, each below the limit, and together beyond it.
        let mut stream = server.open();
        stream.send(&declares_long(0x02, max / 2));
        stream.send(&vec![7; usize::try_from(max / 2).unwrap()]);
        stream.send(&declares_long(0x80, max / 2 + 1));
        assert_eq!(stream.close_code(), 1009);
    }
}

/// The resident memory of this process.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[cfg(target_os = "linux")]
#[test]
fn f2_what_is_declared_and_not_sent_takes_no_memory() {
    const PEERS: usize = 200;
    /// Of one read, as `net` reads.
    const READ_BLOCK: usize = 32 << 10;
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        // Other tests in this process allocate as well, but not each time.
        let least = (0..5)
            .map(|_| {
                let mut streams: Vec<_> = (0..PEERS).map(|_| server.open()).collect();
                let received = server.counts().bytes_received;
                let before = resident();
                for stream in &mut streams {
                    stream.send(&declares_long(0x82, Config::default().frame_size_max));
                    // One byte of sixteen mebibytes, so that it is in the middle of the payload.
                    stream.send(&[1]);
                }
                server.wait("all is received", |counts| {
                    counts.bytes_received == received + PEERS as u64 * 15
                });
                let grown = resident().saturating_sub(before);
                assert_eq!(server.counts().connections.server, PEERS as u64);
                drop(streams);
                server.wait("all are gone", |counts| counts.connections.server == 0);
                grown
            })
            .find(|grown| *grown < PEERS * READ_BLOCK);
        assert!(least.is_some(), "more than a block for each");
    }
}

#[test]
fn f3_fragments_without_end_are_counted() {
    let max = Config::default().fragments_max as usize;
    for wire in Wire::ALL {
        let server = Server::start(wire, Config::default());
        // Of one byte, and of none.
        for payload in [&b"x"[..], b""] {
            let mut stream = server.open();
            let mut bytes = frame(0x02, payload);
            bytes.extend(frame(0x00, payload).repeat(max - 2));
            stream.send(&bytes);
            // The last that is allowed finishes it.
            let mut whole = server.open();
            whole.send(&bytes);
            whole.send(&frame(0x80, payload));
            let (first, echo) = whole.frame();
            assert_eq!((first, echo.len()), (0x82, payload.len() * max));
            // One more is one too many.
            stream.send(&frame(0x00, payload));
            stream.send(&frame(0x00, payload));
            assert_eq!(stream.close_code(), 1009);
        }
    }
}

#[test]
fn f3_a_message_that_is_never_finished_has_an_age() {
    for wire in Wire::ALL {
        let server = Server::start(
            wire,
            Config {
                message_timeout: Some(Duration::from_millis(300)),
                ..Config::default()
            },
        );
        let mut stream = server.open();
        stream.send(&frame(0x01, b"never"));
        let dripping = std::time::Instant::now();
        // Bytes that come all the while do not make it younger.
        while stream.try_send(&frame(0x00, b"x")).is_ok() {
            if dripping.elapsed() > Duration::from_millis(600) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(stream.close_code(), 1008);
    }
}
