//! How far back a DEFLATE stream refers ([RFC 1951]).
//!
//! An inflater takes whatever its own window holds, and asks nobody what was agreed to. Here the
//! symbols of a stream are read and nothing is inflated: only the distances count.
//!
//! [RFC 1951]: https://www.rfc-editor.org/rfc/rfc1951

/// The longest distance in the blocks of a message; what cannot be read ends it.
pub(super) fn reach(message: &[u8]) -> usize {
    let mut bits = Bits {
        bytes: message,
        held: 0,
        count: 0,
    };
    let mut longest = 0;
    while block(&mut bits, &mut longest).is_some() {}
    longest
}

/// Reads a block (§3.2.3).
fn block(bits: &mut Bits<'_>, longest: &mut usize) -> Option<()> {
    let _is_final = bits.take(1)?;
    match bits.take(2)? {
        0 => stored(bits),
        1 => symbols(
            bits,
            &Code::fixed_literals(),
            &Code::fixed_distances(),
            longest,
        ),
        2 => {
            let (literals, distances) = codes(bits)?;
            symbols(bits, &literals, &distances, longest)
        }
        _ => None,
    }
}

/// §3.2.4: bytes as they are, behind their length and its complement.
fn stored(bits: &mut Bits<'_>) -> Option<()> {
    bits.align();
    let length = bits.take(16)?;
    let _complement = bits.take(16)?;
    bits.skip_bytes(length)
}

/// §3.2.5: literals, and lengths with their distances, up to the end of the block.
fn symbols(
    bits: &mut Bits<'_>,
    literals: &Code,
    distances: &Code,
    longest: &mut usize,
) -> Option<()> {
    loop {
        match literals.read(bits)? {
            0..256 => {}
            256 => return Some(()),
            symbol => {
                bits.take(extra_of_length(symbol)?)?;
                let symbol = distances.read(bits)?;
                let (base, extra) = distance(symbol)?;
                *longest = (*longest).max(base + bits.take(extra)?);
            }
        }
    }
}

/// How many bits follow the symbol of a length.
fn extra_of_length(symbol: usize) -> Option<u32> {
    match symbol {
        257..265 | 285 => Some(0),
        265..285 => u32::try_from((symbol - 261) / 4).ok(),
        _ => None,
    }
}

/// The shortest distance of a symbol, and how many bits follow it to be added.
fn distance(symbol: usize) -> Option<(usize, u32)> {
    match symbol {
        0..4 => Some((symbol + 1, 0)),
        4..30 => {
            let extra = symbol / 2 - 1;
            Some((((2 + symbol % 2) << extra) + 1, u32::try_from(extra).ok()?))
        }
        _ => None,
    }
}

/// §3.2.7: the two codes at the front of a block, themselves in code.
fn codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literals = bits.take(5)? + 257;
    let distances = bits.take(5)? + 1;
    let count = bits.take(4)? + 4;
    let mut lengths = [0; 19];
    for place in &ORDER[..count] {
        lengths[*place] = bits.take(3)?;
    }
    let code = Code::new(&lengths);
    let mut lengths = Vec::with_capacity(literals + distances);
    while lengths.len() < literals + distances {
        let (length, times) = match code.read(bits)? {
            16 => (*lengths.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        lengths.resize(lengths.len() + times, length);
    }
    let (literals, distances) = lengths.split_at(literals);
    Some((Code::new(literals), Code::new(distances)))
}

/// A canonical Huffman code (§3.2.2): within a length, codes count up as symbols do.
struct Code {
    /// How many codes have each length.
    counts: [usize; 16],
    /// The symbols, those of short codes first.
    symbols: Vec<usize>,
}

impl Code {
    /// From the length of each symbol's code, at most 15; 0 is a symbol that does not occur.
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        let mut symbols = Vec::with_capacity(lengths.len());
        for length in 1..counts.len() {
            let has_length = |symbol: &usize| lengths[*symbol] == length;
            symbols.extend((0..lengths.len()).filter(has_length));
            counts[length] = symbols.len() - counts[..length].iter().sum::<usize>();
        }
        Self { counts, symbols }
    }

    /// §3.2.6.
    fn fixed_literals() -> Self {
        let lengths = [[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat();
        Self::new(&lengths)
    }

    fn fixed_distances() -> Self {
        Self::new(&[5; 30])
    }

    fn read(&self, bits: &mut Bits<'_>) -> Option<usize> {
        // The first code of a length, and the place of its symbol.
        let (mut first, mut place, mut code) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            if code < first + count {
                return self.symbols.get(place + code - first).copied();
            }
            place += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// The bits of bytes, the lowest of each first (§3.1.1).
struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits that were taken out of the bytes and not yet read.
    held: usize,
    count: u32,
}

impl Bits<'_> {
    /// A number of so many bits, at most 16.
    fn take(&mut self, count: u32) -> Option<usize> {
        while self.count < count {
            let (&first, rest) = self.bytes.split_first()?;
            self.held |= usize::from(first) << self.count;
            self.count += 8;
            self.bytes = rest;
        }
        let number = self.held & ((1 << count) - 1);
        self.held >>= count;
        self.count -= count;
        Some(number)
    }

    /// Goes on at the next whole byte.
    fn align(&mut self) {
        self.held = 0;
        self.count = 0;
    }

    fn skip_bytes(&mut self, count: usize) -> Option<()> {
        self.bytes = self.bytes.get(count..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::reach;

    /// Compresses; what it refers to, `distance` bytes back, is known by construction.
    fn twice_at(distance: usize, level: u32) -> Vec<u8> {
        // A generator of no pattern, so that nothing else comes twice.
        let mut state = 7_u64;
        let mut words = std::iter::repeat_with(|| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            state.to_be_bytes()
        })
        .flatten();
        let half: Vec<u8> = words.by_ref().take(distance).collect();
        let message = [&half[..], &half[..distance.min(200)]].concat();
        let mut deflate = Compress::new(Compression::new(level), false);
        let mut out = Vec::with_capacity(2 * message.len() + 1000);
        deflate
            .compress_vec(&message, &mut out, FlushCompress::Sync)
            .unwrap();
        out
    }

    #[test]
    fn the_longest_distance_is_found() {
        for distance in [8, 100, 255, 256, 257, 512, 1000, 5000, 20_000, 32_500] {
            for level in [1, 6, 9] {
                let stream = twice_at(distance, level);
                assert_eq!(reach(&stream), distance, "at level {level}");
            }
        }
    }

    #[test]
    fn codes_of_a_blocks_own_are_read() {
        let text = "to be or not to be, that is the question: ".repeat(300);
        let mut deflate = Compress::new(Compression::new(9), false);
        let mut out = Vec::with_capacity(20_000);
        deflate
            .compress_vec(text.as_bytes(), &mut out, FlushCompress::Sync)
            .unwrap();
        assert_eq!(out[0] >> 1 & 3, 2, "a block with codes of its own");
        assert_eq!(reach(&out), 42);
    }

    #[test]
    fn nothing_is_made_of_what_is_no_stream() {
        assert_eq!(reach(b""), 0);
        assert_eq!(reach(&[0xff; 100]), 0);
        // Stored: "Hello" (RFC 7692 §7.2.3.3).
        assert_eq!(reach(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), 0);
        // Fixed: "Hello", and again by reference (§7.2.3.2).
        assert_eq!(reach(b"\xf2\x48\xcd\xc9\xc9\x07\x00"), 0);
        assert_eq!(reach(b"\xf2\x00\x11\x00\x00"), 5);
    }
}
