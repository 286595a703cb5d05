//! Topics: whoever subscribes gets what is published, in one write a turn, in whatever thread.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use openline::net::{
    Asking, ConnectionId, Decision, End, Handle, Handler, LoopConfig, Message, OwnedMessage, Peer,
    Remote, RemoteError, SubscribeError, Threads, Undelivered,
};
use openline::proto::{Acceptance, Config, Prepared, Refusal, Request, SendError};

use crate::support::{CLOSE, PATIENCE, PING, PONG, Raw, TEXT, config, frame, request};

/// Does as it is told: `sub TOPIC`, `unsub TOPIC`, `pub TOPIC TEXT…`, `others TOPIC TEXT`; answers
/// the first two, and publishes each word of the text.
struct Board {
    seen: Sender<Seen>,
    written: Written,
    /// What a loop that is told to wait waits for.
    pass: Arc<Mutex<Receiver<()>>>,
}

/// Whose writes there have been.
type Written = Arc<Mutex<Vec<ConnectionId>>>;

enum Seen {
    Open(Handle),
    End(u64),
    Waiting,
    Undelivered(ConnectionId, OwnedMessage, Undelivered),
}

impl Handler for Board {
    /// Whether somebody gets a handle on it: publications have a shorter way where nobody does.
    type Connection = bool;

    fn request(
        &mut self,
        request: &Request<'_>,
        _: &Asking<'_>,
    ) -> Result<Decision<bool>, Refusal> {
        Ok((Acceptance::default(), request.path() != ALONE).into())
    }

    fn open(&mut self, is_held: &mut bool, peer: &mut Peer<'_>) {
        if *is_held {
            let _ = self.seen.send(Seen::Open(peer.handle()));
        }
    }

    fn message(
        &mut self,
        _: &mut bool,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        let Message::Text(text) = message else {
            return Ok(());
        };
        let mut words = text.split(' ');
        let (what, topic) = (words.next().unwrap(), words.next().unwrap_or_default());
        match what {
            "sub" => {
                let subscribed = peer.subscribe(topic);
                peer.send_text(&format!("{subscribed:?}"))
            }
            "unsub" => {
                let had = peer.unsubscribe(topic);
                peer.send_text(&format!("{had}"))
            }
            "mine" => {
                let names: Vec<&str> = peer.subscriptions().collect();
                let names = names.join(" ");
                peer.send_text(&names)
            }
            "pub" => {
                for word in words {
                    peer.publish(topic, &Prepared::text(word));
                }
                Ok(())
            }
            "others" => {
                for word in words {
                    peer.publish_to_others(topic, &Prepared::text(word));
                }
                Ok(())
            }
            "wait" => {
                let _ = self.seen.send(Seen::Waiting);
                let passed = self.pass.lock().unwrap().recv_timeout(PATIENCE);
                passed.expect("it is let pass");
                Ok(())
            }
            "dropped" => {
                let dropped = peer.dropped();
                peer.send_text(&dropped.to_string())
            }
            _ => unreachable!("{text}"),
        }
    }

    fn flushed(&mut self, _: &mut bool, peer: &mut Peer<'_>) {
        self.written.lock().unwrap().push(peer.id());
    }

    fn undelivered(&mut self, id: ConnectionId, message: OwnedMessage, why: Undelivered) {
        let _ = self.seen.send(Seen::Undelivered(id, message, why));
    }

    fn end(&mut self, _: Option<bool>, end: &End) {
        let _ = self.seen.send(Seen::End(end.dropped));
    }
}

