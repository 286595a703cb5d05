//! Masking: the XOR of a client's payload with a 32-bit key ([RFC 6455 §5.3]).
//!
//! Applying a key twice gives the payload back, so one operation masks and unmasks.
//! A payload that arrives in pieces is unmasked in pieces: [`MaskingKey::at`] turns the
//! key to the position of the next piece.
//!
//! [RFC 6455 §5.3]: https://www.rfc-editor.org/rfc/rfc6455#section-5.3

/// The 32-bit key that a client draws afresh for each frame (§5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaskingKey([u8; 4]);

impl MaskingKey {
    /// The key of these four bytes, in the order in which they stand in the frame.
    #[must_use]
    pub const fn new(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes in the order in which they stand in the frame.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// This key as seen from `position` bytes into the payload.
    #[inline]
    #[must_use]
    pub const fn at(self, position: u64) -> Self {
        // Rotating towards the low end in little-endian order brings byte `position % 4` first.
        let turned = u32::from_le_bytes(self.0).rotate_right((position % 4) as u32 * 8);
        Self(turned.to_le_bytes())
    }

    /// Masks or unmasks `payload` where it lies.
    #[inline]
    pub fn apply(self, payload: &mut [u8]) {
        self.apply_any::<false>(payload);
    }

    /// Unmasks a text where it lies; says whether every byte of it is ASCII, and the text
    /// therefore UTF-8. What is not ASCII is yet to be checked.
    #[inline]
    pub(crate) fn unmask_text(self, text: &mut [u8]) -> bool {
        match text.len() < LONG_TEXT_MIN {
            true => self.apply_any::<true>(text) & NOT_ASCII == 0,
            false => self.unmask_long_text(text),
        }
    }

    /// What is not ASCII mostly shows early, and need not be looked for after that.
    fn unmask_long_text(self, text: &mut [u8]) -> bool {
        let (first, rest) = text.split_at_mut(FIRST_LOOK);
        if self.apply_any::<true>(first) & NOT_ASCII != 0 {
            self.apply(rest);
            return false;
        }
        self.apply_any::<true>(rest) & NOT_ASCII == 0
    }

    /// As [`apply_seeing`](Self::apply_seeing), without a call if the payload is short.
    #[inline(always)]
    fn apply_any<const SEEING: bool>(self, payload: &mut [u8]) -> u64 {
        match payload.len() {
            ..PIECES_MAX => apply_pieces::<SEEING>(self, payload),
            PIECES_MAX..MORE_PIECES_MAX => apply_more_pieces::<SEEING>(self, payload),
            _ => self.apply_seeing::<SEEING>(payload),
        }
    }

    /// If `SEEING`, returns the OR of all words it leaves: masking waits for the stores, so that
    /// seeing the bits on the way costs nothing.
    #[inline]
    fn apply_seeing<const SEEING: bool>(self, payload: &mut [u8]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if payload.len() >= LINES_MIN && std::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has just been seen to have AVX-512, the one thing that
            // `apply_avx512` asks for; its body is the safe `apply_lines`.
            #[allow(unsafe_code)]
            return unsafe { apply_avx512::<SEEING>(self, payload) };
        }
        #[cfg(target_arch = "x86_64")]
        if payload.len() >= WIDE_MIN && std::is_x86_feature_detected!("avx2") {
            // SAFETY: as above, with AVX2.
            #[allow(unsafe_code)]
            return unsafe { apply_avx2::<SEEING>(self, payload) };
        }
        apply_words::<SEEING>(self, payload)
    }

