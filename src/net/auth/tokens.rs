//! The tokens of a file: who has one of them is known by its name.
//!
//! Only digests are kept. Two of them are compared in a time that does not depend on where they
//! differ, and every token is compared with all, so that nothing is to be learnt from how long a
//! refusal takes: neither how much of a guess was right nor how long the secret is.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::net::auth::bearer::Verify;
use crate::net::auth::denial::Denial;
use crate::net::auth::file::{FileError, FileFault, Watched};
use crate::net::auth::identity::Identity;
use crate::net::auth::token_from::is_token;

/// A list of tokens, most often from a file:
///
/// ```text
/// # who      the token, or its SHA-256
/// alice      0f6fd28cb1a5e0b6b1c1d6a5a0f3a7c4
/// build-bot  sha256:2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea
/// ```
///
/// A line holds a name and a token, or a token alone, whose name is then the line's number. With
/// `sha256:` the file need not be kept secret, as long as the tokens were drawn by chance:
/// `printf %s "$TOKEN" | sha256sum`.
///
/// A token takes as long to verify as the list is long; for more than some thousands, a closure
/// over a map of digests is the better [`Verify`].
#[derive(Clone)]
pub struct KnownTokens {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Fixed(List),
    File(Watched<List>),
}

type List = Vec<Known>;

#[derive(Clone)]
struct Known {
    name: Box<str>,
    digest: [u8; 32],
}

/// Why a list of tokens cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokensFault {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: TokenFault,
}

/// What is wrong with a line of a list of tokens; the line is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenFault {
    /// It is not UTF-8.
    NotText,
    /// It has more than a name and a token.
    TooManyWords,
    /// The token has characters that tokens do not have (RFC 6750 §2.1).
    Characters,
    /// The token is shorter than [`KnownTokens::TOKEN_SIZE_MIN`].
    TooShort,
    /// Behind `sha256:` there are not 64 hexadecimal digits.
    Digest,
    /// The token stood in an earlier line already.
    Repeated,
}

impl KnownTokens {
    /// The characters of a token at least: 64 bits, if they are hexadecimal digits drawn by
    /// chance. Shorter ones can be guessed over a network.
    pub const TOKEN_SIZE_MIN: usize = 16;

    /// Reads a list as it would stand in a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and in which line.
    pub fn parse(list: &[u8]) -> Result<Self, TokensFault> {
        let source = Source::Fixed(parse(list)?);
        Ok(Self { source })
    }

    /// Reads a file, and again whenever it has changed. An empty one is no error: it lets nobody
    /// in.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or has a line that is wrong.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let parse = |bytes: &[u8]| parse(bytes).map_err(FileFault::Tokens);
        let watched = Watched::open(path.as_ref(), parse)?;
        Ok(Self {
            source: Source::File(watched),
        })
    }
}

impl Verify for KnownTokens {
    fn verify(&mut self, token: &str) -> Result<Identity, Denial> {
        let list = match &mut self.source {
            Source::Fixed(list) => list,
            Source::File(watched) => watched.current(),
        };
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for known in list {
            if bool::from(known.digest.ct_eq(&digest)) {
                found = Some(&known.name);
            }
        }
        match found {
            Some(name) => Ok(Identity::new(name)),
            None => Err(Denial::TokenUnknown),
        }
    }
}

fn parse(list: &[u8]) -> Result<List, TokensFault> {
    let (mut tokens, mut digests) = (List::new(), HashSet::new());
    for (index, line) in list.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let fault = |fault| TokensFault {
            line: number,
            fault,
        };
        let known = parse_line(line, number).map_err(fault)?;
        let Some(known) = known else {
            continue;
        };
        if !digests.insert(known.digest) {
            return Err(fault(TokenFault::Repeated));
        }
        tokens.push(known);
    }
    Ok(tokens)
}

fn parse_line(line: &[u8], number: usize) -> Result<Option<Known>, TokenFault> {
    let line = std::str::from_utf8(line).map_err(|_| TokenFault::NotText)?;
    let mut words = line.split_ascii_whitespace();
    let (name, token) = match (words.next(), words.next(), words.next()) {
        (None, ..) => return Ok(None),
        (Some(first), ..) if first.starts_with('#') => return Ok(None),
        (Some(token), None, _) => (format!("line {number}"), token),
        (Some(name), Some(token), None) => (name.to_owned(), token),
        (Some(_), Some(_), Some(_)) => return Err(TokenFault::TooManyWords),
    };
    let digest = match token.strip_prefix("sha256:") {
        Some(digits) => parse_digest(digits).ok_or(TokenFault::Digest)?,
        None if !is_token(token) => return Err(TokenFault::Characters),
        None if token.len() < KnownTokens::TOKEN_SIZE_MIN => return Err(TokenFault::TooShort),
        None => Sha256::digest(token).into(),
    };
    Ok(Some(Known {
        name: name.into(),
        digest,
    }))
}

