//! Several loops at one address, each in its thread.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openline::net::{
    Asking, ConnectOptions, ConnectionId, Connector, Decision, End, Handle, Handler, Message,
    OwnedMessage, Peer, Remote, RemoteError, Threads,
};
use openline::proto::{
    Acceptance, ClientRequest, CloseCode, Config, Refusal, Request, SendError, Url,
};

use crate::support::{CLOSE, PATIENCE, Raw, TEXT, config, frame};

/// Says which thread it is in, and hands out its handles.
struct Numbered {
    number: usize,
    seen: Sender<Seen>,
}

enum Seen {
    Open(Handle),
    End(ConnectionId),
}

impl Handler for Numbered {
    /// None that could be sent to another thread.
    type Connection = std::rc::Rc<()>;

    fn request(
        &mut self,
        _: &Request<'_>,
        _: &Asking<'_>,
    ) -> Result<Decision<std::rc::Rc<()>>, Refusal> {
        Ok((Acceptance::default(), std::rc::Rc::default()).into())
    }

    fn open(&mut self, _: &mut std::rc::Rc<()>, peer: &mut Peer<'_>) {
        let _ = self.seen.send(Seen::Open(peer.handle()));
    }

    fn message(
        &mut self,
        _: &mut std::rc::Rc<()>,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        if message == Message::Text("panic") {
            panic!("as asked");
        }
        peer.send_text(&self.number.to_string())
    }

    fn end(&mut self, _: Option<std::rc::Rc<()>>, end: &End) {
        let _ = self.seen.send(Seen::End(end.id));
    }
}

struct Group {
    address: SocketAddr,
    remote: Remote,
    seen: Receiver<Seen>,
    thread: JoinHandle<io::Result<()>>,
}

fn start(threads: usize) -> Group {
    let mut group = Threads::new(threads, config(Config::default())).unwrap();
    let address = group.listen("127.0.0.1:0").unwrap();
    let remote = group.remote();
    let (sender, seen) = channel();
    let thread = thread::spawn(move || {
        group.run(|number| Numbered {
            number,
            seen: sender.clone(),
        })
    });
    Group {
        address,
        remote,
        seen,
        thread,
    }
}

impl Group {
    fn opened(&self) -> Handle {
        loop {
            if let Seen::Open(handle) = self.seen.recv_timeout(PATIENCE).unwrap() {
                return handle;
            }
        }
    }

    fn stop(self) {
        self.remote.shutdown().unwrap();
        let _ = self.remote.shutdown();
        self.thread.join().unwrap().unwrap();
    }
}

fn number_of(raw: &mut Raw) -> usize {
    raw.send(&frame(TEXT, b"which?"));
    let (first, payload) = raw.frame();
    assert_eq!(first, TEXT);
    String::from_utf8(payload).unwrap().parse().unwrap()
}

#[test]
fn each_loop_has_connections_and_every_one_can_be_reached() {
    let group = start(4);
    let mut raws: Vec<Raw> = (0..200).map(|_| Raw::open(group.address)).collect();
    let handles: Vec<Handle> = raws.iter().map(|_| group.opened()).collect();
    let numbers: BTreeSet<usize> = raws.iter_mut().map(number_of).collect();
    assert_eq!(numbers, BTreeSet::from([0, 1, 2, 3]));
    let names: BTreeSet<ConnectionId> = handles.iter().map(Handle::id).collect();
    assert_eq!(names.len(), 200, "names are of the whole group");
    for handle in &handles {
        handle.send(OwnedMessage::Text("hello".to_owned())).unwrap();
    }
    for raw in &mut raws {
        assert_eq!(raw.frame(), (TEXT, b"hello".to_vec()));
    }
    group.stop();
}

#[test]
fn a_handle_outlives_its_connection_and_says_so() {
    let group = start(2);
    let mut raw = Raw::open(group.address);
    let handle = group.opened();
    assert!(!handle.has_ended());
    handle.close(CloseCode::NORMAL, "enough").unwrap();
    assert_eq!(raw.frame(), (CLOSE, b"\x03\xe8enough".to_vec()));
    raw.send(&frame(CLOSE, b"\x03\xe8"));
    assert!(raw.rest().is_empty());
    loop {
        if let Seen::End(id) = group.seen.recv_timeout(PATIENCE).unwrap() {
            assert_eq!(id, handle.id());
            break;
        }
    }
    assert!(handle.has_ended());
    let late = handle.send(OwnedMessage::Text("late".to_owned()));
    assert!(matches!(late, Err(RemoteError::Ended)));
    assert!(matches!(handle.call(), Err(RemoteError::Ended)));
    let id = handle.id();
    let remote = group.remote.clone();
    group.stop();
    assert!(matches!(remote.call(id), Err(RemoteError::Gone)));
}

