//! DEFLATE read slowly and obviously (RFC 1951), by a window that is enforced.
//!
//! Bit by bit, with a list of codes that is searched; what refers back further than the window,
//! or to before the beginning, is refused.

/// A stream that is read message by message.
pub struct Naive {
    window_size: usize,
    /// Everything that came out.
    output: Vec<u8>,
    /// Where the messages begin to which the present one may refer.
    start: usize,
}

/// What is wrong, in words.
pub type Wrong = &'static str;

impl Naive {
    pub fn new(window_bits: u8) -> Self {
        Self {
            window_size: 1 << window_bits,
            output: Vec::new(),
            start: 0,
        }
    }

    /// Forgets the messages before.
    pub fn forget(&mut self) {
        self.start = self.output.len();
    }

    /// The message that was compressed to `payload` (RFC 7692 §7.2.2).
    pub fn message(&mut self, payload: &[u8]) -> Result<Vec<u8>, Wrong> {
        let payload = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
        let mut bits = Bits {
            bytes: &payload,
            position: 0,
        };
        let begin = self.output.len();
        while bits.position < 8 * payload.len() {
            let is_final = bits.take(1)? == 1;
            match bits.take(2)? {
                0 => self.stored(&mut bits)?,
                1 => self.compressed(&mut bits, &fixed_lengths(), &fixed_distances())?,
                2 => {
                    let (lengths, distances) = dynamic(&mut bits)?;
                    self.compressed(&mut bits, &lengths, &distances)?;
                }
                _ => return Err("block type 3"),
            }
            if is_final {
                bits.align();
            }
        }
        Ok(self.output[begin..].to_vec())
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Result<(), Wrong> {
        bits.align();
        let len = bits.take(16)?;
        if bits.take(16)? != !len & 0xffff {
            return Err("LEN and NLEN differ");
        }
        for _ in 0..len {
            let byte = bits.take(8)? as u8;
            self.output.push(byte);
        }
        Ok(())
    }

    fn compressed(
        &mut self,
        bits: &mut Bits<'_>,
        lengths: &Codes,
        distances: &Codes,
    ) -> Result<(), Wrong> {
        loop {
            let length = match lengths.take(bits)? {
                byte @ 0..256 => {
                    self.output.push(byte as u8);
                    continue;
                }
                256 => return Ok(()),
                symbol @ 257..286 => {
                    let (base, extra) = LENGTHS[symbol - 257];
                    base + bits.take(extra)?
                }
                _ => return Err("a length that there is not"),
            };
            let symbol = distances.take(bits)?;
            let &(base, extra) = DISTANCES
                .get(symbol)
                .ok_or("a distance that there is not")?;
            let distance = base + bits.take(extra)?;
            if distance > self.window_size {
                return Err("refers back further than the window");
            }
            if distance > self.output.len() - self.start {
                return Err("refers to before the beginning");
            }
            for _ in 0..length {
                self.output.push(self.output[self.output.len() - distance]);
            }
        }
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// In bits.
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, n: usize) -> Result<usize, Wrong> {
        let mut value = 0;
        for i in 0..n {
            let byte = self.bytes.get(self.position / 8).ok_or("too short")?;
            value |= usize::from(byte >> (self.position % 8) & 1) << i;
            self.position += 1;
        }
        Ok(value)
    }

    fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }
}

/// For each length in bits: the first code, and the symbols that have it and the codes after it.
struct Codes(Vec<(usize, Vec<usize>)>);

impl Codes {
    /// RFC 1951 §3.2.2: the lengths say it all.
    fn new(lengths: &[usize]) -> Self {
        let mut next = 0;
        let of_length = |length: usize| {
            next <<= 1;
            let first = next;
            let has_it = |symbol: &usize| length > 0 && lengths[*symbol] == length;
            let symbols: Vec<usize> = (0..lengths.len()).filter(has_it).collect();
            next += symbols.len();
            (first, symbols)
        };
        Self((0..=15).map(of_length).collect())
    }

    fn take(&self, bits: &mut Bits<'_>) -> Result<usize, Wrong> {
        let mut code = 0;
        for (first, symbols) in &self.0[1..] {
            code = code << 1 | bits.take(1)?;
            if (*first..first + symbols.len()).contains(&code) {
                return Ok(symbols[code - first]);
            }
        }
        Err("a code that no symbol has")
    }
}

fn fixed_lengths() -> Codes {
    let lengths: Vec<usize> = (0..288)
        .map(|symbol| match symbol {
            0..144 => 8,
            144..256 => 9,
            256..280 => 7,
            _ => 8,
        })
        .collect();
    Codes::new(&lengths)
}

fn fixed_distances() -> Codes {
    Codes::new(&[5; 30])
}

/// RFC 1951 §3.2.7: the codes of a block that brings its own.
fn dynamic(bits: &mut Bits<'_>) -> Result<(Codes, Codes), Wrong> {
    let length_count = bits.take(5)? + 257;
    let distance_count = bits.take(5)? + 1;
    let code_count = bits.take(4)? + 4;
    let mut code_lengths = [0; 19];
    for symbol in &ORDER[..code_count] {
        code_lengths[*symbol] = bits.take(3)?;
    }
    let code_lengths = Codes::new(&code_lengths);
    let mut all = Vec::new();
    while all.len() < length_count + distance_count {
        let (value, times) = match code_lengths.take(bits)? {
            16 => (*all.last().ok_or("nothing to repeat")?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        all.extend(vec![value; times]);
    }
    if all.len() > length_count + distance_count {
        return Err("too many lengths");
    }
    let (lengths, distances) = all.split_at(length_count);
    Ok((Codes::new(lengths), Codes::new(distances)))
}

const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// The least length of each symbol from 257 on, and its extra bits.
const LENGTHS: [(usize, usize); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// The least distance of each symbol, and its extra bits.
const DISTANCES: [(usize, usize); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12_289, 12),
    (16_385, 13),
    (24_577, 13),
];
