//! R3: a connection that is closed, or lost, inside every callback, in both roles: during the
//! upgrade, while messages pass, and while it is taken down.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use openline::net::{
    Asking, Backoff, ConnectOptions, ConnectionId, Decision, End, EventLoop, Handler, Message,
    Peer, Remote,
};
use openline::proto::{
    Acceptance, ClientRequest, Close, CloseCode, Config, Prepared, Refusal, Request, Response,
    Role, SendError,
};

use crate::client::{accept_of, accepted, agreement, options, read_head, url};
use crate::server::{PATIENCE, Server, Wire, frame, limits, request};

/// A callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Request,
    Response,
    Open,
    Message,
    Ping,
    Pong,
    Closing,
    Flushed,
    Called,
    Wire,
    Lost,
    End,
}

const OF_A_SERVER: [At; 10] = [
    At::Request,
    At::Open,
    At::Message,
    At::Ping,
    At::Pong,
    At::Closing,
    At::Flushed,
    At::Called,
    At::Wire,
    At::End,
];
const OF_A_CLIENT: [At; 11] = [
    At::Response,
    At::Open,
    At::Message,
    At::Ping,
    At::Pong,
    At::Closing,
    At::Flushed,
    At::Called,
    At::Wire,
    At::Lost,
    At::End,
];

/// What is done there, once.
struct Trap {
    /// Tells that it is sprung.
    spring: Sender<()>,
    what: What,
}

enum What {
    /// Everything that can be done, and then it is closed, in each way that there is.
    Close,
    /// It is held up until the other end is reset.
    Lose(Receiver<()>),
}

impl Trap {
    /// Answers whether it is to be closed there.
    fn spring(self) -> bool {
        self.spring.send(()).unwrap();
        match self.what {
            What::Close => true,
            What::Lose(until) => {
                until.recv_timeout(PATIENCE).unwrap();
                false
            }
        }
    }
}

/// Echoes, and springs a trap; tells each end.
struct Trapped {
    at: At,
    trap: Option<Trap>,
    /// For the callbacks that are not given it.
    remote: Option<Remote>,
    ends: Sender<&'static str>,
}

impl Trapped {
    /// Where there is no peer.
    fn reach(&mut self, at: At, id: Option<ConnectionId>) {
        let Some(trap) = self.trap.take_if(|_| at == self.at) else {
            return;
        };
        let remote = self.remote.as_ref().unwrap();
        if trap.spring()
            && let Some(id) = id
        {
            remote.close(id, CloseCode::NORMAL, "").unwrap();
            remote.call(id).unwrap();
            remote.publish("open", &Prepared::text("news")).unwrap();
        }
    }

    fn reach_with(&mut self, at: At, peer: &mut Peer<'_>) {
        if at == At::Open {
            // So that there is a call, and that publications are on their way to it.
            peer.remote().call(peer.id()).unwrap();
            peer.subscribe("open").unwrap();
        }
        let Some(trap) = self.trap.take_if(|_| at == self.at) else {
            return;
        };
        let is_to_close = trap.spring();
        let _ = peer.subscribe("more");
        peer.publish("open", &Prepared::text("news"));
        peer.unsubscribe("open");
        // What has been closed refuses these.
        let _ = peer.ping(b"");
        let _ = peer.send_binary(&[7; 100_000]);
        let handle = peer.handle();
        assert!(!handle.has_ended());
        if is_to_close {
            let _ = peer.close(CloseCode::NORMAL, "");
            // Through the mailbox as well, which finds it closing or gone.
            handle.close(CloseCode::NORMAL, "").unwrap();
            handle.subscribe("after").unwrap();
        }
        handle.call().unwrap();
    }
}

impl Handler for Trapped {
    type Connection = ();

    fn request(&mut self, _: &Request<'_>, asking: &Asking<'_>) -> Result<Decision<()>, Refusal> {
        self.reach(At::Request, Some(asking.id()));
        Ok(Decision::Accept(Acceptance::default(), ()))
    }

    fn response(&mut self, (): &mut (), _: &Response<'_>) {
        // Whose it is, this callback does not say.
        self.reach(At::Response, None);
    }

