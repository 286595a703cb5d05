//! The servers that this program has itself: openline's, and the rulers.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use openline::net::{Asking, Decision, EventLoop, Handler, LoopConfig, Message, Peer, ServerTls};
use openline::proto::{Acceptance, Config, Deflate, Prepared, Refusal, Request, SendError};

use crate::{floor, raw};

/// A server that this program has itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Builtin {
    /// A TCP echo with nothing between one read and one write.
    Raw,
    /// Answers any request and any Close with bytes that it always has ready.
    RawHandshakes,
    /// The least that an echo server for WebSocket can do.
    Floor,
    /// The same, to everyone.
    FloorBroadcast,
    /// openline's echo server.
    Openline,
    /// The same over TLS.
    OpenlineTls,
    /// The same, with compression agreed.
    OpenlineCompressed,
    /// openline, to everyone.
    OpenlineBroadcast,
}

impl Builtin {
    /// Whether it has an opening handshake.
    pub fn is_websocket(self) -> bool {
        self != Self::Raw
    }

    /// What tables call it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Raw | Self::RawHandshakes => "raw",
            Self::Floor | Self::FloorBroadcast => "floor",
            _ => "openline",
        }
    }

    /// Serves until it is killed.
    pub fn serve(self, port: u16, pem: Option<(PathBuf, PathBuf)>) -> Result<(), Box<dyn Error>> {
        let address = ("127.0.0.1", port);
        match self {
            Self::Raw => Ok(raw::serve(port)?),
            Self::RawHandshakes => Ok(raw::open_and_close(port)?),
            Self::Floor => Ok(floor::serve(port, floor::To::Sender)?),
            Self::FloorBroadcast => Ok(floor::serve(port, floor::To::Everyone)?),
            Self::Openline => Ok(openline::net::serve(address, echo)?),
            Self::OpenlineTls => {
                let (certificate, key) = pem.ok_or("TLS takes a certificate and a key")?;
                let mut server = EventLoop::new(echo, LoopConfig::default())?;
                let tls = ServerTls::from_pem(&fs::read(certificate)?, &fs::read(key)?)?;
                server.listen_tls(address, tls)?;
                Ok(server.run()?)
            }
            Self::OpenlineCompressed => {
                let config = LoopConfig {
                    protocol: Arc::new(Config {
                        compression: Some(Deflate::default()),
                        ..Config::default()
                    }),
                    ..LoopConfig::default()
                };
                let mut server = EventLoop::new(echo, config)?;
                server.listen(address)?;
                Ok(server.run()?)
            }
            Self::OpenlineBroadcast => {
                let mut server = EventLoop::new(Everyone, LoopConfig::default())?;
                server.listen(address)?;
                Ok(server.run()?)
            }
        }
    }
}

fn echo(peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
    peer.send(message)
}

/// Sends to everyone what one sends.
struct Everyone;

const TOPIC: &str = "everyone";

impl Handler for Everyone {
    type Connection = ();

    fn request(&mut self, _: &Request<'_>, _: &Asking<'_>) -> Result<Decision<()>, Refusal> {
        Ok(Decision::Accept(Acceptance::default(), ()))
    }

    fn open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        let subscribed = peer.subscribe(TOPIC);
        subscribed.expect("one subscription with a short name is within the limits");
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        let prepared = match message {
            Message::Text(text) => Prepared::text(text),
            Message::Binary(data) => Prepared::binary(data),
            // Messages come whole unless it is asked for otherwise.
            _ => return peer.send(message),
        };
        peer.publish(TOPIC, &prepared);
        Ok(())
    }
}
