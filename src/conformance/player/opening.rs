//! The opening handshake as the player takes part in it: heads with edits, heads read leniently.

use crate::conformance::case::{Check, Edit, Head};
use crate::conformance::codec::Params;
use crate::proto::Key;

/// A head while it is put together.
struct Draft {
    line: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
    raw: Vec<u8>,
    line_end: String,
    behind: Vec<u8>,
}

/// What the texts of edits can name.
pub(super) struct Names<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) key: &'a str,
    pub(super) accept: &'a str,
}

impl Names<'_> {
    fn fill(&self, text: &[u8]) -> Vec<u8> {
        if !text.contains(&b'<') {
            return text.to_vec();
        }
        let mut filled = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            let named = [
                ("<host>", self.host),
                ("<path>", self.path),
                ("<key>", self.key),
                ("<accept>", self.accept),
            ]
            .into_iter()
            .find(|(name, _)| first == b'<' && rest.starts_with(name.as_bytes()));
            match named {
                Some((name, value)) => {
                    filled.extend(value.bytes());
                    rest = &rest[name.len()..];
                }
                None => {
                    filled.push(first);
                    rest = after;
                }
            }
        }
        filled
    }
}

/// A head with its edits, as bytes.
pub(super) fn write(
    line: String,
    fields: Vec<(&str, String)>,
    head: &Head,
    names: &Names<'_>,
) -> Vec<u8> {
    let mut draft = Draft {
        line: line.into_bytes(),
        fields: fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into_bytes()))
            .collect(),
        raw: Vec::new(),
        line_end: "\r\n".to_owned(),
        behind: Vec::new(),
    };
    let (mut cut, mut whole) = (usize::MAX, None);
    for edit in &head.edits {
        match edit {
            Edit::Line(line) => draft.line = names.fill(&line.render()),
            Edit::Field(name, value) => {
                let value = names.fill(&value.render());
                match draft
                    .fields
                    .iter_mut()
                    .find(|(n, _)| n.eq_ignore_ascii_case(name))
                {
                    Some(field) => *field = (name.clone(), value),
                    None => draft.fields.push((name.clone(), value)),
                }
            }
            Edit::Add { name, value, count } => {
                let value = names.fill(&value.render());
                for n in 0..*count {
                    let name = name.replace('#', &n.to_string());
                    draft.fields.push((name, value.clone()));
                }
            }
            Edit::Without(name) => draft.fields.retain(|(n, _)| !n.eq_ignore_ascii_case(name)),
            Edit::Raw(bytes) => draft.raw.extend(names.fill(&bytes.render())),
            Edit::LineEnd(end) => draft.line_end.clone_from(end),
            Edit::Cut(at) => cut = *at,
            Edit::Behind(bytes) => draft.behind.extend_from_slice(&bytes.render()),
            Edit::Whole(bytes) => whole = Some(names.fill(&bytes.render())),
        }
    }
    let mut bytes = whole.unwrap_or_else(|| draft.head());
    bytes.extend(&draft.behind);
    bytes.truncate(cut);
    bytes
}

impl Draft {
    fn head(&self) -> Vec<u8> {
        let end = self.line_end.as_bytes();
        let mut bytes = [&self.line, end].concat();
        for (name, value) in &self.fields {
            bytes.extend(name.bytes());
            bytes.extend(b": ");
            bytes.extend(value);
            bytes.extend(end);
        }
        bytes.extend(&self.raw);
        bytes.extend(end);
        bytes
    }
}

/// A head as it was read: whatever can be made of it.
#[derive(Debug, Default)]
pub(super) struct ReadHead {
    line: String,
    fields: Vec<(String, Vec<u8>)>,
}

