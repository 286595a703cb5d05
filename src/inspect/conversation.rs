//! Both directions of one connection together ([RFC 6455 §1.2]).
//!
//! The opening handshake decides how frames are read, so a [`Conversation`] holds a response
//! against its request, and a client's frames back until the response has come. One direction
//! alone, or a stream without its handshake, is read as well as that can be done.
//!
//! [RFC 6455 §1.2]: https://www.rfc-editor.org/rfc/rfc6455#section-1.2

use std::mem;

use bytes::Bytes;

use crate::inspect::decoder::{Decoder, Limits};
use crate::inspect::frame::Frame;
use crate::inspect::head::{EndOfHead, Head, begins_head};
use crate::inspect::opening::{self, Agreement};
use crate::proto::{DeflateParams, HandshakeError, HeadError, Role};

/// Something that one end sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A request or a response.
    Head(Box<Head>),
    /// A piece of what follows a response that does not agree.
    Body {
        /// Where it begins in the server's stream.
        offset: u64,
        /// The piece.
        bytes: Bytes,
    },
    /// A frame.
    Frame(Box<Frame>),
    /// Bytes that were lost on the way to us.
    Gap {
        /// Who sent them.
        sender: Role,
        /// Where they lie in the direction's stream.
        offset: u64,
        /// How many they are.
        missing: u64,
        /// Whether it is unknown where the next frame begins.
        is_lost: bool,
    },
}

impl Item {
    /// Whether it breaks no rule. A frame that did not end breaks none by that.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        match self {
            Self::Head(head) => head.violations.is_empty(),
            Self::Body { .. } | Self::Gap { .. } => true,
            Self::Frame(frame) => frame.violations.is_empty(),
        }
    }

    /// Who sent it.
    #[must_use]
    pub fn sender(&self) -> Role {
        match self {
            Self::Head(head) => head.sender,
            Self::Body { .. } => Role::Server,
            Self::Frame(frame) => frame.sender,
            Self::Gap { sender, .. } => *sender,
        }
    }

    /// Where its first byte lies in its direction's stream.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match self {
            Self::Head(head) => head.offset,
            Self::Body { offset, .. } | Self::Gap { offset, .. } => *offset,
            Self::Frame(frame) => frame.offset,
        }
    }
}

/// Which directions will be pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// Both, in the order in which they passed.
    Both,
    /// Only what this end sent.
    Only(Role),
}

/// How a stream begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the opening handshake if it looks so, else with frames.
    #[default]
    Detect,
    /// With the opening handshake.
    Handshake,
    /// With frames: the handshake took place before.
    Frames,
    /// As by `Detect`, but its beginning may have passed unseen, as in a capture that was begun
    /// late: a continuation may come first.
    Joined,
}

/// A connection as both its directions tell it.
///
/// ```
/// use openline::inspect::{Conversation, Item, Limits, Sides, Start};
/// use openline::proto::Role;
///
/// let mut conversation = Conversation::new(Sides::Both, Start::Detect, Limits::default());
/// conversation.push(Role::Client, b"GET /chat HTTP/1.1\r\nHost: example.com\r\n");
/// let items = conversation.push(Role::Client, b"Upgrade: websocket\r\n\r\n");
/// let Item::Head(request) = &items[0] else { panic!() };
/// let missing = request.violations[0].to_string();
/// assert!(missing.contains("the header field Connection is missing"), "{missing}");
/// ```
#[derive(Debug)]
pub struct Conversation {
    limits: Limits,
    sides: Sides,
    client: Half,
    server: Half,
    request: Option<Head>,
    agreement: Option<Agreement>,
    is_joined: bool,
    /// What was agreed to where no handshake was seen.
    compression: Option<DeflateParams>,
}

/// One direction.
#[derive(Debug)]
struct Half {
    stage: Stage,
    /// Where `held` begins in the stream, or, when there is none, the next byte.
    offset: u64,
    /// What came and cannot be read yet.
    held: Vec<u8>,
    end: EndOfHead,
}

#[derive(Debug)]
enum Stage {
    /// A head or a frame begins here, as the first bytes will tell.
    Start,
    Head,
    /// A client's request is sent, and the answer decides how to read on.
    Waiting,
    /// What follows a refusal: this much, or, if that is not known, all.
    Body(Option<u64>),
    Frames(Box<Decoder>),
}

impl Conversation {
    /// A conversation of which nothing was seen yet.
    #[must_use]
    pub fn new(sides: Sides, start: Start, limits: Limits) -> Self {
        let half = |role| Half {
            stage: match start {
                Start::Detect | Start::Joined => Stage::Start,
                Start::Handshake => Stage::Head,
                Start::Frames => Stage::Frames(Box::new(Decoder::new(role, limits))),
            },
            offset: 0,
            held: Vec::new(),
            end: EndOfHead::default(),
        };
        Self {
            limits,
            sides,
            client: half(Role::Client),
            server: half(Role::Server),
            request: None,
            agreement: None,
            is_joined: start == Start::Joined,
            compression: None,
        }
    }

