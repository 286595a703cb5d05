//! What a recording has a client say, and what the server answered to it.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use openline::inspect::{Agreement, Conversation, Frame, Head, Item, Limits, Sides, Start};
use openline::proto::{Kind, MaskingKey, Role};

use crate::cli::recording::{self, Event};

/// One connection of a recording.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) request: Option<Head>,
    pub(super) agreement: Option<Agreement>,
    /// When the handshake was over.
    opened: Duration,
    pub(super) steps: Vec<Step>,
    pub(super) answers: Answers,
}

/// Something that the client sent.
#[derive(Debug)]
pub(super) struct Step {
    /// Since the handshake was over.
    pub(super) at: Duration,
    pub(super) frame: Frame,
    /// How many frames of the server's had come by then.
    pub(super) after: u64,
}

/// What a server said, as far as it is to be the same again. Pings and pongs come when they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) status: Option<u16>,
    pub(super) said: Vec<Said>,
    /// Frames of any kind.
    pub(super) frames: u64,
}

/// A message, or the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Message(Kind, Vec<u8>),
    Close(Option<u16>),
}

impl Answers {
    /// Takes in what the server sent.
    pub(super) fn add(&mut self, item: &Item) {
        match item {
            Item::Head(head) if head.status().is_none_or(|status| status >= 101) => {
                self.status = head.status();
            }
            Item::Frame(frame) => {
                self.frames += 1;
                if let Some(message) = &frame.message {
                    let said = Said::Message(message.kind, message.payload.to_vec());
                    self.said.push(said);
                }
                if let Some(close) = &frame.close {
                    self.said.push(Said::Close(close.code));
                }
            }
            _ => {}
        }
    }
}

impl Step {
    /// The frame as it was, bit by bit, but masked with a new key: a key that is sent twice is
    /// none (§5.3).
    pub(super) fn bytes(&self, key: [u8; 4]) -> Vec<u8> {
        let header = &self.frame.header;
        let mut bytes = header.as_bytes().to_vec();
        let mut payload = self.frame.payload.to_vec();
        if let (Some(at), Some(_)) = (header.masking_key_at(), header.masking_key()) {
            bytes[at..].copy_from_slice(&key);
            MaskingKey::new(key).apply(&mut payload);
        }
        bytes.extend_from_slice(&payload);
        bytes
    }
}

/// Reads the connection of this number, or the first that has a handshake.
pub(super) fn read(reader: impl Read, wanted: Option<usize>) -> Result<Script, String> {
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    let mut chosen = wanted;
    let mut script = Script::default();
    let mut conversation = Conversation::new(Sides::Both, Start::Detect, limits());
    let mut is_recording = false;
    let mut time = Duration::ZERO;
    for number in 1.. {
        line.clear();
        let failed =
            |error: &dyn std::fmt::Display| format!("line {number} of the recording: {error}");
        if lines
            .read_until(b'\n', &mut line)
            .map_err(|error| failed(&error))?
            == 0
        {
            break;
        }
        let entry = match recording::parse(&line) {
            Ok(entry) => entry,
            // It was cut off; what came before is whole.
            Err(_) if !line.ends_with(b"\n") && is_recording => break,
            Err(error) => return Err(failed(&error)),
        };
        is_recording = true;
        let Some(entry) = entry else {
            continue;
        };
        let Event::Data { from, bytes } = entry.event else {
            continue;
        };
        if *chosen.get_or_insert(entry.connection) != entry.connection {
            continue;
        }
        time = entry.time;
        let items = conversation.push(from, &bytes);
        script.add(items, &conversation, time);
    }
    for role in [Role::Client, Role::Server] {
        let items = conversation.finish(role);
        script.add(items, &conversation, time);
    }
    match (&script.request, wanted) {
        (Some(_), _) => Ok(script),
        (None, Some(number)) => Err(format!(
            "connection {number} of the recording has no request"
        )),
        (None, None) => Err("there is no request in the recording".to_owned()),
    }
}

impl Script {
    fn add(&mut self, items: Vec<Item>, conversation: &Conversation, time: Duration) {
        for item in items {
            match item {
                Item::Frame(frame) if frame.sender == Role::Client => self.steps.push(Step {
                    at: time.saturating_sub(self.opened),
                    frame: *frame,
                    after: self.answers.frames,
                }),
                Item::Head(head) if head.sender == Role::Client => {
                    // Of several the last is the one that led to something.
                    self.request = Some(*head);
                }
                item => {
                    if let Item::Head(_) = item {
                        self.opened = time;
                    }
                    self.answers.add(&item);
                }
            }
        }
        if self.agreement.is_none() {
            self.agreement = conversation.agreement().cloned();
        }
    }
}

/// A frame that is replayed is needed whole.
pub(super) fn limits() -> Limits {
    Limits {
        frame_kept_max: 256 << 20,
        message_kept_max: 256 << 20,
        ..Limits::default()
    }
}
