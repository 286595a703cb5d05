//! What a vectors file says, as values: a [`Case`] and all that belongs to it.
//!
//! A case is a probe of one peer: what is written to it, what it must answer, and how the
//! connection must end. Nothing here has been played yet; the [`Player`](super::Player) does.

use std::time::Duration;

use crate::conformance::payload::Payload;
use crate::conformance::verdict::Behavior;
use crate::proto::Role;

/// One probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it is called: Autobahn's number, or a path such as `mask/server/text`.
    pub id: String,
    /// One line, in words.
    pub title: String,
    /// The document and the section that it probes, such as `RFC 6455 §5.2`.
    pub rfc: String,
    /// What is at stake; empty if the title says it all.
    pub why: String,
    /// The id of its group, such as `1.1`.
    pub group: String,
    /// The only role of peer that it can be played against; `None` plays against both.
    pub peer: Option<Role>,
    /// How the connection is opened.
    pub opening: Opening,
    /// What is done once it is open.
    pub steps: Vec<Step>,
    /// What may be answered. The first is the strict one.
    pub expected: Vec<Expected>,
    /// How the connection must end.
    pub ending: Ending,
    /// How long the peer has for all of it.
    pub within: Within,
}

impl Case {
    /// Whether it can be played against a peer in this role.
    #[must_use]
    pub fn suits(&self, peer: Role) -> bool {
        self.peer.is_none_or(|only| only == peer)
    }

    /// Whether the case needs permessage-deflate to be agreed to before it has anything to probe.
    #[must_use]
    pub fn needs_deflate(&self) -> bool {
        self.opening.deflate
    }
}

/// A chapter of cases, for tables of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The beginning of its cases' ids, such as `1.1` or `mask`.
    pub id: String,
    /// What its cases have in common.
    pub title: String,
    /// The id of the group that it stands in; `None` for a family.
    pub parent: Option<String>,
}

/// How the connection is opened (RFC 6455 §4).
///
/// [`Default`] is an ordinary handshake without extensions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// What is changed about our request, when the peer is a server.
    pub request: Head,
    /// What is changed about our response, when the peer is a client.
    pub response: Head,
    /// Whether there is nothing to probe unless permessage-deflate is agreed to.
    pub deflate: bool,
    /// Whether what we send refers back to earlier messages, so that there is nothing to probe of
    /// a peer that has each of our messages compressed by itself.
    pub context: bool,
    /// Values of `Sec-WebSocket-Extensions` that our request offers.
    pub offers: Vec<String>,
    /// What our response asks of a client that offers permessage-deflate, the most wanted first.
    pub agreements: Vec<Agreement>,
    /// What the peer's head must say; the peer is of the role that the case is for.
    pub checks: Vec<Check>,
    /// What the peer must make of our head.
    pub answer: Answer,
}

/// What a server asks of the client within the offer that it accepts (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// `client_no_context_takeover`; asked only of a client that mentions it.
    pub no_context_takeover: bool,
    /// `client_max_window_bits`; asked only of a client that mentions it.
    pub max_window_bits: Option<u8>,
}

/// A request or response as it departs from the ordinary one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// What is changed, in this order.
    pub edits: Vec<Edit>,
    /// The sizes of the pieces in which it is written.
    pub chop: Chop,
}

/// A change to a head.
///
/// In the texts, `<host>`, `<path>`, `<key>` and `<accept>` stand for what the connection has.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Replaces the first line.
    Line(Payload),
    /// Gives a field this value, whether it is there or not.
    Field(String, Payload),
    /// Adds a field at the end, `count` times; `#` in the name is the number of each.
    Add {
        /// The field's name.
        name: String,
        /// The field's value.
        value: Payload,
        /// How often.
        count: usize,
    },
    /// Takes a field out.
    Without(String),
    /// Adds bytes at the end of the fields, as they are.
    Raw(Payload),
    /// Ends lines with this in place of CR LF.
    LineEnd(String),
    /// Writes only so many bytes, and no more.
    Cut(usize),
    /// Writes these bytes behind the head, in the same write.
    Behind(Payload),
    /// Writes these bytes in place of the whole head.
    Whole(Payload),
}

/// What the peer must make of our head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// The connection opens, and the steps follow.
    #[default]
    Opens,
    /// The connection opens, and the steps follow; a server that refuses it with a status of 400
    /// to 499 is not strict.
    ShouldOpen,
    /// A server refuses with one of these statuses; with another status, or by dropping the
    /// connection, it is not strict.
    Refuses(Vec<u16>),
    /// A client drops the connection and sends no frame.
    Rejects,
    /// The peer drops the connection, with a refusal or without.
    Drops,
    /// Whatever it does is legal, and told.
    Either,
}

