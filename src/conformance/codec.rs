//! permessage-deflate as the player speaks it ([RFC 7692]): agreement, deflating, inflating.
//!
//! It is not the core's: a judge that shares the code of what it judges sees nothing.
//!
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692

use std::fmt::Write;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::conformance::case::{Agreement, Level};
use crate::conformance::reach::reach;
use crate::proto::Role;
use crate::proto::extensions;

/// What was agreed to (§7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

/// The four parameters as they stand in an offer or a response; the outer `Option` is whether
/// they are there, the inner one whether they have a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stated {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<Option<u8>>,
}

impl Stated {
    /// Reads the parameters of one permessage-deflate; an error is what is illegal about them.
    fn read(extension: &crate::proto::Extension<'_>) -> Result<Self, String> {
        let mut stated = Self::default();
        let mut seen = Vec::new();
        for param in extension.params() {
            let (name, value) = (param.name, param.value.as_deref());
            if seen.contains(&name) {
                return Err(format!("{name} comes twice (RFC 7692 §7.1)"));
            }
            seen.push(name);
            match (name, value) {
                ("server_no_context_takeover", None) => stated.server_no_context_takeover = true,
                ("client_no_context_takeover", None) => stated.client_no_context_takeover = true,
                ("server_max_window_bits", Some(value)) => {
                    stated.server_max_window_bits = Some(bits(value)?);
                }
                ("client_max_window_bits", None) => stated.client_max_window_bits = Some(None),
                ("client_max_window_bits", Some(value)) => {
                    stated.client_max_window_bits = Some(Some(bits(value)?));
                }
                ("server_no_context_takeover" | "client_no_context_takeover", Some(_)) => {
                    return Err(format!("{name} has a value (RFC 7692 §7.1.1)"));
                }
                ("server_max_window_bits", None) => {
                    return Err(format!("{name} has no value (RFC 7692 §7.1.2.1)"));
                }
                _ => return Err(format!("{name} is unknown (RFC 7692 §7.1)")),
            }
        }
        Ok(stated)
    }
}

/// The value of a window parameter (§7.1.2): 8 to 15, without leading zeros.
fn bits(value: &str) -> Result<u8, String> {
    match value.parse() {
        Ok(bits @ 8..=15) if !value.starts_with(['0', '+']) => Ok(bits),
        _ => Err(format!("{value} is not a size of window (RFC 7692 §7.1.2)")),
    }
}

/// Reads a server's answer to what we offered: `None` if it declined; an error is what is illegal
/// about it.
pub(super) fn agreed(offers: &[String], response: &[&[u8]]) -> Result<Option<Params>, String> {
    let mut agreed = None;
    for value in response {
        for extension in extensions(value) {
            let extension = extension.map_err(|_| "the extensions agreed to are malformed")?;
            if extension.name() != NAME {
                let name = extension.name();
                return Err(format!("{name} was not offered (RFC 6455 §9.1)"));
            }
            if agreed.is_some() {
                return Err("permessage-deflate is agreed to twice (RFC 7692 §5)".to_owned());
            }
            let response = Stated::read(&extension)?;
            if response.client_max_window_bits == Some(None) {
                let what = "client_max_window_bits has no value (RFC 7692 §7.1.2.2)";
                return Err(what.to_owned());
            }
            agreed = Some(match_offers(offers, response)?);
        }
    }
    Ok(agreed)
}

