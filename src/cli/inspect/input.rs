//! What the input is: a capture, a recording, a stream, or bytes written as text.
//!
//! The first bytes tell, unless the user does. Text is read whole, up to a limit; all else is
//! read as it comes.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use clap::ValueEnum;

use crate::cli::inspect::capture::is_capture;
use crate::cli::inspect::dump::{self, Form, Piece};

/// How the input is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Whatever it looks like
    #[default]
    Auto,
    /// Hexadecimal digits, or a dump by xxd, hexdump -C, od -A x -t x1 or tshark -x
    Hex,
    /// Base64, in either alphabet
    Base64,
    /// The bytes themselves
    Raw,
    /// A capture, pcap or pcapng
    Pcap,
    /// A recording by tap
    Recording,
}

/// The input, recognised.
pub(super) enum Input {
    /// Bytes of one direction, or, if they say so, of both.
    Pieces(Vec<Piece>),
    /// Bytes of one direction, to be read.
    Stream(Box<dyn Read + Send>),
    Capture(Box<dyn Read + Send>),
    Recording(Box<dyn Read + Send>),
}

/// Opens the input; `-` is standard input. Also says how many bytes it has, if that is known.
pub(super) fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), String> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(format!("{} is a directory", path.display()));
    }
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
}

/// Recognises the input.
pub(super) fn recognise(mut reader: Box<dyn Read + Send>, format: Format) -> Result<Input, String> {
    let mut start = Vec::new();
    match format {
        Format::Raw => return Ok(Input::Stream(reader)),
        Format::Recording => return Ok(Input::Recording(reader)),
        Format::Auto | Format::Pcap => {
            // Four bytes tell a capture; text may need more, but nobody waits for text.
            let mut size = MAGIC_SIZE;
            while size <= START_SIZE_MIN {
                read_start(&mut reader, size, &mut start)?;
                if start.len() < size || binary(&start).is_some() {
                    break;
                }
                size += 1;
            }
            if is_capture(&start) {
                read_start(&mut reader, PCAP_HEADER_SIZE, &mut start)?;
            }
            if let Some(size) = section_header_size(&mut reader, &mut start)? {
                // Whoever reads pcapng wants its first block whole.
                read_start(&mut reader, size, &mut start)?;
            }
            if format == Format::Pcap {
                return Ok(Input::Capture(Box::new(Cursor::new(start).chain(reader))));
            }
            if start.is_empty() {
                return Err("the input is empty".to_owned());
            }
            if let Some(found) = binary(&start) {
                let reader = Box::new(Cursor::new(start).chain(reader));
                return Ok(found(reader));
            }
        }
        Format::Hex | Format::Base64 => {}
    }
    let text = read_text(start, reader)?;
    let pieces = match format {
        Format::Hex if text.contains("\\x") => dump::read(&text, Form::Escaped),
        Format::Hex => dump::read(&text, Form::Hex),
        Format::Base64 => dump::read(&text, Form::Base64),
        _ => match dump::recognise(&text) {
            Some(form) => dump::read(&text, form),
            None => Err(
                "this is text, but no bytes written as text; if it is the stream itself, \
                         use --format raw"
                    .to_owned(),
            ),
        },
    };
    pieces.map(Input::Pieces)
}

/// Reads until there are this many bytes, or no more.
fn read_start(reader: &mut impl Read, size: usize, start: &mut Vec<u8>) -> Result<(), String> {
    while start.len() < size {
        let mut bytes = [0; 4096];
        let room = bytes.len().min(size - start.len());
        match reader.read(&mut bytes[..room]) {
            Ok(0) => break,
            Ok(n) => start.extend_from_slice(&bytes[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
    Ok(())
}

/// The size of the block that a pcapng file begins with.
fn section_header_size(
    reader: &mut impl Read,
    start: &mut Vec<u8>,
) -> Result<Option<usize>, String> {
    if !start.starts_with(b"\n\r\r\n") {
        return Ok(None);
    }
    // The type, the size, and the mark that says in which order their bytes are.
    read_start(reader, 12, start)?;
    let Some((size, mark)) = start[4..].split_first_chunk() else {
        return Ok(None);
    };
    let size = match mark.starts_with(&[0x1a, 0x2b, 0x3c, 0x4d]) {
        true => u32::from_be_bytes(*size),
        false => u32::from_le_bytes(*size),
    };
    let size = usize::try_from(size).ok();
    Ok(size.filter(|size| *size <= SECTION_HEADER_SIZE_MAX))
}

type Make = fn(Box<dyn Read + Send>) -> Input;

/// What an input is that begins so and is not bytes written as text.
fn binary(start: &[u8]) -> Option<Make> {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    if is_capture(start) {
        Some(Input::Capture)
    } else if start.starts_with(RECORDING) {
        Some(Input::Recording)
    } else if start.starts_with(b"GET ")
        || start.starts_with(b"HTTP/")
        || !start.iter().all(is_text)
    {
        Some(Input::Stream)
    } else {
        None
    }
}

fn read_text(start: Vec<u8>, reader: Box<dyn Read + Send>) -> Result<String, String> {
    let mut text = start;
    let room = TEXT_SIZE_MAX.saturating_sub(text.len() as u64);
    let read = reader.take(room + 1).read_to_end(&mut text);
    read.map_err(|error| unreadable(&error))?;
    if text.len() as u64 > TEXT_SIZE_MAX {
        let max = TEXT_SIZE_MAX >> 20;
        return Err(format!(
            "the text is larger than {max} MiB; write the bytes into a file, and use --format raw"
        ));
    }
    match String::from_utf8(text) {
        Ok(text) => Ok(text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(format!(
                "at byte {at} the input is no text; use --format raw"
            ))
        }
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("cannot read the input: {error}")
}

/// How a recording begins.
const RECORDING: &[u8] = b"{\"openline\":\"recording\"";

/// The bytes that tell a capture.
const MAGIC_SIZE: usize = 4;

/// The header of a pcap file.
const PCAP_HEADER_SIZE: usize = 24;

/// The bytes that tell what the input is.
const START_SIZE_MIN: usize = 64;

/// The first block of a pcapng file at most: it has a few lines of comment.
const SECTION_HEADER_SIZE_MAX: usize = 128 << 10;

/// The bytes of an input that is text: what people paste, and far more.
const TEXT_SIZE_MAX: u64 = 256 << 20;