    /// Copies `from` to `to`, masked, in one pass.
    ///
    /// # Panics
    ///
    /// If the two differ in length, as `copy_from_slice` does.
    #[inline]
    pub fn copy(self, from: &[u8], to: &mut [u8]) {
        assert_eq!(from.len(), to.len(), "the copy is as long as its source");
        #[cfg(target_arch = "x86_64")]
        if from.len() >= LINES_MIN && std::is_x86_feature_detected!("avx512f") {
            // SAFETY: as in `apply_seeing`; the body is the safe `copy_lines`.
            #[allow(unsafe_code)]
            unsafe {
                copy_avx512(self, from, to);
            }
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if from.len() >= WIDE_MIN && std::is_x86_feature_detected!("avx2") {
            // SAFETY: as above, with AVX2.
            #[allow(unsafe_code)]
            unsafe {
                copy_avx2(self, from, to);
            }
            return;
        }
        copy_words(self, from, to);
    }

    /// As [`copy`](Self::copy), for less than 64 bytes, without a loop.
    #[inline(always)]
    pub(crate) fn copy_pieces(self, from: &[u8], to: &mut [u8]) {
        assert_eq!(from.len(), to.len(), "the copy is as long as its source");
        let (from, to) = self.copy_piece::<32>(from, to);
        let (from, to) = self.copy_piece::<16>(from, to);
        let (from, to) = self.copy_piece::<8>(from, to);
        let (from, to) = self.copy_piece::<4>(from, to);
        for ((from, to), key) in from.iter().zip(to).zip(self.0) {
            *to = from ^ key;
        }
    }

    /// Copies a piece of `N` bytes, masked, if their number has that bit; returns what is left.
    #[inline(always)]
    fn copy_piece<'a, const N: usize>(
        self,
        from: &'a [u8],
        to: &'a mut [u8],
    ) -> (&'a [u8], &'a mut [u8]) {
        if from.len() & N == 0 {
            return (from, to);
        }
        let (piece, from) = from.split_at(N);
        let (place, to) = to.split_at_mut(N);
        // All of it is read before any is written: for the compiler the two may overlap.
        let mut masked = [0; N];
        masked.copy_from_slice(piece);
        let (quads, _) = masked.as_chunks_mut::<4>();
        for quad in quads {
            *quad = (u32::from_ne_bytes(*quad) ^ u32::from_ne_bytes(self.0)).to_ne_bytes();
        }
        place.copy_from_slice(&masked);
        (from, to)
    }

    const fn to_word(self) -> u64 {
        let half = u32::from_ne_bytes(self.0) as u64;
        half << 32 | half
    }
}

/// The bits of a word that ASCII leaves clear.
pub(super) const NOT_ASCII: u64 = u64::from_ne_bytes([0x80; 8]);

/// A text of this many bytes is looked at for ASCII in two parts.
pub(super) const LONG_TEXT_MIN: usize = 4 << 10;

/// How many bytes the first part has: a multiple of the key's, which so need not turn.
pub(super) const FIRST_LOOK: usize = 256;

/// Fewer bytes are masked, and copied then, in pieces of 32, 16, 8 and so on.
pub(super) const PIECES_MAX: usize = 64;

/// Fewer bytes than these too, with one of 64 before the others.
pub(super) const MORE_PIECES_MAX: usize = 128;

/// Below this many bytes the wide loop's set-up costs more than it saves.
#[cfg(target_arch = "x86_64")]
const WIDE_MIN: usize = 128;

/// From here on it pays to begin with a line of the cache, and to use the widest instructions.
/// Copies, which wait for memory rather than for arithmetic, do without.
#[cfg(target_arch = "x86_64")]
const LINES_MIN: usize = 1024;

