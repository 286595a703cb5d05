//! A peer for the interop tests, for what the program `openline` does not do: it answers every
//! message in fragments, and `close CODE REASON` by closing with that code and reason.
//!
//! `interop_peer serve ADDRESS`, or `interop_peer connect URL` until the server closes.

use std::env;
use std::error::Error;

use openline::net::{EventLoop, LoopConfig, Message, Peer};
use openline::proto::{ClientRequest, CloseCode, SendError};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let mut event_loop = EventLoop::new(answer, LoopConfig::default())?;
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => {
            println!("listening on ws://{}/", event_loop.listen(address)?);
        }
        ["connect", url] => {
            event_loop.connect(ClientRequest::new(url.parse()?), ())?;
        }
        _ => return Err("interop_peer serve ADDRESS, or interop_peer connect URL".into()),
    }
    event_loop.run()?;
    Ok(())
}

fn answer(peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
    match message {
        Message::Text(text) => {
            if let Some((code, reason)) = close_asked(text) {
                return peer.close(code, reason);
            }
            let (first, rest) = split_near(text, text.len() / 3);
            let (second, third) = split_near(rest, rest.len() / 2);
            let mut fragments = peer.text_fragments()?;
            fragments.send(first)?;
            fragments.send(second)?;
            fragments.finish(third)
        }
        Message::Binary(data) => {
            let (first, rest) = data.split_at(data.len() / 3);
            let (second, third) = rest.split_at(rest.len() / 2);
            let mut fragments = peer.binary_fragments()?;
            fragments.send(first)?;
            fragments.send(second)?;
            fragments.finish(third)
        }
        // Messages are asked for whole.
        Message::Chunk(_) => Ok(()),
    }
}

fn close_asked(text: &str) -> Option<(CloseCode, &str)> {
    let (code, reason) = text.strip_prefix("close ")?.split_once(' ')?;
    Some((CloseCode::new(code.parse().ok()?)?, reason))
}

/// Splits between two characters, at `index` or before it.
fn split_near(text: &str, index: usize) -> (&str, &str) {
    let boundary = (0..=index)
        .rev()
        .find(|index| text.is_char_boundary(*index));
    text.split_at(boundary.unwrap_or_default())
}
