//! What a peer sends, made harmless before a terminal or a log sees it.
//!
//! No control character of the peer's passes: neither those that terminals obey (C0, DEL and C1,
//! which all escape sequences begin with) nor those that reorder or break a line unseen.

use std::borrow::Cow;
use std::fmt::Write as _;

/// How what is dangerous is written instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// For people: `\x1b`, `\u{202e}`.
    Text,
    /// As within a string of JSON, where it stays the same string: `\u001b`, `\u202e`.
    Json,
}

/// `text` as one line.
#[must_use]
pub fn neutralise(text: &str) -> Cow<'_, str> {
    replace(text, Escape::Text, is_dangerous)
}

/// A document of JSON on one line. Within its strings the serialiser has escaped C0 already, and
/// outside of them there is nothing of the peer's.
#[must_use]
pub fn neutralise_json(json: &str) -> Cow<'_, str> {
    replace(json, Escape::Json, is_dangerous)
}

/// `text` on as many lines as it has, with tabs. Each line but the first begins with `indent`, so
/// that none looks like one of ours.
#[must_use]
pub fn neutralise_lines(text: &str, indent: &str) -> String {
    let text = replace(text, Escape::Text, |c| {
        !matches!(c, '\n' | '\t') && is_dangerous(c)
    });
    text.replace('\n', &format!("\n{indent}"))
}

/// `bytes` within quotes, text as far as they are UTF-8: of what cannot be shown, each byte or
/// character is escaped. At most `max` characters are shown, an ellipsis behind the quotes says
/// that there is more.
#[must_use]
pub fn quote(bytes: &[u8], max: usize) -> String {
    let mut quoted = String::from("\"");
    let mut left = max;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if left == 0 {
                return quoted + "\"…";
            }
            left -= 1;
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                c => quoted.push_str(&neutralise(c.encode_utf8(&mut [0; 4]))),
            }
        }
        for byte in chunk.invalid() {
            if left == 0 {
                return quoted + "\"…";
            }
            left -= 1;
            // Writing to a string cannot fail.
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted + "\""
}

/// `bytes` in hexadecimal, at most `max` of them; an ellipsis says that there are more.
#[must_use]
pub fn hex(bytes: &[u8], max: usize) -> String {
    let mut text = String::with_capacity(2 * bytes.len().min(max) + 4);
    for byte in bytes.iter().take(max) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > max {
        text.push('…');
    }
    text
}

fn replace(text: &str, escape: Escape, is_dangerous: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut harmless = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !is_dangerous(c) {
            harmless.push(c);
            continue;
        }
        let number = u32::from(c);
        // Writing to a string cannot fail.
        let _ = match (escape, c) {
            (Escape::Json, _) => write!(harmless, "\\u{number:04x}"),
            (Escape::Text, '\n' | '\r' | '\t') => write!(harmless, "{}", c.escape_default()),
            (Escape::Text, '\0'..='\x7f') => write!(harmless, "\\x{number:02x}"),
            (Escape::Text, _) => write!(harmless, "\\u{{{number:x}}}"),
        };
    }
    Cow::Owned(harmless)
}

/// All of these lie below U+10000, so that JSON escapes each as one unit.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Bidirectional marks, embeddings, overrides and isolates (Unicode, UAX #9).
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{hex, is_dangerous, neutralise, neutralise_lines, quote};

    #[test]
    fn text_without_controls_stays_as_it_is() {
        for text in ["", "plain", "naïve café ☕ 日本語 שלום", "a\\b"] {
            assert_eq!(neutralise(text), text);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let cases = [
            ("\x1b[2J", "\\x1b[2J"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\rb\nc\td", "a\\rb\\nc\\td"),
            ("\0\x08\x7f", "\\x00\\x08\\x7f"),
            ("user\u{202e}gpj.exe", "user\\u{202e}gpj.exe"),
            ("\u{2066}\u{2028}", "\\u{2066}\\u{2028}"),
        ];
        for (text, harmless) in cases {
            assert_eq!(neutralise(text), harmless);
        }
    }

    #[test]
    fn lines_stay_lines_and_cannot_pose_as_ours() {
        assert_eq!(
            neutralise_lines("{\n\t\"a\": 1\n}\x1b", "  "),
            "{\n  \t\"a\": 1\n  }\\x1b"
        );
    }

    #[test]
    fn bytes_are_quoted_as_far_as_they_are_text() {
        for (bytes, max, quoted) in [
            (&b""[..], 9, "\"\""),
            (b"a\"b\\c", 9, "\"a\\\"b\\\\c\""),
            (b"\xff\xe2\x82 \x1b", 9, "\"\\xff\\xe2\\x82 \\x1b\""),
            (b"abc", 3, "\"abc\""),
            (b"abcd", 3, "\"abc\"…"),
            (b"ab\xff\xff", 3, "\"ab\\xff\"…"),
        ] {
            assert_eq!(quote(bytes, max), quoted);
        }
        assert_eq!(hex(b"\x00\xff", 2), "00ff");
        assert_eq!(hex(b"\x00\xff\x01", 2), "00ff…");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text in "(?s).{0,40}") {
            prop_assert!(!neutralise(&text).chars().any(is_dangerous));
            let lines = neutralise_lines(&text, "  ");
            prop_assert!(!lines.chars().any(|c| !"\n\t".contains(c) && is_dangerous(c)));
            prop_assert!(!quote(text.as_bytes(), 99).chars().any(is_dangerous));
        }

        #[cfg(feature = "json")]
        #[test]
        fn json_means_what_it_meant(text in "(?s).{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            let harmless = super::neutralise_json(&json);
            prop_assert!(!harmless.chars().any(is_dangerous));
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&harmless).unwrap(), text);
        }
    }
}
