//! One session from its first turn to its last, as a loop would drive it: with a scripted kernel,
//! a clock that is moved when nothing else happens, and an other end in memory.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Poll;

use crate::net::buffers::Buffers;
use crate::net::config::LoopConfig;
use crate::net::connect::{ConnectOptions, Connecting, Plan};
use crate::net::decision::{Asking, Decision};
use crate::net::end::End;
use crate::net::event_loop::Seed;
use crate::net::faults::calls;
use crate::net::faults::kernel::{Counts, Kernel, Script};
use crate::net::faults::peer::{Far, Wire};
use crate::net::handler::{Handler, Message};
use crate::net::hub::{Hub, Place};
use crate::net::peer::Peer;
use crate::net::session::{Context, Flow, Session};
use crate::proto::{Acceptance, ClientRequest, Config, Prepared, Refusal, Request, SendError};

/// What we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum We {
    Serve,
    /// A server that publishes what it receives to whom it comes from.
    Publish,
    Connect,
    /// Through an HTTP proxy.
    ConnectByProxy,
}

impl We {
    pub(super) const ALL: [Self; 4] = [
        Self::Serve,
        Self::Publish,
        Self::Connect,
        Self::ConnectByProxy,
    ];

    pub(super) fn is_server(self) -> bool {
        matches!(self, Self::Serve | Self::Publish)
    }
}

/// What the other end says, in pieces of which sizes, and how it leaves.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) messages: Vec<usize>,
    pub(super) pieces: Vec<usize>,
    pub(super) says_close: bool,
}

impl Talk {
    /// The same without what depends on how the turns fall: what was published in the turn that a
    /// Close comes in does not leave.
    pub(super) fn with(mut self, we: We) -> Self {
        self.says_close &= we != We::Publish;
        self
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What the other end got to read, beneath TLS.
    pub(super) received: Vec<u8>,
    pub(super) messages: usize,
    pub(super) ends: Vec<&'static str>,
    pub(super) counts: Counts,
}

/// Echoes, or has it published, and remembers what it is told.
#[derive(Default)]
struct Witness {
    messages: usize,
    publishes: bool,
    /// What is to be delivered after the turn.
    published: Vec<Prepared>,
    ends: Vec<&'static str>,
}

impl Handler for Witness {
    type Connection = ();

    fn request(&mut self, _: &Request<'_>, _: &Asking<'_>) -> Result<Decision<()>, Refusal> {
        Ok(Decision::Accept(Acceptance::default(), ()))
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        assert!(self.ends.is_empty(), "a message after the end");
        self.messages += 1;
        match message {
            Message::Binary(data) if self.publishes => {
                self.published.push(Prepared::binary(data));
                Ok(())
            }
            message => peer.send(message),
        }
    }

