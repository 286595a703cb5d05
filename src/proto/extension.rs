//! The grammar of Sec-WebSocket-Extensions ([RFC 6455 §9.1]).
//!
//! ```text
//! extension-list  = 1#extension
//! extension       = token *( ";" extension-param )
//! extension-param = token [ "=" (token | quoted-string) ]
//! ```
//!
//! What a quoted string says must be a token too, so a [`Param`] never needs quotes. Reading
//! borrows, allocates only for values with a backslash, and looks at each byte a constant number
//! of times.
//!
//! [RFC 6455 §9.1]: https://www.rfc-editor.org/rfc/rfc6455#section-9.1

use std::borrow::Cow;
use std::fmt;

use crate::proto::http::{is_token, is_token_byte};

/// One extension with its parameters, as offered or agreed to; legal by its grammar.
///
/// [Displayed](fmt::Display), it is what it would be in the header field.
#[derive(Clone, Copy)]
pub struct Extension<'a> {
    name: &'a str,
    params: &'a [u8],
}

/// One parameter of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// A token.
    pub name: &'a str,
    /// A token, if there is a value; quotes and backslashes are taken off.
    pub value: Option<Cow<'a, str>>,
    /// Whether the value was in quotes, which an extension may not allow.
    pub quoted: bool,
}

impl<'a> Extension<'a> {
    /// The registered name, such as `permessage-deflate`.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The parameters in their order; a name may come twice.
    pub fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut cursor = Cursor { rest: self.params };
        std::iter::from_fn(move || cursor.param().ok().flatten())
    }
}

impl fmt::Display for Extension<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.params().try_for_each(|param| write!(f, "; {param}"))
    }
}

impl fmt::Debug for Extension<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extension({self})")
    }
}

impl fmt::Display for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match &self.value {
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

/// The value does not obey the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads the value of one header field, extension by extension. After an error, nothing.
pub(crate) fn extensions(value: &[u8]) -> impl Iterator<Item = Result<Extension<'_>, Malformed>> {
    let mut cursor = Cursor { rest: value };
    std::iter::from_fn(move || {
        let extension = cursor.extension();
        if extension.is_err() {
            cursor.rest = &[];
        }
        extension.transpose()
    })
}

/// What is yet to be read.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The next extension and the comma behind it; `None` at the end.
    fn extension(&mut self) -> Result<Option<Extension<'a>>, Malformed> {
        // RFC 9110 §5.6.1: empty elements of a list do not count.
        while self.eat(b',') {}
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = self.token()?;
        let before = self.rest;
        while self.param()?.is_some() {}
        let params = &before[..before.len() - self.rest.len()];
        match self.rest.is_empty() || self.eat(b',') {
            true => Ok(Some(Extension { name, params })),
            false => Err(Malformed),
        }
    }

    /// The next parameter and the semicolon before it; `None` if there is no semicolon.
    fn param(&mut self) -> Result<Option<Param<'a>>, Malformed> {
        if !self.eat(b';') {
            return Ok(None);
        }
        self.skip_blanks();
        let name = self.token()?;
        let (value, quoted) = match self.eat(b'=') {
            true => self.value().map(|(value, quoted)| (Some(value), quoted))?,
            false => (None, false),
        };
        Ok(Some(Param {
            name,
            value,
            quoted,
        }))
    }

    /// A value, and whether it is in quotes.
    fn value(&mut self) -> Result<(Cow<'a, str>, bool), Malformed> {
        self.skip_blanks();
        match self.rest.split_first() {
            Some((b'"', quoted)) => {
                self.rest = quoted;
                Ok((self.quoted()?, true))
            }
            _ => Ok((Cow::Borrowed(self.token()?), false)),
        }
    }

    /// What stands between the opening quote, already read, and the closing one.
    fn quoted(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let special = |byte: &u8| matches!(byte, b'"' | b'\\');
        let plain = self.rest.iter().position(special).ok_or(Malformed)?;
        let (text, rest) = self.rest.split_at(plain);
        let text = match rest.strip_prefix(b"\"") {
            Some(rest) => {
                self.rest = rest;
                Cow::Borrowed(text)
            }
            None => Cow::Owned(self.unescape()?),
        };
        // §9.1: after unescaping, the value must conform to the token grammar.
        if !is_token(&text) {
            return Err(Malformed);
        }
        match text {
            Cow::Borrowed(text) => to_str(text).map(Cow::Borrowed),
            Cow::Owned(text) => String::from_utf8(text)
                .map(Cow::Owned)
                .map_err(|_| Malformed),
        }
    }

    /// As `quoted`, for a string with backslashes.
    fn unescape(&mut self) -> Result<Vec<u8>, Malformed> {
        let mut text = Vec::new();
        let mut bytes = self.rest.iter();
        loop {
            match bytes.next().ok_or(Malformed)? {
                b'"' => break,
                b'\\' => text.push(*bytes.next().ok_or(Malformed)?),
                byte => text.push(*byte),
            }
        }
        self.rest = bytes.as_slice();
        Ok(text)
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        let is_end = |byte: &u8| !is_token_byte(*byte);
        let end = self.rest.iter().position(is_end);
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if token.is_empty() {
            return Err(Malformed);
        }
        self.rest = rest;
        to_str(token)
    }

    /// Passes over blanks and then this byte, if it is the next; over nothing but blanks if not.
    fn eat(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_blanks(&mut self) {
        let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
        let blanks = self.rest.iter().position(is_text);
        self.rest = &self.rest[blanks.unwrap_or(self.rest.len())..];
    }
}

