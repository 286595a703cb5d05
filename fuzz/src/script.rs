//! A script: limits, and what is done to one end of a connection, in order.
//!
//! The fuzzer draws all of it from its input, so that limits, operations and split points are
//! explored together with the bytes.

use std::iter;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use openline::proto::{self, Close, CloseCode, Config, Delivery, Role};

use crate::end::{End, Shared};

/// Limits small enough that short inputs reach them.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Limits {
    chunks: bool,
    frame_size_max: u16,
    message_size_max: u16,
    fragments_max: u8,
    send_queue_max: u16,
    ping_seconds: Option<u8>,
    idle_seconds: Option<u8>,
}

impl Limits {
    /// The configuration with these limits.
    pub fn config(&self) -> Config {
        Config {
            delivery: if self.chunks {
                Delivery::Chunks
            } else {
                Delivery::Whole
            },
            frame_size_max: self.frame_size_max.into(),
            message_size_max: self.message_size_max.into(),
            fragments_max: self.fragments_max.into(),
            send_queue_max: usize::from(self.send_queue_max) + 1,
            ping_interval: self
                .ping_seconds
                .map(|s| Duration::from_secs(u64::from(s) + 1)),
            idle_timeout: self
                .idle_seconds
                .map(|s| Duration::from_secs(u64::from(s) + 1)),
            ..Config::default()
        }
    }
}

/// Something done to one end.
#[derive(Arbitrary, Clone, Debug)]
pub enum Operation {
    /// Bytes arrive, as they are.
    Receive(Vec<u8>),
    /// A frame arrives whose header is legal but for the bits of its first byte.
    Frame(u8, Vec<u8>),
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    TextFragment(String, bool),
    BinaryFragment(Vec<u8>, bool),
    Close(Option<u16>, String),
    /// The transport takes so many bytes of what waits.
    Drain(u16),
    Seconds(u8),
    EndOfFile,
    /// A message that is queued by reference, if it is large enough for that.
    Shared(Payload),
}

/// A payload that may be larger than what the fuzzer would make up byte by byte.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Payload {
    is_text: bool,
    first: u8,
    size: u16,
}

impl Payload {
    /// The operation that sends the same as a copy.
    pub fn copied(self) -> Operation {
        let start = usize::from(self.first);
        let payload = &PATTERN[start..][..usize::from(self.size) % PAYLOAD_SIZE_MAX];
        match self.is_text {
            true => Operation::Text(payload.to_owned()),
            false => Operation::Binary(payload.as_bytes().to_vec()),
        }
    }

    fn shared(self) -> proto::Shared {
        match self.copied() {
            Operation::Text(text) => proto::Shared::text(text),
            Operation::Binary(data) => proto::Shared::binary(data),
            _ => unreachable!("a payload is copied as text or binary"),
        }
    }
}

/// What payloads are pieces of: no two bytes of it that lie near are alike, so that one out of place
/// is noticed.
static PATTERN: LazyLock<String> = LazyLock::new(|| {
    let ascii = (0..127).map(char::from).cycle();
    ascii.take(255 + PAYLOAD_SIZE_MAX).collect()
});

/// On both sides of the size from which payloads are queued by reference.
const PAYLOAD_SIZE_MAX: usize = 12 << 10;

/// Limits and operations.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    limits: Limits,
    operations: Vec<Operation>,
    /// The sizes of the pieces in which bytes arrive, used in turn.
    pieces: Vec<u8>,
}

impl Script {
    /// Carries the script out three times, whole, in the script's pieces and one byte at a time,
    /// and asserts that the three saw and sent the same; and so does a fourth that copies what is
    /// to be queued by reference.
    pub fn obeys_the_laws(&self, role: Role) {
        let now = Instant::now();
        let whole = self.play(role, now, &[]);
        assert_eq!(
            self.play(role, now, &self.pieces),
            whole,
            "split as the script says"
        );
        assert_eq!(self.play(role, now, &[1]), whole, "one byte at a time");
        if let Some(copying) = self.copying() {
            assert_eq!(copying.play(role, now, &[]), whole, "as copies");
        }
    }

    /// The same with copies of what is to be queued by reference, if there is any.
    fn copying(&self) -> Option<Self> {
        let mut copying = self.clone();
        let mut has_any = false;
        for operation in &mut copying.operations {
            if let Operation::Shared(payload) = operation {
                *operation = payload.copied();
                has_any = true;
            }
        }
        has_any.then_some(copying)
    }

