//! A recording: what passed between clients and a server, as `tap` writes it.
//!
//! Lines of JSON, each written whole and at once, so that a crash costs the last line at most.
//! The first line says what it is; each other line is an event:
//!
//! ```text
//! {"openline":"recording","version":1,"unix_time":1700000000.0,"target":"ws://localhost:9001/"}
//! {"time":0.0,"connection":1,"event":"open","client":"127.0.0.1:4711","target":"ws://…"}
//! {"time":0.1,"connection":1,"event":"data","from":"client","base64":"R0VUIC8…"}
//! {"time":0.2,"connection":1,"event":"note","what":"…"}
//! {"time":0.3,"connection":1,"event":"end","from":"client"}
//! ```
//!
//! `time` is in seconds since the recording began; `data` is what came from that end, byte for
//! byte. A reader passes over events and members that it does not know; a change that it could
//! not bear raises `version`.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use openline::inspect::json::role;
use openline::proto::Role;
use serde_json::{Value, json};

/// One event of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Since the recording began.
    pub(crate) time: Duration,
    pub(crate) connection: usize,
    pub(crate) event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A client came.
    Open { client: String, target: String },
    /// An end sent these bytes.
    Data { from: Role, bytes: Vec<u8> },
    /// An end sends no more.
    End { from: Role },
    /// Something worth knowing: what was changed on the way.
    Note { what: String },
}

/// Writes the first line.
pub(crate) fn begin(out: &mut impl Write, target: &str) -> io::Result<()> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default().as_secs_f64();
    // Not by `json!`, which sorts: the first member is how a recording is recognised.
    writeln!(
        out,
        "{{\"openline\":\"recording\",\"version\":{VERSION},\"unix_time\":{since},\"target\":{}}}",
        Value::from(target)
    )
}

/// Writes an event, in one write.
pub(crate) fn write(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let mut value = match &entry.event {
        Event::Open { client, target } => {
            json!({"event": "open", "client": client, "target": target})
        }
        Event::Data { from, bytes } => {
            json!({"event": "data", "from": role(*from), "base64": BASE64.encode(bytes)})
        }
        Event::End { from } => json!({"event": "end", "from": role(*from)}),
        Event::Note { what } => json!({"event": "note", "what": what}),
    };
    value["time"] = entry.time.as_secs_f64().into();
    value["connection"] = entry.connection.into();
    out.write_all(format!("{value}\n").as_bytes())
}

/// Reads a line; `None` for the first line, and for events of later versions.
pub(crate) fn parse(line: &[u8]) -> Result<Option<Entry>, ParseError> {
    let value: Value = serde_json::from_slice(line).map_err(|_| ParseError::Json)?;
    if value["openline"] == "recording" {
        return match value["version"].as_u64() {
            Some(VERSION) => Ok(None),
            Some(version) => Err(ParseError::Version(version)),
            None => Err(ParseError::Member("version")),
        };
    }
    let text = |name: &'static str| {
        let text = value[name].as_str().map(str::to_owned);
        text.ok_or(ParseError::Member(name))
    };
    let from = || match value["from"].as_str() {
        Some("client") => Ok(Role::Client),
        Some("server") => Ok(Role::Server),
        _ => Err(ParseError::Member("from")),
    };
    let event = match text("event")?.as_str() {
        "open" => Event::Open {
            client: text("client")?,
            target: text("target")?,
        },
        "data" => {
            let bytes = BASE64.decode(text("base64")?);
            Event::Data {
                from: from()?,
                bytes: bytes.map_err(|_| ParseError::Member("base64"))?,
            }
        }
        "end" => Event::End { from: from()? },
        "note" => Event::Note {
            what: text("what")?,
        },
        _ => return Ok(None),
    };
    let time = value["time"]
        .as_f64()
        .and_then(|time| Duration::try_from_secs_f64(time).ok());
    let connection = value["connection"]
        .as_u64()
        .and_then(|number| usize::try_from(number).ok());
    Ok(Some(Entry {
        time: time.ok_or(ParseError::Member("time"))?,
        connection: connection.ok_or(ParseError::Member("connection"))?,
        event,
    }))
}

/// Why a line is none of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    Json,
    Version(u64),
    /// Missing, or not what it must be.
    Member(&'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json => f.write_str("this is no JSON"),
            Self::Version(version) => {
                write!(
                    f,
                    "version {version} is not known here; this program reads {VERSION}"
                )
            }
            Self::Member(name) => write!(f, "{name} is missing or not what it must be"),
        }
    }
}

const VERSION: u64 = 1;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use openline::proto::Role;

    use super::{Entry, Event, ParseError, begin, parse, write};

    #[test]
    fn what_is_written_is_read() {
        let entry = |event| Entry {
            time: Duration::from_millis(1250),
            connection: 7,
            event,
        };
        let entries = [
            entry(Event::Open {
                client: "[::1]:1".to_owned(),
                target: "ws://h/".to_owned(),
            }),
            entry(Event::Data {
                from: Role::Client,
                bytes: b"\x00\xff\n".to_vec(),
            }),
            entry(Event::Note {
                what: "a\u{1b}\n\"".to_owned(),
            }),
            entry(Event::End { from: Role::Server }),
        ];
        let mut file = Vec::new();
        begin(&mut file, "ws://h/").unwrap();
        assert!(file.starts_with(b"{\"openline\":\"recording\",\"version\":1,"));
        for entry in &entries {
            write(&mut file, entry).unwrap();
        }
        let lines = file.split_inclusive(|byte| *byte == b'\n');
        let read: Vec<Entry> = lines.filter_map(|line| parse(line).unwrap()).collect();
        assert_eq!(read, entries);
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_wrong_is_named() {
        let later = br#"{"time":0,"connection":1,"event":"later","x":[]}"#;
        assert_eq!(parse(later), Ok(None));
        for (line, error) in [
            (&b"{"[..], ParseError::Json),
            (
                br#"{"openline":"recording","version":2}"#,
                ParseError::Version(2),
            ),
            (br#"{"event":"end","from":"x"}"#, ParseError::Member("from")),
            (
                br#"{"event":"end","from":"client"}"#,
                ParseError::Member("time"),
            ),
            (
                br#"{"event":"data","from":"client","base64":"?"}"#,
                ParseError::Member("base64"),
            ),
            (
                br#"{"event":"end","from":"client","time":-1}"#,
                ParseError::Member("time"),
            ),
        ] {
            assert_eq!(parse(line), Err(error));
        }
    }
}
