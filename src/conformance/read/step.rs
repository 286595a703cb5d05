//! Reads what a case does: frames, bytes, pauses.

use std::time::Duration;

use kdl::KdlEntry;

use crate::conformance::case::{Chop, Frame, Item, Level, Step};
use crate::conformance::corpus::Corpus;
use crate::conformance::error::VectorsError;
use crate::conformance::payload::Payload;
use crate::conformance::read::document::{Node, hex};

/// The steps of a `send` or a `repeat`.
pub(super) fn steps(node: Node<'_>) -> Result<Vec<Step>, VectorsError> {
    node.only(&["chop"])?;
    let chop = chop(node)?;
    let mut steps = Vec::new();
    let mut items = Vec::new();
    for child in node.children() {
        let step = match child.name() {
            "pause" => {
                child.only(&[])?;
                let (time, mark) = pause(child, &mut child.args())?;
                Step::Pause(time, mark)
            }
            "await" => {
                child.only(&[])?;
                let mut args = child.args();
                Step::Await(args.next().map_or(Ok(1), |entry| child.number(entry))?)
            }
            "end-of-file" => Step::Shutdown,
            "drop" => Step::Drop,
            "repeat" => {
                let Some(count) = child.args().next() else {
                    return Err(child.error("repeat how often?", "write `repeat 10 { … }`"));
                };
                Step::Repeat(child.number(count)?, self::steps(child)?)
            }
            _ => {
                items.push(item(child)?);
                continue;
            }
        };
        if !items.is_empty() {
            steps.push(Step::Write(std::mem::take(&mut items), chop));
        }
        steps.push(step);
    }
    if !items.is_empty() {
        steps.push(Step::Write(items, chop));
    }
    Ok(steps)
}

/// The property `chop`.
pub(super) fn chop(node: Node<'_>) -> Result<Chop, VectorsError> {
    let Some(entry) = node.property("chop") else {
        return Ok(Chop::Whole);
    };
    match entry.value().as_string() {
        Some("whole") => Ok(Chop::Whole),
        Some("frame") => Ok(Chop::Frame),
        Some("octet") => Ok(Chop::Size(1)),
        _ => match node.number::<usize>(entry) {
            Ok(size) if size > 0 => Ok(Chop::Size(size)),
            _ => {
                let what = "bytes cannot be chopped so";
                let help = "write \"whole\", \"frame\", \"octet\" or a number of bytes";
                Err(node.error_at(entry, what, help))
            }
        },
    }
}

const FRAME: &[&str] = &[
    "opcode", "fin", "rsv", "masked", "key", "length", "form", "size", "from", "offset",
    "fragment", "compress",
];

fn item(node: Node<'_>) -> Result<Item, VectorsError> {
    let opcode = match node.name() {
        "raw" => {
            node.only(&["size", "from", "offset"])?;
            return Ok(Item::Raw(payload(node, &mut node.args())?));
        }
        "frame" => node
            .number_property("opcode")?
            .filter(|bits| *bits < 16)
            .ok_or_else(|| {
                node.error(
                    "a frame without a legal opcode",
                    "write `frame opcode=3`, from 0 to 15",
                )
            })?,
        "continuation" => 0,
        "text" => 1,
        "binary" => 2,
        "close" => 8,
        "ping" => 9,
        "pong" => 10,
        _ => {
            return Err(node.unknown(
                "there are: text, binary, continuation, ping, pong, close, frame, raw, pause, \
                 await, repeat, end-of-file, drop",
            ));
        }
    };
    node.only(FRAME)?;
    let payload = match opcode {
        8 => close(node)?,
        _ => payload(node, &mut node.args())?,
    };
    let key = match node.text_property("key")? {
        None => None,
        Some(digits) => Some(
            hex(digits)
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(|| {
                    node.error("a key that is not four bytes", "write key=\"37 fa 21 3d\"")
                })?,
        ),
    };
    let form: Option<u8> = node.number_property("form")?;
    if !matches!(form, None | Some(7 | 16 | 64)) {
        return Err(node.error("a length has no such form", "write form=7, 16 or 64"));
    }
    let compress = match node.property("compress").map(KdlEntry::value) {
        None => None,
        Some(value) => match (value.as_bool(), value.as_string()) {
            (Some(true), _) => Some(Level::Usual),
            (Some(false), _) => None,
            (_, Some("stored")) => Some(Level::Stored),
            _ => {
                let help = "write compress=#true or compress=\"stored\"";
                return Err(node.error("there is no such way to compress", help));
            }
        },
    };
    let mut pauses = Vec::new();
    for child in node.children() {
        if child.name() != "pause" {
            return Err(child.unknown("within a frame there is only: pause AFTER SECONDS \"name\""));
        }
        let mut args = child.args();
        let Some(after) = args.next() else {
            let help = "write how many bytes of payload come first, and for how long";
            return Err(child.error("pause where?", help));
        };
        let after = child.number(after)?;
        let (time, mark) = pause(child, &mut args)?;
        pauses.push((after, time, mark));
    }
    Ok(Item::Frame(Frame {
        opcode,
        fin: node.flag("fin")?.unwrap_or(true),
        rsv: node.number_property("rsv")?.unwrap_or(0) & 7,
        masked: node.flag("masked")?,
        key,
        length: node.number_property("length")?,
        form,
        payload,
        fragment: node.number_property("fragment")?.filter(|size| *size > 0),
        compress,
        pauses,
    }))
}

