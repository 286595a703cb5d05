//! Bytes written as text: hexadecimal in its many forms, and Base64.
//!
//! Strict where leniency would guess: offsets must be those of the bytes before them, and what is
//! not understood is named with its line.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use openline::proto::Role;

/// Bytes, and who sent them if the text says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) sender: Option<Role>,
    pub(super) bytes: Vec<u8>,
}

/// What a text that holds bytes looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Digits, an offset before each line or not.
    Hex,
    /// A string with `\x` escapes, as in a program's source.
    Escaped,
    Base64,
}

/// What this text looks like; `None`: like no bytes at all.
pub(super) fn recognise(text: &str) -> Option<Form> {
    let is_hex = |c: char| c.is_ascii_hexdigit() || c.is_ascii_whitespace();
    let body = text.trim();
    if body.is_empty() {
        return None;
    }
    if body.contains("\\x") {
        return Some(Form::Escaped);
    }
    if offset_form(first_line(body)).is_some() || hex(text).is_ok() {
        return Some(Form::Hex);
    }
    let is_base64 =
        |c: char| c.is_ascii_alphanumeric() || "+/-_=".contains(c) || c.is_ascii_whitespace();
    match body.chars().all(is_base64) && !body.chars().all(is_hex) && base64(body).is_ok() {
        true => Some(Form::Base64),
        false => None,
    }
}

/// Reads a text in this form.
pub(super) fn read(text: &str, form: Form) -> Result<Vec<Piece>, String> {
    let alone = |bytes| {
        vec![Piece {
            sender: None,
            bytes,
        }]
    };
    match form {
        Form::Hex => hex(text),
        Form::Escaped => escaped(text).map(alone),
        Form::Base64 => base64(text).map(alone),
    }
}

/// Hexadecimal: a dump with offsets, or digits with or without blanks, commas, colons and `0x`.
/// `#` begins a comment; `>` or `<` before a line of digits says that client or server sent it.
fn hex(text: &str) -> Result<Vec<Piece>, String> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let first = text.lines().find(|line| !line.trim().is_empty());
    if let Some(form) = first.and_then(offset_form) {
        let bytes = dump(text, form)?;
        return Ok(vec![Piece {
            sender: None,
            bytes,
        }]);
    }
    let mut pieces: Vec<Piece> = Vec::new();
    let mut high = None;
    for (number, line) in lines.enumerate() {
        let (sender, digits) = match line.trim_start().split_at_checked(1) {
            Some((">", rest)) => (Some(Role::Client), rest),
            Some(("<", rest)) => (Some(Role::Server), rest),
            _ => (None, line),
        };
        if sender.is_some() || pieces.is_empty() {
            odd(high, number)?;
            pieces.push(Piece {
                sender,
                bytes: Vec::new(),
            });
        }
        let piece = pieces.last_mut().expect("one was pushed");
        let mut rest = digits;
        while let Some(c) = rest.chars().next() {
            if high.is_none()
                && let Some(digits) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"))
            {
                rest = digits;
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match (digit(c), high) {
                (Some(digit), None) => high = Some(digit),
                (Some(digit), Some(first)) => {
                    high = None;
                    piece.bytes.push(first << 4 | digit);
                }
                (None, None) if c.is_whitespace() || ",;:-_.|[]{}()'\"".contains(c) => {}
                (None, Some(_)) => {
                    return Err(format!("line {}: a byte has one digit only", number + 1));
                }
                (None, None) => {
                    let c = openline::inspect::quote(c.encode_utf8(&mut [0; 4]).as_bytes(), 1);
                    return Err(format!("line {}: {c} is no hexadecimal digit", number + 1));
                }
            }
        }
        // A byte may not be torn over two lines: it would be a typing error.
        odd(high, number + 1)?;
    }
    match pieces.iter().all(|piece| piece.bytes.is_empty()) {
        true => Err("there are no bytes".to_owned()),
        false => Ok(pieces),
    }
}

fn odd(high: Option<u8>, line: usize) -> Result<(), String> {
    match high {
        Some(_) => Err(format!("line {line}: a byte has one digit only")),
        None => Ok(()),
    }
}

/// How a dump with offsets marks its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dump {
    /// `00000000: 8185 37fa  ..7.`, as by xxd.
    Colon,
    /// `00000000  81 85  |..|`, as by hexdump -C, od and tshark.
    Blank,
}

