//! What a person types at the prompt: messages, and commands that begin with a slash.

use std::error::Error;
use std::fmt;

use openline::proto::{CONTROL_PAYLOAD_MAX, CloseCode, REASON_MAX};

/// A line that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A text message.
    Text(String),
    /// `/ping [TEXT]`
    Ping(Vec<u8>),
    /// `/close [CODE [REASON]]`
    Close(Option<(CloseCode, String)>),
    /// `/binary HEX`
    Binary(Vec<u8>),
    /// `/binary @FILE`
    BinaryFile(String),
    /// `/help`
    Help,
}

/// What `/help` shows.
pub(super) const HELP: &str = "\
a line is sent as a text message, unless it begins with a slash:
  /ping [TEXT]            send a ping
  /close [CODE [REASON]]  close the connection; 1000 unless you say otherwise
  /binary HEX             send bytes as a binary message: /binary 00 ff 7f
  /binary @FILE           send a file as a binary message
  /help                   show this
  //TEXT                  send a message that begins with one slash
Ctrl-D closes the connection too.";

/// Why a line is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandError {
    Unknown,
    PingTooLong,
    Code,
    ReasonTooLong,
    Hex,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str(
                "no such command: /help lists them, and // begins a message with a slash",
            ),
            Self::PingTooLong => write!(f, "a ping carries at most {CONTROL_PAYLOAD_MAX} bytes"),
            Self::Code => f.write_str(CLOSE_CODE),
            Self::ReasonTooLong => write!(f, "a close reason has at most {REASON_MAX} bytes"),
            Self::Hex => f.write_str(
                "/binary takes bytes as pairs of hexadecimal digits, or @ and the name of a file",
            ),
        }
    }
}

impl Error for CommandError {}

const CLOSE_CODE: &str =
    "a close code is 1000 to 1003, 1007 to 1014 or 3000 to 4999 (4000 and up are for applications)";

impl Line {
    pub(super) fn parse(line: &str) -> Result<Self, CommandError> {
        let Some(command) = line.strip_prefix('/') else {
            return Ok(Self::Text(line.to_owned()));
        };
        if command.starts_with('/') {
            return Ok(Self::Text(command.to_owned()));
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "ping" if rest.len() > CONTROL_PAYLOAD_MAX => Err(CommandError::PingTooLong),
            "ping" => Ok(Self::Ping(rest.as_bytes().to_owned())),
            "close" if rest.is_empty() => Ok(Self::Close(None)),
            "close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                parse_close(code, reason.trim_start()).map(|close| Self::Close(Some(close)))
            }
            "binary" => match rest.strip_prefix('@') {
                Some("") => Err(CommandError::Hex),
                Some(path) => Ok(Self::BinaryFile(path.to_owned())),
                None => parse_hex(rest).map(Self::Binary).ok_or(CommandError::Hex),
            },
            "help" => Ok(Self::Help),
            _ => Err(CommandError::Unknown),
        }
    }
}

/// A code that may be sent and a reason that fits with it.
pub(super) fn parse_close(code: &str, reason: &str) -> Result<(CloseCode, String), CommandError> {
    let code = code
        .parse()
        .ok()
        .and_then(CloseCode::new)
        .ok_or(CommandError::Code)?;
    match reason.len() <= REASON_MAX {
        true => Ok((code, reason.to_owned())),
        false => Err(CommandError::ReasonTooLong),
    }
}

/// Pairs of digits; blanks may stand between the pairs.
fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let value = |digit: u8| char::from(digit).to_digit(16);
    let pairs = digits.chunks(2).map(|pair| match *pair {
        [high, low] => u8::try_from(value(high)? << 4 | value(low)?).ok(),
        _ => None,
    });
    match digits.is_empty() {
        true => None,
        false => pairs.collect(),
    }
}

#[cfg(test)]
mod tests {
    use openline::proto::CloseCode;

    use super::{CommandError, Line};

    #[test]
    fn lines() {
        let code = |number| CloseCode::new(number).unwrap();
        let text = |text: &str| Ok(Line::Text(text.to_owned()));
        let close = |number, reason: &str| Ok(Line::Close(Some((code(number), reason.to_owned()))));
        let cases = [
            ("", text("")),
            ("hello", text("hello")),
            (" /ping", text(" /ping")),
            ("//ping", text("/ping")),
            ("/ping", Ok(Line::Ping(Vec::new()))),
            (
                "/ping are you there",
                Ok(Line::Ping(b"are you there".to_vec())),
            ),
            ("/close", Ok(Line::Close(None))),
            ("/close 4000", close(4000, "")),
            ("/close 1001 see you later", close(1001, "see you later")),
            ("/close 1005", Err(CommandError::Code)),
            ("/close soon", Err(CommandError::Code)),
            ("/binary 00ff", Ok(Line::Binary(vec![0, 0xff]))),
            ("/binary 00 Ff 7f", Ok(Line::Binary(vec![0, 0xff, 0x7f]))),
            ("/binary 0", Err(CommandError::Hex)),
            ("/binary 0g", Err(CommandError::Hex)),
            ("/binary", Err(CommandError::Hex)),
            ("/binary @", Err(CommandError::Hex)),
            ("/binary @a file", Ok(Line::BinaryFile("a file".to_owned()))),
            ("/help", Ok(Line::Help)),
            ("/pong", Err(CommandError::Unknown)),
            ("/", Err(CommandError::Unknown)),
        ];
        for (line, parsed) in cases {
            assert_eq!(Line::parse(line), parsed, "{line:?}");
        }
    }

    #[test]
    fn control_frames_have_their_bounds() {
        let ping = |len| Line::parse(&format!("/ping {}", "x".repeat(len)));
        assert!(ping(125).is_ok());
        assert_eq!(ping(126), Err(CommandError::PingTooLong));
        let close = |len| Line::parse(&format!("/close 1000 {}", "x".repeat(len)));
        assert!(close(123).is_ok());
        assert_eq!(close(124), Err(CommandError::ReasonTooLong));
    }
}