    fn open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.reach_with(At::Open, peer);
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        self.reach_with(At::Message, peer);
        peer.send(message)
    }

    fn ping(&mut self, (): &mut (), peer: &mut Peer<'_>, _: &[u8]) {
        self.reach_with(At::Ping, peer);
    }

    fn pong(&mut self, (): &mut (), peer: &mut Peer<'_>, _: &[u8]) {
        self.reach_with(At::Pong, peer);
    }

    fn closing(&mut self, (): &mut (), peer: &mut Peer<'_>, _: Option<Close<'_>>) {
        self.reach_with(At::Closing, peer);
    }

    fn flushed(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.reach_with(At::Flushed, peer);
    }

    fn called(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        self.reach_with(At::Called, peer);
    }

    fn wire(&mut self, id: ConnectionId, _: Role, _: &[u8]) {
        self.reach(At::Wire, Some(id));
    }

    fn lost(&mut self, (): &mut (), end: &End, _: Duration) -> bool {
        self.reach(At::Lost, Some(end.id));
        false
    }

    fn end(&mut self, _: Option<()>, end: &End) {
        self.reach(At::End, Some(end.id));
        // The test may have seen enough.
        let _ = self.ends.send(end.why.label());
    }
}

/// A trap, and for the test the two ends of being held up in it.
fn trap(is_lost: bool) -> (Trap, Receiver<()>, Sender<()>) {
    let (spring, when_sprung) = channel();
    let (go_on, when_to) = channel();
    let what = match is_lost {
        true => What::Lose(when_to),
        false => What::Close,
    };
    (Trap { spring, what }, when_sprung, go_on)
}

/// A frame of each kind but Close, from a client or a server.
fn script(masked: bool) -> Vec<u8> {
    let frames: [(u8, &[u8]); 3] = [(0x89, b"?"), (0x81, b"x"), (0x8a, b"")];
    let frames = frames.map(|(first, payload)| sent(masked, first, payload));
    frames.concat()
}

fn sent(masked: bool, first: u8, payload: &[u8]) -> Vec<u8> {
    match masked {
        true => frame(first, payload),
        false => [&[first, u8::try_from(payload.len()).unwrap()], payload].concat(),
    }
}

fn close(masked: bool) -> Vec<u8> {
    sent(masked, 0x88, b"\x03\xe8")
}

/// Whether a Close is to come before it, or only the end.
fn is_after_close(at: At) -> bool {
    matches!(at, At::Closing | At::End)
}

#[test]
fn r3_a_server_whose_connection_is_closed_inside_every_callback() {
    for wire in Wire::ALL {
        for at in OF_A_SERVER {
            serve_one(wire, at, false);
        }
    }
}

#[test]
fn r3_a_server_whose_connection_is_lost_inside_every_callback() {
    for wire in Wire::ALL {
        for at in OF_A_SERVER {
            serve_one(wire, at, true);
        }
    }
}

fn serve_one(wire: Wire, at: At, is_lost: bool) {
    let (ends, when_ended) = channel();
    let (trap, when_sprung, go_on) = trap(is_lost);
    let trapped = Trapped {
        at,
        trap: Some(trap),
        remote: None,
        ends,
    };
    let give = |trapped: &mut Trapped, remote| trapped.remote = Some(remote);
    let server = Server::run_with(wire, limits(Config::default()), trapped, give);
    let mut stream = server.connect();
    // All at once, for the answer may not come.
    let mut said = [request("").into_bytes(), script(true)].concat();
    if is_after_close(at) {
        said.extend(close(true));
    }
    stream.send(&said);
    when_sprung.recv_timeout(PATIENCE).unwrap();
    if is_lost {
        stream.reset();
        go_on.send(()).unwrap();
    } else {
        if !is_after_close(at) {
            stream.send(&close(true));
        }
        // All that it says, and then the end of it in order.
        stream.read_to_end(&mut Vec::new()).unwrap();
        drop(stream);
    }
    ended_once(wire, at, is_lost, &when_ended);
    // The trap is gone, and others are served.
    let mut other = server.open();
    other.send(&frame(0x81, b"Hello"));
    assert_eq!(other.frame(), (0x81, b"Hello".to_vec()));
    drop(other);
    when_ended.recv_timeout(PATIENCE).unwrap();
    server.wait("all are gone", |counts| counts.connections.server == 0);
    assert!(when_ended.try_recv().is_err(), "an end is told twice");
}

