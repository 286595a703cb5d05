//! Plays one case against one peer: the fuzzer's side, in either role, with no I/O.
//!
//! ```text
//!   next() ──> Write, Shutdown, Wait, Done       receive(), receive_eof(), receive_reset()
//!                     │                                       │
//!             the peer under test, or the transport that leads to it
//! ```
//!
//! The player trusts the peer with nothing: each case has a deadline, what is held of the peer's
//! bytes is bounded by what the case can have sent, and a frame against the protocol is found,
//! told and answered with the end.

mod ending;
mod judge;
mod opening;
mod receive;
mod script;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::conformance::case::{Answer, Case, Chop, Edit, Frame, Head, Item, Party, Step};
use crate::conformance::codec::{Codec, Params, choose};
use crate::conformance::log::{Direction, Log, Logged};
use crate::conformance::payload::Payload;
use crate::conformance::verdict::Outcome;
use crate::conformance::wire::FrameReader;
use crate::proto::Key;
use crate::proto::Role;

use ending::Facts;
use judge::{Judge, Seen};
use opening::{Names, ReadHead};
use receive::Assembly;
pub use script::Scale;
use script::{Output, Pen, Script};

/// Whom the player turns to, when the peer is a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The field Host.
    pub host: String,
    /// The path and the query.
    pub path: String,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            path: "/".to_owned(),
        }
    }
}

