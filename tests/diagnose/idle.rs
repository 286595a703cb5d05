//! Connections that do not outlive silence.

use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    DEADLINE, Report, behave, diagnose, drain, read_frame, websocket, write_frame,
};

/// Holds for 8 s, so that the connection beside it is pinged every 400 ms.
fn held(url: &str) -> Report {
    diagnose(url, &["--hold", "8s"])
}

/// Behaves until nothing has come for `limit`.
fn until_silence(stream: &mut TcpStream, limit: Duration) -> bool {
    loop {
        stream.set_read_timeout(Some(limit)).unwrap();
        let mut byte = [0];
        match stream.peek(&mut byte) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(_) => return true,
        }
        if !behave(stream) {
            return false;
        }
    }
}

/// Behaves for `LIMIT`, and no longer.
fn until_age(stream: &mut TcpStream) {
    let start = Instant::now();
    while let Some(left) = LIMIT.checked_sub(start.elapsed()) {
        stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .unwrap();
        if stream.peek(&mut [0]).is_ok_and(|n| n > 0) && !behave(stream) {
            return;
        }
    }
}

const LIMIT: Duration = Duration::from_secs(3);

/// About when it was cut, and what is recommended.
fn cut(report: &Report) -> (f64, f64) {
    let facts = &report.step("idle")["facts"];
    let number = |name: &str| facts[name].as_f64().unwrap();
    (number("cut_after_ms"), number("ping_interval_ms"))
}

/// All at once, for each does little but wait.
#[test]
fn connections_that_wait() {
    thread::scope(|scope| {
        for wait in [
            a_server_that_closes_what_is_idle as fn(),
            a_proxy_that_drops_what_is_idle,
            a_firewall_that_forgets_what_is_idle,
            a_firewall_that_resets_what_is_idle,
            a_server_that_stops_reading,
            a_limit_on_age_is_none_on_silence,
            a_silence_too_short_to_compare,
            a_connection_that_outlives_it,
        ] {
            scope.spawn(wait);
        }
    });
}

fn a_server_that_closes_what_is_idle() {
    let url = websocket(|stream| {
        if until_silence(stream, LIMIT) {
            write_frame(stream, 0x88, b"\x03\xe9idle");
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            drain(stream);
        }
    });
    let words = ["a Close frame: 1001", "pings help", "Ping at least every"];
    let report = held(&url).fails(19, "idle-closed", "endpoint", &words);
    let (after, interval) = cut(&report);
    assert!((2_500.0..6_000.0).contains(&after), "{after}");
    assert!((1_000.0..3_000.0).contains(&interval), "{interval}");
}

fn a_proxy_that_drops_what_is_idle() {
    let url = websocket(|stream| {
        until_silence(stream, LIMIT);
    });
    let words = ["without a Close frame", "proxy_read_timeout", "pings help"];
    let report = held(&url).fails(19, "idle-dropped", "load-balancer", &words);
    let (after, _) = cut(&report);
    assert!((2_500.0..6_000.0).contains(&after), "{after}");
}

fn a_firewall_that_forgets_what_is_idle() {
    let url = websocket(|stream| {
        if until_silence(stream, LIMIT) {
            // It stands, and nothing passes.
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            drain(stream);
        }
    });
    let arguments = ["--hold", "8s", "--timeout", "3s"];
    let words = [
        "more than 2 s and at most 4 s",
        "address translator",
        "pinged lives on",
    ];
    let report = diagnose(&url, &arguments).fails(19, "idle-forgotten", "firewall", &words);
    assert_eq!(report.step("idle")["facts"]["ping_interval_ms"], 2_000.0);
}

fn a_firewall_that_resets_what_is_idle() {
    let url = websocket(|stream| {
        if until_silence(stream, LIMIT) {
            // What is closed with nothing to linger for is reset.
            let socket = socket2::SockRef::from(&*stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    let words = ["It was reset", "Connection reset", "pings help"];
    held(&url).fails(19, "idle-dropped", "firewall", &words);
}

fn a_server_that_stops_reading() {
    let url = websocket(|stream| {
        until_age(stream);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        drain(stream);
    });
    let arguments = ["--hold", "8s", "--timeout", "3s"];
    let words = [
        "goes dead within 8 s, whether or not it is pinged",
        "hangs at that time",
    ];
    diagnose(&url, &arguments).fails(19, "age-limit", "endpoint", &words);
}

fn a_limit_on_age_is_none_on_silence() {
    let url = websocket(|stream| {
        until_age(stream);
        write_frame(stream, 0x88, b"\x0f\xa0expired");
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    });
    let words = ["whether or not it is pinged", "Pings do not help", "4000"];
    held(&url).fails(19, "age-limit", "endpoint", &words);
}

fn a_silence_too_short_to_compare() {
    let url = websocket(|stream| {
        until_silence(stream, Duration::from_millis(300));
    });
    // The connection beside it is pinged every 750 ms, too seldom to live.
    let words = [
        "whether pings help was not to be seen",
        "--hold 8s would show it",
    ];
    diagnose(&url, &["--hold", "15s", "--pings", "0"]).fails(
        19,
        "idle-dropped",
        "load-balancer",
        &words,
    );
}

fn a_connection_that_outlives_it() {
    let url = websocket(|stream| while behave(stream) {});
    diagnose(&url, &["--hold", "1s"])
        .works()
        .says(&["outlives 1 s of silence"]);
    // A server that pings by itself is never silent for long.
    let url = websocket(|stream| {
        let mut other = stream.try_clone().unwrap();
        thread::spawn(move || {
            for _ in 0..30 {
                thread::sleep(Duration::from_millis(100));
                write_frame(&mut other, 0x89, b"");
            }
        });
        while let Some((first, payload)) = read_frame(stream) {
            match first {
                0x89 => write_frame(stream, 0x8a, &payload),
                0x88 => return write_frame(stream, 0x88, &payload),
                _ => {}
            }
        }
    });
    let words = ["the server is never silent for longer than"];
    diagnose(&url, &["--hold", "2s"]).works().says(&words);
}
