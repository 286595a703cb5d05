//! Rules: which frames are meant. `from=client,type=text,size>100`.

use std::str::FromStr;

use openline::inspect::Frame;
use openline::proto::Role;

use crate::cli::values::parse_size;

/// Which frames are meant: those that fit every condition. Without a condition, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    from: Option<Role>,
    kind: Option<FrameType>,
    size_min: Option<u64>,
    size_max: Option<u64>,
    text: Option<String>,
    connection: Option<usize>,
    nth: Option<u64>,
    every: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameType {
    Opcode(u8),
    Data,
    Control,
}

/// A rule at work: how many frames fitted it.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) rule: Rule,
    seen: u64,
}

impl Counted {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, seen: 0 }
    }

    /// Whether this frame is meant; each frame is to be asked about once.
    pub(super) fn is_met(&mut self, connection: usize, frame: &Frame) -> bool {
        if !self.rule.fits(connection, frame) {
            return false;
        }
        self.seen += 1;
        let nth = self.rule.nth.is_none_or(|nth| nth == self.seen);
        nth && self
            .rule
            .every
            .is_none_or(|every| self.seen.is_multiple_of(every))
    }
}

impl Rule {
    /// Whether the frame fits, counting apart.
    fn fits(&self, connection: usize, frame: &Frame) -> bool {
        let kind = match self.kind {
            None => true,
            Some(FrameType::Opcode(bits)) => frame.header.opcode_bits() == Some(bits),
            Some(FrameType::Data) => !frame.header.is_control(),
            Some(FrameType::Control) => frame.header.is_control(),
        };
        let has = |text: &String| {
            let payload = match &frame.message {
                Some(message) => &message.payload,
                None => &frame.payload,
            };
            let mut windows = payload.windows(text.len().max(1));
            windows.any(|window| window == text.as_bytes())
        };
        kind && self.from.is_none_or(|from| from == frame.sender)
            && self.size_min.is_none_or(|min| frame.received >= min)
            && self.size_max.is_none_or(|max| frame.received <= max)
            && self.connection.is_none_or(|number| number == connection)
            && self.text.as_ref().is_none_or(has)
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rule = Self::default();
        if text == "all" {
            return Ok(rule);
        }
        for condition in text.split(',') {
            rule.add(condition)?;
        }
        Ok(rule)
    }
}

impl Rule {
    fn add(&mut self, condition: &str) -> Result<(), String> {
        let number = |text: &str| {
            let number = text.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("{condition:?} needs a number from 1 on"))
        };
        if let Some(size) = condition.strip_prefix("size>") {
            self.size_min = Some(size_of(size)?.saturating_add(1));
        } else if let Some(size) = condition.strip_prefix("size<") {
            let below = size_of(size)?.checked_sub(1);
            self.size_max = Some(below.ok_or("no frame is smaller than 0")?);
        } else if let Some((name, value)) = condition.split_once('=') {
            match name {
                "from" => self.from = Some(parse_end(value)?),
                "type" => self.kind = Some(parse_type(value)?),
                "size" => {
                    let size = size_of(value)?;
                    (self.size_min, self.size_max) = (Some(size), Some(size));
                }
                "match" => self.text = Some(value.to_owned()),
                "connection" => {
                    self.connection = usize::try_from(number(value)?).ok();
                }
                "nth" => self.nth = Some(number(value)?),
                "every" => self.every = Some(number(value)?),
                _ => return Err(unknown(condition)),
            }
        } else {
            return Err(unknown(condition));
        }
        Ok(())
    }
}

fn size_of(text: &str) -> Result<u64, String> {
    match text {
        "0" => Ok(0),
        text => Ok(parse_size(text)?),
    }
}

/// `client` or `server`.
pub(super) fn parse_end(text: &str) -> Result<Role, String> {
    match text {
        "client" => Ok(Role::Client),
        "server" => Ok(Role::Server),
        _ => Err(format!("{text:?} is neither client nor server")),
    }
}

fn parse_type(text: &str) -> Result<FrameType, String> {
    Ok(match text {
        "data" => FrameType::Data,
        "control" => FrameType::Control,
        text => FrameType::Opcode(parse_opcode(text)?),
    })
}

/// The name of an opcode, or its number.
pub(super) fn parse_opcode(text: &str) -> Result<u8, String> {
    let number = text
        .strip_prefix("0x")
        .map(|digits| u8::from_str_radix(digits, 16));
    match (text, number) {
        ("continuation", _) => Ok(0x0),
        ("text", _) => Ok(0x1),
        ("binary", _) => Ok(0x2),
        ("close", _) => Ok(0x8),
        ("ping", _) => Ok(0x9),
        ("pong", _) => Ok(0xa),
        (_, Some(Ok(number @ 0..16))) => Ok(number),
        _ => Err(format!(
            "{text:?} is no type: text, binary, continuation, close, ping, pong, or 0x0 to 0xf; a \
             rule also knows data and control"
        )),
    }
}

fn unknown(condition: &str) -> String {
    format!(
        "{condition:?} is no condition; there are from=, type=, size<, size>, size=, match=, \
         connection=, nth= and every="
    )
}

#[cfg(test)]
mod tests {
    use openline::inspect::{Decoder, Frame, Limits};
    use openline::proto::Role;

    use super::{Counted, Rule};

    fn frame(sender: Role, mut bytes: &[u8]) -> Frame {
        Decoder::new(sender, Limits::default())
            .next(&mut bytes)
            .unwrap()
    }

    #[test]
    fn which_frames_fit() {
        let text = frame(Role::Server, b"\x81\x05hello");
        let ping = frame(Role::Client, b"\x89\x80\0\0\0\0");
        for (rule, of_text, of_ping) in [
            ("all", true, true),
            ("from=server", true, false),
            ("from=client", false, true),
            ("type=text", true, false),
            ("type=ping", false, true),
            ("type=0x9", false, true),
            ("type=data", true, false),
            ("type=control", false, true),
            ("size>4", true, false),
            ("size>5", false, false),
            ("size<6,size>0", true, false),
            ("size=0", false, true),
            ("match=ell", true, false),
            ("match=Hello", false, false),
            ("connection=7", true, true),
            ("connection=8", false, false),
            ("from=server,type=text,match=h", true, false),
        ] {
            let mut counted = Counted::new(rule.parse().unwrap());
            assert_eq!(counted.is_met(7, &text), of_text, "{rule}");
            assert_eq!(counted.is_met(7, &ping), of_ping, "{rule}");
        }
    }

    #[test]
    fn the_nth_and_every_nth() {
        let text = frame(Role::Server, b"\x81\x05hello");
        let ping = frame(Role::Server, b"\x89\x00");
        let met = |rule: &str| {
            let mut counted = Counted::new(rule.parse::<Rule>().unwrap());
            let frames = [&text, &ping, &text, &text, &text].into_iter();
            frames
                .map(|frame| counted.is_met(1, frame))
                .collect::<Vec<_>>()
        };
        assert_eq!(met("type=text,nth=2"), [false, false, true, false, false]);
        assert_eq!(met("type=text,every=2"), [false, false, true, false, true]);
    }

    #[test]
    fn what_is_no_rule_is_said() {
        for (rule, words) in [
            ("", "is no condition"),
            ("text", "is no condition"),
            ("from=me", "neither client nor server"),
            ("type=word", "is no type"),
            ("size>x", "a size is"),
            ("size<0", "smaller than 0"),
            ("nth=0", "a number from 1 on"),
        ] {
            let error = rule.parse::<Rule>().unwrap_err();
            assert!(error.contains(words), "{rule}: {error}");
        }
    }
}
