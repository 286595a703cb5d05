//! The opening handshake judged and explained ([RFC 6455 §4], §11.3).
//!
//! Holds a request against §4.2.1 and a response against §4.1 and against its request. All that
//! is wrong is named, where the strict half of the crate stops at the first.
//!
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4

use std::borrow::Cow;

use crate::inspect::head::Head;
use crate::proto::{
    DeflateParams, Field, HandshakeError, HeadError, Key, ParamsError, elements, extensions,
    is_token, parse_authority, read_answer, split_target,
};

/// What both sides agreed to, as far as it can be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The extensions that the server agreed to, with their parameters, as on the wire.
    pub extensions: Vec<String>,
    /// How messages are compressed, if permessage-deflate is among them.
    pub compression: Option<DeflateParams>,
}

/// Judges and explains a request.
pub(super) fn request(head: &mut Head) {
    let [method, target, version] = head.start_line();
    let (is_get, target) = (
        method == b"GET",
        String::from_utf8_lossy(target).into_owned(),
    );
    let is_line = version.starts_with(b"HTTP/");
    if is_line && !is_get {
        head.blame(head.offset, HandshakeError::Method, "GET");
    }
    if is_line && !is_target(&target) {
        let expected = "a path, or an http or https URL, without #";
        head.blame(head.offset, HandshakeError::Target, expected);
    }
    note(head, 0, "asks for this resource (§4.1, item 2)");

    once(head, Field::Host, Presence::Must, |host| {
        let is_host = std::str::from_utf8(host).is_ok_and(|host| parse_authority(host).is_ok());
        match is_host {
            true => Ok("the host that the client means".into()),
            false => Err("a host, and a port behind a colon if it is not the default".into()),
        }
    });
    body(head);
    list(head, Field::Upgrade, b"websocket", "asks for WebSocket");
    list(
        head,
        Field::Connection,
        b"upgrade",
        "the upgrade is for this hop",
    );
    once(
        head,
        Field::Version,
        Presence::Must,
        |version| match version {
            b"13" => Ok("the version of RFC 6455".into()),
            _ => Err("13".into()),
        },
    );
    once(head, Field::Key, Presence::Must, |key| {
        match Key::parse(key) {
            Some(key) => {
                let accept = key.accept();
                let accept = String::from_utf8_lossy(accept.as_bytes());
                Ok(format!("sixteen bytes; the server must answer {accept}").into())
            }
            None => Err("sixteen bytes in Base64, 24 characters".into()),
        }
    });
    once(head, Field::Origin, Presence::May, |origin| {
        let is_visible = |byte: &u8| matches!(byte, b' '..=b'~');
        match !origin.is_empty() && origin.iter().all(is_visible) {
            true => Ok("the page whose script opens the connection".into()),
            false => Err("an origin in visible ASCII".into()),
        }
    });
    offers(head);
    for (at, value) in owned(head, Field::Extensions) {
        let mut names = Vec::new();
        let mut is_legal = true;
        for extension in extensions(&value) {
            match extension {
                Ok(extension) => names.push(extension.name().to_owned()),
                Err(_) => is_legal = false,
            }
        }
        match is_legal && !names.is_empty() {
            true => note(head, at, format!("offers {}", names.join(", "))),
            false => invalid(head, at, Field::Extensions, EXTENSIONS),
        }
    }
}

