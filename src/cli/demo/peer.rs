//! A peer beside the server that breaks the protocol, since a page cannot.
//!
//! It is a client made by hand that connects to the demo's own port, says one thing that is
//! wrong, and listens to what it is told.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Has a peer send the frame of this name, in a thread of its own; it shows on the wire of the
/// tab with this key. Answers whether there is such a frame, and room for a peer.
pub(super) fn misbehave(address: SocketAddr, key: &str, which: &str) -> bool {
    static PEERS: AtomicUsize = AtomicUsize::new(0);
    let Some(frame) = illegal(which) else {
        return false;
    };
    if PEERS.fetch_add(1, Ordering::Relaxed) >= PEERS_MAX {
        PEERS.fetch_sub(1, Ordering::Relaxed);
        return false;
    }
    let key = key.to_owned();
    let spawned = thread::Builder::new()
        .name("illegal peer".to_owned())
        .spawn(move || {
            // What becomes of it shows on the wire.
            let _ = send(address, &key, &frame);
            PEERS.fetch_sub(1, Ordering::Relaxed);
        });
    if spawned.is_err() {
        PEERS.fetch_sub(1, Ordering::Relaxed);
    }
    spawned.is_ok()
}

fn send(mut address: SocketAddr, key: &str, frame: &[u8]) -> io::Result<()> {
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(_) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        }
    }
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET /peer?key={key} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    stream.write_all(&masked(0x81, b"So far I keep to the protocol."))?;
    stream.write_all(frame)?;
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream.take(ANSWER_MAX), &mut io::sink())?;
    Ok(())
}

/// The bytes of each frame that the page offers.
fn illegal(which: &str) -> Option<Vec<u8>> {
    Some(match which {
        // §5.1: a client masks every frame.
        "unmasked" => b"\x81\x05Hello".to_vec(),
        // §5.2: no extension was agreed to that would give it a meaning.
        "rsv1" => masked(0xc1, b"compressed?"),
        // §5.2: 3 to 7 and 11 to 15 are reserved.
        "opcode" => masked(0x83, b"what is this?"),
        // §5.5: a control frame is never fragmented,
        "fragmented-ping" => masked(0x09, b"to be continued"),
        // nor longer than 125 bytes.
        "long-ping" => masked(0x89, &[b'x'; 126]),
        // §5.2: a length takes the fewest bytes it can.
        "long-length" => {
            let [first, _, frame @ ..] = &masked(0x81, b"Hello")[..] else {
                return None;
            };
            [&[*first, 0xfe, 0, 5], frame].concat()
        }
        // §5.4: there is no message to continue.
        "continuation" => masked(0x80, b"and so on"),
        // §8.1.
        "utf8" => masked(0x81, b"caf\xe9"),
        // §7.4.1: 1005 is never sent.
        "close-code" => masked(0x88, &1005_u16.to_be_bytes()),
        // §5.5.1: a code has two bytes.
        "close-short" => masked(0x88, b"\x03"),
        _ => return None,
    })
}

/// A client's frame of up to 65,535 bytes; its key is that of §5.7.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(short @ ..126) => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            let len = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            frame.extend(len.to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

/// The peers at one time: they are there to be looked at one by one.
const PEERS_MAX: usize = 8;
/// How long a peer waits for the server in all that it does.
const PATIENCE: Duration = Duration::from_secs(5);
/// What it listens to at most.
const ANSWER_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use openline::inspect::{Decoder, Limits};
    use openline::proto::Role;

    use super::{illegal, masked};

    #[test]
    fn every_frame_that_the_page_offers_is_there_and_breaks_one_rule() {
        let script = include_str!("page/app.js");
        let (_, offers) = script.split_once("const ILLEGAL = {").unwrap();
        let (offers, _) = offers.split_once("};").unwrap();
        let offers: Vec<_> = offers
            .split("\",")
            .filter_map(|offer| offer.split_once(':'))
            .map(|(name, _)| name.trim().trim_matches('"'))
            .collect();
        assert!(offers.len() >= 10, "{offers:?}");
        for which in offers {
            let frame = illegal(which).unwrap_or_else(|| panic!("{which}"));
            let mut decoder = Decoder::new(Role::Client, Limits::default());
            let seen = decoder.next(&mut &frame[..]).unwrap();
            assert_eq!(seen.violations.len(), 1, "{which}: {:?}", seen.violations);
        }
        assert_eq!(illegal("legal"), None);
    }

    #[test]
    fn the_masked_hello_of_section_5_7() {
        assert_eq!(
            masked(0x81, b"Hello"),
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        );
    }
}