#[test]
fn r3_a_client_whose_connection_is_closed_inside_every_callback() {
    for wire in Wire::ALL {
        for at in OF_A_CLIENT {
            // Without a peer and a name there is nothing to close it by.
            if at != At::Response {
                connect_one(wire, at, false);
            }
        }
    }
}

#[test]
fn r3_a_client_whose_connection_is_lost_inside_every_callback() {
    for wire in Wire::ALL {
        for at in OF_A_CLIENT {
            connect_one(wire, at, true);
        }
    }
}

fn connect_one(wire: Wire, at: At, is_lost: bool) {
    let (ends, when_ended) = channel();
    let (trap, when_sprung, go_on) = trap(is_lost);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = url(wire, listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let socket = tcp.try_clone().unwrap();
        let mut stream = accepted(wire, tcp);
        let head = read_head(&mut stream).unwrap();
        let mut said = agreement(&accept_of(&head), "").into_bytes();
        said.extend(script(false));
        if is_after_close(at) {
            said.extend(close(false));
        }
        // One that is closed before it is open is not listening.
        let may_fail = at == At::Wire && !is_lost;
        let told = stream.write_all(&said).and_then(|()| stream.flush());
        assert!(told.is_ok() || may_fail, "{told:?}");
        if at == At::Lost {
            // The end of it, of TLS without a word.
            socket.shutdown(Shutdown::Write).unwrap();
        }
        when_sprung.recv_timeout(PATIENCE).unwrap();
        if is_lost {
            let linger = Some(Duration::ZERO);
            socket2::SockRef::from(&socket).set_linger(linger).unwrap();
            // The last of the two does it.
            drop((stream, socket));
            go_on.send(()).unwrap();
        } else if at != At::Lost {
            if !is_after_close(at) {
                let told = stream.write_all(&close(false));
                let told = told.and_then(|()| stream.flush());
                assert!(told.is_ok() || may_fail, "{told:?}");
            }
            // §7.1.1: the client waits for us to go first.
            let _ = socket.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let (done, when_done) = channel();
    thread::spawn(move || {
        let trapped = Trapped {
            at,
            trap: Some(trap),
            remote: None,
            ends,
        };
        let mut client = EventLoop::new(trapped, limits(Config::default())).unwrap();
        client.handler_mut().remote = Some(client.remote());
        let options = ConnectOptions {
            reconnect: Some(Backoff::default()),
            ..options()
        };
        let request = ClientRequest::new(url.parse().unwrap());
        client.connect_with(request, &options, ()).unwrap();
        done.send(client.run()).unwrap();
    });
    ended_once(wire, at, is_lost, &when_ended);
    // The loop has nobody left.
    when_done.recv_timeout(PATIENCE).unwrap().unwrap();
    serving.join().unwrap();
    let more = when_ended.recv_timeout(PATIENCE);
    assert_eq!(more, Err(RecvTimeoutError::Disconnected), "told twice");
}

/// An end is told, of one of the kinds that it can be.
fn ended_once(wire: Wire, at: At, is_lost: bool, ends: &Receiver<&'static str>) {
    let told = match ends.recv_timeout(PATIENCE) {
        Ok(told) => told,
        Err(RecvTimeoutError::Timeout) => panic!("{wire:?}, {at:?}, lost {is_lost}: no end"),
        Err(RecvTimeoutError::Disconnected) => panic!("{wire:?}, {at:?}: the loop is gone"),
    };
    let expected: &[&str] = match (at, is_lost) {
        // It was told before.
        (At::End, _) => &["closed"],
        // A client's first bytes are those of its request.
        (At::Wire, false) => &["closed", "abandoned"],
        (At::Lost, _) => &["eof", "tls-truncated"],
        // What had come before is obeyed, the Close included.
        (At::Closing, true) => &["closed"],
        (_, true) => &["reset"],
        (_, false) => &["closed"],
    };
    let kind = format!("{wire:?}, {at:?}, lost {is_lost}: {told}");
    assert!(expected.contains(&told), "{kind}");
}
