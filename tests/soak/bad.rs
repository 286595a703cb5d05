//! What a peer can do badly.

use std::io::{self, Write};
use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;

use crate::door::{Door, Stream};
use crate::random::Random;
use crate::server::REQUEST;

/// What it waits for at most: a flood finds out that nobody listens by this.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);
/// The messages of 64 KiB that are sent to who may not listen any more.
const FLOOD_MAX: usize = 200;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Misdeed {
    /// Nothing is said, not even TLS.
    Silent,
    /// Half of the first record, and no more.
    HalfHello,
    /// Half of a request, and no more.
    HalfRequest,
    /// What is no request.
    Garbage,
    /// A reset within a frame.
    Reset,
    /// An end of file within a frame, and the connection is held on to.
    HalfOpen,
    /// A frame that is declared and does not come.
    Claim,
    /// Echoes that are never read.
    SlowReader,
    /// A frame that is against the rules.
    Violation,
}

const MISDEEDS: [Misdeed; 9] = [
    Misdeed::Silent,
    Misdeed::HalfHello,
    Misdeed::HalfRequest,
    Misdeed::Garbage,
    Misdeed::Reset,
    Misdeed::HalfOpen,
    Misdeed::Claim,
    Misdeed::SlowReader,
    Misdeed::Violation,
];

/// Against the rules: no mask, a reserved opcode, a reserved bit, a long Ping, bad UTF-8, a
/// continuation of nothing, a length with the top bit, a Close of one byte.
const VIOLATIONS: [&[u8]; 8] = [
    b"\x81\x01a",
    b"\x83\x80\0\0\0\0",
    b"\xc1\x80\0\0\0\0",
    b"\x89\xfe\0\x7e\0\0\0\0",
    b"\x81\x81\0\0\0\0\xff",
    b"\x80\x80\0\0\0\0",
    b"\x82\xff\xff\0\0\0\0\0\0\0\0\0\0\0",
    b"\x88\x81\0\0\0\0a",
];

impl Misdeed {
    pub(crate) fn any(random: &mut Random) -> Self {
        MISDEEDS[random.below(MISDEEDS.len())]
    }

    /// Does it; returns the connection if it is to be held on to.
    pub(crate) fn commit(self, door: &Door, random: &mut Random) -> io::Result<Option<Stream>> {
        let mut stream = match self {
            Self::Silent => return Ok(Some(Stream::Plain(door.knock(PATIENCE)?))),
            Self::HalfHello => {
                let mut hello = Vec::new();
                if let Some(mut session) = door.session() {
                    session.write_tls(&mut hello)?;
                }
                let mut tcp = door.knock(PATIENCE)?;
                tcp.write_all(&hello[..hello.len() / 2])?;
                return Ok(Some(Stream::Plain(tcp)));
            }
            _ => door.enter(PATIENCE)?,
        };
        match self {
            Self::Silent | Self::HalfHello => {}
            Self::HalfRequest => stream.say(&REQUEST[..60])?,
            Self::Garbage => {
                stream.say(b"\x16\x03\x01 \r\n\r\nSSH-2.0-x\r\n\r\n")?;
                stream.hear_out();
                return Ok(None);
            }
            _ => stream.ask()?,
        }
        match self {
            Self::Silent | Self::HalfHello | Self::HalfRequest | Self::Garbage => {}
            Self::Reset => {
                stream.say(b"\x82\x85\0\0\0\0ab")?;
                SockRef::from(stream.tcp()).set_linger(Some(Duration::ZERO))?;
                return Ok(None);
            }
            Self::HalfOpen => {
                stream.say(b"\x82\x85\0\0\0\0ab")?;
                stream.tcp().shutdown(Shutdown::Write)?;
            }
            Self::Claim => stream.say(b"\x82\xff\0\0\0\0\x01\0\0\0\0\0\0\0")?,
            Self::SlowReader => {
                let message = message(64 << 10);
                // Until nobody listens any more.
                for _ in 0..FLOOD_MAX {
                    if stream.say(&message).is_err() {
                        break;
                    }
                }
            }
            Self::Violation => {
                stream.say(VIOLATIONS[random.below(VIOLATIONS.len())])?;
                stream.hear_out();
                return Ok(None);
            }
        }
        Ok(Some(stream))
    }
}

/// A binary message of a client, larger than 65,535 bytes.
pub(crate) fn message(size: usize) -> Vec<u8> {
    let mut message = b"\x82\xff".to_vec();
    message.extend((size as u64).to_be_bytes());
    message.extend([0; 4]);
    message.resize(message.len() + size, 7);
    message
}
