//! Plays the client's side of a recording against a server.

use std::io::{self, Stdout, Write};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mio::{Events, Interest, Poll, Token};
use openline::inspect::{Conversation, Head, Item, Sides, Start};
use openline::proto::{Role, Url};
use rand::Rng;
use rand::rngs::StdRng;

use crate::cli::replay::script::{Answers, Script, limits};
use crate::cli::show::{Place, Show};
use crate::cli::wire::{Received, Wire};

/// Plays once.
pub(super) struct Player<'a> {
    pub(super) script: &'a Script,
    pub(super) target: &'a Url,
    /// How much faster than it was; `None`: as fast as the server's answers come.
    pub(super) speed: Option<f64>,
    /// How long an answer is waited for that came when it was recorded.
    pub(super) patience: Duration,
    pub(super) show: Show<Stdout>,
    wire: Wire,
    keys: StdRng,
    conversation: Conversation,
    answers: Answers,
    begun: Instant,
    before: Duration,
    out: Vec<u8>,
    heard: Instant,
    eof: bool,
}

/// What came of it.
pub(super) struct Played {
    pub(super) answers: Answers,
    pub(super) conversation: Conversation,
    pub(super) sent: usize,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        script: &'a Script,
        target: &'a Url,
        wire: Wire,
        keys: StdRng,
        show: Show<Stdout>,
    ) -> Self {
        let now = Instant::now();
        Self {
            script,
            target,
            speed: Some(1.0),
            patience: Duration::from_secs(5),
            show,
            wire,
            keys,
            conversation: Conversation::new(Sides::Both, Start::Handshake, limits()),
            answers: Answers::default(),
            begun: now,
            before: Duration::ZERO,
            out: Vec::new(),
            heard: now,
            eof: false,
        }
    }

    pub(super) fn play(mut self) -> io::Result<(Played, Show<Stdout>)> {
        let mut poll = Poll::new()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(self.wire.socket_mut(), Token(0), interest)?;
        let mut events = Events::with_capacity(4);
        let nonce: [u8; 16] = {
            let mut nonce = [0; 16];
            self.keys.fill_bytes(&mut nonce);
            nonce
        };
        if let Some(head) = &self.script.request {
            let request = request(head, self.target, &BASE64.encode(nonce));
            self.send(request)?;
        }
        let mut opened: Option<Instant> = None;
        let mut next = 0;
        loop {
            while self.pump()? {}
            if self.eof {
                break;
            }
            let now = Instant::now();
            if opened.is_none() && self.conversation.frames(Role::Server).is_some() {
                opened = Some(now);
            }
            let mut due = self.heard + self.patience;
            match (opened, self.script.steps.get(next)) {
                (Some(opened), Some(step)) => {
                    let at = self
                        .speed
                        .map_or(opened, |speed| opened + step.at.div_f64(speed));
                    let is_answered = self.answers.frames >= step.after;
                    // An answer that came before is waited for, but not for ever.
                    let is_late = now >= at.max(self.heard) + self.patience;
                    if now >= at && (is_answered || is_late) && self.out.is_empty() {
                        let bytes = step.bytes(self.keys.next_u32().to_be_bytes());
                        self.send(bytes)?;
                        self.heard = now;
                        next += 1;
                        continue;
                    }
                    due = match is_answered {
                        true => at,
                        false => at.max(self.heard) + self.patience,
                    };
                }
                // Nothing is left to be said, and all that was answered then is answered now.
                (Some(_), None) if self.answers.frames >= self.script.answers.frames => break,
                // It refuses, as it did then or not.
                (None, _) if self.answers.status.is_some_and(|status| status != 101) => break,
                _ if now >= due => break,
                _ => {}
            }
            let timeout = due
                .saturating_duration_since(now)
                .max(Duration::from_millis(1));
            match poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        for role in [Role::Client, Role::Server] {
            let items = self.conversation.finish(role);
            self.tell(&items)?;
        }
        let played = Played {
            answers: self.answers,
            conversation: self.conversation,
            sent: next,
        };
        Ok((played, self.show))
    }

    /// Queues what we say, and shows it.
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let items = self.conversation.push(Role::Client, &bytes);
        self.out.extend_from_slice(&bytes);
        while self.write()? {}
        self.tell(&items)
    }

    fn pump(&mut self) -> io::Result<bool> {
        self.wire.flush()?;
        let mut moved = self.write()?;
        let mut bytes = [0; 64 << 10];
        match self.wire.recv(&mut bytes) {
            Ok(Received::Nothing) => {}
            Ok(Received::Bytes(n)) => {
                self.heard = Instant::now();
                let items = self.conversation.push(Role::Server, &bytes[..n]);
                self.tell(&items)?;
                moved = true;
            }
            Ok(Received::End) => self.eof = true,
            Err(error) => {
                // A server that resets has ended, too.
                let text = format!("the server's connection failed: {error}");
                let event = serde_json::json!({"event": "remark", "what": text});
                let place = self.place();
                self.show.remark(place, &text, event)?;
                self.eof = true;
            }
        }
        Ok(moved && !self.eof)
    }

    fn write(&mut self) -> io::Result<bool> {
        if self.out.is_empty() {
            return Ok(false);
        }
        match self.wire.send(&self.out) {
            Ok(n) => {
                self.out.drain(..n);
                Ok(n > 0)
            }
            // What the server has still to say is worth reading.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.out.clear();
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn tell(&mut self, items: &[Item]) -> io::Result<()> {
        for item in items {
            if item.sender() == Role::Server {
                self.answers.add(item);
            }
            let place = self.place();
            self.show.item(place, item)?;
            self.show.agreed(place, item, &self.conversation)?;
        }
        self.show.flush()
    }

    fn place(&mut self) -> Place {
        let time = self.begun.elapsed();
        let delta = time.saturating_sub(self.before);
        self.before = time;
        Place {
            connection: None,
            time: Some((time, delta)),
            is_continued: false,
        }
    }
}

/// The request as it was, but for the host, and for the key, which must be fresh (§4.1, item 7).
fn request(head: &Head, target: &Url, key: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(head.bytes.len() + 64);
    for (number, line) in head.lines.iter().enumerate() {
        let name = line.field().map_or(&b""[..], |(name, _)| name);
        let is = |wanted: &str| number > 0 && name.eq_ignore_ascii_case(wanted.as_bytes());
        if number == 0 && target.resource_name() != "/" {
            // Writing to a vector cannot fail.
            let _ = write!(bytes, "GET {} HTTP/1.1", target.resource_name());
        } else if is("Host") {
            let _ = write!(bytes, "Host: {}", target.authority());
        } else if is("Sec-WebSocket-Key") {
            let _ = write!(bytes, "Sec-WebSocket-Key: {key}");
        } else {
            bytes.extend_from_slice(&line.bytes);
        }
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