/// A Close frame's payload: a code if the first value is a number, then the reason.
fn close(node: Node<'_>) -> Result<Payload, VectorsError> {
    let mut args = node.args().peekable();
    let code = args.next_if(|entry| entry.value().as_integer().is_some());
    let Some(code) = code else {
        return payload(node, &mut args);
    };
    let code: u16 = node.number(code)?;
    let reason = payload(node, &mut args)?;
    Ok(Payload::concat(&[Payload::of(code.to_be_bytes()), reason]))
}

fn pause<'a>(
    node: Node<'a>,
    args: &mut impl Iterator<Item = &'a KdlEntry>,
) -> Result<(Duration, Option<String>), VectorsError> {
    let Some(seconds) = args.next() else {
        return Err(node.error("pause for how long?", "write seconds: `pause 0.5`"));
    };
    let time = node.seconds(seconds)?;
    let mark = args.next().map(|entry| node.text(entry)).transpose()?;
    Ok((time, mark.map(str::to_owned)))
}

/// A payload: texts and `(hex)` texts behind each other, or `from` a corpus; `size` repeats and
/// cuts off.
pub(super) fn payload<'a>(
    node: Node<'a>,
    args: &mut impl Iterator<Item = &'a KdlEntry>,
) -> Result<Payload, VectorsError> {
    let size: Option<usize> = node.number_property("size")?;
    if let Some(from) = node.text_property("from")? {
        let corpus = Corpus::ALL.iter().find(|(name, _)| *name == from);
        let Some((_, corpus)) = corpus else {
            let known: Vec<_> = Corpus::ALL.iter().map(|(name, _)| *name).collect();
            let help = format!("there are: {}", known.join(", "));
            return Err(node.error(format!("there is no corpus {from:?}"), help));
        };
        return Ok(Payload::Corpus {
            corpus: *corpus,
            offset: node.number_property("offset")?.unwrap_or(0),
            size: size.unwrap_or_else(|| corpus.bytes().len()),
        });
    }
    let mut bytes = Vec::new();
    for entry in args {
        match entry.ty().map(|ty| ty.value()) {
            None => match entry.value().as_integer() {
                // A template's number within a text.
                Some(number) => bytes.extend(number.to_string().bytes()),
                None => bytes.extend(node.text(entry)?.bytes()),
            },
            Some("hex") => {
                let digits = match entry.value().as_integer() {
                    Some(number) => number.to_string(),
                    None => node.text(entry)?.to_owned(),
                };
                bytes.extend(hex(&digits).ok_or_else(|| {
                    let help = "write two hexadecimal digits a byte: (hex)\"ce ba\"";
                    node.error_at(entry, "this is not hexadecimal", help)
                })?);
            }
            Some(other) => {
                let what = format!("there is no type ({other})");
                return Err(node.error_at(entry, what, "there is: (hex)"));
            }
        }
    }
    Ok(match size {
        None => Payload::of(bytes),
        Some(size) => Payload::Cycle {
            pattern: bytes.into(),
            size,
        },
    })
}