fn to_str(token: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(token).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Malformed, extensions};

    /// The list in its plainest form.
    fn read(value: &str) -> Result<String, Malformed> {
        let list: Result<Vec<_>, _> = extensions(value.as_bytes())
            .map(|extension| Ok(extension?.to_string()))
            .collect();
        Ok(list?.join(", "))
    }

    #[test]
    fn the_examples_of_section_9_1() {
        for value in [
            "foo",
            "bar; baz=2",
            "foo, bar; baz=2",
            "deflate-stream",
            "mux; max-channels=4; flow-control, deflate-stream",
            "private-extension",
        ] {
            assert_eq!(read(value).as_deref(), Ok(value));
        }
    }

    #[test]
    fn names_and_values_are_told_apart() {
        let value = b"permessage-deflate; client_max_window_bits; server_max_window_bits=\"1\\0\"";
        let extension = extensions(value).next().unwrap().unwrap();
        assert_eq!(extension.name(), "permessage-deflate");
        let params: Vec<_> = extension.params().collect();
        assert_eq!(
            (params[0].name, params[0].value.as_deref()),
            ("client_max_window_bits", None)
        );
        assert_eq!(
            (params[1].name, params[1].value.as_deref()),
            ("server_max_window_bits", Some("10"))
        );
        assert_eq!(params.len(), 2);
    }

    #[test]
    fn blanks_quotes_and_empty_elements_say_nothing() {
        for (value, plain) in [
            ("", ""),
            (" , ,\t,", ""),
            ("a,", "a"),
            (",,a , ,b,", "a, b"),
            ("\ta\t;\tb\t=\tc\t", "a; b=c"),
            ("a;b;b", "a; b; b"),
            ("a;b=\"c\"", "a; b=c"),
            ("a;b=\"\\c\\d\"", "a; b=cd"),
            ("a;b=\"c\" , d", "a; b=c, d"),
        ] {
            assert_eq!(read(value).as_deref(), Ok(plain), "{value:?}");
        }
    }

    #[test]
    fn what_the_grammar_does_not_have_is_refused() {
        for value in [
            ";",
            "=",
            "a;",
            "a;;b",
            "a;=b",
            "a; b=",
            "a; b==c",
            "a b",
            "a=b",
            "a; b c",
            "a; b=c d",
            "a; b=\"",
            "a; b=\"c",
            "a; b=\"c\\",
            "a; b=\"\"",
            "a; b=\"c d\"",
            "a; b=\"c,d\"",
            "a; b=\"\\\"\"",
            "a; b=\"c\"d",
            "\"a\"",
            "a/1",
            "a; b=c, ;",
            "\u{e9}",
            "a; b=\"\u{e9}\"",
            "a, b;",
            "a\0",
            "(a)",
        ] {
            assert_eq!(read(value), Err(Malformed), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_again(value in "[a-c;,= \t\"\\\\]{0,24}") {
            if let Ok(plain) = read(&value) {
                prop_assert_eq!(read(&plain), Ok(plain));
            }
        }

        #[test]
        fn any_value_ends(value in "\\PC{0,40}") {
            let _ = read(&value);
        }
    }
}