/// The bytes of a line of the cache.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn apply_avx512<const SEEING: bool>(key: MaskingKey, payload: &mut [u8]) -> u64 {
    apply_lines::<SEEING>(key, payload)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn apply_avx2<const SEEING: bool>(key: MaskingKey, payload: &mut [u8]) -> u64 {
    match payload.len() >= LINES_MIN {
        true => apply_lines::<SEEING>(key, payload),
        false => apply_words::<SEEING>(key, payload),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn copy_avx512(key: MaskingKey, from: &[u8], to: &mut [u8]) {
    copy_lines(key, from, to);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn copy_avx2(key: MaskingKey, from: &[u8], to: &mut [u8]) {
    match from.len() >= LINES_MIN {
        true => copy_lines(key, from, to),
        false => copy_words(key, from, to),
    }
}

/// The algorithm from the payload's first whole line on.
///
/// A payload begins behind a header, anywhere in a line. Stores that straddle two lines cost
/// twice, and of wide ones every second would, or every one.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn apply_lines<const SEEING: bool>(key: MaskingKey, payload: &mut [u8]) -> u64 {
    let Some(mut first) = payload.first_chunk::<LINE>().copied() else {
        return apply_words::<SEEING>(key, payload);
    };
    // The bytes before that line are too few for wide instructions: a line's worth is masked
    // aside, overlaps what is masked in place, and overwrites it with the same.
    let seen = apply_words::<SEEING>(key, &mut first);
    let start = payload.as_ptr().align_offset(LINE).min(LINE);
    let seen = seen | apply_words::<SEEING>(key.at(start as u64), &mut payload[start..]);
    payload[..LINE].copy_from_slice(&first);
    seen
}

/// The algorithm, which the compiler turns into the widest instructions it may use where
/// it is inlined.
#[inline(always)]
fn apply_words<const SEEING: bool>(key: MaskingKey, payload: &mut [u8]) -> u64 {
    let word = key.to_word();
    let mut seen = 0;
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        let unmasked = u64::from_ne_bytes(*bytes) ^ word;
        *bytes = unmasked.to_ne_bytes();
        if SEEING {
            seen |= unmasked;
        }
    }
    let half = u32::from_ne_bytes(key.0);
    let (halves, tail) = rest.as_chunks_mut::<4>();
    for bytes in halves {
        let unmasked = u32::from_ne_bytes(*bytes) ^ half;
        *bytes = unmasked.to_ne_bytes();
        if SEEING {
            seen |= u64::from(unmasked);
        }
    }
    for (byte, key) in tail.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
        if SEEING {
            seen |= u64::from(*byte);
        }
    }
    seen
}

/// The algorithm for less than 64 bytes: in as many pieces as their number has bits, the largest
/// first, without a loop.
#[inline(always)]
fn apply_pieces<const SEEING: bool>(key: MaskingKey, payload: &mut [u8]) -> u64 {
    let mut seen = 0;
    let rest = apply_piece::<SEEING, 32>(key, payload, &mut seen);
    let rest = apply_piece::<SEEING, 16>(key, rest, &mut seen);
    let rest = apply_piece::<SEEING, 8>(key, rest, &mut seen);
    let rest = apply_piece::<SEEING, 4>(key, rest, &mut seen);
    if rest.is_empty() {
        return seen;
    }
    let [first, second, third, _] = key.0;
    let (pairs, last) = rest.as_chunks_mut::<2>();
    let next = if pairs.is_empty() { first } else { third };
    for bytes in pairs {
        let unmasked = u16::from_ne_bytes(*bytes) ^ u16::from_ne_bytes([first, second]);
        *bytes = unmasked.to_ne_bytes();
        if SEEING {
            seen |= u64::from(unmasked);
        }
    }
    for byte in last {
        *byte ^= next;
        if SEEING {
            seen |= u64::from(*byte);
        }
    }
    seen
}

/// The algorithm for 64 to 127 bytes, of which no shorter payload is to know.
#[inline(never)]
fn apply_more_pieces<const SEEING: bool>(key: MaskingKey, payload: &mut [u8]) -> u64 {
    let mut seen = 0;
    let rest = apply_piece::<SEEING, 64>(key, payload, &mut seen);
    seen | apply_pieces::<SEEING>(key, rest)
}

/// Masks a piece of `N` bytes if their number has that bit; returns what is left.
#[inline(always)]
fn apply_piece<'a, const SEEING: bool, const N: usize>(
    key: MaskingKey,
    payload: &'a mut [u8],
    seen: &mut u64,
) -> &'a mut [u8] {
    if payload.len() & N == 0 {
        return payload;
    }
    let (piece, rest) = payload.split_at_mut(N);
    match SEEING {
        true => *seen |= apply_words::<true>(key, piece),
        false => apply_halves(key, piece),
    }
    rest
}

/// As [`apply_words`], where the key is not worth doubling first.
#[inline(always)]
fn apply_halves(key: MaskingKey, payload: &mut [u8]) {
    let half = u32::from_ne_bytes(key.0);
    let (halves, _) = payload.as_chunks_mut::<4>();
    for bytes in halves {
        *bytes = (u32::from_ne_bytes(*bytes) ^ half).to_ne_bytes();
    }
}