fn parse_digest(digits: &str) -> Option<[u8; 32]> {
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if digits.len() != 64 || !is_hex {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, digits) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(digest)
}

impl fmt::Debug for KnownTokens {
    /// How many there are, and nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tokens = f.debug_struct("KnownTokens");
        match &self.source {
            Source::Fixed(list) => tokens.field("count", &list.len()),
            Source::File(watched) => tokens.field("file", &watched.path()),
        };
        tokens.finish()
    }
}

impl fmt::Display for TokensFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl Error for TokensFault {}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("it is not UTF-8"),
            Self::TooManyWords => f.write_str("there is more than a name and a token"),
            Self::Characters => {
                f.write_str("a token is made of letters, digits and -._~+/, and = at its end")
            }
            Self::TooShort => write!(
                f,
                "the token has less than {} characters and could be guessed; \
                 `openssl rand -hex 16` makes one",
                KnownTokens::TOKEN_SIZE_MIN
            ),
            Self::Digest => f.write_str("behind sha256: there must be 64 hexadecimal digits"),
            Self::Repeated => f.write_str("the same token stands in an earlier line"),
        }
    }
}

impl Error for TokenFault {}

#[cfg(test)]
mod tests {
    use super::{KnownTokens, TokenFault, TokensFault};
    use crate::net::auth::bearer::Verify;
    use crate::net::auth::denial::Denial;

    /// `printf %s 0123456789abcdef | sha256sum`
    const DIGEST: &str = "sha256:9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";

    #[test]
    fn a_token_has_its_lines_name() {
        let list =
            format!("# tokens\n\n  alice\tabcdefghijklmnop  \r\nbob {DIGEST}\nqrstuvwxyz0123456\n");
        let mut tokens = KnownTokens::parse(list.as_bytes()).unwrap();
        let mut name = |token| {
            let identity = tokens.verify(token);
            identity.map(|identity| identity.subject().unwrap().to_owned())
        };
        assert_eq!(name("abcdefghijklmnop").as_deref(), Ok("alice"));
        assert_eq!(name("0123456789abcdef").as_deref(), Ok("bob"));
        assert_eq!(name("qrstuvwxyz0123456").as_deref(), Ok("line 5"));
        for token in [
            "",
            "abcdefghijklmno",
            "abcdefghijklmnopq",
            "ABCDEFGHIJKLMNOP",
            "alice",
            DIGEST,
        ] {
            assert_eq!(name(token), Err(Denial::TokenUnknown), "{token:?}");
        }
    }

    #[test]
    fn an_empty_list_lets_nobody_in() {
        let mut tokens = KnownTokens::parse(b"# nobody\n").unwrap();
        assert_eq!(tokens.verify(""), Err(Denial::TokenUnknown));
    }

    #[test]
    fn what_is_wrong_is_said_by_its_line_and_never_repeated() {
        let digest = format!("bob {DIGEST}");
        let cases = [
            ("alice short".to_owned(), TokenFault::TooShort),
            ("alice abcdefghijklmno".to_owned(), TokenFault::TooShort),
            ("a b abcdefghijklmnop".to_owned(), TokenFault::TooManyWords),
            ("alice abcdefghijkl:mnop".to_owned(), TokenFault::Characters),
            ("alice sha256:abc".to_owned(), TokenFault::Digest),
            (digest[..digest.len() - 1].to_owned(), TokenFault::Digest),
            (format!("0123456789abcdef\n{digest}"), TokenFault::Repeated),
        ];
        for (list, fault) in cases {
            let line = list.lines().count();
            let error = KnownTokens::parse(list.as_bytes()).unwrap_err();
            assert_eq!(error, TokensFault { line, fault });
            assert!(!error.to_string().contains("abcdef"));
        }
        let error = KnownTokens::parse(b"\n\xff").unwrap_err();
        assert_eq!((error.line, error.fault), (2, TokenFault::NotText));
    }

    #[test]
    fn debugging_shows_no_token() {
        let tokens = KnownTokens::parse(b"alice abcdefghijklmnop").unwrap();
        assert_eq!(format!("{tokens:?}"), "KnownTokens { count: 1 }");
    }
}