/// Whether this is the first line of a dump with offsets.
fn offset_form(line: &str) -> Option<Dump> {
    let line = line.trim_start();
    let digits = line
        .find(|c: char| !c.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (offset, rest) = line.split_at(digits);
    let is_zero = offset.len() >= 4 && offset.bytes().all(|byte| byte == b'0');
    match rest {
        _ if !is_zero => None,
        rest if rest.starts_with(": ") => Some(Dump::Colon),
        // Four zeros and one blank may as well be two bytes.
        rest if rest.starts_with("  ") => Some(Dump::Blank),
        rest if rest.starts_with(' ') && offset.len() >= 6 => Some(Dump::Blank),
        _ => None,
    }
}

fn dump(text: &str, form: Dump) -> Result<Vec<u8>, String> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut row: Vec<u8> = Vec::new();
    let mut repeats = false;
    for (number, line) in text.lines().enumerate() {
        let failed = |what: &str| format!("line {}: {what}", number + 1);
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        // Rows that are the same as the one before are left out.
        if line == "*" {
            repeats = true;
            continue;
        }
        let digits = line
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(line.len());
        let (offset, rest) = line.split_at(digits);
        let offset = usize::from_str_radix(offset, 16).map_err(|_| failed("there is no offset"))?;
        if repeats {
            repeats = false;
            if offset > SIZE_MAX || row.is_empty() {
                return Err(failed("the rows left out make no sense"));
            }
            while bytes.len() < offset {
                bytes.extend_from_slice(&row);
            }
        }
        if offset != bytes.len() {
            let came = bytes.len();
            return Err(failed(&format!(
                "the offset is {offset:#x}, but {came:#x} bytes came before"
            )));
        }
        row = match form {
            Dump::Colon => colon_row(rest),
            Dump::Blank => blank_row(rest),
        }
        .ok_or_else(|| failed("this is no row of bytes; hexdump needs -C, od needs -A x -t x1"))?;
        bytes.extend_from_slice(&row);
    }
    Ok(bytes)
}

/// `: 8185 37fa  text`: two blanks end the digits.
fn colon_row(rest: &str) -> Option<Vec<u8>> {
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim_start();
    let digits = rest.split("  ").next().unwrap_or_default();
    let digits: String = digits.split(' ').collect();
    pairs(&digits)
}

/// `  81 85  37  |text|` or `   text`: three blanks, or a bar, end the bytes.
fn blank_row(rest: &str) -> Option<Vec<u8>> {
    let rest = rest.split('|').next().unwrap_or_default().trim();
    let digits = rest.split("   ").next().unwrap_or_default();
    let mut row = Vec::new();
    for byte in digits.split_whitespace() {
        if byte.len() != 2 {
            return None;
        }
        row.extend(pairs(byte)?);
    }
    Some(row)
}

fn digit(c: char) -> Option<u8> {
    c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn pairs(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = digits.chars().map(digit).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| high << 4 | low);
    rest.is_empty().then(|| bytes.collect())
}

/// A string of a program's source: escapes, and what stands for itself.
fn escaped(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let text = text
        .strip_prefix('b')
        .filter(|rest| rest.starts_with(['"', '\'']))
        .unwrap_or(text);
    let text = ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text);
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next() {
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                let byte = pairs(&digits).filter(|byte| byte.len() == 1);
                bytes.extend(byte.ok_or("\\x needs two hexadecimal digits behind it")?);
            }
            Some('n') => bytes.push(b'\n'),
            Some('r') => bytes.push(b'\r'),
            Some('t') => bytes.push(b'\t'),
            Some('0') => bytes.push(0),
            Some(c @ ('\\' | '"' | '\'')) => bytes.push(c as u8),
            // A line that goes on in the next.
            Some('\n') => {}
            _ => {
                return Err("a backslash stands before x, n, r, t, 0, a quote or itself".to_owned());
            }
        }
    }
    Ok(bytes)
}