    /// The same, for frames whose handshake was not seen and agreed to permessage-deflate.
    #[must_use]
    pub fn with_compression(mut self, params: DeflateParams) -> Self {
        self.compression = Some(params);
        for role in [Role::Client, Role::Server] {
            if let Stage::Frames(_) = self.half(role).stage {
                self.open(role);
            }
        }
        self
    }

    /// The next bytes that this end sent; gives what they complete, of the other end too if that
    /// had to wait for them.
    pub fn push(&mut self, sender: Role, mut bytes: &[u8]) -> Vec<Item> {
        let mut items = Vec::new();
        while !bytes.is_empty() {
            // What is held back is bounded, and so is what is looked at to end it.
            let (piece, rest) = bytes.split_at(bytes.len().min(PIECE_MAX));
            bytes = rest;
            self.half(sender).held.extend_from_slice(piece);
            self.advance(sender, &mut items);
        }
        items
    }

    /// The next `missing` bytes that this end sent are lost: gives what came before them.
    pub fn gap(&mut self, sender: Role, missing: u64) -> Vec<Item> {
        if let Stage::Frames(decoder) = &mut self.half(sender).stage {
            let offset = decoder.offset();
            if decoder.skip(missing) {
                self.half(sender).offset += missing;
                return vec![Item::Gap {
                    sender,
                    offset,
                    missing,
                    is_lost: false,
                }];
            }
        }
        let mut items = self.finish(sender);
        let half = self.half(sender);
        let (offset, bytes) = half.take(half.held.len());
        if !bytes.is_empty() && sender == Role::Server {
            items.push(Item::Body { offset, bytes });
        }
        items.push(Item::Gap {
            sender,
            offset: half.offset,
            missing,
            is_lost: true,
        });
        half.offset += missing;
        // A head behind the gap would be as good a place to begin as a frame.
        half.stage = Stage::Start;
        self.is_joined = true;
        items
    }

    /// The end's stream is over: gives what came of what did not end.
    pub fn finish(&mut self, sender: Role) -> Vec<Item> {
        let mut items = Vec::new();
        if let Stage::Waiting | Stage::Start = self.half(sender).stage {
            self.open(sender);
            self.advance(sender, &mut items);
        }
        let half = self.half(sender);
        match &mut half.stage {
            Stage::Frames(decoder) => {
                let frame = decoder.finish().map(Box::new);
                items.extend(frame.map(Item::Frame));
            }
            Stage::Head if !half.held.is_empty() => {
                let size = half.held.len();
                let head = self.take_head(sender, size, false);
                items.push(Item::Head(Box::new(head)));
            }
            _ => {}
        }
        items
    }

    /// What both sides agreed to, once the server has.
    #[must_use]
    pub fn agreement(&self) -> Option<&Agreement> {
        self.agreement.as_ref()
    }

    /// The request, once it has come.
    #[must_use]
    pub fn request(&self) -> Option<&Head> {
        self.request.as_ref()
    }

    /// The decoder of this end's frames, once they have begun.
    #[must_use]
    pub fn frames(&self, sender: Role) -> Option<&Decoder> {
        let half = match sender {
            Role::Client => &self.client,
            Role::Server => &self.server,
        };
        match &half.stage {
            Stage::Frames(decoder) => Some(decoder),
            _ => None,
        }
    }

