//! The demo's side of the event loop: tabs, the connections that tell of their wires, and pages.

use std::sync::Arc;
use std::time::Instant;

use openline::net::{
    Asking, ConnectionId, Decision, End, Handler, Message, OwnedMessage, Peer, Undelivered,
};
use openline::proto::{Acceptance, CloseCode, Page, Refusal, Request, Role, SendError, Status};
use rand::TryRng;
use rand::rngs::SysRng;
use serde_json::Value;

use crate::cli::demo::room::Side;
use crate::cli::demo::stage::Stage;
use crate::cli::demo::wires::What;
use crate::cli::demo::{page, peer};

#[derive(Debug)]
pub(super) struct Demo {
    stage: Arc<Stage>,
}

/// What a connection is for.
#[derive(Debug)]
pub(super) enum Place {
    /// A tab's own, with the secret that its other connections show.
    Tab { side: Side, key: String },
    /// It tells this tab of its wire.
    Follower { tab: ConnectionId },
    /// A peer's that a tab asked for: it is answered as any client.
    Peer,
}

impl Demo {
    pub(super) fn new(stage: Arc<Stage>) -> Self {
        Self { stage }
    }

    /// What a tab asks to happen, beyond talking.
    fn act(&self, key: &str, peer: &mut Peer<'_>, message: &Value) -> Result<(), SendError> {
        match message["what"].as_str() {
            Some("ping") => peer.ping(b"are you there?"),
            Some("fragments") => in_fragments(peer),
            Some("length") => {
                let size = message["size"].as_u64().unwrap_or_default();
                let size = usize::try_from(size).unwrap_or(usize::MAX).min(SIZE_MAX);
                let bytes: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
                peer.send_binary(&bytes)
            }
            Some("close") => {
                let code = message["code"].as_u64();
                let code = code.and_then(|code| CloseCode::new(u16::try_from(code).ok()?));
                let reason = message["reason"].as_str().unwrap_or_default();
                peer.close(code.unwrap_or(CloseCode::NORMAL), reason)
            }
            Some("illegal") => {
                if let (Some(address), Some(which)) =
                    (self.stage.address(), message["which"].as_str())
                {
                    peer::misbehave(address, key, which);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Handler for Demo {
    type Connection = Box<Place>;

    fn request(
        &mut self,
        request: &Request<'_>,
        asking: &Asking<'_>,
    ) -> Result<Decision<Box<Place>>, Refusal> {
        // §10.2: another site's page would use the demo in its visitor's name.
        if let Some(origin) = request.origin()
            && !origin
                .split_once("://")
                .is_some_and(|(_, host)| host.eq_ignore_ascii_case(request.host()))
        {
            return Err(Refusal::new(Status::FORBIDDEN).with_text("only the demo's own page may\n"));
        }
        let id = asking.id();
        let place = match request.path() {
            "/live" => {
                let side = match parameter(request, "as") {
                    Some("agent") => Side::Agent,
                    _ => Side::Customer,
                };
                let key = draw_key().ok_or(Refusal::new(Status::INTERNAL_SERVER_ERROR))?;
                self.stage.with(|shared| {
                    shared.wires.know(id, What::Tab);
                    shared.keys.insert(key.clone(), id);
                    Vec::new()
                });
                Place::Tab { side, key }
            }
            path @ ("/wire" | "/peer") => {
                let mut tab = None;
                self.stage.with(|shared| {
                    tab = parameter(request, "key")
                        .and_then(|key| shared.keys.get(key))
                        .copied();
                    if let Some(tab) = tab {
                        shared.wires.know(
                            id,
                            match path {
                                "/peer" => What::Peer(tab),
                                _ => What::Other(None),
                            },
                        );
                    }
                    Vec::new()
                });
                match tab.ok_or(Refusal::new(Status::FORBIDDEN))? {
                    _ if path == "/peer" => Place::Peer,
                    tab => Place::Follower { tab },
                }
            }
            _ => return Err(Refusal::new(Status::NOT_FOUND)),
        };
        Ok(Decision::Accept(Acceptance::default(), Box::new(place)))
    }

    fn page(&mut self, request: &Request<'_>, asking: &Asking<'_>) -> Option<Page> {
        let id = asking.id();
        let mut page = page::file(request.path());
        self.stage.with(|shared| {
            let tab = parameter(request, "key")
                .and_then(|key| shared.keys.get(key))
                .copied();
            shared.wires.know(id, What::Other(tab));
            if request.path() == "/events" && tab.is_some() {
                let since = parameter(request, "since").and_then(|seq| seq.parse().ok());
                page = Some(page::json(shared.room.since(since.unwrap_or_default())));
            }
            Vec::new()
        });
        Some(page.unwrap_or_else(page::nothing))
    }

    fn open(&mut self, place: &mut Box<Place>, peer: &mut Peer<'_>) {
        let id = peer.id();
        match &**place {
            Place::Tab { side, key } => self
                .stage
                .with(|shared| shared.room.enter(id, *side, key, Instant::now())),
            Place::Follower { tab } => self.stage.with(|shared| shared.wires.follow(*tab, id)),
            Place::Peer => {}
        }
    }

    fn message(
        &mut self,
        place: &mut Box<Place>,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        self.stage.with(|shared| {
            shared.counts.messages_in += 1;
            Vec::new()
        });
        let Place::Tab { key, .. } = &**place else {
            return Ok(());
        };
        let Message::Text(text) = message else {
            return Ok(());
        };
        // What is not ours to read is left unread: the page sends nothing else.
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return Ok(());
        };
        let id = peer.id();
        match message["type"].as_str() {
            Some("say") => {
                let text = message["text"].as_str().unwrap_or_default();
                self.stage
                    .with(|shared| shared.room.say(id, text, Instant::now()));
            }
            Some("typing") => {
                let on = message["on"].as_bool().unwrap_or_default();
                self.stage.with(|shared| shared.room.typing(id, on));
            }
            Some("notify") => self.stage.with(|shared| shared.room.notify(id)),
            Some("do") => return self.act(key, peer, &message),
            _ => {}
        }
        Ok(())
    }

    fn undelivered(&mut self, _: ConnectionId, _: OwnedMessage, _: Undelivered) {
        // The tab is gone, or closing.
    }

    fn wire(&mut self, id: ConnectionId, sender: Role, bytes: &[u8]) {
        self.stage.with(|shared| {
            let size = bytes.len() as u64;
            match sender {
                Role::Client => shared.counts.bytes_in += size,
                Role::Server => shared.counts.bytes_out += size,
            }
            shared.wires.pass(id, sender, bytes)
        });
    }

    fn end(&mut self, place: Option<Box<Place>>, end: &End) {
        let id = end.id;
        self.stage.with(|shared| {
            shared.wires.end(id, end.why.to_string());
            match place.as_deref() {
                Some(Place::Tab { key, .. }) => {
                    shared.keys.remove(key);
                    shared.room.leave(id)
                }
                _ => Vec::new(),
            }
        });
    }
}

/// A message in three frames, with a Ping between them (§5.4).
fn in_fragments(peer: &mut Peer<'_>) -> Result<(), SendError> {
    peer.text_fragments()?
        .send(r#"{"type":"event","what":"notice","#)?;
    peer.text_fragments()?
        .send(r#""text":"This came in three frames, "#)?;
    peer.ping(b"between fragments")?;
    peer.text_fragments()?
        .finish(r#"and a Ping passed between them."}"#)
}

/// The value of a parameter of the query. None of ours needs escapes.
fn parameter<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    let pairs = request
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .into_iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// A secret: 128 bits in hexadecimal.
fn draw_key() -> Option<String> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The bytes of a message that a tab asks for: enough for a length of 64 bits.
const SIZE_MAX: usize = 200_000;