impl ReadHead {
    /// Reads the head at the front of `bytes`, and its size; `None` while its end is not there.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let size = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let mut lines = bytes[..size].split(|byte| *byte == b'\n');
        let line = lines.next().unwrap_or_default();
        let mut head = Self {
            line: String::from_utf8_lossy(line).trim_end().to_owned(),
            fields: Vec::new(),
        };
        for line in lines {
            if let Some(colon) = line.iter().position(|byte| *byte == b':') {
                let name = String::from_utf8_lossy(&line[..colon]).into_owned();
                head.fields
                    .push((name, line[colon + 1..].trim_ascii().to_vec()));
            }
        }
        Some((head, size))
    }

    /// The words of the first line.
    fn word(&self, n: usize) -> &str {
        self.line.split(' ').nth(n).unwrap_or_default()
    }

    /// The status, if this is a response.
    pub(super) fn status(&self) -> Option<u16> {
        match self.word(0).starts_with("HTTP/") {
            true => self.word(1).parse().ok(),
            false => None,
        }
    }

    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    fn lists(&self, name: &str, word: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|element| element.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The key of a request, if it is one.
    pub(super) fn key(&self) -> Option<Key> {
        let mut values = self.values("Sec-WebSocket-Key");
        values.next().and_then(Key::parse)
    }

    /// What keeps this from being a request for WebSocket (RFC 6455 §4.2.1); `None` if nothing.
    pub(super) fn request_fault(&self) -> Option<String> {
        [
            Check::Method("GET".to_owned()),
            Check::Version("HTTP/1.1".to_owned()),
            Check::Lists("Upgrade".to_owned(), "websocket".to_owned()),
            Check::Lists("Connection".to_owned(), "upgrade".to_owned()),
            Check::Has("Sec-WebSocket-Version".to_owned(), "13".to_owned()),
            Check::Key,
        ]
        .iter()
        .find_map(|check| self.fault(check, None))
    }

    /// What keeps this from being the consent to our request (RFC 6455 §4.1, the last list).
    pub(super) fn response_fault(&self, key: &Key) -> Option<String> {
        let accept = String::from_utf8_lossy(key.accept().as_bytes()).into_owned();
        let fault = [
            Check::Version("HTTP/1.1".to_owned()),
            Check::Has("Upgrade".to_owned(), "websocket".to_owned()),
            Check::Lists("Connection".to_owned(), "upgrade".to_owned()),
            Check::Once("Sec-WebSocket-Accept".to_owned()),
        ]
        .iter()
        .find_map(|check| self.fault(check, None));
        fault.or_else(|| {
            let given = self.values("Sec-WebSocket-Accept").next();
            (given != Some(accept.as_bytes()))
                .then(|| "Sec-WebSocket-Accept does not answer the key".to_owned())
        })
    }

    /// What a check finds wrong; `None` if nothing.
    pub(super) fn fault(&self, check: &Check, params: Option<&Params>) -> Option<String> {
        let is_response = self.word(0).starts_with("HTTP/");
        match check {
            Check::Method(method) => {
                (self.word(0) != method).then(|| format!("the method is not {method}"))
            }
            Check::Version(version) => {
                let given = self.word(if is_response { 0 } else { 2 });
                (given != version).then(|| format!("the version of HTTP is not {version}"))
            }
            Check::Has(name, value) => {
                let mut values = self.values(name);
                let has = values.any(|given| given.eq_ignore_ascii_case(value.as_bytes()));
                (!has).then(|| format!("the field {name} does not say {value}"))
            }
            Check::Lists(name, word) => {
                (!self.lists(name, word)).then(|| format!("the field {name} does not list {word}"))
            }
            Check::Once(name) => match self.values(name).count() {
                1 => None,
                0 => Some(format!("the field {name} is missing")),
                n => Some(format!("the field {name} comes {n} times")),
            },
            Check::Lacks(name) => self
                .values(name)
                .next()
                .map(|_| format!("the field {name} has no place here")),
            Check::Key => match (self.key(), self.values("Sec-WebSocket-Key").count()) {
                (Some(_), 1) => None,
                _ => Some("Sec-WebSocket-Key is not sixteen bytes in Base64, once".to_owned()),
            },
            Check::Declines => {
                params.map(|_| "permessage-deflate is agreed to, and must not be".to_owned())
            }
            Check::Agrees(name, max) => {
                // To decline altogether is any server's right, and UNIMPLEMENTED.
                let value = params?.parameter(name);
                match (value, max) {
                    (None, _) => Some(format!("{name} is not agreed to")),
                    (Some(Some(bits)), Some(max)) if bits > *max => {
                        Some(format!("{name} is {bits}, above {max}"))
                    }
                    _ => None,
                }
            }
        }
    }
}

/// The bytes of a head at most.
pub(super) const HEAD_MAX: usize = 64 << 10;
