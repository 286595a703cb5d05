//! What frames carry: bytes that a file states, patterns, and slices of generated corpora.
//!
//! A payload is a description and is small, whatever its size; [`Payload::render`] makes bytes.

use std::borrow::Cow;
use std::sync::Arc;

use crate::conformance::corpus::Corpus;

/// Bytes, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Just these.
    Bytes(Arc<[u8]>),
    /// A pattern, again and again, cut off at a size.
    Cycle {
        /// What is repeated; without a byte in it, zeros are.
        pattern: Arc<[u8]>,
        /// How many bytes there are.
        size: usize,
    },
    /// A slice of a corpus, which begins anew behind its end.
    Corpus {
        /// What is sliced.
        corpus: Corpus,
        /// Where the slice begins.
        offset: usize,
        /// How many bytes there are.
        size: usize,
    },
}

impl Payload {
    /// Just these bytes.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bytes(bytes.as_ref().into())
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Cycle { size, .. } | Self::Corpus { size, .. } => *size,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload of a repetition, counted from 0: a slice of a corpus moves on by its size, so
    /// that a thousand messages are not a thousand times the same.
    #[must_use]
    pub fn at(&self, repetition: usize) -> Self {
        match *self {
            Self::Corpus {
                corpus,
                offset,
                size,
            } => Self::Corpus {
                corpus,
                offset: offset + repetition * size,
                size,
            },
            _ => self.clone(),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn render(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::Cycle { pattern, size } if pattern.is_empty() => Cow::Owned(vec![0; *size]),
            Self::Cycle { pattern, size } => cycle(pattern, 0, *size),
            Self::Corpus {
                corpus,
                offset,
                size,
            } => {
                let bytes = corpus.bytes();
                cycle(bytes, offset % bytes.len(), *size)
            }
        }
    }

    /// The bytes behind each other.
    #[must_use]
    pub fn concat(parts: &[Self]) -> Self {
        match parts {
            [one] => one.clone(),
            parts => {
                let bytes: Vec<u8> = parts
                    .iter()
                    .flat_map(|part| part.render().into_owned())
                    .collect();
                Self::of(bytes)
            }
        }
    }
}

/// `size` bytes of a pattern that is repeated, from `offset` on.
fn cycle(pattern: &[u8], offset: usize, size: usize) -> Cow<'_, [u8]> {
    if let Some(slice) = pattern.get(offset..offset + size) {
        return Cow::Borrowed(slice);
    }
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(&pattern[offset..]);
    bytes.extend_from_slice(&pattern[..offset]);
    // One round is there; doubling it is faster than to append round by round.
    while bytes.len() < size {
        let more = bytes.len().min(size - bytes.len());
        bytes.extend_from_within(..more);
    }
    bytes.truncate(size);
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::Payload;
    use crate::conformance::corpus::Corpus;

    #[test]
    fn a_pattern_is_cut_off_at_its_size() {
        let cycle = |pattern: &str, size| Payload::Cycle {
            pattern: pattern.as_bytes().into(),
            size,
        };
        assert_eq!(&*cycle("abc", 7).render(), b"abcabca");
        assert_eq!(&*cycle("abc", 2).render(), b"ab");
        assert_eq!(&*cycle("", 2).render(), b"\0\0");
        assert!(cycle("abc", 0).render().is_empty());
    }

    #[test]
    fn repetitions_walk_through_a_corpus_and_begin_anew() {
        let slice = Payload::Corpus {
            corpus: Corpus::Json,
            offset: 0,
            size: 1000,
        };
        let bytes = Corpus::Json.bytes();
        assert_eq!(&*slice.at(3).render(), &bytes[3000..4000]);
        let round = bytes.len() / 1000;
        let wrapped = slice.at(round).render().into_owned();
        let tail = bytes.len() - round * 1000;
        assert_eq!(wrapped[..tail], bytes[round * 1000..]);
        assert_eq!(wrapped[tail..], bytes[..1000 - tail]);
    }
}