/// §7.1: the response must fit at least one of the legal offers.
fn match_offers(offers: &[String], response: Stated) -> Result<Params, String> {
    let mut complaint = "permessage-deflate was not offered, or not legally".to_owned();
    for offer in offers.iter().flat_map(|offer| extensions(offer.as_bytes())) {
        let Some(offer) = offer.ok().filter(|offer| offer.name() == NAME) else {
            continue;
        };
        let Ok(offer) = Stated::read(&offer) else {
            continue;
        };
        if offer.server_no_context_takeover && !response.server_no_context_takeover {
            complaint = "server_no_context_takeover is missing (RFC 7692 §7.1.1.1)".to_owned();
        } else if let Some(max) = offer.server_max_window_bits
            // Not to mention the largest window changes nothing.
            && response.server_max_window_bits.unwrap_or(15) > max
        {
            complaint = format!("server_max_window_bits is not at most {max} (RFC 7692 §7.1.2.1)");
        } else if response.client_max_window_bits.is_some()
            && offer.client_max_window_bits.is_none()
        {
            complaint = "client_max_window_bits was not offered (RFC 7692 §7.1.2.2)".to_owned();
        } else if let (Some(Some(bits)), Some(Some(max))) = (
            response.client_max_window_bits,
            offer.client_max_window_bits,
        ) && bits > max
        {
            complaint = format!("client_max_window_bits is above {max} (RFC 7692 §7.1.2.2)");
        } else {
            return Ok(Params {
                server_no_context_takeover: response.server_no_context_takeover,
                client_no_context_takeover: response.client_no_context_takeover,
                server_max_window_bits: response.server_max_window_bits,
                client_max_window_bits: response.client_max_window_bits.flatten(),
            });
        }
    }
    Err(complaint)
}

/// Chooses among a client's offers as a server: the first of our wishes that one of them allows.
/// Gives the response's value.
pub(super) fn choose(offers: &[&[u8]], wishes: &[Agreement]) -> Option<(Params, String)> {
    let legal: Vec<Stated> = offers
        .iter()
        .flat_map(|value| extensions(value))
        .filter_map(Result::ok)
        .filter(|offer| offer.name() == NAME)
        .filter_map(|offer| Stated::read(&offer).ok())
        .collect();
    for wish in wishes {
        for offer in &legal {
            let hint = offer.client_max_window_bits;
            if wish.no_context_takeover && !offer.client_no_context_takeover
                || wish.max_window_bits.is_some() && hint.is_none()
            {
                continue;
            }
            let limit = hint.flatten().unwrap_or(15);
            let params = Params {
                server_no_context_takeover: offer.server_no_context_takeover,
                client_no_context_takeover: wish.no_context_takeover,
                server_max_window_bits: offer.server_max_window_bits,
                client_max_window_bits: wish.max_window_bits.map(|bits| bits.min(limit)),
            };
            return Some((params, params.response()));
        }
    }
    None
}

impl Params {
    fn response(self) -> String {
        let mut value = NAME.to_owned();
        if self.server_no_context_takeover {
            value.push_str("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            value.push_str("; client_no_context_takeover");
        }
        for (name, bits) in [
            ("server_max_window_bits", self.server_max_window_bits),
            ("client_max_window_bits", self.client_max_window_bits),
        ] {
            if let Some(bits) = bits {
                let _ = write!(value, "; {name}={bits}");
            }
        }
        value
    }

    /// Whether a parameter was agreed to, and with which number.
    pub(super) fn parameter(&self, name: &str) -> Option<Option<u8>> {
        match name {
            "server_no_context_takeover" => self.server_no_context_takeover.then_some(None),
            "client_no_context_takeover" => self.client_no_context_takeover.then_some(None),
            "server_max_window_bits" => self.server_max_window_bits.map(Some),
            "client_max_window_bits" => self.client_max_window_bits.map(Some),
            _ => None,
        }
    }
}

/// Compresses what we send and inflates what the peer sends.
#[derive(Debug)]
pub(super) struct Codec {
    deflate: Compress,
    deflate_resets: bool,
    inflate: Decompress,
    inflate_resets: bool,
    /// How far back the peer may refer.
    window_max: usize,
}

impl Codec {
    /// For the end in the role `us`.
    pub(super) fn new(us: Role, params: Params) -> Self {
        let server = (
            params.server_max_window_bits.unwrap_or(15),
            params.server_no_context_takeover,
        );
        let client = (
            params.client_max_window_bits.unwrap_or(15),
            params.client_no_context_takeover,
        );
        let (ours, theirs) = match us {
            Role::Server => (server, client),
            Role::Client => (client, server),
        };
        // The library begins at 9 bits: what we deflate with 9 may be too much for a peer that
        // holds 8. It inflates with 15 whatever it is told, so what the peer refers to is measured.
        Self {
            deflate: Compress::new_with_window_bits(Compression::default(), false, ours.0.max(9)),
            deflate_resets: ours.1,
            inflate: Decompress::new(false),
            inflate_resets: theirs.1,
            window_max: 1 << theirs.0,
        }
    }

