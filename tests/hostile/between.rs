//! What stands between a client and a server: a proxy, and a load balancer that cuts what is
//! idle, or forgets it. Both ends are openline's, over each transport.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use openline::net::{
    Asking, Backoff, ConnectOptions, ConnectionId, Decision, End, EventLoop, Handler, Message,
    Peer, Remote,
};
use openline::proto::{
    Acceptance, ClientRequest, Close, CloseCode, Config, Refusal, Request, Role, SendError,
};

use crate::client::{options, proxy, url};
use crate::server::{PATIENCE, Server, Wire, limits};

/// How long a balancer lets a connection be silent.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Pings that keep it from being silent, and pings that come too late for that.
const OFTEN: Option<Duration> = Some(Duration::from_millis(200));
const RARELY: Option<Duration> = Some(Duration::from_secs(4));

/// What a balancer does to what was silent for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Impatience {
    /// It ends both connections.
    Cut,
    /// It resets them.
    Reset,
    /// It forgets that they belong together: whatever comes is thrown away, and nobody is told.
    Forget,
}

/// A load balancer before a server; returns where it listens.
fn balancer(server: SocketAddr, impatience: Impatience) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(server).unwrap();
            thread::spawn(move || balance([client, server], impatience));
        }
    });
    address
}

/// Passes bytes on until one end is over, or both have been silent for too long.
fn balance(mut ends: [TcpStream; 2], impatience: Impatience) {
    for end in &ends {
        end.set_nodelay(true).unwrap();
        end.set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
    }
    let mut bytes = [0; 16 << 10];
    let mut last = Instant::now();
    while last.elapsed() < SILENCE_MAX {
        for from in [0, 1] {
            match ends[from].read(&mut bytes) {
                Ok(n) if n > 0 && ends[1 - from].write_all(&bytes[..n]).is_ok() => {
                    last = Instant::now();
                }
                Ok(_) => return,
                // Nothing came.
                Err(_) => {}
            }
        }
    }
    match impatience {
        Impatience::Cut => {
            for end in &ends {
                // It may have gone.
                let _ = end.shutdown(Shutdown::Both);
            }
        }
        Impatience::Reset => {
            for end in &ends {
                let socket = socket2::SockRef::from(end);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
        }
        Impatience::Forget => {
            for mut end in ends {
                end.set_read_timeout(Some(PATIENCE)).unwrap();
                thread::spawn(move || while end.read(&mut [0; 512]).is_ok_and(|n| n > 0) {});
            }
        }
    }
}

/// What happens at either end.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Open(ConnectionId),
    Echo,
    Closing,
    Lost(&'static str),
    End(&'static str),
}

/// Echoes as a server, and says something as a client when it is told to.
struct Talker(Sender<Seen>);

impl Talker {
    fn tell(&self, seen: Seen) {
        // The test may have seen enough.
        let _ = self.0.send(seen);
    }
}

impl Handler for Talker {
    type Connection = ();

    fn request(&mut self, _: &Request<'_>, _: &Asking<'_>) -> Result<Decision<()>, Refusal> {
        Ok(Decision::Accept(Acceptance::default(), ()))
    }

    fn open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.tell(Seen::Open(peer.id()));
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        match peer.role() {
            Role::Server => peer.send(message),
            Role::Client => {
                assert_eq!(message, Message::Text("still there?"));
                self.tell(Seen::Echo);
                Ok(())
            }
        }
    }

    fn called(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        peer.send_text("still there?").unwrap();
    }

    fn closing(&mut self, (): &mut (), _: &mut Peer<'_>, _: Option<Close<'_>>) {
        self.tell(Seen::Closing);
    }

    fn lost(&mut self, (): &mut (), end: &End, _: Duration) -> bool {
        if end.may_pass() {
            self.tell(Seen::Lost(end.why.label()));
        }
        end.may_pass()
    }

    fn end(&mut self, _: Option<()>, end: &End) {
        self.tell(Seen::End(end.why.label()));
    }
}

/// A client that comes back, a balancer, perhaps behind a proxy, and a server.
struct Way {
    client: (Remote, Receiver<Seen>),
    server: (Server, Receiver<Seen>),
}

impl Way {
    fn open(
        wire: Wire,
        impatience: Impatience,
        pings: [Option<Duration>; 2],
        proxied: bool,
    ) -> Self {
        let [client_pings, server_pings] = pings;
        let config = |ping_interval| {
            limits(Config {
                ping_interval,
                pong_timeout: Duration::from_secs(1),
                ..Config::default()
            })
        };
        let (tell, server_seen) = channel();
        let server = Server::run(wire, config(server_pings), Talker(tell));
        let balancer = balancer(server.address(), impatience);
        let request = ClientRequest::new(url(wire, balancer).parse().unwrap());
        let (tell, client_seen) = channel();
        let (ready, when_ready) = channel();
        thread::spawn(move || {
            let mut client = EventLoop::new(Talker(tell), config(client_pings)).unwrap();
            let options = ConnectOptions {
                proxy: proxied.then(|| format!("http://{}", proxy(balancer)).parse().unwrap()),
                reconnect: Some(Backoff {
                    first: Duration::from_millis(10),
                    ..Backoff::default()
                }),
                ..options()
            };
            client.connect_with(request, &options, ()).unwrap();
            ready.send(client.remote()).unwrap();
            client.run().unwrap();
        });
        Self {
            client: (when_ready.recv_timeout(PATIENCE).unwrap(), client_seen),
            server: (server, server_seen),
        }
    }

    /// What the client sees next, and what the server does.
    fn next(&self) -> [Seen; 2] {
        [&self.client.1, &self.server.1].map(|seen| seen.recv_timeout(PATIENCE).unwrap())
    }

    /// Both see that it is open; answers the client's name for it.
    fn is_open(&self) -> ConnectionId {
        match self.next() {
            [Seen::Open(id), Seen::Open(_)] => id,
            seen => panic!("{seen:?}"),
        }
    }

    /// A message of the client's comes back.
    fn carries(&self, id: ConnectionId) {
        self.client.0.call(id).unwrap();
        assert_eq!(self.client.1.recv_timeout(PATIENCE), Ok(Seen::Echo));
    }

    /// It ends in order, seen from both sides.
    fn close(self, id: ConnectionId) {
        self.client.0.close(id, CloseCode::NORMAL, "").unwrap();
        let seen = self.server.1.recv_timeout(PATIENCE);
        assert_eq!(seen, Ok(Seen::Closing), "nothing happened before");
        assert_eq!(self.client.1.recv_timeout(PATIENCE), Ok(Seen::Closing));
        assert_eq!(self.next(), [Seen::End("closed"), Seen::End("closed")]);
    }
}

/// Has all the cases at once, since most of their time goes into waiting.
fn at_once(cases: impl Iterator<Item = Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = cases.map(thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn pings_of_either_side_keep_what_a_balancer_would_cut() {
    let mut cases: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for wire in Wire::ALL {
        for pings in [[OFTEN, None], [None, OFTEN]] {
            for proxied in [false, true] {
                cases.push(Box::new(move || {
                    let way = Way::open(wire, Impatience::Cut, pings, proxied);
                    let id = way.is_open();
                    thread::sleep(SILENCE_MAX * 2 + SILENCE_MAX / 2);
                    way.carries(id);
                    way.close(id);
                }));
            }
        }
    }
    at_once(cases.into_iter());
}

#[test]
fn without_pings_what_a_balancer_cuts_is_seen_by_both_and_the_client_comes_back() {
    let mut cases: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for wire in Wire::ALL {
        for impatience in [Impatience::Cut, Impatience::Reset] {
            for proxied in [false, true] {
                cases.push(Box::new(move || {
                    let way = Way::open(wire, impatience, [None, None], proxied);
                    let first = way.is_open();
                    let [Seen::Lost(client), Seen::End(server)] = way.next() else {
                        panic!("{wire:?}, {impatience:?}: it was not lost");
                    };
                    for label in [client, server] {
                        // The proxy ends in order what was reset behind it.
                        let expected: &[_] = match impatience {
                            Impatience::Reset => &["reset", "eof", "tls-truncated"],
                            _ if wire == Wire::Plain => &["eof"],
                            _ => &["tls-truncated"],
                        };
                        assert!(
                            expected.contains(&label),
                            "{wire:?}, {impatience:?}: {label}"
                        );
                    }
                    let second = way.is_open();
                    assert_ne!(first, second);
                    way.carries(second);
                    way.close(second);
                }));
            }
        }
    }
    at_once(cases.into_iter());
}

#[test]
fn pings_find_out_what_a_balancer_forgot() {
    let mut cases: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for wire in Wire::ALL {
        cases.push(Box::new(move || {
            let way = Way::open(wire, Impatience::Forget, [RARELY, RARELY], false);
            way.is_open();
            let expected = [Seen::Lost("pong-timeout"), Seen::End("pong-timeout")];
            assert_eq!(way.next(), expected, "{wire:?}");
            let second = way.is_open();
            way.carries(second);
            way.close(second);
        }));
    }
    at_once(cases.into_iter());
}