#[inline(always)]
fn copy_words(key: MaskingKey, from: &[u8], to: &mut [u8]) {
    let word = key.to_word();
    let (from_words, from_tail) = from.as_chunks::<8>();
    let (to_words, to_tail) = to.as_chunks_mut::<8>();
    for (from, to) in from_words.iter().zip(to_words) {
        *to = (u64::from_ne_bytes(*from) ^ word).to_ne_bytes();
    }
    for ((from, to), key) in from_tail.iter().zip(to_tail).zip(word.to_ne_bytes()) {
        *to = from ^ key;
    }
}

/// As [`apply_lines`]: the copy's lines are written whole, wherever the source lies in its own. What
/// lies before the first and behind the last is a line's worth that overlaps them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn copy_lines(key: MaskingKey, from: &[u8], to: &mut [u8]) {
    copy_line(key, from.first_chunk(), to.first_chunk_mut());
    let start = to.as_ptr().align_offset(LINE).min(LINE);
    let end = to.len() - (to.len() - start) % LINE;
    copy_words(key.at(start as u64), &from[start..end], &mut to[start..end]);
    let last = key.at((from.len() - LINE) as u64);
    copy_line(last, from.last_chunk(), to.last_chunk_mut());
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn copy_line(key: MaskingKey, from: Option<&[u8; LINE]>, to: Option<&mut [u8; LINE]>) {
    if let (Some(from), Some(to)) = (from, to) {
        copy_words(key, from, to);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::MaskingKey;

    /// §5.3 to the letter: octet i is XORed with octet i modulo 4 of the key.
    fn naive(key: MaskingKey, position: u64, payload: &[u8]) -> Vec<u8> {
        (position..)
            .zip(payload)
            .map(|(i, byte)| byte ^ key.to_bytes()[(i % 4) as usize])
            .collect()
    }

    #[test]
    fn the_hello_of_section_5_7() {
        let key = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        key.apply(&mut payload);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn every_short_length_at_every_phase_and_alignment() {
        let key = MaskingKey::new([1, 20, 200, 255]);
        let source: Vec<u8> = (0..=255).cycle().take(4200).collect();
        for start in 0..9 {
            for len in (0..300).chain([511, 512, 513, 1023, 1024, 1025, 2047, 2079, 4096, 4101]) {
                for phase in 0..5 {
                    let payload = &source[start..start + len];
                    let expected = naive(key, phase, payload);
                    let mut in_place = source.clone();
                    key.at(phase).apply(&mut in_place[start..start + len]);
                    assert_eq!(in_place[start..start + len], expected);
                    let mut text = source.clone();
                    let ascii = key.at(phase).unmask_text(&mut text[start..start + len]);
                    assert_eq!(text, in_place);
                    assert_eq!(ascii, expected.is_ascii());
                    let mut copied = vec![0; len];
                    key.at(phase).copy(payload, &mut copied);
                    assert_eq!(copied, expected);
                }
            }
        }
    }

    #[test]
    fn one_byte_that_is_not_ascii_is_seen_wherever_it_lies() {
        let key = MaskingKey::new([1, 20, 200, 255]);
        for len in (1..140).chain([1023, 1024, 1025, 1151, 1152, 2079, 4096, 4101]) {
            for start in [0, 6, 63] {
                let mut source = vec![0; start + len];
                key.apply(&mut source[start..]);
                assert!(key.unmask_text(&mut source.clone()[start..]));
                for at in 0..len {
                    let mut text = source.clone();
                    text[start + at] ^= 0x80;
                    assert!(!key.unmask_text(&mut text[start..]), "{at} of {len}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_are_masked_as_the_whole(
            key: [u8; 4],
            payload in proptest::collection::vec(any::<u8>(), 0..2_000),
            cut: proptest::sample::Index,
        ) {
            let key = MaskingKey::new(key);
            let cut = cut.index(payload.len() + 1);
            let mut pieces = payload.clone();
            let (first, second) = pieces.split_at_mut(cut);
            key.apply(first);
            key.at(cut as u64).apply(second);
            prop_assert_eq!(pieces, naive(key, 0, &payload));
        }
    }
}