/// Base64 in either alphabet, with or without padding and line ends.
fn base64(text: &str) -> Result<Vec<u8>, String> {
    let text: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    BASE64
        .decode(text)
        .map_err(|error| format!("this is no Base64: {error}"))
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes that a dump with rows left out may stand for: a small text must not grow into much.
const SIZE_MAX: usize = 256 << 20;

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Form, Piece, read, recognise};
    use openline::proto::Role;

    const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

    fn bytes(text: &str) -> Vec<u8> {
        let form = recognise(text).unwrap_or_else(|| panic!("not recognised: {text:?}"));
        let pieces = read(text, form).unwrap();
        pieces.into_iter().flat_map(|piece| piece.bytes).collect()
    }

    #[test]
    fn many_ways_to_write_the_hello_of_section_5_7() {
        for text in [
            "818537fa213d7f9f4d5158",
            "81 85 37 fa 21 3d 7f 9f 4d 51 58\n",
            "8185 37FA\n213d 7f9f\t4d5158",
            "0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58",
            "0x818537fa213d7f9f4d5158",
            "81:85:37:fa:21:3d:7f:9f:4d:51:58",
            "[0x81,0x85,0x37,0xfa,0x21,0x3d,0x7f,0x9f,0x4d,0x51,0x58]",
            "81 85 # the header\n37 fa 21 3d # the key\n7f 9f 4d 51 58",
            "b'\\x81\\x857\\xfa!=\\x7f\\x9fMQX'",
            "\"\\x81\\x85\\x37\\xfa\\x21\\x3d\\x7f\\x9f\\x4d\\x51\\x58\"",
            "gYU3+iE9f59NUVg=",
            "gYU3-iE9f59NUVg",
            "00000000: 8185 37fa 213d 7f9f 4d51 58              ..7.!=..MQX\n",
            "00000000  81 85 37 fa 21 3d 7f 9f  4d 51 58                 |..7.!=..MQX|\n0000000b\n",
            "0000000 81 85 37 fa 21 3d 7f 9f 4d 51 58\n000000b\n",
            "0000  81 85 37 fa 21 3d 7f 9f 4d 51 58               ..7.!=..MQX\n",
            "00000000: 8185 37fa  ..7.\n00000004: 213d 7f9f  !=..\n00000008: 4d51 58    MQX\n",
        ] {
            assert_eq!(bytes(text), HELLO, "{text:?}");
        }
    }

    #[test]
    fn rows_left_out_are_put_back() {
        let text = "00000000  82 7e 00 40 00 00 00 00  00 00 00 00 00 00 00 00  |.~.@|\n\
            00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |....|\n*\n\
            00000040  00 00 00 00                                       |....|\n00000044\n";
        assert_eq!(bytes(text), [&b"\x82\x7e\x00\x40"[..], &[0; 64]].concat());
    }

    #[test]
    fn directions() {
        let pieces = read("> 81 80 01020304\n< 81 00\n  89 00\n", Form::Hex).unwrap();
        let piece = |sender, bytes: &[u8]| Piece {
            sender: Some(sender),
            bytes: bytes.to_owned(),
        };
        assert_eq!(
            pieces,
            [
                piece(Role::Client, b"\x81\x80\x01\x02\x03\x04"),
                piece(Role::Server, b"\x81\x00\x89\x00"),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, form, words) in [
            ("81 0\n00", Form::Hex, "line 1: a byte has one digit only"),
            ("81\n0g", Form::Hex, "line 2"),
            ("", Form::Hex, "no bytes"),
            (
                "00000000: 8185  ..\n00000010: 00  .\n",
                Form::Hex,
                "line 2: the offset is 0x10, but 0x2",
            ),
            (
                "0000000 8581 fa37\n0000004\n",
                Form::Hex,
                "hexdump needs -C",
            ),
            (
                "00000000  00\n*\nffffffffff\n",
                Form::Hex,
                "line 3: the rows left out",
            ),
            ("\\x8", Form::Escaped, "two hexadecimal digits"),
            ("\\q", Form::Escaped, "backslash"),
            ("a", Form::Base64, "no Base64"),
        ] {
            let error = read(text, form).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_is_no_text_of_bytes_is_not_taken_for_one() {
        for text in [
            "",
            "  \n",
            "GET / HTTP/1.1\r\n\r\n",
            "{\"a\": 1}",
            "hello world!",
        ] {
            assert_eq!(recognise(text), None, "{text:?}");
        }
        // As many digits as four bytes have, and also Base64: digits are what people mean.
        assert_eq!(recognise("81850000"), Some(Form::Hex));
    }
}