/// Judges and explains a response, beside its request if that was seen; gives what was agreed.
pub(super) fn response(head: &mut Head, request: Option<&Head>) -> Option<Agreement> {
    match head.status() {
        Some(101) => {}
        Some(status) => {
            let meaning = match status {
                100..=199 => "an interim response: the answer follows",
                300..=399 => "a redirect: there is no WebSocket here",
                401 | 407 => "refused: credentials are needed",
                426 => "refused: another protocol or version is needed",
                400..=499 => "refused: the server found the request wrong",
                500..=599 => "refused: the server, or what stands before it, failed",
                _ => "no upgrade: the connection stays HTTP",
            };
            note(head, 0, meaning);
            return None;
        }
        None => return None,
    }
    note(head, 0, "agrees: what follows is WebSocket");
    // RFC 9110 §7.8: there is no Upgrade in HTTP/1.0.
    if head.start_line()[0] == b"HTTP/1.0" {
        let error = HandshakeError::Head(HeadError::Version);
        head.blame(head.offset, error, "HTTP/1.1");
    }
    once(head, Field::Upgrade, Presence::Must, |value| {
        match value.eq_ignore_ascii_case(b"websocket") {
            true => Ok("to WebSocket".into()),
            false => Err("websocket, and nothing else".into()),
        }
    });
    list(
        head,
        Field::Connection,
        b"upgrade",
        "the upgrade is for this hop",
    );
    let key = request.and_then(|request| Key::parse(request.field(Field::Key.name())?));
    once(head, Field::Accept, Presence::Must, |accept| match key {
        Some(key) if key.accept().as_bytes() == accept => {
            Ok("the answer to the client's key: the server read it as WebSocket".into())
        }
        Some(key) => {
            let accept = key.accept();
            let accept = String::from_utf8_lossy(accept.as_bytes());
            Err(format!("{accept}, the answer to the client's key").into())
        }
        None => Ok("the answer to a key that is not at hand".into()),
    });
    let mut agreement = Agreement::default();
    agreed_extensions(head, request, &mut agreement);
    chosen_subprotocol(head, request, &mut agreement);
    Some(agreement)
}

fn agreed_extensions(head: &mut Head, request: Option<&Head>, agreement: &mut Agreement) {
    let offered = |name: &str| {
        request.is_none_or(|request| {
            let mut values = request.all(Field::Extensions.name());
            values.any(|(_, value)| {
                extensions(value)
                    .flatten()
                    .any(|offer| offer.name() == name)
            })
        })
    };
    for (index, (at, value)) in owned(head, Field::Extensions).into_iter().enumerate() {
        if index > 0 {
            repeated(head, at, Field::Extensions);
            continue;
        }
        let agreed: Result<Vec<_>, _> = extensions(&value).collect();
        let Some(agreed) = agreed.ok().filter(|agreed| !agreed.is_empty()) else {
            invalid(head, at, Field::Extensions, EXTENSIONS);
            continue;
        };
        for extension in agreed {
            let offset = head.lines[at].offset;
            if !offered(extension.name()) {
                let error = HandshakeError::ExtensionNotOffered;
                head.blame(offset, error, "only extensions that the client offered");
            }
            match read_answer(&extension) {
                Ok(params) => {
                    agreement.compression.get_or_insert(params);
                }
                Err(ParamsError::NotOffered) => {}
                Err(ParamsError::Illegal) => {
                    let error = HandshakeError::ExtensionParams;
                    head.blame(offset, error, "parameters of RFC 7692 §7.1, each once");
                }
            }
            agreement.extensions.push(extension.to_string());
        }
        note(head, at, "the extensions in force");
    }
}

fn chosen_subprotocol(head: &mut Head, request: Option<&Head>, agreement: &mut Agreement) {
    for (index, (at, value)) in owned(head, Field::Protocol).into_iter().enumerate() {
        if index > 0 {
            repeated(head, at, Field::Protocol);
            continue;
        }
        let offered = request.is_none_or(|request| {
            let mut values = request.all(Field::Protocol.name());
            values.any(|(_, offers)| elements(offers).any(|offer| offer == value))
        });
        match offered {
            true => note(head, at, "the subprotocol in force"),
            false => {
                let offset = head.lines[at].offset;
                let error = HandshakeError::SubprotocolNotOffered;
                head.blame(
                    offset,
                    error,
                    "one of the subprotocols that the client offered",
                );
            }
        }
        agreement.subprotocol = Some(String::from_utf8_lossy(&value).into_owned());
    }
}