    /// Asserts that two connections which share a receive buffer, each as one end of its script,
    /// see and send what each does with a buffer of its own. They take steps in `turns`.
    pub fn share(scripts: [(&Self, Role); 2], turns: &[bool]) {
        let now = Instant::now();
        let alone = scripts.map(|(script, role)| script.play(role, now, &script.pieces));
        let mut ends = scripts.map(|(script, role)| End::new(role, script.limits.config(), now));
        let mut steps = scripts.map(|(script, role)| script.steps(role).into_iter());
        let mut turns = turns
            .iter()
            .map(|turn| usize::from(*turn))
            .chain([0, 1])
            .cycle();
        let mut shared = Shared::default();
        while steps.iter().any(|steps| steps.len() > 0) {
            let turn = turns.next().expect("turns come round");
            if let Some(operation) = steps[turn].next() {
                shared.lend(&mut ends[turn], |end| match &operation {
                    Operation::Receive(bytes) => end.receive(bytes, &mut iter::empty()),
                    operation => act(end, operation),
                });
            }
        }
        assert_eq!(ends, alone, "in a shared buffer");
    }

    /// The operations, what arrives cut into the script's pieces.
    fn steps(&self, role: Role) -> Vec<Operation> {
        let mut steps = Vec::new();
        let mut sizes = sizes(&self.pieces);
        for operation in &self.operations {
            let frame_bytes;
            let mut bytes = match operation {
                Operation::Receive(bytes) => &bytes[..],
                Operation::Frame(first, payload) => {
                    frame_bytes = frame(role.peer(), *first, payload);
                    &frame_bytes
                }
                other => {
                    steps.push(other.clone());
                    continue;
                }
            };
            while !bytes.is_empty() {
                let size = sizes.next().unwrap_or(bytes.len()).min(bytes.len());
                let piece;
                (piece, bytes) = bytes.split_at(size);
                steps.push(Operation::Receive(piece.to_vec()));
            }
        }
        steps
    }

    fn play(&self, role: Role, now: Instant, pieces: &[u8]) -> End {
        let mut end = End::new(role, self.limits.config(), now);
        let mut sizes = sizes(pieces);
        for operation in &self.operations {
            match operation {
                Operation::Receive(bytes) => end.receive(bytes, &mut sizes),
                Operation::Frame(first, payload) => {
                    end.receive(&frame(role.peer(), *first, payload), &mut sizes);
                }
                operation => act(&mut end, operation),
            }
        }
        end
    }
}

fn sizes(pieces: &[u8]) -> impl Iterator<Item = usize> {
    pieces.iter().map(|size| usize::from(*size).max(1)).cycle()
}

/// Carries out an operation that is not about bytes that arrive.
pub fn act(end: &mut End, operation: &Operation) {
    let (connection, send, now) = (&mut end.connection, &mut end.send, end.now);
    // A refusal is an answer like another; that nothing is queued then is seen in the bytes.
    let _ = match operation {
        Operation::Text(text) => connection.send_text(text, send),
        Operation::Binary(data) => connection.send_binary(data, send),
        Operation::Shared(payload) => connection.send_shared(&payload.shared(), send),
        Operation::Ping(payload) => connection.send_ping(payload, send),
        Operation::Pong(payload) => connection.send_pong(payload, send),
        Operation::TextFragment(piece, last) => match connection.resume_text(send) {
            Some(message) => Ok(message),
            None => connection.text_fragments(send),
        }
        .and_then(|mut message| match last {
            true => message.finish(piece),
            false => message.send(piece),
        }),
        Operation::BinaryFragment(piece, last) => match connection.resume_binary(send) {
            Some(message) => Ok(message),
            None => connection.binary_fragments(send),
        }
        .and_then(|mut message| match last {
            true => message.finish(piece),
            false => message.send(piece),
        }),
        Operation::Close(code, reason) => {
            let code = code.map(|code| CloseCode::new(code).unwrap_or(CloseCode::NORMAL));
            let close = code.map(|code| Close { code, reason });
            connection.close(now, close, send)
        }
        Operation::Drain(n) => return end.drain((*n).into()),
        Operation::Seconds(n) => return end.wait(Duration::from_secs((*n).into())),
        Operation::EndOfFile => return end.end_of_file(),
        Operation::Receive(_) | Operation::Frame(..) => Ok(()),
    };
    end.poll();
}

/// A frame of `sender` with a minimal length and, from a client, a masking key.
fn frame(sender: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if sender == Role::Client { 0x80 } else { 0 };
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ 0..126), _) => frame.push(mask_bit | len),
        (_, Ok(len)) => {
            frame.push(mask_bit | 126);
            frame.extend(len.to_be_bytes());
        }
        _ => {
            frame.push(mask_bit | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    if sender == Role::Client {
        frame.extend([0; 4]);
    }
    frame.extend(payload);
    frame
}
