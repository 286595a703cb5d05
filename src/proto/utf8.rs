//! UTF-8, checked as it arrives ([RFC 6455 §8.1]).
//!
//! A text that lies there whole is checked once, by [`check`]. A text that arrives in pieces is
//! checked piece by piece: [`Validator`] refuses the first byte after which no continuation
//! could be valid, and remembers at most the three bytes of a character cut in two.
//!
//! [RFC 6455 §8.1]: https://www.rfc-editor.org/rfc/rfc6455#section-8.1

use crate::proto::mask::{FIRST_LOOK, LONG_TEXT_MIN, NOT_ASCII};

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

/// These bytes can never become UTF-8, and this is the first of the piece that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAt(pub usize);

/// Checks a text that arrives in pieces, each byte once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validator {
    /// The bytes of a character that the last piece cut in two; `cut_len` of them count.
    cut: [u8; 4],
    cut_len: u8,
}

impl Validator {
    /// A validator that has taken nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            cut: [0; 4],
            cut_len: 0,
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// Where in `piece` the first byte lies that no continuation could make good.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), InvalidAt> {
        let begun = self.complete(piece)?;
        let piece = &piece[begun..];
        if is_ascii(piece) {
            return Ok(());
        }
        let (whole, cut) = split_cut(piece);
        if check(whole).is_err() {
            return Err(InvalidAt(begun + first_invalid(piece)));
        }
        for &byte in cut {
            self.cut[usize::from(self.cut_len)] = byte;
            self.cut_len += 1;
        }
        Ok(())
    }

    /// Takes the next piece, `n` bytes that are all ASCII.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push): the first of them, if it should have completed a character.
    pub fn push_ascii(&mut self, n: usize) -> Result<(), InvalidAt> {
        match n > 0 && !self.is_complete() {
            true => Err(InvalidAt(0)),
            false => Ok(()),
        }
    }

    /// Whether the text may end here: not within a character.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.cut_len == 0
    }

    /// Completes the character that was cut in two; returns how many bytes of `piece` it took.
    fn complete(&mut self, piece: &[u8]) -> Result<usize, InvalidAt> {
        let mut taken = 0;
        while self.cut_len > 0
            && let Some(&byte) = piece.get(taken)
        {
            let len = usize::from(self.cut_len);
            self.cut[len] = byte;
            match std::str::from_utf8(&self.cut[..=len]) {
                Ok(_) => self.cut_len = 0,
                Err(error) if error.error_len().is_none() => self.cut_len += 1,
                Err(_) => return Err(InvalidAt(taken)),
            }
            taken += 1;
        }
        Ok(taken)
    }
}

/// Whether this is not a short piece and all of it is ASCII: to see that takes about half of a
/// check, and what is not mostly shows early.
fn is_ascii(piece: &[u8]) -> bool {
    if piece.len() < LONG_TEXT_MIN {
        return is_ascii_by_blocks(piece);
    }
    let (first, rest) = piece.split_at(FIRST_LOOK);
    any_of(first) & NOT_ASCII == 0 && any_of(rest) & NOT_ASCII == 0
}

/// The same of a piece that is no shorter than a block. Its last block may overlap the one before:
/// so only how many there are differs from piece to piece.
fn is_ascii_by_blocks(piece: &[u8]) -> bool {
    let (Some((first, rest)), Some(last)) = (
        piece.split_first_chunk::<BLOCK>(),
        piece.last_chunk::<BLOCK>(),
    ) else {
        return false;
    };
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    let is_ascii = |bytes| any_of_words(bytes) & NOT_ASCII == 0;
    is_ascii(first) && is_ascii(last) && is_ascii(blocks.as_flattened())
}

/// How much is looked at at once for ASCII.
const BLOCK: usize = 64;

/// The OR of all bytes, in a word.
fn any_of(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has just been seen to have AVX-512, the one thing that
        // `any_of_avx512` asks for; its body is the safe `any_of_words`.
        #[allow(unsafe_code)]
        return unsafe { any_of_avx512(bytes) };
    }
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: as above, with AVX2.
        #[allow(unsafe_code)]
        return unsafe { any_of_avx2(bytes) };
    }
    any_of_words(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn any_of_avx512(bytes: &[u8]) -> u64 {
    any_of_words(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn any_of_avx2(bytes: &[u8]) -> u64 {
    any_of_words(bytes)
}

#[inline(always)]
fn any_of_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words
        .iter()
        .fold(0, |any, word| any | u64::from_ne_bytes(*word));
    rest.iter().fold(words, |any, byte| any | u64::from(*byte))
}

/// Divides a piece before its last character if that is cut short, so that the rest need be
/// checked only once. At most three bytes are cut off: the fourth completes or refutes any.
fn split_cut(piece: &[u8]) -> (&[u8], &[u8]) {
    let last = piece.len().saturating_sub(3)..piece.len();
    // Where the last character begins; within it no other does.
    let begin = last.rev().find(|&at| piece[at] & 0xc0 != 0x80);
    match begin {
        Some(begin) if is_beginning(&piece[begin..]) => piece.split_at(begin),
        _ => (piece, &[]),
    }
}

/// Where in `piece`, which is not UTF-8, the first byte lies that no continuation could make good.
#[cold]
fn first_invalid(piece: &[u8]) -> usize {
    let Err(error) = std::str::from_utf8(piece) else {
        return piece.len();
    };
    let valid = error.valid_up_to();
    let len = error.error_len().unwrap_or(0);
    // Either the first byte of the sequence is to blame, or the one behind a good beginning.
    match is_beginning(&piece[valid..valid + len]) {
        true => valid + len,
        false => valid,
    }
}

/// Whether these bytes are a character cut short.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{BLOCK, FIRST_LOOK, InvalidAt, LONG_TEXT_MIN, Validator, check};

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
    fn one_byte_of_a_piece_that_is_not_ascii_is_seen_wherever_it_lies() {
        let refused = |piece: &[u8]| Validator::default().push(piece).err();
        let every = |piece: &mut [u8], places: &[usize]| {
            assert_eq!(refused(piece), None);
            for &at in places {
                piece[at] = 0xff;
                let len = piece.len();
                assert_eq!(refused(piece), Some(InvalidAt(at)), "{at} of {len}");
                piece[at] = b'a';
            }
        };
        for len in 0..3 * BLOCK + 3 {
            let places: Vec<usize> = (0..len).collect();
            every(&mut vec![b'a'; len], &places);
        }
        for len in [LONG_TEXT_MIN - 1, LONG_TEXT_MIN, LONG_TEXT_MIN + 7] {
            let places = [0, 1, FIRST_LOOK - 1, FIRST_LOOK, len / 2, len - 9, len - 1];
            every(&mut vec![b'a'; len], &places);
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
        fn the_byte_to_blame_is_the_same_at_once_and_one_at_a_time(
            start in "\\PC{0,3}",
            bytes in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            let bytes = [start.as_bytes(), &bytes].concat();
            prop_assert_eq!(refused_at(&bytes), naive(&bytes));
            let at_once = Validator::default().push(&bytes);
            prop_assert_eq!(at_once.err(), naive(&bytes).map(InvalidAt));
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
            let valid = [0..cuts[0], cuts[0]..cuts[1], cuts[1]..cuts[2], cuts[2]..bytes.len()]
                .into_iter()
                .all(|range| validator.push(&bytes[range]).is_ok());
            prop_assert_eq!(valid && validator.is_complete(), check(&bytes).is_ok());
        }
    }
}
