//! UTF-8, checked as it arrives ([RFC 6455 §8.1]).
//!
//! A text that lies there whole is checked once, by [`check`]. A text that arrives in pieces is
//! checked piece by piece: [`Validator`] refuses the first byte after which no continuation
//! could be valid, and remembers at most the three bytes of a character cut in two.
//!
//! [RFC 6455 §8.1]: https://www.rfc-editor.org/rfc/rfc6455#section-8.1

/// These bytes can never become UTF-8, whatever follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// The whole of `bytes` as text.
#[inline]
pub fn check(bytes: &[u8]) -> Result<&str, Invalid> {
    // The standard library's loop needs no set-up and wins on short texts.
    if bytes.len() < SIMD_MIN {
        std::str::from_utf8(bytes).map_err(|_| Invalid)
    } else {
        simdutf8::basic::from_utf8(bytes).map_err(|_| Invalid)
    }
}

const SIMD_MIN: usize = 32;

/// Checks a text that arrives in pieces, each byte once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validator {
    /// The bytes of a character that the last piece cut in two; `cut_len` of them count.
    cut: [u8; 4],
    cut_len: u8,
}

impl Validator {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Invalid> {
        let piece = self.complete(piece)?;
        match simdutf8::compat::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(Invalid),
            Err(error) => {
                // At most three bytes: the fourth completes or refutes any character.
                for &byte in &piece[error.valid_up_to()..] {
                    self.cut[usize::from(self.cut_len)] = byte;
                    self.cut_len += 1;
                }
                Ok(())
            }
        }
    }

    /// Whether the text may end here: not within a character.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.cut_len == 0
    }

    /// Completes the character that was cut in two; returns what of `piece` lies behind it.
    fn complete<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], Invalid> {
        let mut rest = piece;
        while self.cut_len > 0 {
            let Some((&byte, behind)) = rest.split_first() else {
                break;
            };
            rest = behind;
            let len = usize::from(self.cut_len);
            self.cut[len] = byte;
            match std::str::from_utf8(&self.cut[..=len]) {
                Ok(_) => self.cut_len = 0,
                Err(error) if error.error_len().is_some() => return Err(Invalid),
                Err(_) => self.cut_len += 1,
            }
        }
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{Invalid, Validator, check};

    /// How many bytes a validator takes one at a time before it refuses; all of them: `None`.
    fn refused_at(bytes: &[u8]) -> Option<usize> {
        let mut validator = Validator::default();
        bytes
            .iter()
            .position(|byte| validator.push(&[*byte]).is_err())
    }

    /// The first byte after which no continuation is valid, by the standard library alone.
    fn naive(bytes: &[u8]) -> Option<usize> {
        (0..bytes.len()).find(|&i| {
            std::str::from_utf8(&bytes[..=i]).is_err_and(|error| error.error_len().is_some())
        })
    }

    #[test]
    fn the_impossible_byte_is_refused_and_no_later_one() {
        let table: [(&[u8], Option<usize>); 9] = [
            (b"Hello", None),
            ("κόσμε 👋".as_bytes(), None),
            (b"\xce\xba\xe1\xbd", None),
            (b"\xff", Some(0)),
            (b"a\x80", Some(1)),
            (b"\xc0\xaf", Some(0)),
            (b"\xed\xa0\x80", Some(1)),
            (b"\xf4\x90\x80\x80", Some(1)),
            (b"\xf0\x9f\x91x", Some(3)),
        ];
        for (bytes, expected) in table {
            assert_eq!(refused_at(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn a_text_may_not_end_within_a_character() {
        let mut validator = Validator::default();
        assert_eq!(validator.push(b"\xe2\x82"), Ok(()));
        assert!(!validator.is_complete());
        assert_eq!(validator.push(b"\xac"), Ok(()));
        assert!(validator.is_complete());
    }

    proptest! {
        #[test]
        fn one_byte_at_a_time_agrees_with_the_standard_library(
            bytes in proptest::collection::vec(any::<u8>(), 0..12)
        ) {
            prop_assert_eq!(refused_at(&bytes), naive(&bytes));
        }

        #[test]
        fn pieces_agree_with_the_whole(
            text: String,
            damage: Option<(proptest::sample::Index, u8)>,
            cuts: [proptest::sample::Index; 3],
        ) {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = damage && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let mut cuts = cuts.map(|cut| cut.index(bytes.len() + 1));
            cuts.sort_unstable();
            let mut validator = Validator::default();
            let mut outcome = Ok(());
            for range in [0..cuts[0], cuts[0]..cuts[1], cuts[1]..cuts[2], cuts[2]..bytes.len()] {
                outcome = outcome.and_then(|()| validator.push(&bytes[range]));
            }
            let whole = outcome.and(if validator.is_complete() { Ok(()) } else { Err(Invalid) });
            prop_assert_eq!(whole, check(&bytes).map(|_| ()));
        }
    }
}
