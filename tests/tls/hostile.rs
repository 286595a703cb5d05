//! Peers that speak something else, say nothing, or are cut off.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use openline::proto::Config;
use rustls::version::{TLS12, TLS13};

use crate::certificates::Authority;
use crate::echo::relay;
use crate::peer::{Tls, connect, end, serve, serve_with};
use crate::support::{Raw, Server, TEXT, config, echo, frame, request};

#[test]
fn http_to_a_tls_port() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    let mut raw = Raw::connect(address);
    raw.send(request("/").as_bytes());
    // An alert, then the end, and no reset.
    let rest = raw.rest();
    assert_eq!(rest[0], 21, "{rest:?}");
    assert_eq!(server.end(), "Tls(NotTls)");
    server.stop();
}

#[test]
fn tls_to_an_http_port() {
    let server = Server::start(config(Config::default()), echo);
    let url = format!("wss://localhost:{}/", server.address.port());
    let why = end(&connect(&url, Some(Authority::new("tests").client()), echo));
    assert_eq!(why, "Tls(NotTls)");
    server.stop();
}

#[test]
fn only_http_1_1_is_spoken_within() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    let mut config = Tls::config(&authority, &[&TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut tls = Tls::connect(address, config);
    let error = tls.0.conn.complete_io(&mut tls.0.sock).unwrap_err();
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
    let why = server.end();
    assert!(why.contains("NoApplicationProtocol"), "{why}");
    server.stop();
}

#[test]
fn a_stream_that_ends_unannounced_was_cut() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    let tls = Tls::open(address, Tls::config(&authority, &[&TLS13]));
    tls.0.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.end(), "Tls(Truncated)");

    let mut tls = Tls::open(address, Tls::config(&authority, &[&TLS13]));
    tls.0.conn.send_close_notify();
    tls.0.conn.complete_io(&mut tls.0.sock).unwrap();
    tls.0.sock.shutdown(Shutdown::Write).unwrap();
    let why = server.end();
    assert!(why.contains("EndOfFile { mid_message: false }"), "{why}");
    server.stop();
}

#[test]
fn a_stream_cut_at_every_place() {
    // Within the handshake, between records, and within them.
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    for version in [&TLS12, &TLS13] {
        for cut in (1..700).step_by(7) {
            let relay = relay(address, move |from, to| {
                let mut bytes = vec![0; cut];
                let mut n = 0;
                while n < cut {
                    match from.read(&mut bytes[n..]) {
                        Ok(more @ 1..) => {
                            if to.write_all(&bytes[n..n + more]).is_err() {
                                return;
                            }
                            n += more;
                        }
                        _ => return,
                    }
                }
            });
            let mut tls = Tls::connect(relay, Tls::config(&authority, &[version]));
            let mut all = request("/").into_bytes();
            all.extend(frame(TEXT, &[b'x'; 300]));
            // It fails somewhere on the way.
            let _ = tls.0.write_all(&all).and_then(|()| tls.0.flush());
            let _ = tls.0.read_to_end(&mut Vec::new());
            let why = server.end();
            let expected = ["Tls(EndOfFile)", "Tls(Truncated)", "Handshake(EndOfFile)"];
            assert!(expected.contains(&why.as_str()), "cut at {cut}: {why}");
        }
    }
    server.stop();
}

#[test]
fn a_record_that_was_tampered_with() {
    let authority = Authority::new("tests");
    let (server, address) = serve(authority.sign(&["localhost"]).server());
    let mut tls = Tls::open(address, Tls::config(&authority, &[&TLS13]));
    let mut forged = vec![23, 3, 3, 0, 40];
    forged.extend([0; 40]);
    tls.0.sock.write_all(&forged).unwrap();
    let error = tls.0.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    let why = server.end();
    assert!(why.contains("Tls(Protocol(DecryptError"), "{why}");
    server.stop();
}

#[test]
fn the_deadline_of_the_handshake_covers_tls() {
    let authority = Authority::new("tests");
    let protocol = Config {
        handshake_timeout: Duration::from_millis(300),
        ..Config::default()
    };
    let pair = authority.sign(&["localhost"]);
    let (server, address) = serve_with(pair.server(), protocol, echo);
    let silent = Raw::connect(address);
    assert_eq!(server.end(), "Handshake(TimedOut)");
    assert!(silent.rest().is_empty());

    // One byte at a time does not extend it.
    let mut slow = TcpStream::connect(address).unwrap();
    let sending = thread::spawn(move || {
        for byte in [22_u8, 3, 1, 1, 0].into_iter().chain([1; 255]) {
            thread::sleep(Duration::from_millis(20));
            if slow.write_all(&[byte]).is_err() {
                break;
            }
        }
    });
    assert_eq!(server.end(), "Handshake(TimedOut)");
    sending.join().unwrap();
    server.stop();
}
