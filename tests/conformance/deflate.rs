//! permessage-deflate for the peer (RFC 7692 §7.2), with the faults that it can have.
//!
//! What to agree to is left to the library; what was agreed to is read off the response.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use openline::proto::Role;

use crate::faults::Fault;

/// Compresses and inflates for one end of a connection.
pub(crate) struct Codec {
    fault: Option<Fault>,
    deflate: Compress,
    deflate_resets: bool,
    inflate: Decompress,
    inflate_resets: bool,
}

/// Why a message cannot be had.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It does not inflate.
    Broken,
    /// It is larger than allowed.
    TooLarge,
}

impl Codec {
    /// Reads what was agreed to off the head of a response; `None` if that is nothing.
    pub(crate) fn agreed(response: &str, us: Role, fault: Option<Fault>) -> Option<Self> {
        let value = extensions(response)?;
        let has = |name: &str| value.contains(name);
        let bits = |name: &str| {
            let (_, rest) = value.split_once(name)?;
            let digits = rest.trim_start_matches(['=', '"']);
            let end = digits.find(|c: char| !c.is_ascii_digit());
            digits[..end.unwrap_or(digits.len())].parse::<u8>().ok()
        };
        let (ours, theirs) = match us {
            Role::Server => ("server", "client"),
            Role::Client => ("client", "server"),
        };
        let window = match fault {
            Some(Fault::WindowTooLarge) => 15,
            // The compressor begins at 9 bits, and never refers to the last bytes of its window.
            _ => bits(&format!("{ours}_max_window_bits")).map_or(15, |bits| bits.max(9)),
        };
        let resets = |whose: &str| has(&format!("{whose}_no_context_takeover"));
        Some(Self {
            fault,
            deflate: Compress::new_with_window_bits(Compression::default(), false, window),
            deflate_resets: resets(ours) && fault != Some(Fault::KeepsContext),
            inflate: Decompress::new(false),
            inflate_resets: resets(theirs) || fault == Some(Fault::ForgetsContext),
        })
    }

    pub(crate) fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        if self.deflate_resets {
            self.deflate.reset();
        }
        let mut out = Vec::with_capacity(message.len() + message.len() / 100 + 100);
        self.deflate
            .compress_vec(message, &mut out, FlushCompress::Sync)
            .expect("deflate takes any bytes");
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        // §7.2.3.6: where nothing is to be flushed, an empty block is still a message.
        if out.is_empty() {
            out.push(0);
        }
        out
    }

    pub(crate) fn inflate(&mut self, message: &[u8], max: usize) -> Result<Vec<u8>, Unread> {
        if self.inflate_resets {
            self.inflate.reset(false);
        }
        let mut out = Vec::new();
        for mut input in [message, &TAIL] {
            loop {
                out.reserve(16 << 10);
                let (before, room) = (self.inflate.total_in(), out.capacity() - out.len());
                let (start, status) = (
                    out.len(),
                    self.inflate
                        .decompress_vec(input, &mut out, FlushDecompress::Sync),
                );
                let status = match status {
                    Ok(status) => status,
                    Err(_) if self.fault == Some(Fault::AcceptsBrokenStreams) => return Ok(out),
                    Err(_) => return Err(Unread::Broken),
                };
                if out.len() > max {
                    return Err(Unread::TooLarge);
                }
                let taken = usize::try_from(self.inflate.total_in() - before).unwrap();
                input = &input[taken..];
                if status == Status::StreamEnd {
                    if self.fault != Some(Fault::StopsAtFinalBlock) {
                        self.inflate.reset(false);
                    }
                    input = match self.fault {
                        Some(Fault::StopsAtFinalBlock) => &[],
                        _ => input,
                    };
                }
                let is_full = out.len() - start == room;
                if !is_full && (input.is_empty() || taken == 0) {
                    break;
                }
            }
        }
        Ok(out)
    }
}

/// The value of the field, if it is there and speaks of permessage-deflate.
pub(crate) fn extensions(head: &str) -> Option<String> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-extensions"))
        .map(|(_, value)| value.trim().to_owned())
        .filter(|value| value.starts_with("permessage-deflate"))
}

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