    fn end(&mut self, _: Option<()>, end: &End) {
        self.ends.push(end.why.label());
    }
}

/// Has our session and the other end talk to the end, and looks on that no turn is wasted.
pub(super) fn run(we: We, wire: Wire, talk: &Talk, script: Script) -> Outcome {
    let config = LoopConfig {
        protocol: Arc::new(Config {
            // Small enough that backpressure is felt, but for publications, which are then dropped.
            send_queue_max: if we == We::Publish { 1 << 20 } else { 4 << 10 },
            ..Config::default()
        }),
        ..LoopConfig::default()
    };
    let seed = Seed::group(1, &config).unwrap().remove(0);
    let hub = Hub::new(0, seed.remote(), Instant::now(), config.subscriptions_max);
    let mut cx = Context {
        handler: Witness {
            publishes: we == We::Publish,
            ..Witness::default()
        },
        buffers: Buffers::default(),
        hub,
        config,
        poll: Poll::new().unwrap(),
        revivals: Vec::new(),
    };
    let kernel = Kernel::new(script);
    let mut session = Some(session(we, wire, &kernel, cx.hub.now));
    let mut other = other(we, wire, talk);
    let mut pieces = talk.pieces.iter().copied().cycle();
    let mut on_its_way: Vec<u8> = Vec::new();
    // A client's first turn comes without anything that happens to it: there is no socket yet.
    let (mut again, mut deadlines) = (!we.is_server(), 0);
    let mut has_socket = we.is_server();
    while let Some(ours) = &mut session {
        other.receive(&kernel.departed());
        on_its_way.extend(other.outgoing());
        let mut event = has_socket.then(|| kernel.event()).flatten();
        has_socket = true;
        if event.is_none() && !again {
            // Nothing is to be done until something comes from outside.
            if !on_its_way.is_empty() {
                let size = pieces.next().unwrap_or(usize::MAX).min(on_its_way.len());
                kernel.arrive(on_its_way.drain(..size));
            } else if !kernel.has_ended() && (other.is_done() || kernel.is_half_closed()) {
                kernel.end();
            } else {
                deadlines += 1;
                assert!(deadlines < 3, "it hangs: {:?}", cx.handler.ends);
                let deadline = ours.deadline(&cx.config);
                cx.hub.now = deadline.expect("it hangs for ever") + Duration::from_millis(1);
            }
            event = kernel.event();
        }
        let before = kernel.counts();
        let mut flow = match event {
            Some(ready) => ours.handle_ready(ready, &mut cx),
            None if again => ours.handle_again(&mut cx),
            None => ours.handle_timeout(&mut cx),
        };
        let published = mem::take(&mut cx.handler.published);
        if flow != Flow::Drop && !published.is_empty() {
            flow = match deliver(ours, &published, &mut cx) {
                Flow::Keep => flow,
                other => other,
            };
        }
        let after = kernel.counts();
        let calls = (after.recv + after.send) - (before.recv + before.send);
        // Each call moves a byte, or is the last of its kind in the turn; a turn has some reads
        // and writes, and signals.
        assert!(calls < 200, "{calls} calls in a turn");
        if flow == Flow::Again {
            assert!(after.moved > before.moved, "it spins");
        }
        again = flow == Flow::Again;
        if flow == Flow::Drop {
            session = None;
        }
    }
    assert!(kernel.is_closed(), "a descriptor leaks");
    other.receive(&kernel.departed());
    Outcome {
        received: other.received,
        messages: cx.handler.messages,
        ends: cx.handler.ends,
        counts: kernel.counts(),
    }
}

/// Delivers as the loop does.
fn deliver(
    session: &mut Session<Witness>,
    published: &[Prepared],
    cx: &mut Context<Witness>,
) -> Flow {
    let frames: Vec<&[u8]> = published.iter().map(Prepared::frame).collect();
    let frames = frames.concat();
    match session.hand_on(&frames, (0, published.len() as u64), cx) {
        None => session.deliver_published(published.iter(), cx),
        Some(Ok(sent)) if sent == frames.len() && !cx.buffers.are_in_use() => Flow::Keep,
        Some(written) => session.follow_up(&frames, written, cx),
    }
}

fn session(we: We, wire: Wire, kernel: &Kernel, now: Instant) -> Session<Witness> {
    let place = Place {
        index: 0,
        generation: 1,
    };
    if we.is_server() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let transport = wire.transport(kernel.socket());
        return Session::accepted(transport, address, place, now, false);
    }
    let proxy = (we == We::ConnectByProxy).then(|| "http://127.0.0.1:3128".parse().unwrap());
    let options = ConnectOptions {
        proxy,
        #[cfg(feature = "tls")]
        tls: Some(crate::net::faults::peer::tls::sides().1.clone()),
        ..ConnectOptions::default()
    };
    let url = match wire {
        Wire::Plain => "ws://127.0.0.1:1/",
        #[cfg(feature = "tls")]
        Wire::Tls => "wss://127.0.0.1:1/",
    };
    calls::dial([Ok(kernel.dial())]);
    let request = ClientRequest::new(url.parse().unwrap());
    let plan = Plan::new(request, options).unwrap();
    Session::connecting(place, Connecting::new(plan, (), now))
}

fn other(we: We, wire: Wire, talk: &Talk) -> Far {
    match we {
        We::Serve | We::Publish => Far::client(wire, &talk.messages, talk.says_close),
        We::Connect | We::ConnectByProxy => {
            let is_proxied = we == We::ConnectByProxy;
            Far::server(wire, &talk.messages, talk.says_close, is_proxied)
        }
    }
}