pub(crate) struct Group {
    address: SocketAddr,
    remote: Remote,
    seen: Receiver<Seen>,
    written: Written,
    pub(crate) pass: Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

pub(crate) fn start(threads: usize, config: LoopConfig) -> Group {
    let mut group = Threads::new(threads, config).unwrap();
    let address = group.listen("127.0.0.1:0").unwrap();
    let remote = group.remote();
    let (seen, receiver) = channel();
    let written = Written::default();
    let noted = Arc::clone(&written);
    let (pass, passes) = channel();
    let passes = Arc::new(Mutex::new(passes));
    let thread = thread::spawn(move || {
        group.run(|_| Board {
            seen: seen.clone(),
            written: Arc::clone(&noted),
            pass: Arc::clone(&passes),
        })
    });
    Group {
        address,
        remote,
        seen: receiver,
        written,
        pass,
        thread,
    }
}

impl Group {
    pub(crate) fn open(&self) -> (Raw, Handle) {
        let raw = Raw::open(self.address);
        match self.seen.recv_timeout(PATIENCE).unwrap() {
            Seen::Open(handle) => (raw, handle),
            _ => panic!("it opens first"),
        }
    }

    /// Until the loop waits, as it was told.
    pub(crate) fn await_waiting(&self) {
        while !matches!(self.seen.recv_timeout(PATIENCE).unwrap(), Seen::Waiting) {}
    }

    /// Whose writes there have been: what they wrote may be here before that is noted.
    fn written(&self) -> Vec<ConnectionId> {
        let mut count = 0;
        loop {
            thread::sleep(Duration::from_millis(100));
            let written = self.written.lock().unwrap().clone();
            if written.len() == count {
                return written;
            }
            count = written.len();
        }
    }

    /// How many there have been.
    pub(crate) fn writes(&self) -> usize {
        self.written().len()
    }

    pub(crate) fn stop(self) {
        self.remote.shutdown().unwrap();
        let _ = self.remote.shutdown();
        self.thread.join().unwrap().unwrap();
    }
}

pub(crate) fn tell(raw: &mut Raw, what: &str) {
    raw.send(&frame(TEXT, what.as_bytes()));
}

fn ask(raw: &mut Raw, what: &str) -> String {
    tell(raw, what);
    text(raw)
}

pub(crate) fn text(raw: &mut Raw) -> String {
    let (first, payload) = raw.frame();
    assert_eq!(first, TEXT);
    String::from_utf8(payload).unwrap()
}

pub(crate) const SUBSCRIBERS: usize = 1000;

/// What a connection asks for that nobody is to have a handle on.
pub(crate) const ALONE: &str = "/alone";

/// As many, each with two subscriptions.
pub(crate) fn subscribers(group: &Group, request: &str, count: usize) -> Vec<Raw> {
    allow_descriptors();
    let open = |_| {
        let mut raw = Raw::connect(group.address);
        raw.send(request.as_bytes());
        assert!(raw.head().starts_with("HTTP/1.1 101 "));
        for topic in ["sub x", "sub y"] {
            assert_eq!(ask(&mut raw, topic), "Ok(true)");
        }
        raw
    };
    (0..count).map(open).collect()
}

/// Two for each connection are more than the usual limit, which is there for `select`.
fn allow_descriptors() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};

        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    }
}

/// Nothing is on its way but the answer to this.
pub(crate) fn assert_quiet(raw: &mut Raw) {
    raw.send(&frame(PING, b"?"));
    assert_eq!(raw.frame(), (PONG, b"?".to_vec()));
}

#[test]
fn subscribers_get_what_is_published_and_nobody_else() {
    let group = start(1, config(Config::default()));
    let (mut a, _) = group.open();
    let (mut b, _) = group.open();
    let (mut c, _) = group.open();
    assert_eq!(ask(&mut a, "sub x"), "Ok(true)");
    assert_eq!(ask(&mut a, "sub x"), "Ok(false)");
    assert_eq!(ask(&mut b, "sub x"), "Ok(true)");
    assert_eq!(ask(&mut b, "sub y"), "Ok(true)");
    assert_eq!(ask(&mut b, "mine"), "y x");
    tell(&mut c, "pub x 1");
    for raw in [&mut a, &mut b] {
        assert_eq!(text(raw), "1");
    }
    tell(&mut a, "pub x 2");
    tell(&mut b, "others x 3");
    assert_eq!((text(&mut a), text(&mut a)), ("2".into(), "3".into()));
    assert_eq!(text(&mut b), "2");
    assert_eq!(ask(&mut b, "unsub x"), "true");
    assert_eq!(ask(&mut b, "unsub x"), "false");
    tell(&mut c, "pub x 4");
    assert_eq!(text(&mut a), "4");
    for raw in [&mut a, &mut b, &mut c] {
        assert_quiet(raw);
    }
    group.stop();
}

