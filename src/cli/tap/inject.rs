//! Frames of our own between those that pass: `to=client,type=ping,after=2s,every=1s`.

use std::str::FromStr;
use std::time::Duration;

use openline::inspect::Frame;
use openline::proto::{MaskingKey, Role};

use crate::cli::tap::rule::{parse_end, parse_opcode};
use crate::cli::values::Time;

/// What is to be injected, where, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Injection {
    pub(super) to: Role,
    what: What,
    /// This long after the connection opened.
    after: Option<Duration>,
    /// And again and again.
    pub(super) every: Option<Duration>,
    /// Behind each message that has this text.
    seen: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Frame {
        opcode: u8,
        payload: Vec<u8>,
    },
    /// These bytes, whatever they mean.
    Raw(Vec<u8>),
}

impl Injection {
    /// When it is due the first time, after the connection opened.
    pub(super) fn first(&self) -> Option<Duration> {
        match (self.after, self.every, &self.seen) {
            (Some(after), ..) => Some(after),
            (None, Some(every), None) => Some(every),
            (None, None, None) => Some(Duration::ZERO),
            _ => None,
        }
    }

    /// Whether this frame is what it waits for.
    pub(super) fn is_due_at(&self, frame: &Frame) -> bool {
        let (Some(text), Some(message)) = (&self.seen, &frame.message) else {
            return false;
        };
        let mut windows = message.payload.windows(text.len().max(1));
        windows.any(|window| window == text.as_bytes())
    }

    /// The bytes. A frame to the server is masked with this key, as a client's must be.
    pub(super) fn bytes(&self, key: [u8; 4]) -> Vec<u8> {
        match &self.what {
            What::Raw(bytes) => bytes.clone(),
            What::Frame { opcode, payload } => {
                let key = (self.to == Role::Server).then_some(key);
                frame(0x80 | opcode, payload, key)
            }
        }
    }
}

/// A frame with these first eight bits, in the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    let len = payload.len();
    if let Ok(short @ 0..126) = u8::try_from(len) {
        bytes.push(mask | short);
    } else if let Ok(len) = u16::try_from(len) {
        bytes.push(mask | 126);
        bytes.extend(len.to_be_bytes());
    } else {
        bytes.push(mask | 127);
        bytes.extend((len as u64).to_be_bytes());
    }
    let start = bytes.len() + key.map_or(0, |key| key.len());
    bytes.extend(key.into_iter().flatten());
    bytes.extend_from_slice(payload);
    if let Some(key) = key {
        MaskingKey::new(key).apply(&mut bytes[start..]);
    }
    bytes
}

impl FromStr for Injection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut to, mut opcode, mut payload, mut raw) = (None, None, None, None);
        let (mut after, mut every, mut seen) = (None, None, None);
        // What a frame says may have commas in it: it comes last.
        let (settings, said) = match text.split_once("payload=") {
            Some((settings, said)) => (settings.trim_end_matches(','), Some(said)),
            None => (text, None),
        };
        if let Some(said) = said {
            payload = Some(said.as_bytes().to_vec());
        }
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let unknown = || {
                format!(
                    "{setting:?} is no setting; there are to=, type=, hex=, after=, every=, seen= \
                     and, as the last, payload="
                )
            };
            let (name, value) = setting.split_once('=').ok_or_else(unknown)?;
            match name {
                "to" => to = Some(parse_end(value)?),
                "type" => opcode = Some(parse_opcode(value)?),
                "hex" => raw = Some(hex(value)?),
                "after" => after = Some(span(value)?),
                "every" => every = Some(span(value)?),
                "seen" => seen = Some(value.to_owned()),
                _ => return Err(unknown()),
            }
        }
        let what = match (raw, opcode, payload) {
            (Some(raw), None, None) => What::Raw(raw),
            (Some(_), ..) => {
                return Err("hex= is whole frames, without type= or payload=".to_owned());
            }
            (None, opcode, payload) => {
                let payload = payload.unwrap_or_default();
                What::Frame {
                    opcode: opcode.unwrap_or(0x1),
                    payload,
                }
            }
        };
        if every == Some(Duration::ZERO) {
            return Err("every= needs some time between".to_owned());
        }
        Ok(Self {
            to: to.ok_or("to=client or to=server is missing")?,
            what,
            after,
            every,
            seen,
        })
    }
}

fn span(text: &str) -> Result<Duration, String> {
    match text.parse()? {
        Time::Span(span) => Ok(span),
        Time::Never => Err("never is too late".to_owned()),
    }
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && !digits.is_empty());
    let digits = digits.ok_or("hex= needs pairs of hexadecimal digits")?;
    Ok(digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Injection, frame};

    fn parse(text: &str) -> Injection {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_injected() {
        let key = [1, 2, 3, 4];
        assert_eq!(
            parse("to=client,payload=a,b=c").bytes(key),
            b"\x81\x05a,b=c"
        );
        assert_eq!(parse("to=client,type=ping").bytes(key), b"\x89\x00");
        assert_eq!(parse("to=client,hex=8300").bytes(key), b"\x83\x00");
        let masked = parse("to=server,type=close,payload=ab").bytes(key);
        assert_eq!(masked, b"\x88\x82\x01\x02\x03\x04\x60\x60");
        assert_eq!(frame(0x82, &[0; 200], None)[..4], *b"\x82\x7e\x00\xc8");
        assert_eq!(
            frame(0x82, &[0; 70_000], None)[..10],
            *b"\x82\x7f\0\0\0\0\0\x01\x11\x70"
        );
    }

    #[test]
    fn when() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(parse("to=client").first(), Some(Duration::ZERO));
        assert_eq!(parse("to=client,after=1s").first(), second);
        assert_eq!(parse("to=client,every=1s").first(), second);
        assert_eq!(parse("to=client,seen=x").first(), None);
    }

    #[test]
    fn what_is_no_injection_is_said() {
        for (text, words) in [
            ("type=ping", "to=client or to=server"),
            ("to=client,hex=8", "pairs"),
            ("to=client,hex=83,type=ping", "without type="),
            ("to=client,when=1s", "is no setting"),
            ("to=client,after=1", "needs its unit"),
            ("to=client,every=0", "some time between"),
        ] {
            let error = text.parse::<Injection>().unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
