//! The crowd: connections of openline's own client, which come, say something now and then, and
//! go in order. Each message is answered before the next; each connection keeps count.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use openline::net::{
    ConnectOptions, ConnectionId, Connector, End, EventLoop, Handler, LoopConfig, Message, Peer,
    Remote,
};
use openline::proto::{ClientRequest, CloseCode, SendError};

use crate::random::Random;
use crate::server::{PATIENCE, Server, Trust};

/// How often the crowd is looked after.
const TICK: Duration = Duration::from_millis(10);
/// How many speak in a tick.
const SPEAKERS: usize = 10;
/// How many connect at a time: fewer than a backlog has room for.
const PENDING_MAX: u64 = 64;
/// What a connection says at most, before it goes.
const MESSAGES_MAX: usize = 20;

/// A crowd at work.
pub(crate) struct Crowd {
    remote: Remote,
    stop: Arc<AtomicBool>,
    is_gathered: Arc<AtomicBool>,
    shared: Arc<Shared>,
    client: JoinHandle<()>,
    leader: JoinHandle<()>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) opened: u64,
    pub(crate) sent: u64,
    pub(crate) echoed: u64,
    /// Those that were refused, or did not end by a Close frame.
    pub(crate) cut_off: u64,
}

/// What the client's loop and the leader of the crowd have in common.
#[derive(Default)]
struct Shared {
    /// Those that are open and wait to speak.
    ready: Mutex<Vec<ConnectionId>>,
    tally: Mutex<Tally>,
    /// Those that are open.
    open: AtomicU64,
    /// Those that are to be.
    pending: AtomicU64,
    /// All that ever came.
    came: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

/// One of the crowd.
struct Member {
    left: usize,
    sent: u64,
    echoed: u64,
    opened: bool,
}

struct Members(Arc<Shared>);

impl Crowd {
    pub(crate) fn start(servers: &[Server; 2], trust: &Trust, size: usize, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            stop: Arc::clone(&stop),
            ..Shared::default()
        });
        let members = Members(Arc::clone(&shared));
        let (ready, when_ready) = channel();
        let client = thread::spawn(move || {
            let mut client = EventLoop::new(members, LoopConfig::default()).unwrap();
            // Lest it ends before the first has come.
            client.listen("127.0.0.1:0").unwrap();
            ready.send((client.remote(), client.connector())).unwrap();
            client.run().unwrap();
        });
        let (remote, connector) = when_ready.recv_timeout(PATIENCE).unwrap();
        let is_gathered = Arc::new(AtomicBool::new(false));
        let leader = Leader {
            requests: servers
                .each_ref()
                .map(|server| ClientRequest::new(server.url.parse().unwrap())),
            options: ConnectOptions {
                timeout: PATIENCE,
                tls: Some(trust.client.clone()),
                ..ConnectOptions::default()
            },
            connector,
            remote: remote.clone(),
            random: Random::new(seed),
            size: size as u64,
            shared: Arc::clone(&shared),
            is_gathered: Arc::clone(&is_gathered),
        };
        Self {
            remote,
            stop,
            is_gathered,
            shared,
            client,
            leader: thread::spawn(move || leader.lead()),
        }
    }

    /// Whether all have been there.
    pub(crate) fn is_gathered(&self) -> bool {
        self.is_gathered.load(Ordering::Relaxed)
    }

    /// Counts all that come.
    pub(crate) fn pace(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.came)
    }

    /// Has all go, in order.
    pub(crate) fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.leader.join().unwrap();
        self.remote.shutdown().unwrap();
        self.client.join().unwrap();
        *self.shared.tally.lock().unwrap()
    }
}

struct Leader {
    requests: [ClientRequest; 2],
    options: ConnectOptions,
    connector: Connector<Member>,
    remote: Remote,
    random: Random,
    size: u64,
    shared: Arc<Shared>,
    is_gathered: Arc<AtomicBool>,
}

impl Leader {
    fn lead(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.fill_up();
            if self.is_gathered.load(Ordering::Relaxed) {
                self.have_some_speak();
            }
            thread::sleep(TICK);
        }
        // Those that are on their way may arrive.
        for _ in 0..500 {
            if self.shared.pending.load(Ordering::Relaxed) == 0 {
                break;
            }
            thread::sleep(TICK);
        }
    }

    fn fill_up(&mut self) {
        let (open, pending) = (&self.shared.open, &self.shared.pending);
        let lacking = self.size.saturating_sub(open.load(Ordering::Relaxed));
        if lacking == 0 {
            self.is_gathered.store(true, Ordering::Relaxed);
        }
        let begun = pending.load(Ordering::Relaxed);
        for _ in begun..lacking.min(PENDING_MAX) {
            let member = Member {
                left: 1 + self.random.below(MESSAGES_MAX),
                sent: 0,
                echoed: 0,
                opened: false,
            };
            pending.fetch_add(1, Ordering::Relaxed);
            let request = self.requests[self.random.below(2)].clone();
            let begun = self.connector.connect(request, &self.options, member);
            begun.unwrap();
        }
    }

    fn have_some_speak(&mut self) {
        for _ in 0..SPEAKERS {
            let mut ready = self.shared.ready.lock().unwrap();
            if ready.is_empty() {
                return;
            }
            let speaker = self.random.below(ready.len());
            let id = ready.swap_remove(speaker);
            drop(ready);
            self.remote.call(id).unwrap();
        }
    }
}

impl Handler for Members {
    type Connection = Member;

    fn open(&mut self, member: &mut Member, peer: &mut Peer<'_>) {
        member.opened = true;
        self.0.open.fetch_add(1, Ordering::Relaxed);
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
        self.0.came.fetch_add(1, Ordering::Relaxed);
        self.0.ready.lock().unwrap().push(peer.id());
    }

    /// It is this one's turn to speak.
    fn called(&mut self, member: &mut Member, peer: &mut Peer<'_>) {
        let text = format!("message {} of {}", member.sent, peer.id());
        // One that is closing says nothing.
        if peer.send_text(&text).is_ok() {
            member.sent += 1;
        }
        member.left -= 1;
        if member.left == 0 {
            // With the message before it unanswered as yet.
            let _ = peer.close(CloseCode::NORMAL, "");
        }
    }

    fn message(
        &mut self,
        member: &mut Member,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        let expected = format!("message {} of {}", member.echoed, peer.id());
        if message == Message::Text(&expected) {
            member.echoed += 1;
        }
        if member.left > 0 {
            self.0.ready.lock().unwrap().push(peer.id());
        }
        Ok(())
    }

    fn end(&mut self, member: Option<Member>, end: &End) {
        let Some(member) = member else {
            return;
        };
        let mut tally = self.0.tally.lock().unwrap();
        tally.opened += u64::from(member.opened);
        tally.sent += member.sent;
        tally.echoed += member.echoed;
        match member.opened {
            true => self.0.open.fetch_sub(1, Ordering::Relaxed),
            false => self.0.pending.fetch_sub(1, Ordering::Relaxed),
        };
        let label = end.why.label();
        if label != "closed" || member.sent != member.echoed {
            eprintln!(
                "one of the crowd: {} ({} sent, {} echoed)",
                end.why, member.sent, member.echoed
            );
            tally.cut_off += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            opened,
            sent,
            echoed,
            ..
        } = self;
        write!(
            f,
            "{opened} came and went in order, with {echoed} echoes of {sent} messages"
        )
    }
}