#[test]
fn whoever_got_a_publication_first_gets_the_next_last() {
    for path in [ALONE, "/"] {
        let group = start(1, config(Config::default()));
        let mut raws = subscribers(&group, &request(path), 3);
        let (mut publisher, _) = group.open();
        let before = group.writes();
        for publication in ["1", "2"] {
            tell(&mut publisher, &format!("pub x {publication}"));
            for raw in &mut raws {
                assert_eq!(text(raw), publication);
            }
        }
        let written = group.written();
        let (first, second) = written[before..].split_at(3);
        assert!(first.is_sorted() || first.iter().rev().is_sorted());
        assert!(first.iter().rev().eq(second), "{first:?}, {second:?}");
        group.stop();
    }
}

#[test]
fn several_publications_in_one_turn_are_one_write_for_each_subscriber() {
    // By way of each connection's queue, and handed on as they are.
    for path in ["/", ALONE] {
        let group = start(1, config(Config::default()));
        let mut raws = subscribers(&group, &request(path), SUBSCRIBERS);
        let (mut publisher, _) = group.open();
        assert_quiet(&mut publisher);
        let before = group.writes();
        // In one segment, so that it is read at once.
        let news = [
            frame(TEXT, b"pub x 1 2"),
            frame(TEXT, b"pub y 3"),
            frame(TEXT, b"pub x 4"),
        ];
        publisher.send(&news.concat());
        for raw in &mut raws {
            for expected in ["1", "2", "3", "4"] {
                assert_eq!(text(raw), expected);
            }
        }
        assert_quiet(&mut publisher);
        assert_eq!(
            group.writes() - before,
            SUBSCRIBERS + 1,
            "and one for the Pong"
        );
        group.stop();
    }
}

#[test]
fn what_all_get_alike_arrives_whole_and_in_order_whoever_reads_late() {
    let patient = Config {
        send_queue_max: 32 << 20,
        ..Config::default()
    };
    let group = start(1, config(patient));
    let mut raws = subscribers(&group, &request(ALONE), 20);
    // One of them has a handle on it, and one publishes.
    raws.push(group.open().0);
    assert_eq!(ask(&mut raws[20], "sub x"), "Ok(true)");
    let (mut publisher, _) = group.open();
    // Each in a turn of its own: one, more than a system takes of it at once, and several.
    let long = "l".repeat(8 << 20);
    for what in ["pub x 1", &format!("pub x {long}"), "pub x 2 3 4"] {
        tell(&mut publisher, what);
        assert_quiet(&mut publisher);
    }
    for raw in &mut raws {
        for expected in ["1", &*long, "2", "3", "4"] {
            assert!(text(raw) == expected, "{:.9}", expected);
        }
    }
    // And not to whom it comes from.
    tell(&mut raws[0], "others x 5 6");
    tell(&mut publisher, "pub x 7");
    for (n, raw) in raws.iter_mut().enumerate() {
        let mut got: Vec<String> = (0..if n == 0 { 1 } else { 3 }).map(|_| text(raw)).collect();
        got.retain(|text| text != "7");
        let of_others: &[&str] = if n == 0 { &[] } else { &["5", "6"] };
        assert_eq!(got, of_others);
    }
    let counts = group.remote.metrics().snapshot();
    assert_eq!(counts.publications_dropped, 0);
    group.stop();
}

