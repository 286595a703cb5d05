//! Generated corpora: data of the kinds that compress in different ways.
//!
//! Each is made once, by a generator without a seed: every run of every program sees the same
//! bytes, and no file has to be carried along.

use std::fmt::Write;
use std::sync::OnceLock;

/// A kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Corpus {
    /// Sentences: ASCII.
    Prose,
    /// Records: ASCII, and a JSON array as a whole.
    Json,
    /// A page in HTML: ASCII.
    Page,
    /// A picture in grey, uncompressed.
    Bitmap,
    /// A document whose streams are compressed already: most of it does not compress again.
    Document,
}

impl Corpus {
    /// Every corpus, and its name in vectors files.
    pub const ALL: [(&'static str, Self); 5] = [
        ("prose", Self::Prose),
        ("json", Self::Json),
        ("page", Self::Page),
        ("bitmap", Self::Bitmap),
        ("document", Self::Document),
    ];

    /// The bytes.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        static MADE: [OnceLock<Vec<u8>>; 5] = [const { OnceLock::new() }; 5];
        let (place, make): (usize, fn() -> Vec<u8>) = match self {
            Self::Prose => (0, prose),
            Self::Json => (1, json),
            Self::Page => (2, page),
            Self::Bitmap => (3, bitmap),
            Self::Document => (4, document),
        };
        MADE[place].get_or_init(make)
    }
}

/// About how large each of the corpora is.
const SIZE: usize = 200 << 10;

fn prose() -> Vec<u8> {
    let mut dice = Dice(0x9e37_79b9);
    let mut text = String::with_capacity(SIZE + 200);
    while text.len() < SIZE {
        for _ in 0..3 + dice.below(4) {
            sentence(&mut text, &mut dice);
        }
        text.push_str("\n\n");
    }
    text.into_bytes()
}

fn sentence(text: &mut String, dice: &mut Dice) {
    let start = text.len();
    let clauses = 1 + dice.below(2);
    for clause in 0..clauses {
        if clause > 0 {
            text.push_str(dice.pick(&[", and ", ", but ", "; then ", ", while "]));
        }
        let (subject, verb, object) = (dice.pick(NOUNS), dice.pick(VERBS), dice.pick(NOUNS));
        let (article, adjective) = (dice.pick(&["the", "a", "every"]), dice.pick(ADJECTIVES));
        let _ = write!(text, "{article} {subject} {verb} the {adjective} {object}");
    }
    text[start..=start].make_ascii_uppercase();
    text.push_str(". ");
}

fn json() -> Vec<u8> {
    let mut dice = Dice(0x2545_f491);
    let mut text = String::with_capacity(SIZE + 200);
    text.push('[');
    for id in 0.. {
        let _ = write!(
            text,
            "{{\"id\":{id},\"kind\":\"{}\",\"from\":\"{}-{}\",\"open\":{},\"bytes\":{},\"load\":{}.{}",
            dice.pick(NOUNS),
            dice.pick(ADJECTIVES),
            dice.below(500),
            dice.below(2) == 0,
            dice.below(65_536),
            dice.below(100),
            dice.below(1000),
        );
        text.push_str(",\"tags\":[");
        for tag in 0..dice.below(4) {
            let comma = if tag > 0 { "," } else { "" };
            let _ = write!(text, "{comma}\"{}\"", dice.pick(VERBS));
        }
        text.push_str("]}");
        if text.len() > SIZE {
            break;
        }
        text.push_str(",\n");
    }
    text.push(']');
    text.into_bytes()
}