    /// Whether each of our messages is compressed by itself: the peer lets none refer to another.
    pub(super) fn deflates_anew(&self) -> bool {
        self.deflate_resets
    }

    /// §7.2.1: compressed, without the tail.
    pub(super) fn compress(&mut self, message: &[u8], level: Level) -> Vec<u8> {
        if level == Level::Stored {
            // What was stored is in the peer's window and not in our compressor's: it begins anew.
            self.deflate.reset();
            return stored(message);
        }
        let deflate = &mut self.deflate;
        if self.deflate_resets {
            deflate.reset();
        }
        let mut out = Vec::with_capacity(message.len() / 2 + 64);
        let start = deflate.total_in();
        loop {
            let taken = usize::try_from(deflate.total_in() - start).expect("within the message");
            out.reserve(out.capacity().max(64));
            deflate
                .compress_vec(&message[taken..], &mut out, FlushCompress::Sync)
                .expect("deflate takes any bytes");
            // Room left over means that all is out.
            if out.len() < out.capacity() {
                break;
            }
        }
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        // §7.2.3.6: an empty message is one byte.
        if out.is_empty() {
            out.push(0);
        }
        out
    }

    /// §7.2.2: what a message of the peer says, at most `max` bytes.
    pub(super) fn inflate(&mut self, payload: &[u8], max: usize) -> Result<Vec<u8>, String> {
        if self.inflate_resets {
            self.inflate.reset(false);
        }
        let mut out = Vec::with_capacity((payload.len() * 4).clamp(64, 1 << 16));
        for input in [payload, &TAIL] {
            let mut rest = input;
            loop {
                if out.len() > max {
                    return Err(format!("a message inflates to more than {max} bytes"));
                }
                let (before_in, before_out) = (self.inflate.total_in(), out.len());
                out.reserve(out.capacity().max(64));
                let status = self
                    .inflate
                    .decompress_vec(rest, &mut out, FlushDecompress::Sync)
                    .map_err(|error| format!("a message does not inflate: {error}"))?;
                let taken = self.inflate.total_in() - before_in;
                rest = &rest[usize::try_from(taken).expect("within the input")..];
                if status == Status::StreamEnd {
                    // §7.2.3.5: a final block; the stream begins anew behind it.
                    self.inflate.reset(false);
                    if rest.is_empty() {
                        break;
                    }
                    continue;
                }
                let stands_still = taken == 0 && out.len() == before_out;
                if stands_still || rest.is_empty() && out.len() < out.capacity() {
                    break;
                }
            }
        }
        if self.window_max < WINDOW_MAX {
            let reach = reach(payload);
            if reach > self.window_max {
                return Err(format!(
                    "a message refers back by {reach} bytes, and the window agreed to has {} \
                     (RFC 7692 §7.1.2)",
                    self.window_max
                ));
            }
        }
        Ok(out)
    }
}

/// A message in stored blocks (RFC 1951 §3.2.4), and the first byte of the empty block whose rest
/// is the tail.
fn stored(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 1000 + 6);
    for block in message.chunks(usize::from(u16::MAX)) {
        let len = u16::try_from(block.len()).expect("a chunk of at most so many");
        out.push(0);
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend(block);
    }
    out.push(0);
    out
}

const NAME: &str = "permessage-deflate";
/// DEFLATE's own: no stream can refer back further (RFC 1951 §3.2.5).
const WINDOW_MAX: usize = 1 << 15;
/// What ends a flushed stream, and is not sent (§7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

#[cfg(test)]
mod tests {
    use super::{Codec, Stated, agreed, choose, match_offers};
    use crate::conformance::case::{Agreement, Level};
    use crate::proto::Role;

    fn answer(offer: &str, response: &str) -> Result<bool, String> {
        agreed(&[offer.to_owned()], &[response.as_bytes()]).map(|params| params.is_some())
    }

