//! Each peer's way to send to everyone what one sends: a broadcast channel of tokio's, which each
//! connection listens to.
//!
//! What has been published already is written before anything is flushed, where a crate can tell.
//! wtx and web-socket cannot wait for a message and a publication at once.

use fastwebsockets::{FragmentCollectorRead, Frame, OpCode, Payload, WebSocket, WebSocketError};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use soketto::Mode;
use soketto::connection::Builder;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tungstenite::Bytes;

use crate::servers::{Served, Socket, soketto_buffered};
use crate::settings::{self, Data};

/// The publications that may wait for the slowest connection; the generator has 8 under way.
const CAPACITY: usize = 1024;

/// What is published, as each crate has it.
#[derive(Clone)]
pub enum Hub {
    Tungstenite(Sender<tungstenite::Message>),
    TokioWebsockets(Sender<tokio_websockets::Message>),
    Sockudo(Sender<sockudo_ws::Message>),
    Yawc(Sender<yawc::Frame>),
    Fastwebsockets(Sender<Bytes>),
    Soketto(Sender<Bytes>),
}

impl Hub {
    pub fn new(name: &str) -> Self {
        match name {
            "tokio-tungstenite" => Self::Tungstenite(broadcast::channel(CAPACITY).0),
            "tokio-websockets" => Self::TokioWebsockets(broadcast::channel(CAPACITY).0),
            "sockudo-ws" => Self::Sockudo(broadcast::channel(CAPACITY).0),
            "yawc" => Self::Yawc(broadcast::channel(CAPACITY).0),
            "fastwebsockets" => Self::Fastwebsockets(broadcast::channel(CAPACITY).0),
            "soketto" => Self::Soketto(broadcast::channel(CAPACITY).0),
            other => unreachable!("{other} is not among the names"),
        }
    }

    /// Sends on what the connection says, and to it what is published, until it ends.
    pub async fn serve(self, stream: impl Socket) -> Served {
        match self {
            Self::Tungstenite(hub) => {
                let socket = settings::tungstenite_stream(stream).await;
                fan_out(socket, hub, |message| message).await
            }
            Self::TokioWebsockets(hub) => {
                let socket = settings::tokio_websockets().serve(stream);
                fan_out(socket, hub, |message| message).await
            }
            Self::Sockudo(hub) => {
                let (role, config) = (sockudo_ws::Role::Server, settings::sockudo());
                let socket = sockudo_ws::WebSocketStream::from_raw(stream, role, config);
                fan_out(socket, hub, |message| message).await
            }
            Self::Yawc(hub) => {
                let (role, options) = (yawc::Role::Server, settings::yawc());
                let socket = yawc::WebSocket::from_stream(stream, role, options)?;
                fan_out(socket, hub, Ok::<_, yawc::WebSocketError>).await
            }
            Self::Fastwebsockets(hub) => fastwebsockets(stream, hub).await,
            Self::Soketto(hub) => soketto(stream, hub).await,
        }
    }
}

/// For those that are a stream and a sink; `result` is what the stream's items are.
async fn fan_out<S, I, M, E>(
    mut socket: S,
    hub: Sender<M>,
    result: impl Fn(I) -> Result<M, E>,
) -> Served
where
    S: Stream<Item = I> + Sink<M> + Unpin,
    S::Error: std::error::Error + 'static,
    M: Data,
    E: std::error::Error + 'static,
{
    let mut published = hub.subscribe();
    loop {
        tokio::select! {
            came = socket.next() => match came {
                // It is subscribed itself, so that there is someone to send to.
                Some(message) => match result(message)? {
                    message if message.is_data() => drop(hub.send(message)),
                    _ => {}
                },
                None => return Ok(()),
            },
            message = published.recv() => {
                socket.feed(message?).await?;
                while let Ok(message) = published.try_recv() {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
        }
    }
}

/// Its reader must not be left in the middle of a frame, so that the writer is a task of its own.
async fn fastwebsockets(stream: impl Socket, hub: Sender<Bytes>) -> Served {
    let socket = WebSocket::after_handshake(stream, fastwebsockets::Role::Server);
    let (reader, mut writer) = socket.split(tokio::io::split);
    let mut reader = FragmentCollectorRead::new(reader);
    let mut published: Receiver<Bytes> = hub.subscribe();
    let writing = tokio::task::spawn_local(async move {
        while let Ok(message) = published.recv().await {
            let frame = Frame::binary(Payload::Borrowed(&message));
            if writer.write_frame(frame).await.is_err() {
                break;
            }
        }
    });
    // The generator sends neither a Ping nor a Close that would have to be answered.
    let mut answer = |_: Frame<'_>| async { Ok::<_, WebSocketError>(()) };
    while let Ok(frame) = reader.read_frame(&mut answer).await {
        match frame.opcode {
            OpCode::Binary => drop(hub.send(Bytes::from(frame.payload.to_vec()))),
            OpCode::Close => break,
            _ => {}
        }
    }
    writing.abort();
    Ok(())
}

/// The same, for the same reason.
async fn soketto(stream: impl Socket, hub: Sender<Bytes>) -> Served {
    let mut builder = Builder::new(soketto_buffered(stream), Mode::Server);
    builder.set_max_message_size(settings::MESSAGE_MAX);
    let (mut sender, mut receiver) = builder.finish();
    let mut published = hub.subscribe();
    let writing = tokio::task::spawn_local(async move {
        while let Ok(message) = published.recv().await {
            let mut next = Some(message);
            while let Some(message) = next {
                if sender.send_binary(&message).await.is_err() {
                    return;
                }
                next = published.try_recv().ok();
            }
            if sender.flush().await.is_err() {
                return;
            }
        }
    });
    let mut message = Vec::new();
    while receiver.receive_data(&mut message).await.is_ok() {
        drop(hub.send(Bytes::from(std::mem::take(&mut message))));
    }
    writing.abort();
    Ok(())
}
