//! What passed between the player and the peer, for reports.
//!
//! It is bounded whatever the case sends: of a long payload only the beginning is kept, of many
//! entries only the first ones and the count.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::conformance::wire::RawHeader;

/// Who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The player.
    Sent,
    /// The peer under test.
    Received,
}

/// Everything that passed, as far as it was kept.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<LogEntry>,
    omitted: usize,
    sent: Counts,
    received: Counts,
}

/// How much passed in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames by opcode.
    pub frames: [u64; 16],
    /// Writes or reads by their size in bytes.
    pub octets: BTreeMap<usize, u64>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Since the case began.
    pub at: Duration,
    /// What.
    pub what: Logged,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logged {
    /// The head of the opening handshake.
    Head(Direction, Vec<u8>),
    /// A frame.
    Frame {
        /// Who sent it.
        direction: Direction,
        /// Its header, byte for byte, with the masking key.
        header: Vec<u8>,
        /// The beginning of its payload, unmasked and as it was sent (compressed, if it was).
        payload: Vec<u8>,
        /// The bytes of payload that there were.
        payload_len: u64,
    },
    /// Bytes that are no frame.
    Bytes {
        /// Who sent them.
        direction: Direction,
        /// The beginning.
        bytes: Vec<u8>,
        /// How many there were.
        len: usize,
    },
    /// We waited.
    Pause(Duration),
    /// The stream ended.
    EndOfFile(Direction),
    /// The connection was reset by the peer.
    Reset,
    /// We dropped the connection.
    Dropped,
    /// The time was up.
    Deadline,
    /// The peer broke the protocol; in words.
    Violation(String),
}

impl Log {
    /// What happened, in order.
    #[must_use]
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// How many entries were not kept.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// How much passed in a direction.
    #[must_use]
    pub fn counts(&self, direction: Direction) -> &Counts {
        match direction {
            Direction::Sent => &self.sent,
            Direction::Received => &self.received,
        }
    }

    pub(super) fn push(&mut self, at: Duration, what: Logged) {
        // The end is worth more than what lies in the middle of a thousand messages.
        let is_end = matches!(
            what,
            Logged::EndOfFile(_)
                | Logged::Reset
                | Logged::Dropped
                | Logged::Deadline
                | Logged::Violation(_)
        );
        match is_end || self.entries.len() < ENTRIES_MAX {
            true => self.entries.push(LogEntry { at, what }),
            false => self.omitted += 1,
        }
    }

    pub(super) fn frame(
        &mut self,
        at: Duration,
        direction: Direction,
        header: Vec<u8>,
        payload: &[u8],
    ) {
        let opcode = header.first().map_or(0, |first| first & 15);
        self.counts_mut(direction).frames[usize::from(opcode)] += 1;
        if self.entries.len() >= ENTRIES_MAX && opcode != 8 {
            self.omitted += 1;
            return;
        }
        let frame = Logged::Frame {
            direction,
            header,
            payload: payload[..payload.len().min(PAYLOAD_MAX)].to_vec(),
            payload_len: payload.len() as u64,
        };
        // A Close frame tells how it ended, and there are few of them.
        match self.entries.len() < 2 * ENTRIES_MAX {
            true => self.entries.push(LogEntry { at, what: frame }),
            false => self.omitted += 1,
        }
    }

    pub(super) fn raw(&mut self, at: Duration, direction: Direction, bytes: &[u8]) {
        let raw = Logged::Bytes {
            direction,
            bytes: bytes[..bytes.len().min(PAYLOAD_MAX)].to_vec(),
            len: bytes.len(),
        };
        self.push(at, raw);
    }

    pub(super) fn octets(&mut self, direction: Direction, size: usize) {
        let octets = &mut self.counts_mut(direction).octets;
        if octets.len() < SIZES_MAX || octets.contains_key(&size) {
            *octets.entry(size).or_default() += 1;
        }
    }

    fn counts_mut(&mut self, direction: Direction) -> &mut Counts {
        match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        }
    }
}

impl fmt::Display for Log {
    /// A line for each entry: when, which way, what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            writeln!(f, "  {:>9.3} s  {}", entry.at.as_secs_f64(), entry.what)?;
        }
        match self.omitted {
            0 => Ok(()),
            omitted => writeln!(f, "  and {omitted} entries more"),
        }
    }
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(direction, bytes) => {
                write!(f, "{direction} {:?}", String::from_utf8_lossy(bytes))
            }
            Self::Frame {
                direction,
                header,
                payload,
                payload_len,
            } => write!(f, "{direction} {}", Frame(header, payload, *payload_len)),
            Self::Bytes {
                direction,
                bytes,
                len,
            } => write!(f, "{direction} {len} bytes \"{}\"", shown(bytes)),
            Self::Pause(time) => write!(f, "-- wait {} s", time.as_secs_f64()),
            Self::EndOfFile(direction) => write!(f, "{direction} the end of the stream"),
            Self::Reset => f.write_str("<- reset"),
            Self::Dropped => f.write_str("-- we drop the connection"),
            Self::Deadline => f.write_str("-- the time is up"),
            Self::Violation(fault) => write!(f, "!! {fault}"),
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "->",
            Self::Received => "<-",
        })
    }
}

/// A frame in one line: its bits, its length, the beginning of what it says.
struct Frame<'a>(&'a [u8], &'a [u8], u64);

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes, payload, payload_len) = self;
        let Some((header, _)) = RawHeader::decode(bytes) else {
            return write!(f, "half a header {bytes:x?}");
        };
        let name = match header.opcode {
            0 => "continuation",
            1 => "text",
            2 => "binary",
            8 => "close",
            9 => "ping",
            10 => "pong",
            _ => "reserved",
        };
        write!(f, "{name} ({:#x})", header.opcode)?;
        if header.fin {
            f.write_str(" FIN")?;
        }
        for (bit, name) in [(4, "RSV1"), (2, "RSV2"), (1, "RSV3")] {
            if header.rsv & bit != 0 {
                write!(f, " {name}")?;
            }
        }
        if let Some([a, b, c, d]) = header.key {
            write!(f, " mask {a:02x}{b:02x}{c:02x}{d:02x}")?;
        }
        write!(f, " length {} ({} bits)", header.length, header.form)?;
        if header.length != *payload_len {
            write!(f, " of which {payload_len} follow")?;
        }
        match payload.split_first_chunk() {
            Some((code, reason)) if header.opcode == 8 => {
                let code = u16::from_be_bytes(*code);
                write!(f, " code {code} \"{}\"", shown(reason))
            }
            _ => write!(f, " \"{}\"", shown(payload)),
        }
    }
}

/// The beginning, in characters that harm no terminal.
fn shown(bytes: &[u8]) -> String {
    let beginning = &bytes[..bytes.len().min(SHOWN_MAX)];
    let dots = if bytes.len() > SHOWN_MAX { "…" } else { "" };
    format!("{}{dots}", beginning.escape_ascii())
}

/// The bytes of a payload that a line shows.
const SHOWN_MAX: usize = 60;
/// The entries kept: more than any case has frames that is looked at frame by frame.
const ENTRIES_MAX: usize = 400;
/// The bytes kept of a payload: as many as somebody would look at.
const PAYLOAD_MAX: usize = 1024;
/// The sizes of reads and writes that are told apart.
const SIZES_MAX: usize = 1000;