    #[test]
    fn an_answer_must_fit_the_offer() {
        let plain = "permessage-deflate";
        assert_eq!(answer(plain, plain), Ok(true));
        assert_eq!(answer(plain, ""), Ok(false));
        for (offer, response) in [
            (plain, "permessage-deflate; client_max_window_bits=10"),
            (plain, "permessage-deflate, permessage-deflate"),
            (plain, "permessage-deflate; server_max_window_bits=16"),
            (plain, "permessage-deflate; server_max_window_bits"),
            (plain, "permessage-deflate; new"),
            (plain, "permessage-bzip2"),
            ("permessage-deflate; server_no_context_takeover", plain),
            ("permessage-deflate; server_max_window_bits=10", plain),
            ("permessage-deflate; server_max_window_bits=7", plain),
        ] {
            assert!(answer(offer, response).is_err(), "{offer} / {response}");
        }
    }

    #[test]
    fn a_wish_is_granted_by_the_first_offer_that_allows_it() {
        let offers: [&[u8]; 2] = [
            b"permessage-deflate; server_max_window_bits=10",
            b"permessage-deflate; client_max_window_bits",
        ];
        let nine = Agreement {
            no_context_takeover: false,
            max_window_bits: Some(9),
        };
        let (_, response) = choose(&offers, &[nine]).unwrap();
        assert_eq!(response, "permessage-deflate; client_max_window_bits=9");
        let (_, response) = choose(&offers[..1], &[nine, Agreement::default()]).unwrap();
        assert_eq!(response, "permessage-deflate; server_max_window_bits=10");
        assert!(choose(&offers[..1], &[nine]).is_none());
    }

    #[test]
    fn what_is_compressed_is_inflated() {
        let offers = ["permessage-deflate".to_owned()];
        let params = match_offers(&offers, Stated::default()).unwrap();
        let mut ours = Codec::new(Role::Client, params);
        let mut theirs = Codec::new(Role::Server, params);
        let long: Vec<u8> = (0..300_000_u32)
            .map(|n| (n.wrapping_mul(n) / 7).to_le_bytes()[1])
            .collect();
        for message in [&b""[..], b"Hello", b"Hello", &long, b""] {
            for level in [Level::Usual, Level::Stored, Level::Usual] {
                let compressed = ours.compress(message, level);
                assert!(!compressed.is_empty());
                assert_eq!(theirs.inflate(&compressed, 300_000).unwrap(), message);
            }
        }
        let compressed = ours.compress(&long, Level::Usual);
        assert!(theirs.inflate(&compressed, 299_999).is_err());
    }

    #[test]
    fn a_reference_beyond_the_window_agreed_to_is_found() {
        let codec = |role, bits| {
            let bits = Some(bits);
            let response = Stated {
                server_max_window_bits: bits,
                ..Stated::default()
            };
            let offers = ["permessage-deflate; server_max_window_bits=15".to_owned()];
            Codec::new(role, match_offers(&offers, response).unwrap())
        };
        // Nothing in it comes twice; all of it does.
        let half: Vec<u8> = (0..2000_u32)
            .flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes())
            .take(600)
            .collect();
        let message = half.repeat(2);
        let sent = codec(Role::Server, 15).compress(&message, Level::Usual);
        assert!(sent.len() < 700, "the second half refers to the first");
        let read = |bits| codec(Role::Client, bits).inflate(&sent, 2000);
        assert_eq!(read(15).unwrap(), message);
        assert_eq!(read(10).unwrap(), message);
        let error = read(9).unwrap_err();
        assert!(error.contains("refers back by 600 bytes"), "{error}");
        // It is as far back when the message ends in between.
        let (mut sender, mut reader) = (codec(Role::Server, 15), codec(Role::Client, 9));
        let first = sender.compress(&half, Level::Usual);
        assert_eq!(reader.inflate(&first, 2000).unwrap(), half);
        assert!(
            reader
                .inflate(&sender.compress(&half, Level::Usual), 2000)
                .is_err()
        );
    }

    #[test]
    fn the_examples_of_section_7_2_3() {
        let offers = ["permessage-deflate".to_owned()];
        let params = match_offers(&offers, Stated::default()).unwrap();
        let mut codec = Codec::new(Role::Client, params);
        for payload in [
            &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
            b"\xf2\x00\x11\x00\x00",
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ] {
            assert_eq!(
                codec.inflate(payload, 100).unwrap(),
                b"Hello",
                "{payload:x?}"
            );
        }
    }
}
