//! H9: connections that say nothing, or next to nothing.

use std::thread;
use std::time::{Duration, Instant};

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
        let reaped = |server: &Server| {
            let counts = server.counts();
            let late = counts.handshakes.iter();
            late.filter(|(outcome, _)| outcome.outcome == "handshake-timeout")
                .map(|(_, count)| *count)
                .sum::<u64>()
        };
        while reaped(&server) < SILENT as u64 + 20 {
            assert!(begun.elapsed() < PATIENCE, "{:#?}", server.counts());
            thread::sleep(Duration::from_millis(20));
        }
        drop(drip.join().unwrap());
    }
}
