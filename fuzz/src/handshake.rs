//! What the targets of the two handshakes share: limits and cuts from the input, and the pieces.

use std::sync::Arc;

use openline::proto::Config;

/// An input: the first byte chooses the limits, the second the cut, the rest is what arrives.
pub struct Input<'a> {
    pub config: Arc<Config>,
    pub bytes: &'a [u8],
    cut: usize,
}

impl<'a> Input<'a> {
    pub fn new(input: &'a [u8]) -> Option<Self> {
        let (&[limits, cut], bytes) = input.split_first_chunk()?;
        let config = Config {
            handshake_size_max: 32 + 32 * usize::from(limits),
            headers_max: 1 + usize::from(limits % 16),
            ..Config::default()
        };
        Some(Self {
            config: Arc::new(config),
            bytes,
            cut: usize::from(cut) * 4 % (bytes.len() + 1),
        })
    }

    /// The bytes whole, cut in two, and one at a time.
    pub fn splits(&self) -> [Vec<&'a [u8]>; 3] {
        let (first, second) = self.bytes.split_at(self.cut);
        [
            vec![self.bytes],
            vec![first, second],
            self.bytes.chunks(1).collect(),
        ]
    }
}
