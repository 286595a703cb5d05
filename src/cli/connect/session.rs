//! The connection as the program handles it: messages in are shown, messages out are taken from
//! the outbox as fast as the peer reads.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openline::net::{End, EndWhy, Handler, Message, OwnedMessage, Peer};
use openline::proto::{Close, CloseCode, Response, SendError};
use serde_json::json;

use crate::cli::connect::display::Display;
use crate::cli::connect::input::{END_OF_INPUT, Line};
use crate::cli::connect::outbox::Outbox;
use crate::cli::connect::verdict::{Exit, code_and_party, hint};

/// The bytes that may wait in the connection; more stay in the outbox. Below the library's own
/// bound, so that it takes whatever it is given.
const QUEUED_MAX: usize = 256 << 10;

/// Starts the input, once there is a connection to send it over.
pub(super) type Start = Option<Box<dyn FnOnce(Line) -> io::Result<()>>>;

/// The one connection of the program.
pub(super) struct Session {
    url: String,
    pub(super) display: Display,
    /// The proxy before the server, as a sentence names it.
    pub(super) proxy: Option<String>,
    outbox: Arc<Outbox>,
    /// How it ended.
    exit: Exit,
    is_open: bool,
    /// Whether a lost connection is followed by another.
    pub(super) reconnects: bool,
    /// Whether it is we who close.
    is_closing: bool,
    /// Which connection there is, once there was one.
    line: Option<Line>,
    /// The pings asked for at the prompt that are not answered yet.
    pings: u32,
    subprotocol: Option<String>,
    /// The start of the body of a refusal.
    body: Vec<u8>,
    /// The reason in the peer's Close frame.
    reason: String,
    /// What standard output answered when it took no more.
    output: Option<io::Error>,
}

impl Session {
    pub(super) fn new(url: String, display: Display, outbox: Arc<Outbox>) -> Self {
        Self {
            url,
            display,
            proxy: None,
            outbox,
            exit: Exit::Failure,
            is_open: false,
            reconnects: false,
            is_closing: false,
            line: None,
            pings: 0,
            subprotocol: None,
            body: Vec::new(),
            reason: String::new(),
            output: None,
        }
    }

    /// How it ended, once it has.
    pub(super) fn exit(&self) -> Exit {
        match &self.output {
            // Whoever read our output has seen enough.
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Clean,
            Some(_) => Exit::Failure,
            None => self.exit,
        }
    }

    /// Looks at what writing came to. Without an output there is no point in going on.
    fn written(&mut self, peer: &mut Peer<'_>, written: io::Result<()>) {
        let Err(error) = written else {
            return;
        };
        if self.output.is_none() {
            self.output = Some(error);
            // Closing already is as good.
            let _ = peer.close(CloseCode::GOING_AWAY, "");
        }
    }

    /// Sends what waits, as far as the peer reads.
    fn pump(&mut self, peer: &mut Peer<'_>) {
        while peer.is_open() && peer.queued() < QUEUED_MAX {
            let sent = match self.outbox.take() {
                None => return,
                Some(OwnedMessage::Text(text)) => peer.send_text(&text),
                Some(OwnedMessage::Binary(data)) => peer.send_binary(&data),
                Some(OwnedMessage::Ping(payload)) => {
                    self.pings += u32::from(self.display.is_prompt());
                    peer.ping(&payload)
                }
                Some(OwnedMessage::Close(Some((code, reason)))) => {
                    self.is_closing = true;
                    peer.close(code, &reason)
                }
                Some(_) => {
                    self.is_closing = true;
                    peer.close_without_code()
                }
            };
            if let Err(error) = sent {
                self.display.error(&format!("not sent: {error}"), None);
            }
        }
        if !peer.is_open() && (self.is_closing || !self.reconnects) {
            self.end_input();
        }
    }

    /// The peer takes no more messages.
    fn end_input(&mut self) {
        let left = self.outbox.end();
        if left > 0 {
            self.display
                .error(&format!("{left} messages of the input were not sent"), None);
        }
    }
}

impl Handler for Session {
    type Connection = Start;

    fn response(&mut self, _: &mut Start, response: &Response<'_>) {
        let subprotocol = response.header_str("Sec-WebSocket-Protocol");
        self.subprotocol = subprotocol.map(str::to_owned);
        self.body = response.body().to_owned();
        if let Err(error) = self.display.response(response) {
            self.output = Some(error);
        }
    }

