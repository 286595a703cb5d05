//! JSON that comes compressed and goes back compressed (RFC 7692).
//!
//! No context is taken over, so a message is compressed once beforehand, and a server's echo of it
//! is the same bytes every time. The first is inflated and must be the message; those that are
//! measured must be like the first.

use std::error::Error;
use std::io::{Read, Write};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use openline::proto::Opcode;
use serde_json::json;

use crate::builtin::Builtin;
use crate::compare;
use crate::load::{self, Exchange, KEY, Load};
use crate::process::{Command, Server};
use crate::rounds::{self, Goal, Settings, What};

const LOADS: [Load; 2] = [Load::new(64, 1, 1 << 10), Load::new(64, 1, 16 << 10)];

pub fn run(
    settings: &Settings,
    level: u32,
    loads: Vec<Load>,
    others: Vec<Command>,
) -> Result<(), Box<dyn Error>> {
    let mut commands = vec![Command::builtin(Builtin::Raw)?];
    commands.extend(
        others
            .iter()
            .map(|command| command.fill("level", &level.to_string())),
    );
    let servers = rounds::start(&commands)?;
    let loads = match loads.is_empty() {
        true => LOADS.to_vec(),
        false => loads,
    };
    let mut cases = Vec::new();
    for load in loads {
        let message = orders(load.size);
        let exchanges = (servers.iter())
            .map(|server| exchange(server, &message, level))
            .collect::<Result<_, _>>()?;
        cases.push(compare::case(
            What::Compressed,
            load,
            exchanges,
            Goal::default(),
        ));
    }
    rounds::run(settings, &servers, cases)
}

/// The message as it is sent, and as this server sends it back.
pub fn exchange(server: &Server, message: &str, level: u32) -> Result<Exchange, Box<dyn Error>> {
    let frame = compressed_frame(message, level)?;
    let echo = match server.websocket {
        true => first_echo(server, &frame, message)
            .map_err(|error| format!("{}: {error}", server.name))?,
        false => frame.clone(),
    };
    Ok(Exchange {
        offer: OFFER,
        frame,
        echo,
    })
}

/// A list of orders of which no two are alike and all resemble each other; spaces fill it up.
pub fn orders(size: usize) -> String {
    let mut list = String::from("[");
    let mut random: u32 = 1;
    loop {
        // The generator of Numerical Recipes; its upper bits are good enough for prices.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let order = json!({
            "id": random >> 8,
            "symbol": "ACME",
            "side": if random >> 31 == 0 { "buy" } else { "sell" },
            "price": f64::from(random >> 16) / 100.0,
            "amount": random >> 27,
            "open": true,
        });
        let order = order.to_string();
        if list.len() + ",]".len() + order.len() > size {
            return format!("{list:<0$}]", size.max(1) - 1);
        }
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(&order);
    }
}

/// The message as a client sends it (§7.2.1): a block, flushed, without the flush's last bytes.
fn compressed_frame(message: &str, level: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut payload = Vec::with_capacity(2 * message.len() + 64);
    Compress::new(Compression::new(level), false).compress_vec(
        message.as_bytes(),
        &mut payload,
        FlushCompress::Sync,
    )?;
    let kept = payload.strip_suffix(&TAIL).ok_or("the flush has no tail")?;
    let mut frame = load::header(Opcode::Text, kept.len(), Some(KEY));
    frame[0] |= RSV1;
    let start = frame.len();
    frame.extend_from_slice(kept);
    KEY.apply(&mut frame[start..]);
    Ok(frame)
}

/// What the server sends back, once it is seen to be the message.
fn first_echo(server: &Server, frame: &[u8], message: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut stream = load::open_offering(server, 0, OFFER)?;
    stream.write_all(frame)?;
    let mut echo = vec![0; 2];
    stream.read_exact(&mut echo)?;
    if echo[0] != COMPRESSED_TEXT {
        return Err(format!("an echo of {:#04x} is not compressed text", echo[0]).into());
    }
    let mut length = [0; 2];
    let length = match echo[1] {
        126 => {
            stream.read_exact(&mut length)?;
            echo.extend_from_slice(&length);
            usize::from(u16::from_be_bytes(length))
        }
        length @ 0..126 => usize::from(length),
        _ => return Err("a message this long is not measured".into()),
    };
    let start = echo.len();
    echo.resize(start + length, 0);
    stream.read_exact(&mut echo[start..])?;
    let mut inflated = Vec::with_capacity(message.len() + 1);
    let block = [&echo[start..], &TAIL].concat();
    Decompress::new(false).decompress_vec(&block, &mut inflated, FlushDecompress::Sync)?;
    match inflated == message.as_bytes() {
        true => Ok(echo),
        false => Err("what came is not what was sent".into()),
    }
}

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                     client_no_context_takeover\r\n";
const RSV1: u8 = 0x40;
const COMPRESSED_TEXT: u8 = 0xc1;
/// What a flush ends with, and a compressed message goes without.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