#[cfg(feature = "deflate")]
#[test]
fn publications_are_compressed_once_for_all_who_can_share_them() {
    use openline::proto::Deflate;

    const RSV1: u8 = 0x40;
    let group = start(
        1,
        config(Config {
            compression: Some(Deflate {
                threshold: 100,
                ..Deflate::default()
            }),
            ..Config::default()
        }),
    );
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let offering = request("/").replace("\r\n\r\n", &format!("\r\n{offer}"));
    let mut raws = subscribers(&group, &offering, SUBSCRIBERS);
    let mut plain = group.open().0;
    assert_eq!(ask(&mut plain, "sub x"), "Ok(true)");
    let (mut publisher, _) = group.open();
    let before = group.writes();
    let long = [b'a', b'b', b'c'].map(|letter| String::from_utf8(vec![letter; 1000]).unwrap());
    let news = [
        frame(
            TEXT,
            format!("pub x {} {} short", long[0], long[1]).as_bytes(),
        ),
        frame(TEXT, format!("pub x {}", long[2]).as_bytes()),
    ];
    publisher.send(&news.concat());
    for expected in [&*long[0], &long[1], "short", &long[2]] {
        assert_eq!(text(&mut plain), expected);
    }
    for raw in &mut raws {
        for is_compressed in [true, true, false, true] {
            let (first, payload) = raw.frame();
            let expected = if is_compressed { TEXT | RSV1 } else { TEXT };
            assert_eq!(first, expected);
            assert!(payload.len() < 100);
        }
    }
    assert_quiet(&mut publisher);
    // What is counted in a turn shows after it.
    assert_quiet(&mut publisher);
    assert_eq!(group.remote.metrics().snapshot().messages_compressed, 3);
    assert_eq!(group.writes() - before, SUBSCRIBERS + 1 + 2, "with Pongs");
    group.stop();
}

#[test]
fn publications_reach_every_thread_from_any() {
    let group = start(3, config(Config::default()));
    let mut raws: Vec<Raw> = (0..60).map(|_| group.open().0).collect();
    for raw in &mut raws {
        assert_eq!(ask(raw, "sub x"), "Ok(true)");
    }
    tell(&mut raws[0], "pub x here");
    for raw in &mut raws {
        assert_eq!(text(raw), "here");
    }
    tell(&mut raws[59], "others x there");
    for raw in &mut raws[..59] {
        assert_eq!(text(raw), "there");
    }
    let remote = group.remote.clone();
    let publisher = thread::spawn(move || {
        for n in 0..100 {
            remote
                .publish("x", &Prepared::text(&n.to_string()))
                .unwrap();
        }
    });
    for raw in &mut raws {
        for n in 0..100 {
            assert_eq!(text(raw), n.to_string());
        }
    }
    publisher.join().unwrap();
    for raw in &mut raws {
        assert_quiet(raw);
    }
    group.stop();
}

#[test]
fn other_threads_subscribe_and_who_has_ended_is_no_subscriber() {
    let group = start(2, config(Config::default()));
    let (mut a, handle_a) = group.open();
    let (mut b, handle_b) = group.open();
    for handle in [&handle_a, &handle_b] {
        handle.subscribe("x").unwrap();
    }
    group.remote.publish("x", &Prepared::text("1")).unwrap();
    for raw in [&mut a, &mut b] {
        assert_eq!(text(raw), "1");
    }
    handle_a.unsubscribe("x").unwrap();
    group.remote.publish("x", &Prepared::text("2")).unwrap();
    assert_eq!(text(&mut b), "2");
    assert_quiet(&mut a);

    b.send(&frame(CLOSE, b""));
    assert_eq!(b.frame(), (CLOSE, Vec::new()));
    drop(b);
    assert!(matches!(
        group.seen.recv_timeout(PATIENCE).unwrap(),
        Seen::End(_)
    ));
    group.remote.publish("x", &Prepared::text("3")).unwrap();
    // The next at its place in the table inherits nothing.
    let (mut c, _) = group.open();
    group.remote.publish("x", &Prepared::text("4")).unwrap();
    for raw in [&mut a, &mut c] {
        assert_quiet(raw);
    }
    assert!(matches!(handle_b.subscribe("x"), Err(RemoteError::Ended)));
    let subscribe = OwnedMessage::Subscribe("x".to_owned());
    group.remote.send(handle_b.id(), subscribe.clone()).unwrap();
    let Seen::Undelivered(id, message, why) = group.seen.recv_timeout(PATIENCE).unwrap() else {
        panic!("it is given back");
    };
    assert_eq!((id, message), (handle_b.id(), subscribe));
    assert_eq!(why, Undelivered::Ended);
    group.stop();
}

