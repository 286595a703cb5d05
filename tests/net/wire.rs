//! `Handler::wire`: every byte of both directions is told, in order, as it is on the wire.

use std::sync::mpsc::{Sender, channel};

use openline::net::{Asking, ConnectionId, Decision, Handler, Message, Peer};
use openline::proto::{Acceptance, Config, Page, Refusal, Request, Role, SendError};

use crate::support::{CLOSE, PATIENCE, Raw, Server, TEXT, config, frame, request};

/// Echoes, and tells what passed.
struct Tapped(Sender<(Role, Vec<u8>)>);

impl Handler for Tapped {
    type Connection = ();

    fn request(&mut self, _: &Request<'_>, _: &Asking<'_>) -> Result<Decision<()>, Refusal> {
        Ok(Decision::Accept(Acceptance::default(), ()))
    }

    fn page(&mut self, _: &Request<'_>, _: &Asking<'_>) -> Option<Page> {
        Some(Page::text("a page\n"))
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        peer.send(message)
    }

    fn wire(&mut self, _: ConnectionId, sender: Role, bytes: &[u8]) {
        // The test may have seen enough.
        let _ = self.0.send((sender, bytes.to_vec()));
    }
}

#[test]
fn the_bytes_of_both_directions_are_told_as_they_passed() {
    let (told, seen) = channel();
    let server = Server::run(config(Config::default()), |_| Tapped(told), |_| {});
    let mut raw = Raw::connect(server.address);
    let mut sent = request("/").into_bytes();
    raw.send(&sent);
    let mut received = raw.head().into_bytes();
    // A masked payload is told as it came, masked; one that comes in two reads, in two pieces.
    let mut large = frame(TEXT, &[b'x'; 100_000]);
    large[10..14].copy_from_slice(b"mask");
    let payload = large.split_off(14);
    large.extend(
        payload
            .iter()
            .zip(b"mask".iter().cycle())
            .map(|(a, b)| a ^ b),
    );
    for bytes in [
        &large[..5],
        &large[5..60_000],
        &large[60_000..],
        &frame(CLOSE, b""),
    ] {
        raw.send(bytes);
        sent.extend(bytes);
    }
    received.extend(raw.rest());
    server.stop();

    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    while let Ok((sender, bytes)) = seen.recv_timeout(PATIENCE) {
        match sender {
            Role::Client => from_client.extend(bytes),
            Role::Server => from_server.extend(bytes),
        }
    }
    assert!(from_client == sent, "what the client sent");
    assert!(from_server == received, "what the server sent");
}

#[test]
fn a_page_is_told_as_well() {
    let (told, seen) = channel();
    let server = Server::run(config(Config::default()), |_| Tapped(told), |_| {});
    let mut raw = Raw::connect(server.address);
    let sent = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    raw.send(sent);
    let received = raw.rest();
    server.stop();
    let all: Vec<_> = seen.iter().collect();
    assert_eq!(
        all,
        [(Role::Client, sent.to_vec()), (Role::Server, received)]
    );
}
