//! The client: what becomes of an attempt.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use openline::net::EventLoop;
use openline::proto::{ClientRequest, Config};

use crate::support::{Reporter, Seen, config, echo};

/// Runs a client of `url` to its end.
fn client(url: String, protocol: Config) -> Receiver<Seen> {
    let (seen, receiver) = channel();
    thread::spawn(move || {
        let reporter = Reporter { seen, answer: echo };
        let mut client = EventLoop::new(reporter, config(protocol)).unwrap();
        let request = ClientRequest::new(url.parse().unwrap());
        client.connect(request, ()).unwrap();
        client.run().unwrap();
    });
    receiver
}

/// A server that takes one connection and the request, and then does `then`.
fn server(then: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        then(stream);
    });
    address
}

fn all(seen: &Receiver<Seen>) -> Vec<Seen> {
    let mut all = Vec::new();
    while let Ok(next) = seen.recv_timeout(Duration::from_secs(20)) {
        if next != Seen::Flushed {
            all.push(next);
        }
    }
    all
}

#[test]
fn nobody_listens() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let seen = all(&client(format!("ws://{address}"), Config::default()));
    let [Seen::End(true, why)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(why.contains("ConnectionRefused"), "{why}");
}

#[test]
fn the_next_address_is_tried() {
    // Where localhost has an IPv6 address, it comes first, and nobody listens there.
    let address = server(|mut stream| {
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
    });
    let url = format!("ws://localhost:{}", address.port());
    let seen = all(&client(url, Config::default()));
    assert_eq!(seen.last().unwrap(), &refused(403));
}

#[test]
fn a_refusal_is_seen_and_is_the_end() {
    let address = server(|mut stream| {
        stream
            .write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    });
    let seen = all(&client(format!("ws://{address}/"), Config::default()));
    assert_eq!(seen, [Seen::Response(401), refused(401)]);
}

#[test]
fn a_server_that_speaks_something_else_is_refused() {
    let address = server(|mut stream| stream.write_all(b"220 mail\r\n\r\n").unwrap());
    let seen = all(&client(format!("ws://{address}/"), Config::default()));
    let [Seen::End(true, why)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(why.starts_with("Handshake("), "{why}");
}

#[test]
fn a_server_that_goes_or_says_nothing() {
    let gone = server(drop);
    let seen = all(&client(format!("ws://{gone}/"), Config::default()));
    assert_eq!(seen, [Seen::End(true, "Handshake(EndOfFile)".to_owned())]);

    let silent = server(|stream| {
        thread::sleep(Duration::from_secs(5));
        drop(stream);
    });
    let protocol = Config {
        handshake_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    let seen = all(&client(format!("ws://{silent}/"), protocol));
    assert_eq!(seen, [Seen::End(true, "Handshake(TimedOut)".to_owned())]);
}

#[cfg(not(feature = "tls"))]
#[test]
fn wss_says_what_is_missing() {
    let (seen, _receiver) = channel();
    let reporter = Reporter { seen, answer: echo };
    let mut client = EventLoop::new(reporter, config(Config::default())).unwrap();
    let request = ClientRequest::new("wss://127.0.0.1/".parse().unwrap());
    let error = client.connect(request, ()).unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
}

fn refused(status: u16) -> Seen {
    Seen::End(true, format!("Refused {{ status: {status} }}"))
}
