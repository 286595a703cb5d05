//! H6: servers that lie to a client, over each transport. What `tests/handshake` says of the
//! answer alone is here seen by a client that runs; redirects are in `tests/net`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openline::net::{ConnectOptions, End, EventLoop, Handler, LoopConfig, Message, Peer};
use openline::proto::{ClientRequest, Config, SendError};
use sha1::{Digest, Sha1};

use crate::server::{PATIENCE, Wire, limits};

/// Says whether a connection was ever open, and how it ended.
struct Witness {
    opened: bool,
    ended: Sender<(bool, String)>,
}

impl Handler for Witness {
    type Connection = ();

    fn open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.opened = true;
        peer.send_text("secret").unwrap();
    }

    fn message(&mut self, (): &mut (), _: &mut Peer<'_>, _: Message<'_>) -> Result<(), SendError> {
        Ok(())
    }

    fn end(&mut self, _: Option<()>, end: &End) {
        let _ = self.ended.send((self.opened, format!("{:?}", end.why)));
    }
}

/// A client of one connection, in a thread of its own.
fn connect(url: &str, options: ConnectOptions) -> Receiver<(bool, String)> {
    let (ended, when_ended) = channel();
    let request = ClientRequest::new(url.parse().unwrap());
    let request = request.subprotocol("chat").unwrap();
    thread::spawn(move || {
        let witness = Witness {
            opened: false,
            ended,
        };
        let config = LoopConfig {
            // It waits for the server to close first, which it does not.
            linger_timeout: Duration::from_millis(200),
            ..limits(Config::default())
        };
        let mut client = EventLoop::new(witness, config).unwrap();
        client.connect_with(request, &options, ()).unwrap();
        client.run().unwrap();
    });
    when_ended
}

pub(crate) fn options() -> ConnectOptions {
    ConnectOptions {
        #[cfg(feature = "tls")]
        tls: Some(crate::tls::trust()),
        ..ConnectOptions::default()
    }
}

/// The two ends of a stream made by hand.
pub(crate) trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

/// A server's end of the wire, made by hand.
pub(crate) fn accepted(wire: Wire, tcp: TcpStream) -> Box<dyn Duplex> {
    match wire {
        Wire::Plain => Box::new(tcp),
        #[cfg(feature = "tls")]
        Wire::Tls => Box::new(crate::tls::accept(tcp)),
    }
}

/// What a request is to be answered with (§4.2.2), once more and on its own.
pub(crate) fn accept_of(head: &str) -> String {
    let key = head.split("Sec-WebSocket-Key: ").nth(1).unwrap();
    let key = key.split("\r\n").next().unwrap();
    let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    STANDARD.encode(Sha1::digest(format!("{key}{guid}")))
}

/// A server of the wire that answers a request with what `answer` makes of its accept; returns
/// its address, and all that each client said after it.
fn listen(
    wire: Wire,
    mut answer: impl FnMut(&str) -> String + Send + 'static,
) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (said, heard) = channel();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let tcp = tcp.unwrap();
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut stream = accepted(wire, tcp);
            // Who does not trust us leaves before it asks.
            let Ok(head) = read_head(&mut stream) else {
                continue;
            };
            stream
                .write_all(answer(&accept_of(&head)).as_bytes())
                .unwrap();
            // A Close frame, lest a client that was convinced stays for ever.
            stream.write_all(b"\x88\x00").unwrap();
            stream.flush().unwrap();
            let mut rest = Vec::new();
            // A client that fails the connection need not do so politely.
            let _ = stream.read_to_end(&mut rest);
            if said.send(rest).is_err() {
                return;
            }
        }
    });
    (address, heard)
}

pub(crate) fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// An agreement with these header fields besides, each with its CR LF.
pub(crate) fn agreement(accept: &str, headers: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
    )
}

pub(crate) fn url(wire: Wire, address: SocketAddr) -> String {
    match wire {
        Wire::Plain => format!("ws://localhost:{}/", address.port()),
        #[cfg(feature = "tls")]
        Wire::Tls => format!("wss://localhost:{}/", address.port()),
    }
}

#[test]
fn h6_what_was_not_agreed_to_opens_nothing_and_hears_nothing() {
    let cases: [(&str, &str); 5] = [
        ("Sec-WebSocket-Protocol: other\r\n", "SubprotocolNotOffered"),
        (
            "Sec-WebSocket-Extensions: x-other\r\n",
            "ExtensionNotOffered",
        ),
        (
            "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            "ExtensionNotOffered",
        ),
        (
            "X: y\nSec-WebSocket-Protocol: chat\r\n",
            "Head(BareLineEnd)",
        ),
        (
            "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n",
            "Repeated",
        ),
    ];
    for wire in Wire::ALL {
        for (headers, expected) in cases {
            let (address, heard) = listen(wire, move |accept| agreement(accept, headers));
            let (opened, why) = run(&url(wire, address), options());
            assert!(!opened, "{headers:?}");
            assert!(why.contains(expected), "{headers:?}: {why}");
            assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"", "{headers:?}");
        }
        // The same server, when it keeps to the rules.
        let chat = "Sec-WebSocket-Protocol: chat\r\n";
        let (address, _heard) = listen(wire, move |accept| agreement(accept, chat));
        let (opened, _) = run(&url(wire, address), options());
        assert!(opened);
    }
}

#[test]
fn h6_an_accept_that_is_wrong_or_replayed_opens_nothing() {
    for wire in Wire::ALL {
        let mut first = None;
        let (address, heard) = listen(wire, move |accept| {
            let replayed = first.get_or_insert(accept.to_owned());
            agreement(replayed, "")
        });
        let (opened, _) = run(&url(wire, address), options());
        assert!(opened, "the first has its own");
        heard.recv_timeout(PATIENCE).unwrap();
        let (opened, why) = run(&url(wire, address), options());
        assert!(!opened && why.contains("Invalid(Accept)"), "{why}");
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"");
    }
}

/// How a client's only connection ended.
fn run(url: &str, options: ConnectOptions) -> (bool, String) {
    connect(url, options).recv_timeout(PATIENCE).unwrap()
}

/// A proxy that leads every tunnel to one place, whatever was asked for.
pub(crate) fn proxy(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            assert!(read_head(&mut client).unwrap().starts_with("CONNECT "));
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let server = TcpStream::connect(to).unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    address
}

#[cfg(feature = "tls")]
#[test]
fn h6_the_name_is_verified_also_through_a_proxy() {
    let chat = "Sec-WebSocket-Protocol: chat\r\n";
    let (address, _heard) = listen(Wire::Tls, move |accept| agreement(accept, chat));
    let through = || ConnectOptions {
        proxy: Some(format!("http://{}", proxy(address)).parse().unwrap()),
        ..options()
    };
    let (opened, _) = run("wss://localhost:8443/", through());
    assert!(opened, "the name is right, wherever the proxy leads");
    for other in [
        "wss://example.com/",
        "wss://127.0.0.1/",
        "wss://localhost.example.com/",
    ] {
        let (opened, why) = run(other, through());
        assert!(!opened, "{other}");
        assert!(why.contains("Tls(Certificate("), "{other}: {why}");
    }
}
