//! The way to a server: names, several addresses, proxies, redirects, and back again when lost.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use openline::net::{Backoff, ConnectOptions, Connector, EventLoop};
use openline::proto::{ClientRequest, Config};

use crate::support::{Reporter, Seen, Server, config, echo};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a client of `url` to its end, or until nobody listens.
fn client(url: &str, options: ConnectOptions, protocol: Config) -> Receiver<Seen> {
    let (seen, receiver) = channel();
    let request = ClientRequest::new(url.parse().unwrap());
    thread::spawn(move || {
        let reporter = Reporter { seen, answer: echo };
        let mut client = EventLoop::new(reporter, config(protocol)).unwrap();
        client.connect_with(request, &options, ()).unwrap();
        client.run().unwrap();
    });
    receiver
}

fn next(seen: &Receiver<Seen>) -> Seen {
    loop {
        match seen.recv_timeout(PATIENCE).unwrap() {
            Seen::Flushed | Seen::Ping(_) | Seen::Pong(_) => {}
            seen => return seen,
        }
    }
}

/// How an attempt that has no other outcome ended.
fn end(seen: &Receiver<Seen>) -> String {
    match next(seen) {
        Seen::End(true, why) => why,
        other => panic!("{other:?}"),
    }
}

/// Takes connections, one after the other, and does `each` with them.
fn listen(each: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut each = each;
    thread::spawn(move || {
        for stream in listener.incoming() {
            each(stream.unwrap());
        }
    });
    address
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Passes bytes both ways until either end is done.
fn join(client: TcpStream, server: TcpStream) {
    for (mut from, mut to) in [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ] {
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

fn by_proxy(proxy: &str) -> ConnectOptions {
    ConnectOptions {
        proxy: Some(proxy.parse().unwrap()),
        ..ConnectOptions::default()
    }
}

#[test]
fn a_name_that_nobody_has() {
    let why = end(&client(
        "ws://name.invalid/",
        ConnectOptions::default(),
        Config::default(),
    ));
    assert!(why.starts_with("Connect("), "{why}");
}

#[test]
fn connecting_has_a_deadline() {
    // A proxy that takes the connection and says nothing more.
    let proxy = listen(std::mem::forget);
    let options = ConnectOptions {
        timeout: Duration::from_millis(200),
        ..by_proxy(&format!("http://{proxy}"))
    };
    let why = end(&client("ws://server.invalid/", options, Config::default()));
    assert!(why.contains("the proxy did not answer in time"), "{why}");
}

#[test]
fn by_http_connect() {
    let server = Server::start(config(Config::default()), echo);
    let address = server.address;
    let (heads, asked) = channel();
    let proxy = listen(move |mut stream| {
        let head = read_head(&mut stream);
        let let_in = head.contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n");
        heads.send(head).unwrap();
        if let_in {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            join(stream, TcpStream::connect(address).unwrap());
        } else {
            stream
                .write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
        }
    });
    // Only the proxy knows where this is.
    let url = "ws://server.invalid:8080/chat";
    let seen = client(
        url,
        by_proxy(&format!("http://user:secret@{proxy}")),
        Config::default(),
    );
    assert_eq!(next(&seen), Seen::Response(101));
    let head = asked.recv().unwrap();
    assert!(
        head.starts_with("CONNECT server.invalid:8080 HTTP/1.1\r\n"),
        "{head}"
    );

    let why = end(&client(
        url,
        by_proxy(&format!("http://{proxy}")),
        Config::default(),
    ));
    assert!(why.contains("Refused { status: 407 }"), "{why}");
    server.stop();
}

#[test]
fn by_socks() {
    let server = Server::start(config(Config::default()), echo);
    let address = server.address;
    let proxy = listen(move |mut stream| {
        let mut read = |n: usize| {
            let mut bytes = vec![0; n];
            stream.read_exact(&mut bytes).unwrap();
            bytes
        };
        let methods = read(2)[1];
        let methods = read(methods.into());
        if !methods.contains(&2) {
            stream.write_all(&[5, 0xff]).unwrap();
            return;
        }
        stream.write_all(&[5, 2]).unwrap();
        let mut read = |n: usize| {
            let mut bytes = vec![0; n];
            stream.read_exact(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(read(13), b"\x01\x04user\x06secret");
        stream.write_all(&[1, 0]).unwrap();
        let mut request = [0; 4 + 1 + 14 + 2];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(&request, b"\x05\x01\x00\x03\x0eserver.invalid\x1f\x90");
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        join(stream, TcpStream::connect(address).unwrap());
    });
    let url = "ws://server.invalid:8080/";
    let seen = client(
        url,
        by_proxy(&format!("socks5://user:secret@{proxy}")),
        Config::default(),
    );
    assert_eq!(next(&seen), Seen::Response(101));
    let why = end(&client(
        url,
        by_proxy(&format!("socks5://{proxy}")),
        Config::default(),
    ));
    assert!(why.contains("CredentialsWanted"), "{why}");
    server.stop();
}

#[test]
fn redirects_are_followed_as_far_as_they_may_be() {
    let (heads, asked) = channel();
    let server = Server::start(config(Config::default()), echo);
    let there = server.address;
    let here = listen(move |mut stream| {
        let head = read_head(&mut stream);
        let location = match head.split(' ').nth(1).unwrap() {
            "/away" => format!("http://{there}/"),
            "/near" => "away".to_owned(),
            "/round" => "/round".to_owned(),
            _ => "ftp://nowhere/".to_owned(),
        };
        heads.send(head).unwrap();
        let answer = format!("HTTP/1.1 307 Elsewhere\r\nLocation: {location}\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let follow = |path: &str, redirects_max: u8| {
        let options = ConnectOptions {
            redirects_max,
            ..ConnectOptions::default()
        };
        client(
            &format!("ws://user:secret@{here}{path}"),
            options,
            Config::default(),
        )
    };
    let seen = follow("/near", 2);
    for status in [307, 307, 101] {
        assert_eq!(next(&seen), Seen::Response(status));
    }
    for _ in 0..2 {
        let head = asked.recv().unwrap();
        assert!(
            head.contains("Authorization: Basic "),
            "the same origin: {head}"
        );
    }
    for (path, redirects_max, answers) in [
        ("/near", 1, 2),
        ("/away", 0, 1),
        ("/round", 3, 4),
        ("/bad", 3, 1),
    ] {
        let seen = follow(path, redirects_max);
        for _ in 0..answers {
            assert_eq!(next(&seen), Seen::Response(307), "{path}");
        }
        assert_eq!(end(&seen), "Refused { status: 307 }", "{path}");
    }
    server.stop();
}

#[test]
fn a_redirect_to_another_origin_goes_without_credentials() {
    let (heads, asked) = channel();
    let there = listen(move |mut stream| heads.send(read_head(&mut stream)).unwrap());
    let here = listen(move |mut stream| {
        read_head(&mut stream);
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: ws://{there}/\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let options = ConnectOptions {
        redirects_max: 1,
        ..ConnectOptions::default()
    };
    let _seen = client(
        &format!("ws://user:secret@{here}/"),
        options,
        Config::default(),
    );
    let head = asked.recv_timeout(PATIENCE).unwrap();
    assert!(!head.contains("Authorization"), "{head}");
}

#[test]
fn what_is_lost_is_connected_again() {
    let server = Server::start(config(Config::default()), echo);
    let address = server.address;
    let mut count = 0;
    let relay = listen(move |stream| {
        count += 1;
        let server = TcpStream::connect(address).unwrap();
        match count {
            // Not even an answer; then one that is cut.
            1 => drop(stream),
            2 => {
                join(stream.try_clone().unwrap(), server);
                thread::sleep(Duration::from_millis(200));
                stream.shutdown(Shutdown::Both).unwrap();
            }
            _ => join(stream, server),
        }
    });
    let options = ConnectOptions {
        reconnect: Some(Backoff {
            first: Duration::from_millis(10),
            ..Backoff::default()
        }),
        ..ConnectOptions::default()
    };
    let seen = client(&format!("ws://{relay}/"), options, Config::default());
    assert!(matches!(next(&seen), Seen::Lost(_)));
    let mut names = Vec::new();
    for is_last in [false, true] {
        assert_eq!(next(&seen), Seen::Response(101));
        let Seen::Open(id, _) = next(&seen) else {
            panic!("it did not open");
        };
        names.push(id);
        if !is_last {
            let lost = next(&seen);
            assert!(matches!(lost, Seen::Lost(_)), "{lost:?}");
        }
    }
    assert_ne!(names[0], names[1]);
    // An orderly end is none to come back from, but the server goes away.
    server.remote.shutdown().unwrap();
    assert!(matches!(next(&seen), Seen::Closing(Some((1001, _)))));
    let lost = next(&seen);
    assert!(matches!(lost, Seen::Lost(_)), "{lost:?}");
}

#[test]
fn attempts_have_an_end_and_some_things_do_not_pass() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let forbidden = listen(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
    });
    let options = ConnectOptions {
        reconnect: Some(Backoff {
            first: Duration::from_millis(1),
            attempts_max: Some(3),
            ..Backoff::default()
        }),
        ..ConnectOptions::default()
    };
    let seen = client(&format!("ws://{gone}/"), options.clone(), Config::default());
    for _ in 0..3 {
        assert!(matches!(next(&seen), Seen::Lost(_)));
    }
    assert!(end(&seen).contains("ConnectionRefused"));
    let seen = client(&format!("ws://{forbidden}/"), options, Config::default());
    assert_eq!(next(&seen), Seen::Response(403));
    assert!(matches!(next(&seen), Seen::Lost(_)));
    assert_eq!(end(&seen), "Refused { status: 403 }");
}

/// As many between a client and a server are: it cuts what has been silent for a while.
fn impatient_balancer(server: SocketAddr, patience: Duration) -> SocketAddr {
    listen(move |client| {
        let server = TcpStream::connect(server).unwrap();
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(patience)).unwrap();
        }
        let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
        for (mut from, mut to) in [
            (client.try_clone().unwrap(), server.try_clone().unwrap()),
            (server, client),
        ] {
            let ends = [ends[0].try_clone().unwrap(), ends[1].try_clone().unwrap()];
            thread::spawn(move || {
                // A read that takes too long is an error.
                let _ = std::io::copy(&mut from, &mut to);
                for end in ends {
                    let _ = end.shutdown(Shutdown::Both);
                }
            });
        }
    })
}

#[test]
fn pings_keep_a_connection_that_a_balancer_would_cut() {
    let server = Server::start(config(Config::default()), echo);
    let balancer = impatient_balancer(server.address, Duration::from_millis(1500));
    let pinging = Config {
        ping_interval: Some(Duration::from_millis(200)),
        ..Config::default()
    };
    let silent = Config {
        ping_interval: None,
        ..Config::default()
    };
    let url = format!("ws://{balancer}/");
    let kept = client(&url, ConnectOptions::default(), pinging);
    let cut = client(&url, ConnectOptions::default(), silent);
    for seen in [&kept, &cut] {
        assert_eq!(next(seen), Seen::Response(101));
        assert!(matches!(next(seen), Seen::Open(..)));
    }
    let why = end(&cut);
    assert!(why.contains("EndOfFile") || why == "Reset", "{why}");
    thread::sleep(Duration::from_millis(1600));
    let mut rest = kept.try_iter().filter(|seen| matches!(seen, Seen::End(..)));
    assert!(rest.next().is_none(), "it was cut in spite of the pings");
    server.stop();
}

#[test]
fn a_loop_that_runs_connects_when_asked_from_another_thread() {
    let server = Server::start(config(Config::default()), echo);
    let (seen, receiver) = channel();
    let (give, given) = channel::<Connector<()>>();
    let running = thread::spawn(move || {
        let reporter = Reporter { seen, answer: echo };
        let mut client = EventLoop::new(reporter, config(Config::default())).unwrap();
        // It is to stay while it has nobody.
        client.listen("127.0.0.1:0").unwrap();
        give.send(client.connector()).unwrap();
        let remote = client.remote();
        thread::spawn(move || {
            thread::sleep(Duration::from_secs(20));
            let _ = remote.shutdown();
        });
        client.run().unwrap();
    });
    let connector = given.recv().unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("ws://{host}:{}/", server.address.port());
        let request = ClientRequest::new(url.parse().unwrap());
        connector
            .connect(request, &ConnectOptions::default(), ())
            .unwrap();
        assert_eq!(next(&receiver), Seen::Response(101));
        assert!(matches!(next(&receiver), Seen::Open(..)));
    }
    server.stop();
    drop(running);
}
