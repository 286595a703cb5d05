//! What is traced of a connection: spans and events, for a subscriber that wants them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use openline::net::auth::{Denial, Guard, Identity};
use openline::net::{Asking, Decision, EventLoop, Handler, LoopConfig, Message, Peer};
use openline::proto::{Acceptance, Refusal, Request, SendError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::{CLOSE, Raw, TEXT, frame, request};

type Fields = BTreeMap<&'static str, String>;

/// Keeps what is traced up to a level.
struct Keeper {
    level: Level,
    kept: Arc<Mutex<Kept>>,
    next: AtomicU64,
}

#[derive(Default)]
struct Kept {
    spans: BTreeMap<u64, (&'static str, Fields)>,
    /// The spans that are entered, the innermost last.
    entered: Vec<u64>,
    /// Each event with the name of the span around it.
    events: Vec<(Option<&'static str>, Fields)>,
}

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "openline" && *metadata.level() <= self.level
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut fields = Fields::new();
        attributes.record(&mut Visitor(&mut fields));
        let name = attributes.metadata().name();
        self.kept.lock().unwrap().spans.insert(id, (name, fields));
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        let mut kept = self.kept.lock().unwrap();
        let span = kept.entered.last().map(|id| kept.spans[id].0);
        kept.events.push((span, fields));
    }

    fn enter(&self, span: &Id) {
        self.kept.lock().unwrap().entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        assert_eq!(
            self.kept.lock().unwrap().entered.pop(),
            Some(span.into_u64())
        );
    }

    fn clone_span(&self, id: &Id) -> Id {
        id.clone()
    }
}

/// Lets in who asks for `/alice`, by that name.
struct Named(Guard);

impl Handler for Named {
    type Connection = ();

    fn request(
        &mut self,
        request: &Request<'_>,
        asking: &Asking<'_>,
    ) -> Result<Decision<()>, Refusal> {
        self.0.admit(request, asking)?;
        Ok(Decision::Accept(Acceptance::default(), ()))
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        peer.send(message)
    }
}

/// What is kept at this level of a connection that is refused, and of one that is not.
fn kept(level: Level) -> Kept {
    let kept = Arc::new(Mutex::new(Kept::default()));
    let keeper = Keeper {
        level,
        kept: Arc::clone(&kept),
        next: AtomicU64::new(0),
    };
    let (ready, when_ready) = channel();
    let thread = thread::spawn(move || {
        tracing::subscriber::with_default(keeper, || {
            let guard = Guard::new().and(|request: &Request<'_>, _| match request.path() {
                "/alice" => Ok(Some(Identity::new("alice"))),
                _ => Err(Denial::Forbidden("she is not alice")),
            });
            let mut server = EventLoop::new(Named(guard), LoopConfig::default()).unwrap();
            let address = server.listen("127.0.0.1:0").unwrap();
            ready.send((address, server.remote())).unwrap();
            server.run().unwrap();
        });
    });
    let (address, remote) = when_ready.recv().unwrap();
    let mut refused = Raw::connect(address);
    refused.send(request("/bob").as_bytes());
    assert!(refused.head().starts_with("HTTP/1.1 403 "));
    let _ = refused.rest();
    let mut raw = Raw::connect(address);
    raw.send(request("/alice?secret").as_bytes());
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    for _ in 0..3 {
        raw.send(&frame(TEXT, b"hello"));
        raw.frame();
    }
    raw.send(&frame(CLOSE, b"\x03\xe8"));
    raw.frame();
    let _ = raw.rest();
    remote.shutdown().unwrap();
    thread.join().unwrap();
    Arc::into_inner(kept).unwrap().into_inner().unwrap()
}

fn find<'a>(kept: &'a Kept, message: &str) -> (Option<&'static str>, &'a Fields) {
    let is_it = |(_, fields): &&(_, Fields)| fields["message"] == message;
    let (span, fields) = kept.events.iter().find(is_it).unwrap();
    (*span, fields)
}

#[test]
fn the_end_says_who_how_long_and_how_much() {
    let kept = kept(Level::INFO);
    assert!(kept.spans.is_empty());
    let (_, accepted) = find(&kept, "handshake accepted");
    assert_eq!(accepted["subject"], "alice");
    assert_eq!(accepted["path"], "/alice");
    let (_, ended) = find(&kept, "connection ended");
    for (name, value) in [
        ("subject", "alice"),
        ("messages_received", "3"),
        ("messages_sent", "3"),
        // Three of eleven bytes, and the Close frame's eight.
        ("bytes_received", "41"),
        ("bytes_sent", "21"),
        ("code", "1000"),
        ("verdict", "closed"),
    ] {
        assert_eq!(ended[name], value, "{name}: {ended:?}");
    }
    assert!(ended["lasted"].ends_with('s'), "{ended:?}");
    let (_, failed) = find(&kept, "handshake failed");
    assert_eq!(failed["refused"], "she is not alice");
    assert!(!failed.contains_key("lasted"));
}

#[test]
fn the_handshake_and_the_session_are_spans() {
    let kept = kept(Level::DEBUG);
    assert_eq!(find(&kept, "handshake failed").0, Some("handshake"));
    assert_eq!(find(&kept, "handshake accepted").0, Some("handshake"));
    assert_eq!(find(&kept, "close received").0, Some("session"));
    assert_eq!(find(&kept, "connection ended").0, Some("session"));
    assert!(kept.entered.is_empty());
    let spans: Vec<_> = kept.spans.values().collect();
    let sessions = spans.iter().filter(|(name, _)| *name == "session");
    let sessions: Vec<_> = sessions.collect();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].1["subject"], "alice");
    assert_eq!(spans.len(), 3);
}

#[test]
fn a_subscriber_that_wants_warnings_is_told_nothing_of_what_is_usual() {
    let kept = kept(Level::WARN);
    assert!(kept.spans.is_empty() && kept.events.is_empty());
}