#[test]
fn shutting_down_reaches_all_of_them() {
    let group = start(3);
    let mut raws: Vec<Raw> = (0..30).map(|_| Raw::open(group.address)).collect();
    for raw in &mut raws {
        number_of(raw);
    }
    group.remote.shutdown().unwrap();
    for raw in &mut raws {
        let (first, payload) = raw.frame();
        assert_eq!((first, &payload[..2]), (CLOSE, &1001_u16.to_be_bytes()[..]));
        raw.send(&frame(CLOSE, &payload[..2]));
    }
    group.thread.join().unwrap().unwrap();
}

#[test]
fn a_second_server_at_the_same_port_is_a_mistake() {
    let group = start(2);
    for threads in [1, 2] {
        let mut second = Threads::new(threads, config(Config::default())).unwrap();
        let error = second.listen(group.address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
    group.stop();
}

#[test]
fn a_panic_in_one_thread_is_the_end_of_all_and_is_passed_on() {
    let group = start(3);
    let mut raw = Raw::open(group.address);
    raw.send(&frame(TEXT, b"panic"));
    let begun = Instant::now();
    let joined = catch_unwind(AssertUnwindSafe(|| group.thread.join().unwrap()));
    let panic = joined.unwrap_err();
    drop(panic);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// Has its connections end when they are open, and connects once more for the first of each loop.
struct Caller {
    number: usize,
    connector: Connector<&'static str>,
    url: Url,
    seen: Sender<(usize, &'static str)>,
}

impl Handler for Caller {
    type Connection = &'static str;

    fn request(
        &mut self,
        _: &Request<'_>,
        _: &Asking<'_>,
    ) -> Result<Decision<&'static str>, Refusal> {
        unreachable!("it is no server")
    }

    fn open(&mut self, name: &mut &'static str, peer: &mut Peer<'_>) {
        let _ = self.seen.send((self.number, *name));
        if *name != "stays" {
            peer.close(CloseCode::NORMAL, "").unwrap();
        }
    }

    fn message(
        &mut self,
        _: &mut &'static str,
        _: &mut Peer<'_>,
        _: Message<'_>,
    ) -> Result<(), SendError> {
        Ok(())
    }

    fn end(&mut self, name: Option<&'static str>, _: &End) {
        if name == Some("first") {
            self.connector
                .only(self.number)
                .connect(
                    ClientRequest::new(self.url.clone()),
                    &ConnectOptions::default(),
                    "again",
                )
                .unwrap();
        }
    }
}

#[test]
fn loops_of_a_group_connect_in_turn_until_none_has_anything_to_do() {
    let server = start(1);
    let url: Url = format!("ws://{}/", server.address).parse().unwrap();
    let clients = Threads::new(3, config(Config::default()))
        .unwrap()
        .with_clients();
    let (connector, remote) = (clients.connector(), clients.remote());
    let connect = |connector: &Connector<&'static str>, name| {
        connector.connect(
            ClientRequest::new(url.clone()),
            &ConnectOptions::default(),
            name,
        )
    };
    // One stays, so that none ends.
    connect(&connector.only(1), "stays").unwrap();
    for _ in 0..3 {
        connect(&connector, "first").unwrap();
    }
    let (seen, receiver) = channel();
    let handlers = (connector.clone(), url.clone());
    let running = thread::spawn(move || {
        clients.run(|number| Caller {
            number,
            connector: handlers.0.clone(),
            url: handlers.1.clone(),
            seen: seen.clone(),
        })
    });
    let mut opened = Vec::new();
    while opened.len() < 7 {
        opened.push(receiver.recv_timeout(PATIENCE).unwrap());
    }
    opened.sort_unstable();
    let of = |name| [0, 1, 2].map(|number| (number, name));
    let mut expected = [of("first"), of("again")].concat();
    expected.push((1, "stays"));
    expected.sort_unstable();
    assert_eq!(opened, expected);
    // Those with nothing to do are there still.
    for number in [2, 0] {
        connect(&connector.only(number), "late").unwrap();
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), (number, "late"));
    }
    // The server ends the one that stayed, and so the loops.
    server.stop();
    running.join().unwrap().unwrap();
    let refused = connect(&connector, "too late").unwrap_err();
    assert!(refused.to_string().contains("gone"), "{refused}");
    assert!(matches!(remote.shutdown(), Err(RemoteError::Gone)));
}