impl Answer {
    /// Whether the steps are for a connection that opens.
    #[must_use]
    pub fn opens(&self) -> bool {
        matches!(self, Self::Opens | Self::ShouldOpen)
    }
}

/// Something that the peer's head must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The method of a request.
    Method(String),
    /// The version of HTTP.
    Version(String),
    /// A field has this value, in any case.
    Has(String, String),
    /// A field's list has this element, in any case.
    Lists(String, String),
    /// A field comes exactly once.
    Once(String),
    /// A field does not come.
    Lacks(String),
    /// `Sec-WebSocket-Key` is the base64 form of sixteen bytes.
    Key,
    /// permessage-deflate is agreed to, with this parameter: its value is at most the number, or
    /// it has none.
    Agrees(String, Option<u8>),
    /// permessage-deflate is not agreed to.
    Declines,
}

/// Something that is done on an open connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Frames and bytes are written.
    Write(Vec<Item>, Chop),
    /// Nothing is done for a while; a name is an event if the connection is open at its end.
    Pause(Duration, Option<String>),
    /// Until so many more events have come.
    Await(usize),
    /// Our direction of the stream ends.
    Shutdown,
    /// The connection is dropped.
    Drop,
    /// The steps, so often.
    Repeat(usize, Vec<Step>),
}

/// Something to write.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A frame, or a message in frames.
    Frame(Frame),
    /// Bytes as they are.
    Raw(Payload),
}

/// A frame with every field open to abuse.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The four bits.
    pub opcode: u8,
    /// FIN.
    pub fin: bool,
    /// RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub rsv: u8,
    /// The mask bit and the key; `None` is what our role prescribes.
    pub masked: Option<bool>,
    /// The masking key; `None` draws one.
    pub key: Option<[u8; 4]>,
    /// The length that is declared; `None` is the payload's.
    pub length: Option<u64>,
    /// The form of the length: 7, 16 or 64 bits; `None` is the minimal one.
    pub form: Option<u8>,
    /// The payload before compression and masking.
    pub payload: Payload,
    /// Splits a message into frames of so many bytes of payload.
    pub fragment: Option<usize>,
    /// Compresses the message by what was agreed to, and sets RSV1.
    pub compress: Option<Level>,
    /// Pauses within the payload: behind so many bytes, for so long, with a name as in
    /// [`Step::Pause`].
    pub pauses: Vec<(usize, Duration, Option<String>)>,
}

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As is usual.
    Usual,
    /// Not at all: stored blocks.
    Stored,
}

/// How bytes are cut into writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chop {
    /// All at once.
    #[default]
    Whole,
    /// Each frame by itself.
    Frame,
    /// So many bytes at a time.
    Size(usize),
}

/// A sequence of events, and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// The verdict when just this has come.
    pub behavior: Behavior,
    /// The events; `None` is what an echo answers to the steps.
    pub events: Option<Vec<Event>>,
}

/// What the peer does that counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A text message.
    Text(Payload),
    /// A binary message.
    Binary(Payload),
    /// A ping.
    Ping(Payload),
    /// A pong.
    Pong(Payload),
    /// The connection was still open at the end of the pause with this name.
    Open(String),
}

/// How the connection must end (RFC 6455 §7).
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Who begins it.
    pub by: Party,
    /// The codes that the peer's Close may have. It may also have none. The first is what we
    /// close with.
    pub codes: Vec<u16>,
    /// Whether both must have sent a Close frame.
    pub clean: bool,
    /// What of it decides the verdict, and not only the second verdict.
    pub decides: Decides,
    /// Whether the end, and the whole case with it, is only told and not judged.
    pub informational: bool,
}

impl Default for Ending {
    fn default() -> Self {
        Self {
            by: Party::Us,
            codes: vec![1000],
            clean: true,
            decides: Decides::Nothing,
            informational: false,
        }
    }
}

/// Who begins the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The player: by a Close step, or when all that is expected has come.
    Us,
    /// The peer under test.
    Peer,
    /// The player, without a Close frame: its stream ends, and the peer must drop the connection.
    EndOfFile,
}

/// What of the ending decides the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decides {
    /// Nothing: it is the second verdict's.
    #[default]
    Nothing,
    /// Who began it: the wrong party is a failure.
    Party,
    /// The peer's code: a wrong one is a failure.
    Code,
    /// All of it: the wrong party is a failure; a wrong code, or a connection that is dropped
    /// without a Close frame, is not strict.
    All,
}

/// How long a peer has, counted from the open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// So long.
    pub time: Duration,
    /// Whether we then close, rather than drop the connection.
    pub closes: bool,
}

impl Default for Within {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(5),
            closes: false,
        }
    }
}