#[test]
fn subscriptions_have_a_limit() {
    let limits = LoopConfig {
        subscriptions_max: 2,
        ..config(Config::default())
    };
    let group = start(1, limits);
    let (mut raw, handle) = group.open();
    for topic in ["a", "b"] {
        assert_eq!(ask(&mut raw, &format!("sub {topic}")), "Ok(true)");
    }
    assert_eq!(ask(&mut raw, "sub c"), "Err(TooMany { max: 2 })");
    handle.subscribe("c").unwrap();
    let Seen::Undelivered(_, _, why) = group.seen.recv_timeout(PATIENCE).unwrap() else {
        panic!("it is given back");
    };
    assert_eq!(
        why,
        Undelivered::Subscribe(SubscribeError::TooMany { max: 2 })
    );
    assert_eq!(ask(&mut raw, "unsub a"), "true");
    assert_eq!(ask(&mut raw, "sub c"), "Ok(true)");
    group.stop();
}

#[test]
fn publishing_to_loops_that_are_gone_says_so() {
    let group = start(2, config(Config::default()));
    let remote = group.remote.clone();
    group.stop();
    let published = remote.publish("x", &Prepared::text("x"));
    assert!(matches!(published, Err(RemoteError::Gone)));
}

#[test]
fn what_a_full_mailbox_loses_is_counted_for_each_subscriber() {
    let group = start(
        2,
        LoopConfig {
            mailbox_max: 2,
            ..config(Config::default())
        },
    );
    // Those beyond the first of a loop stay, so that their end is not taken for an opening.
    let (mut loops, mut others) = ([None, None], Vec::new());
    while loops.iter().any(Option::is_none) {
        let (raw, handle) = group.open();
        let number = usize::from(handle.id().to_string().starts_with('1'));
        others.extend(loops[number].replace(raw));
    }
    let [mut here, mut there] = loops.map(Option::unwrap);
    assert_eq!(ask(&mut here, "sub x"), "Ok(true)");
    assert_eq!(ask(&mut there, "sub x"), "Ok(true)");
    tell(&mut there, "wait");
    group.await_waiting();
    // Each in a turn of its own.
    for word in ["1", "2", "3", "4", "5"] {
        tell(&mut here, &format!("pub x {word}"));
        assert_eq!(text(&mut here), word);
        assert_quiet(&mut here);
    }
    let refused = group.remote.publish("x", &Prepared::text("6"));
    assert!(matches!(refused, Err(RemoteError::Full)));
    assert_eq!(text(&mut here), "6");
    group.pass.send(()).unwrap();
    assert_eq!(
        (text(&mut there), text(&mut there)),
        ("1".into(), "2".into())
    );
    assert_eq!(ask(&mut there, "dropped"), "4");
    assert_eq!(ask(&mut here, "dropped"), "0");
    let counts = group.remote.metrics().snapshot();
    assert_eq!(
        (counts.publications_lost, counts.publications_dropped),
        (4, 0)
    );
    drop(there);
    let dropped = loop {
        if let Seen::End(dropped @ 1..) = group.seen.recv_timeout(PATIENCE).unwrap() {
            break dropped;
        }
    };
    assert_eq!(dropped, 4);
    group.stop();
}