    fn open(&mut self, start: &mut Start, peer: &mut Peer<'_>) {
        self.is_open = true;
        if self.output.is_some() {
            let _ = peer.close(CloseCode::GOING_AWAY, "");
            return;
        }
        self.display.opened(&self.url, self.subprotocol.as_deref());
        self.display.compression(peer.compression());
        let line = self
            .line
            .get_or_insert_with(|| Arc::new(Mutex::new(peer.id())));
        let line = Arc::clone(line);
        *line.lock().unwrap_or_else(PoisonError::into_inner) = peer.id();
        let Some(start) = start.take() else {
            // What has waited since the connection before.
            return self.pump(peer);
        };
        if let Err(error) = start(line) {
            self.display
                .error(&format!("the input cannot be read: {error}"), None);
            let _ = peer.close(CloseCode::GOING_AWAY, "");
        }
    }

    fn message(
        &mut self,
        _: &mut Start,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        self.outbox.heard(peer.now());
        if self.output.is_none() {
            let written = self.display.message(message);
            self.written(peer, written);
        }
        Ok(())
    }

    fn ping(&mut self, _: &mut Start, peer: &mut Peer<'_>, payload: &[u8]) {
        let written = self.display.control("ping", payload, false);
        self.written(peer, written);
    }

    fn pong(&mut self, _: &mut Start, peer: &mut Peer<'_>, payload: &[u8]) {
        if payload == END_OF_INPUT {
            self.outbox.caught_up(peer.now());
        }
        let is_wanted = self.pings > 0;
        self.pings = self.pings.saturating_sub(1);
        let written = self.display.control("pong", payload, is_wanted);
        self.written(peer, written);
    }

    fn closing(&mut self, _: &mut Start, _: &mut Peer<'_>, close: Option<Close<'_>>) {
        self.display.closing(close);
        self.reason = close.map_or("", |close| close.reason).to_owned();
        if self.is_closing || !self.reconnects {
            self.end_input();
        }
    }

    fn called(&mut self, _: &mut Start, peer: &mut Peer<'_>) {
        self.pump(peer);
    }

    fn flushed(&mut self, _: &mut Start, peer: &mut Peer<'_>) {
        self.pump(peer);
    }

    fn lost(&mut self, _: &mut Start, end: &End, delay: Duration) -> bool {
        let is_over = self.is_closing || self.outbox.is_finishing() || self.output.is_some();
        if is_over || !end.may_pass() {
            return false;
        }
        self.is_open = false;
        let (why, seconds) = (end.why.to_string(), delay.as_secs_f64());
        let event = json!({ "event": "lost", "why": why, "again_in_seconds": seconds });
        self.output = self.display.event(&event).err();
        self.display
            .note(&format!("{why}; connecting again in {seconds:.1} s"));
        true
    }

    fn end(&mut self, _: Option<Start>, end: &End) {
        self.end_input();
        let exit = Exit::of(end, self.is_open);
        self.exit = exit;
        let (code, by) = code_and_party(end);
        if self.output.is_none() {
            let written = self.display.event(&json!({
                "event": "close",
                "by": by,
                "code": code,
                "reason": self.reason,
                "clean": matches!(exit, Exit::Clean | Exit::Code),
                "why": end.why.to_string(),
            }));
            self.output = written.err();
        }
        self.tell(end, exit);
    }
}

impl Session {
    /// Says to people how it ended, if they asked for it or have to know.
    fn tell(&mut self, end: &End, exit: Exit) {
        let mut text = match &end.why {
            EndWhy::Connect(error) => {
                let url = &self.url;
                match &self.proxy {
                    Some(proxy) => format!("could not connect to {url} through {proxy}: {error}"),
                    None => format!("could not connect to {url}: {error}"),
                }
            }
            why => why.to_string(),
        };
        if !self.reason.is_empty() {
            text = format!("{text}: {}", self.reason);
        }
        if exit == Exit::Clean {
            if self.display.is_verbose || self.display.is_prompt() {
                self.display.note(&text);
            }
            return;
        }
        self.display.error(&text, hint(end, self.proxy.is_some()));
        self.display.body(&std::mem::take(&mut self.body));
    }
}
