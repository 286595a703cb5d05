//! The core as the peer under test: an echo in either role, without a transport.

use std::sync::Arc;
use std::time::Instant;

use openline::conformance::Case;
use openline::proto::{
    Acceptance, Answer, ClientHandshake, ClientRequest, Config, Connection, Deflate, Event,
    RecvBuffer, Role, SendBuffer, SendError, ServerHandshake,
};

/// What a player plays against.
pub trait Peer {
    /// Bytes of the player have come.
    fn receive(&mut self, now: Instant, bytes: &[u8]);
    /// The player's stream has ended.
    fn receive_eof(&mut self, now: Instant);
    /// Takes what is to be sent.
    fn take(&mut self) -> Vec<u8>;
    /// Whether the transport is to be closed when all is sent.
    fn is_done(&self) -> bool;
    fn poll_timeout(&self) -> Option<Instant>;
    fn handle_timeout(&mut self, now: Instant);
}

/// openline's core.
pub struct Core {
    stage: Stage,
    recv: RecvBuffer,
    send: SendBuffer,
}

enum Stage {
    Server(ServerHandshake),
    Client(ClientHandshake),
    Open(Connection),
    Done,
}

impl Core {
    /// A peer for this case: a client mentions what the case asks of it.
    pub fn new(role: Role, case: &Case, now: Instant) -> Self {
        let wishes = &case.opening.agreements;
        let config = Arc::new(Config {
            compression: Some(Deflate {
                // Contexts live on, and every echo is compressed: there is more to get wrong.
                server_no_context_takeover: false,
                client_no_context_takeover: wishes.iter().any(|wish| wish.no_context_takeover),
                threshold: 0,
                ..Deflate::default()
            }),
            ..Config::default()
        });
        let mut send = SendBuffer::new();
        let stage = match role {
            Role::Server => Stage::Server(ServerHandshake::new(config, now)),
            Role::Client => {
                let url = "ws://localhost/".parse().expect("a legal URL");
                let request = ClientRequest::new(url);
                let seed = [9; 32];
                Stage::Client(ClientHandshake::start(
                    &request, config, now, seed, &mut send,
                ))
            }
        };
        Self {
            stage,
            recv: RecvBuffer::new(),
            send,
        }
    }

    fn advance(&mut self, now: Instant) {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Done => return,
                Stage::Server(mut handshake) => match handshake.poll(&self.recv) {
                    Ok(None) => {
                        self.stage = Stage::Server(handshake);
                        return;
                    }
                    Ok(Some(upgrade)) => {
                        let acceptance = Acceptance::default();
                        let accepted =
                            upgrade.accept(now, &mut self.recv, &acceptance, &mut self.send);
                        let connection = accepted.expect("no subprotocol is chosen");
                        self.stage = Stage::Open(connection);
                    }
                    Err(error) => error.refusal().write(&mut self.send),
                },
                Stage::Client(mut handshake) => match handshake.poll(&mut self.recv) {
                    Ok(None) => {
                        self.stage = Stage::Client(handshake);
                        return;
                    }
                    Ok(Some(Answer::Accepted(accepted))) => {
                        self.stage = Stage::Open(accepted.open(now, &mut self.recv));
                    }
                    Ok(Some(Answer::Refused(_))) | Err(_) => {}
                },
                Stage::Open(mut connection) => {
                    if self.echo(&mut connection, now) {
                        self.stage = Stage::Open(connection);
                    }
                    return;
                }
            }
        }
    }

    /// Answers what has come; whether the connection goes on.
    fn echo(&mut self, connection: &mut Connection, now: Instant) -> bool {
        while let Ok(event) = connection.poll(now, &mut self.recv, &mut self.send) {
            let sent = match event {
                None => return true,
                Some(Event::Text(text)) => connection.send_text(text, &mut self.send),
                Some(Event::Binary(data)) => connection.send_binary(data, &mut self.send),
                Some(Event::Closed(_)) => return false,
                Some(_) => Ok(()),
            };
            match sent {
                // The end is told by the next poll.
                Ok(()) | Err(SendError::Closed) => {}
                Err(error) => panic!("an echo can always be sent: {error}"),
            }
        }
        false
    }
}

impl Peer for Core {
    fn receive(&mut self, now: Instant, bytes: &[u8]) {
        self.recv.extend(bytes);
        self.advance(now);
    }

    fn receive_eof(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Open(connection) => connection.handle_eof(),
            _ => self.stage = Stage::Done,
        }
        self.advance(now);
    }

    fn take(&mut self) -> Vec<u8> {
        let bytes = self.send.pending().to_vec();
        self.send.advance(bytes.len());
        bytes
    }

    fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Server(handshake) => handshake.poll_timeout(),
            Stage::Client(handshake) => handshake.poll_timeout(),
            Stage::Open(connection) => connection.poll_timeout(),
            Stage::Done => None,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Server(handshake) => {
                if let Err(error) = handshake.handle_timeout(now) {
                    error.refusal().write(&mut self.send);
                    self.stage = Stage::Done;
                }
            }
            Stage::Client(handshake) => {
                if handshake.handle_timeout(now).is_err() {
                    self.stage = Stage::Done;
                }
            }
            Stage::Open(connection) => connection.handle_timeout(now, &mut self.send),
            Stage::Done => {}
        }
        self.advance(now);
    }
}