fn page() -> Vec<u8> {
    let mut dice = Dice(0x1234_5677);
    let mut text = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <title>What passes over the line</title></head>\n<body>\n",
    );
    while text.len() < SIZE {
        let (id, class) = (dice.below(10_000), dice.pick(NOUNS));
        let _ = writeln!(text, "<section id=\"s{id}\" class=\"{class}\">");
        let _ = write!(text, "<h2>{} {}</h2>\n<p>", dice.pick(ADJECTIVES), class);
        for _ in 0..1 + dice.below(3) {
            sentence(&mut text, &mut dice);
        }
        let _ = writeln!(
            text,
            "</p>\n<a href=\"/{class}/{id}?page={}\">more</a>",
            dice.below(50)
        );
        text.push_str("</section>\n");
    }
    text.push_str("</body>\n</html>\n");
    text.into_bytes()
}

/// Waves with a little noise, behind a header that looks like a bitmap's.
fn bitmap() -> Vec<u8> {
    const SIDE: u32 = 512;
    let mut dice = Dice(0x0bad_cafe);
    let mut bytes = b"BM".to_vec();
    bytes.extend((54 + SIDE * SIDE).to_le_bytes());
    bytes.extend([0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0]);
    bytes.extend(SIDE.to_le_bytes());
    bytes.extend(SIDE.to_le_bytes());
    bytes.extend([1, 0, 8, 0]);
    bytes.resize(54, 0);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let wave = (x * x / 97 + y * y / 131 + x * y / 53) / 4 % 256;
            let folded = if wave < 128 { wave } else { 255 - wave };
            let grey = 40 + folded + dice.below(4);
            bytes.push(grey.to_le_bytes()[0]);
        }
    }
    bytes
}

/// Objects of a document, each with a stream that is noise to any compressor.
fn document() -> Vec<u8> {
    let mut dice = Dice(0x5eed_5eed);
    let mut bytes = b"%PDF-1.4\n".to_vec();
    for object in 1.. {
        let len = 2000 + dice.below(6000);
        let head = format!(
            "{object} 0 obj\n<< /Length {len} /Filter /FlateDecode /Kind /{} >>\nstream\n",
            dice.pick(NOUNS)
        );
        bytes.extend(head.as_bytes());
        for _ in 0..len {
            bytes.push(dice.below(256).to_le_bytes()[0]);
        }
        bytes.extend(b"\nendstream\nendobj\n");
        if bytes.len() > 4 * SIZE {
            break;
        }
    }
    bytes.extend(b"%%EOF\n");
    bytes
}

/// A small generator (xorshift), always the same.
struct Dice(u32);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        // The high bits are the better ones.
        (self.0 >> 8) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let n = u32::try_from(from.len()).expect("the lists are short");
        from[self.below(n) as usize]
    }
}

const NOUNS: &[&str] = &[
    "frame",
    "message",
    "server",
    "client",
    "mask",
    "key",
    "fragment",
    "header",
    "payload",
    "socket",
    "reader",
    "writer",
    "buffer",
    "window",
    "handshake",
    "close",
    "ping",
    "pong",
    "origin",
    "proxy",
    "byte",
    "queue",
    "timer",
    "peer",
    "length",
    "opcode",
];
const VERBS: &[&str] = &[
    "carries", "answers", "opens", "closes", "counts", "masks", "reads", "sends", "awaits",
    "checks", "splits", "joins", "refuses", "accepts", "holds", "follows", "ends", "precedes",
];
const ADJECTIVES: &[&str] = &[
    "small", "late", "empty", "long", "final", "first", "plain", "patient", "strict", "hostile",
    "quiet", "early", "whole", "broken", "honest", "slow", "reserved", "minimal",
];

#[cfg(test)]
mod tests {
    use super::Corpus;

    #[test]
    fn corpora_are_of_their_kind() {
        for (name, corpus) in Corpus::ALL {
            let bytes = corpus.bytes();
            assert!((200_000..1_200_000).contains(&bytes.len()), "{name}");
            let is_text = matches!(corpus, Corpus::Prose | Corpus::Json | Corpus::Page);
            assert_eq!(bytes.is_ascii(), is_text, "{name}");
        }
        let json = Corpus::Json.bytes();
        assert!(json.starts_with(b"[{\"id\":0,") && json.ends_with(b"}]"));
    }
}