/// §4.2.1, item 8, and §4.1, item 10: tokens that are all different.
fn offers(head: &mut Head) {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let values = owned(head, Field::Protocol);
    let mut is_empty = true;
    for (at, value) in &values {
        let mut is_legal = true;
        for offer in elements(value) {
            is_empty = false;
            is_legal &= is_token(offer) && !seen.iter().any(|other| other == offer);
            seen.push(offer.to_owned());
        }
        match is_legal {
            true => note(
                head,
                *at,
                "offers these subprotocols, the most preferred first",
            ),
            false => invalid(head, *at, Field::Protocol, "tokens that are all different"),
        }
    }
    if let (Some((at, _)), true) = (values.first(), is_empty) {
        invalid(head, *at, Field::Protocol, "at least one subprotocol");
    }
}

/// A GET has no use for a body, and where one ends is where request smuggling begins.
fn body(head: &mut Head) {
    let lengths = head.all(Field::ContentLength.name());
    let wrong = lengths.filter(|(_, length)| *length != b"0");
    let codings = head.all("Transfer-Encoding");
    let lines: Vec<usize> = wrong.chain(codings).map(|(at, _)| at).collect();
    for at in lines {
        head.blame(head.lines[at].offset, HandshakeError::Body, "no body");
    }
}

/// Whether a header field must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Must,
    May,
}

/// A header field that may come only once: what it means, or what was expected.
fn once(
    head: &mut Head,
    field: Field,
    presence: Presence,
    judge: impl Fn(&[u8]) -> Result<Cow<'static, str>, Cow<'static, str>>,
) {
    let values = owned(head, field);
    if values.is_empty() && presence == Presence::Must {
        missing(head, field);
    }
    for (index, (at, value)) in values.into_iter().enumerate() {
        match (index, judge(&value)) {
            (0, Ok(meaning)) => note(head, at, meaning),
            (0, Err(expected)) => invalid(head, at, field, expected),
            _ => repeated(head, at, field),
        }
    }
}

/// A header field whose lists must have a word, in any case.
fn list(head: &mut Head, field: Field, word: &'static [u8], meaning: &'static str) {
    let values = owned(head, field);
    let has_word = |value: &[u8]| elements(value).any(|found| found.eq_ignore_ascii_case(word));
    match values.iter().find(|(_, value)| has_word(value)) {
        Some((at, _)) => note(head, *at, meaning),
        None => match values.first() {
            Some((at, _)) => {
                let expected = String::from_utf8_lossy(word).into_owned();
                invalid(head, *at, field, format!("{expected} among its words"));
            }
            None => missing(head, field),
        },
    }
}

/// The lines and values of every field of this name, apart from the head.
fn owned(head: &Head, field: Field) -> Vec<(usize, Vec<u8>)> {
    let values = head.all(field.name());
    values.map(|(at, value)| (at, value.to_owned())).collect()
}

fn note(head: &mut Head, line: usize, meaning: impl Into<Cow<'static, str>>) {
    if let Some(line) = head.lines.get_mut(line) {
        line.note = Some(meaning.into());
    }
}

fn missing(head: &mut Head, field: Field) {
    let expected = format!("a header field {}", field.name());
    head.blame(head.offset, HandshakeError::Missing(field), expected);
}

fn repeated(head: &mut Head, line: usize, field: Field) {
    let offset = head.lines[line].offset;
    head.blame(offset, HandshakeError::Repeated(field), "this field once");
}

fn invalid(head: &mut Head, line: usize, field: Field, expected: impl Into<Cow<'static, str>>) {
    let offset = head.lines[line].offset;
    head.blame(offset, HandshakeError::Invalid(field), expected);
}

/// §4.2.1, item 1: a resource name (§3), or an http or https URL that has one.
fn is_target(target: &str) -> bool {
    let (authority, resource) = split_target(target);
    let fits = match authority {
        Some(authority) => parse_authority(authority).is_ok(),
        None => resource.starts_with('/'),
    };
    fits && !resource.contains('#')
}

const EXTENSIONS: &str = "a list of extensions, tokens with parameters behind semicolons";
