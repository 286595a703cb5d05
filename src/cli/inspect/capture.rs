//! Captures in files: pcap and pcapng, packet by packet.
//!
//! Read as they come, so that a capture may be larger than memory, or still be growing in a pipe.

use std::io::Read;
use std::time::Duration;

use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

/// Whether a file that begins so is a capture.
pub(super) fn is_capture(bytes: &[u8]) -> bool {
    const MAGIC: [[u8; 4]; 5] = [
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0x4d, 0x3c, 0xb2, 0xa1],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0x0a, 0x0d, 0x0d, 0x0a],
    ];
    MAGIC.iter().any(|magic| bytes.starts_with(magic))
}

/// An interface of a capture.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: i32,
    /// Ticks a second.
    resolution: u64,
    offset: i64,
}

/// Gives each packet with its link layer and its time. What is wrong with the file is an error;
/// a file that breaks off within a packet, as captures do that were killed, is a remark.
pub(super) fn read(
    reader: impl Read + Send + 'static,
    mut packet: impl FnMut(Duration, i32, &[u8]),
) -> Result<Option<String>, String> {
    let mut reader = create_reader(BUFFER_SIZE, reader).map_err(|error| explain(&error))?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut capacity = BUFFER_SIZE;
    loop {
        let size = match reader.next() {
            Ok((size, block)) => {
                take(block, &mut interfaces, &mut packet);
                size
            }
            Err(PcapError::Eof) => return Ok(None),
            Err(PcapError::Incomplete(_) | PcapError::BufferTooSmall) => {
                if reader.reader_exhausted() {
                    return Ok(Some("the capture breaks off within a packet".to_owned()));
                }
                // A block larger than the buffer, up to a bound.
                if reader.data().len() >= capacity {
                    capacity *= 2;
                    if capacity > BUFFER_SIZE_MAX || !reader.grow(capacity) {
                        return Err("a block of the capture is too large".to_owned());
                    }
                }
                reader.refill().map_err(|error| explain(&error))?;
                continue;
            }
            Err(PcapError::UnexpectedEof) => {
                return Ok(Some("the capture breaks off within a packet".to_owned()));
            }
            Err(error) => return Err(explain(&error)),
        };
        reader.consume(size);
    }
}

fn take(
    block: PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
    packet: &mut impl FnMut(Duration, i32, &[u8]),
) {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let nanoseconds = header.is_nanosecond_precision();
            interfaces.push(Interface {
                // The upper bits say how long the checksum of a frame is.
                link_type: header.network.0 & 0x0fff_ffff,
                resolution: if nanoseconds {
                    1_000_000_000
                } else {
                    1_000_000
                },
                offset: 0,
            });
        }
        PcapBlockOwned::Legacy(block) => {
            if let Some(interface) = interfaces.first() {
                let fraction = u64::from(block.ts_usec) * (1_000_000_000 / interface.resolution);
                let time =
                    Duration::from_secs(block.ts_sec.into()) + Duration::from_nanos(fraction);
                packet(time, interface.link_type, block.data);
            }
        }
        // A new section has its own interfaces.
        PcapBlockOwned::NG(Block::SectionHeader(_)) => interfaces.clear(),
        PcapBlockOwned::NG(Block::InterfaceDescription(block)) => interfaces.push(Interface {
            link_type: block.linktype.0,
            resolution: block
                .ts_resolution()
                .filter(|ticks| *ticks > 0)
                .unwrap_or(1_000_000),
            offset: block.ts_offset(),
        }),
        PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
            let interface = usize::try_from(block.if_id)
                .ok()
                .and_then(|id| interfaces.get(id));
            if let Some(interface) = interface {
                let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
                let size = block.data.len().min(block.caplen as usize);
                packet(
                    interface.time(ticks),
                    interface.link_type,
                    &block.data[..size],
                );
            }
        }
        PcapBlockOwned::NG(Block::SimplePacket(block)) => {
            if let Some(interface) = interfaces.first() {
                let size = block.data.len().min(block.origlen as usize);
                packet(Duration::ZERO, interface.link_type, &block.data[..size]);
            }
        }
        PcapBlockOwned::NG(_) => {}
    }
}

impl Interface {
    fn time(&self, ticks: u64) -> Duration {
        let (seconds, rest) = (ticks / self.resolution, ticks % self.resolution);
        let nanoseconds = u128::from(rest) * 1_000_000_000 / u128::from(self.resolution);
        let nanoseconds = u32::try_from(nanoseconds).unwrap_or_default();
        Duration::new(seconds.saturating_add_signed(self.offset), nanoseconds)
    }
}

fn explain<I: std::fmt::Debug>(error: &PcapError<I>) -> String {
    match error {
        PcapError::Eof => "the capture is empty".to_owned(),
        PcapError::ReadError => "the capture cannot be read".to_owned(),
        PcapError::HeaderNotRecognized => "this is neither pcap nor pcapng".to_owned(),
        PcapError::Incomplete(_) | PcapError::UnexpectedEof => "the capture breaks off".to_owned(),
        _ => "a block of the capture is malformed".to_owned(),
    }
}

/// What is read at a time: several packets.
const BUFFER_SIZE: usize = 256 << 10;

/// A block of a capture at most, far above any packet.
const BUFFER_SIZE_MAX: usize = 64 << 20;