    fn half(&mut self, role: Role) -> &mut Half {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// Reads what is held as far as it goes.
    fn advance(&mut self, sender: Role, items: &mut Vec<Item>) {
        let head_max = self.limits.head_size_max;
        loop {
            let half = self.half(sender);
            if half.held.is_empty() {
                return;
            }
            match &mut half.stage {
                Stage::Start => match begins_head(&half.held) {
                    Some(true) => half.stage = Stage::Head,
                    Some(false) => self.open(sender),
                    None => return,
                },
                Stage::Head => match half.end.find(&half.held) {
                    Some(size) => self.end_head(sender, size, items),
                    None if half.held.len() < head_max => return,
                    None => self.give_up_head(sender, items),
                },
                Stage::Waiting if half.held.len() < head_max => return,
                // Whatever it waits for, it is not to be had.
                Stage::Waiting => self.open(sender),
                Stage::Body(left) => {
                    let size = left.map_or(u64::MAX, |left| left);
                    let size = usize::try_from(size)
                        .unwrap_or(usize::MAX)
                        .min(half.held.len());
                    *left = left.map(|left| left - size as u64);
                    if *left == Some(0) {
                        half.stage = Stage::Head;
                    }
                    let (offset, bytes) = half.take(size);
                    if size > 0 {
                        items.push(Item::Body { offset, bytes });
                    }
                }
                Stage::Frames(decoder) => {
                    let held = mem::take(&mut half.held);
                    half.offset += held.len() as u64;
                    let mut bytes = held.as_slice();
                    while let Some(frame) = decoder.next(&mut bytes) {
                        items.push(Item::Frame(Box::new(frame)));
                    }
                    return;
                }
            }
        }
    }

    /// A head has ended: judges it, and decides how both directions go on.
    fn end_head(&mut self, sender: Role, size: usize, items: &mut Vec<Item>) {
        let mut head = self.take_head(sender, size, true);
        if sender == Role::Client {
            opening::request(&mut head);
            self.client.stage = match self.sides {
                Sides::Both => Stage::Waiting,
                Sides::Only(_) => Stage::Start,
            };
            // Whatever follows a request is meant as its answer.
            if let Stage::Start = self.server.stage {
                self.server.stage = Stage::Head;
            }
            self.request = Some(head.clone());
            items.push(Item::Head(Box::new(head)));
            return;
        }
        let agreement = opening::response(&mut head, self.request.as_ref());
        let (status, body) = (head.status(), body_len(&head));
        items.push(Item::Head(Box::new(head)));
        match (agreement, status) {
            (Some(agreement), _) => {
                self.agreement = Some(agreement);
                self.open(Role::Server);
                if let Stage::Waiting = self.client.stage {
                    self.open(Role::Client);
                    self.advance(Role::Client, items);
                }
            }
            // The answer is yet to come.
            (None, Some(100..=199)) => self.server.stage = Stage::Head,
            (None, _) => {
                self.server.stage = match body {
                    Some(0) => Stage::Head,
                    body => Stage::Body(body),
                };
                if let Stage::Waiting = self.client.stage {
                    self.client.stage = Stage::Head;
                    self.advance(Role::Client, items);
                }
            }
        }
    }

    /// What is longer than a head may be is read no further as one.
    fn give_up_head(&mut self, sender: Role, items: &mut Vec<Item>) {
        let size = self.half(sender).held.len();
        let mut head = self.take_head(sender, size, false);
        let max = self.limits.head_size_max;
        let error = HandshakeError::Head(HeadError::TooLarge { max });
        let offset = head.offset + size as u64;
        head.blame(offset, error, "an empty line, which ends the head");
        items.push(Item::Head(Box::new(head)));
        self.half(sender).stage = Stage::Body(None);
    }

    fn take_head(&mut self, sender: Role, size: usize, is_whole: bool) -> Head {
        let half = self.half(sender);
        half.end = EndOfHead::default();
        let (offset, bytes) = half.take(size);
        Head::new(sender, offset, bytes, is_whole)
    }

    /// This end's frames begin here.
    fn open(&mut self, sender: Role) {
        let limits = self.limits;
        let begin = match self.is_joined {
            true => Decoder::joining_at,
            false => Decoder::starting_at,
        };
        let agreed = self.agreement.as_ref();
        let compression = agreed.map_or(self.compression, |agreed| agreed.compression);
        let half = self.half(sender);
        let decoder = begin(half.offset, sender, limits);
        let decoder = match &compression {
            Some(params) => decoder.with_compression(params),
            None => decoder,
        };
        half.stage = Stage::Frames(Box::new(decoder));
    }
}

impl Half {
    /// Takes what is held, up to `size`; gives where that begins.
    fn take(&mut self, size: usize) -> (u64, Bytes) {
        let rest = self.held.split_off(size);
        let taken = mem::replace(&mut self.held, rest);
        let offset = self.offset;
        self.offset += size as u64;
        (offset, taken.into())
    }
}

/// Who sent a stream that begins so: by its first word, or by the mask bit of its first frame.
///
/// `None` if there are not two bytes.
#[must_use]
pub fn guess_sender(bytes: &[u8]) -> Option<Role> {
    let second = bytes.get(1)?;
    Some(match begins_head(bytes) {
        Some(true) if bytes.starts_with(b"HTTP/") => Role::Server,
        Some(true) => Role::Client,
        _ if second & 0x80 != 0 => Role::Client,
        _ => Role::Server,
    })
}

/// The bytes of body behind a refusal; `None`: all that follows.
fn body_len(head: &Head) -> Option<u64> {
    match head.status() {
        Some(204 | 304) => Some(0),
        _ => std::str::from_utf8(head.field("Content-Length")?)
            .ok()?
            .parse()
            .ok(),
    }
}

/// The bytes that are taken at a time.
const PIECE_MAX: usize = 16 << 10;
