//! H9: connections that say nothing, or next to nothing.

#[cfg(feature = "tls")]
use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use openline::net::metrics::Snapshot;
use openline::proto::Config;

use crate::server::{PATIENCE, Server, Wire, request};

/// As many as the usual limit of descriptors leaves room for, with both ends in this process.
const SILENT: usize = 300;

#[test]
fn h9_who_says_nothing_or_little_is_reaped_by_an_absolute_deadline() {
    let timeout = Duration::from_secs(1);
    for wire in Wire::ALL {
        let protocol = Config {
            handshake_timeout: timeout,
            ..Config::default()
        };
        let server = Server::start(wire, protocol);
        let begun = Instant::now();
        let silent: Vec<_> = (0..SILENT).map(|_| server.connect()).collect();
        let mut slow: Vec<_> = (0..20).map(|_| server.connect()).collect();
        // A byte every now and then, until nobody listens: each moves nothing.
        let drip = thread::spawn(move || {
            for byte in request(&"X: y\r\n".repeat(50)).into_bytes() {
                let sent = slow.iter_mut().map(|stream| stream.try_send(&[byte]));
                if sent.filter(Result::is_ok).count() == 0 {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
                if begun.elapsed() > PATIENCE {
                    break;
                }
            }
            slow
        });
        for mut stream in silent {
            let answer = stream.rest();
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        }
        assert!(begun.elapsed() >= timeout);
        // Others are served while the slow ones are being slow.
        server.open();
        server.wait("all are reaped", |counts| {
            late(counts) == SILENT as u64 + 20
        });
        drop(drip.join().unwrap());
    }
}

/// How many did not finish their handshakes in time.
fn late(counts: &Snapshot) -> u64 {
    let late = counts.handshakes.iter();
    late.filter(|(outcome, _)| outcome.outcome == "handshake-timeout")
        .map(|(_, count)| *count)
        .sum()
}

#[cfg(feature = "tls")]
#[test]
fn h9_tls_handshakes_that_stall_are_reaped_by_the_same_deadline() {
    let timeout = Duration::from_secs(1);
    let protocol = Config {
        handshake_timeout: timeout,
        ..Config::default()
    };
    let server = Server::start(Wire::Tls, protocol);
    let begun = Instant::now();
    let hello = crate::tls::hello();
    // Nothing; a record's header; half of what a client says first; all of it, and no answer to
    // what the server says then.
    let mut stalled: Vec<_> = (0..SILENT)
        .map(|i| {
            let mut tcp = server.knock();
            let said = [0, 5, hello.len() / 2, hello.len()][i % 4];
            tcp.write_all(&hello[..said]).unwrap();
            tcp
        })
        .collect();
    // A byte of it every now and then, until nobody listens.
    let mut slow: Vec<_> = (0..20).map(|_| server.knock()).collect();
    for byte in hello.iter().cycle() {
        let sent = slow.iter_mut().map(|tcp| tcp.write_all(&[*byte]));
        if sent.filter(Result::is_ok).count() == 0 {
            break;
        }
        // Others are served while the slow ones are being slow.
        server.open();
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(50));
    }
    assert!(begun.elapsed() >= timeout);
    for tcp in &mut stalled {
        // What came of the handshake, and then the end.
        if let Err(error) = tcp.read_to_end(&mut Vec::new()) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    }
    server.wait("all are reaped", |counts| {
        late(counts) == SILENT as u64 + 20
    });
    server.open();
}