/// What is to be done now.
#[derive(Debug)]
pub enum Action<'a> {
    /// Write these bytes, and then ask again: each piece is a write of its own.
    Write(&'a [u8]),
    /// End our direction of the stream, and then ask again.
    Shutdown,
    /// Wait for bytes of the peer, or until [`Player::poll_timeout`].
    Wait,
    /// Drop the connection: the case is over.
    Done(&'a Outcome),
}

/// One case and one peer.
#[derive(Debug)]
pub struct Player {
    case: Case,
    peer: Role,
    target: Target,
    random: StdRng,
    started: Instant,
    stage: Stage,
    script: Script,
    judge: Judge,
    reader: FrameReader,
    assembly: Assembly,
    codec: Option<Codec>,
    /// What is to be written, and the piece that the caller holds.
    output: VecDeque<Output>,
    written: usize,
    pause: Option<(Instant, Option<String>)>,
    /// How many events must have come before the script goes on.
    awaited: usize,
    /// When the case ends at the latest.
    deadline: Instant,
    /// When the present part of the ending does.
    patience: Option<Instant>,
    facts: Facts,
    log: Log,
}

#[derive(Debug)]
enum Stage {
    /// The opening handshake; our key, if we are the client.
    Opening(Option<Key>),
    /// A client's reaction to a response that it must reject.
    Probing,
    /// Frames pass.
    Open,
    /// Both Close frames were exchanged: the server is to drop the connection.
    Closed,
    Over(Box<Outcome>),
}

impl Player {
    /// Begins a case against a peer in the role `peer`. With the same seed, keys are the same.
    ///
    /// If the peer is a server, the connection to it is open by now; if it is a client, it was
    /// accepted by now.
    #[must_use]
    pub fn new(case: &Case, peer: Role, target: &Target, now: Instant, seed: u64) -> Self {
        Self::scaled(case, peer, target, now, seed, Scale::default())
    }

    /// As [`new`](Self::new), but plays only so much of the case.
    #[must_use]
    pub fn scaled(
        case: &Case,
        peer: Role,
        target: &Target,
        now: Instant,
        seed: u64,
        scale: Scale,
    ) -> Self {
        let script = Script::new(case, scale);
        let judge = Judge::new(case, &script.echo);
        let mut player = Self {
            peer,
            target: target.clone(),
            random: StdRng::seed_from_u64(seed),
            started: now,
            stage: Stage::Opening(None),
            script,
            judge,
            reader: FrameReader::default(),
            assembly: Assembly::default(),
            codec: None,
            output: VecDeque::new(),
            written: 0,
            pause: None,
            awaited: 0,
            deadline: now + OPENING_TIMEOUT.max(case.within.time),
            patience: None,
            facts: Facts::default(),
            log: Log::default(),
            case: case.clone(),
        };
        if peer == Role::Server {
            player.ask();
        }
        player
    }

    /// The case that is played.
    #[must_use]
    pub fn case(&self) -> &Case {
        &self.case
    }

    /// What is to be done now. Ask again after each answer but `Wait` and `Done`; after `Wait`,
    /// when something was received or the timeout came.
    pub fn next(&mut self, now: Instant) -> Action<'_> {
        self.look_at_the_clock(now);
        loop {
            if let Stage::Over(_) = self.stage {
                break;
            }
            // Whatever comes meanwhile: the silence is part of the case.
            if self.pause.is_some() {
                return Action::Wait;
            }
            let Some(output) = self.output.front_mut() else {
                if self.go_on(now) {
                    continue;
                }
                return match self.stage {
                    Stage::Over(ref outcome) => Action::Done(outcome),
                    _ => Action::Wait,
                };
            };
            match output {
                Output::Bytes { bytes, piece } => {
                    let left = bytes.len() - self.written;
                    if left == 0 {
                        self.written = 0;
                        self.output.pop_front();
                        continue;
                    }
                    let size = left.min(*piece).min(PIECE_MAX);
                    self.written += size;
                    self.log.octets(Direction::Sent, size);
                    let Some(Output::Bytes { bytes, .. }) = self.output.front() else {
                        unreachable!("it was at the front a moment ago");
                    };
                    return Action::Write(&bytes[self.written - size..self.written]);
                }
                Output::Pause(time, mark) => {
                    let (time, mark) = (*time, mark.take());
                    self.output.pop_front();
                    let at = self.at(now);
                    self.log.push(at, Logged::Pause(time));
                    self.pause = Some((now + time, mark));
                    return Action::Wait;
                }
                Output::Await(count) => {
                    self.awaited = self.awaited.saturating_add(*count);
                    self.output.pop_front();
                }
                Output::Shutdown => {
                    self.output.pop_front();
                    let at = self.at(now);
                    self.log.push(at, Logged::EndOfFile(Direction::Sent));
                    return Action::Shutdown;
                }
                Output::Drop => self.drop_connection(now),
            }
        }
        match &self.stage {
            Stage::Over(outcome) => Action::Done(outcome),
            _ => Action::Wait,
        }
    }

    /// When [`next`](Self::next) is to be asked at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if let Stage::Over(_) = self.stage {
            return None;
        }
        let pause = self.pause.as_ref().map(|(until, _)| *until);
        [Some(self.deadline), self.patience, pause]
            .into_iter()
            .flatten()
            .min()
    }

    /// The verdicts, once the case is over.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.stage {
            Stage::Over(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// What passed so far.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    fn us(&self) -> Role {
        self.peer.peer()
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Goes on with the script; whether there is now something to write.
    fn go_on(&mut self, now: Instant) -> bool {
        if matches!(self.stage, Stage::Closed) && self.us() == Role::Server {
            // §7.1.1: the server is the one to drop the connection, and at once.
            self.facts.dropped_by_us = true;
            self.drop_connection(now);
            return true;
        }
        if !self.is_open() || self.pause.is_some() {
            return false;
        }
        if self.judge.count < self.awaited && !self.judge.is_satisfied() {
            return false;
        }
        let Some(step) = self.script.steps.pop_front() else {
            let is_ours = self.case.ending.by == Party::Us && !self.script.closes;
            if is_ours && self.judge.is_satisfied() && !self.facts.sent_close {
                self.close(self.case.ending.codes.first().copied(), now);
                return true;
            }
            return false;
        };
        match step {
            Step::Write(items, chop) => {
                self.note_close(&items);
                self.write(&items, chop, now);
            }
            Step::Pause(time, mark) => self.output.push_back(Output::Pause(time, mark)),
            Step::Await(count) => self.output.push_back(Output::Await(count)),
            Step::Shutdown => self.output.push_back(Output::Shutdown),
            Step::Drop => self.output.push_back(Output::Drop),
            Step::Repeat(..) => unreachable!("repetitions were unrolled"),
        }
        true
    }

    /// Notes a Close frame among the case's own. One that the peer must fail on is an abuse like
    /// others, and closes nothing.
    fn note_close(&mut self, items: &[Item]) {
        if self.case.ending.by == Party::Peer || self.facts.sent_close {
            return;
        }
        for item in items {
            if let Item::Frame(frame) = item
                && frame.opcode == 8
            {
                self.facts.sends_close(&frame.payload.render());
                return;
            }
        }
    }

    fn write(&mut self, items: &[Item], chop: Chop, now: Instant) {
        let at = self.at(now);
        let random = &mut self.random;
        let mut pen = Pen {
            masks: self.peer == Role::Server,
            key: &mut || {
                let mut key = [0; 4];
                random.fill_bytes(&mut key);
                key
            },
            codec: self.codec.as_mut(),
            log: &mut self.log,
            at,
        };
        pen.write(items, chop, &mut self.output);
    }

    /// Sends a Close frame, and begins to wait for the peer's.
    fn close(&mut self, code: Option<u16>, now: Instant) {
        let payload = code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec());
        self.send_close(&payload, now);
        self.patience = Some(now + CLOSE_TIMEOUT);
    }

    fn send_close(&mut self, payload: &[u8], now: Instant) {
        self.facts.sends_close(payload);
        let frame = control(8, payload);
        self.write(&[Item::Frame(frame)], Chop::Whole, now);
    }

    /// Does what has come due.
    fn look_at_the_clock(&mut self, now: Instant) {
        if let Stage::Over(_) = self.stage {
            return;
        }
        if let Some((until, _)) = self.pause
            && until <= now
        {
            let mark = self.pause.take().and_then(|(_, mark)| mark);
            if let Some(mark) = mark
                && self.is_open()
            {
                self.judge.see(&Seen::Open(&mark));
            }
        }
        if self.patience.is_some_and(|patience| patience <= now) {
            self.give_up(now);
        } else if self.deadline <= now {
            let at = self.at(now);
            self.log.push(at, Logged::Deadline);
            self.facts.late = true;
            if self.is_open() && self.case.within.closes && !self.facts.sent_close {
                self.output.clear();
                self.script.steps.clear();
                self.pause = None;
                self.deadline = now + CLOSE_TIMEOUT;
                self.close(Some(1000), now);
            } else {
                self.give_up(now);
            }
        }
    }

    fn drop_connection(&mut self, now: Instant) {
        let at = self.at(now);
        self.log.push(at, Logged::Dropped);
        self.finish(now);
    }

    /// Drops the connection, since the peer did not.
    fn give_up(&mut self, now: Instant) {
        let at = self.at(now);
        self.log.push(at, Logged::Dropped);
        self.facts.dropped_by_us = true;
        self.finish(now);
    }

    fn finish(&mut self, now: Instant) {
        if let Stage::Over(_) = self.stage {
            return;
        }
        let outcome = self
            .facts
            .outcome(&self.case, self.peer, &self.judge, self.at(now));
        self.output.clear();
        self.stage = Stage::Over(Box::new(outcome));
    }

    /// Sends our request.
    fn ask(&mut self) {
        let mut nonce = [0; 16];
        self.random.fill_bytes(&mut nonce);
        let key = Key::new(nonce);
        let (key_text, accept_text) = texts(&key);
        let target = &self.target;
        let mut fields = vec![
            ("Host", target.host.clone()),
            ("Upgrade", "websocket".to_owned()),
            ("Connection", "Upgrade".to_owned()),
            ("Sec-WebSocket-Key", key_text.clone()),
            ("Sec-WebSocket-Version", "13".to_owned()),
        ];
        if !self.case.opening.offers.is_empty() {
            let offers = self.case.opening.offers.join(", ");
            fields.push(("Sec-WebSocket-Extensions", offers));
        }
        let names = Names {
            host: &target.host,
            path: &target.path,
            key: &key_text,
            accept: &accept_text,
        };
        let line = format!("GET {} HTTP/1.1", target.path);
        let bytes = opening::write(line, fields, &self.case.opening.request, &names);
        self.stage = Stage::Opening(Some(key));
        self.send_head(bytes, self.case.opening.request.clone(), Duration::ZERO);
    }

    /// Answers the client's request.
    fn respond(&mut self, request: &ReadHead, key: &Key, now: Instant) {
        let (key_text, accept_text) = texts(key);
        let mut fields = vec![
            ("Upgrade", "websocket".to_owned()),
            ("Connection", "Upgrade".to_owned()),
            ("Sec-WebSocket-Accept", accept_text.clone()),
        ];
        let offers: Vec<&[u8]> = request.values("Sec-WebSocket-Extensions").collect();
        let chosen = choose(&offers, &self.case.opening.agreements);
        if let Some((params, value)) = chosen {
            self.agree(params);
            fields.push(("Sec-WebSocket-Extensions", value));
        }
        let names = Names {
            host: "",
            path: "",
            key: &key_text,
            accept: &accept_text,
        };
        let head = self.case.opening.response.clone();
        let line = "HTTP/1.1 101 Switching Protocols".to_owned();
        let mut bytes = opening::write(line, fields, &head, &names);
        if self.case.opening.answer == Answer::Rejects {
            // A client that took this for consent would answer.
            bytes.extend(b"\x89\x05probe");
        }
        self.send_head(bytes, head, self.at(now));
    }

    fn agree(&mut self, params: Params) {
        self.facts.deflate = Some(params);
        self.codec = Some(Codec::new(self.us(), params));
    }

    fn send_head(&mut self, bytes: Vec<u8>, head: Head, at: Duration) {
        let kept = bytes[..bytes.len().min(opening::HEAD_MAX)].to_vec();
        self.log.push(at, Logged::Head(Direction::Sent, kept));
        let piece = match head.chop {
            Chop::Size(size) => size,
            _ => PIECE_MAX,
        };
        self.output.push_back(Output::Bytes { bytes, piece });
        // A head that is cut off has no other end than the stream's.
        if head.edits.iter().any(|edit| matches!(edit, Edit::Cut(_))) {
            self.output.push_back(Output::Shutdown);
        }
    }

    /// The connection is open: the time of the case begins.
    fn open(&mut self, now: Instant) {
        self.facts.opened = true;
        self.stage = Stage::Open;
        self.deadline = now + self.case.within.time;
        let opening = &self.case.opening;
        let is_unimplemented = match &self.codec {
            None => opening.deflate,
            Some(codec) => opening.context && codec.deflates_anew(),
        };
        if is_unimplemented {
            self.facts.unimplemented = true;
            self.script.steps.clear();
            self.close(Some(1000), now);
        }
    }
}

fn texts(key: &Key) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(key.as_bytes()), text(key.accept().as_bytes()))
}

/// A control frame without anything unusual about it.
fn control(opcode: u8, payload: &[u8]) -> Frame {
    Frame {
        opcode,
        fin: true,
        rsv: 0,
        masked: None,
        key: None,
        length: None,
        form: None,
        payload: Payload::of(payload),
        fragment: None,
        compress: None,
        pauses: Vec::new(),
    }
}

/// From the connection to the end of the opening handshake, where the case does not say more.
const OPENING_TIMEOUT: Duration = Duration::from_secs(5);
/// From our Close frame to the peer's, and from both to the end of the stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The bytes of one write at most: what goes out must not keep us from reading for long.
const PIECE_MAX: usize = 64 << 10;
