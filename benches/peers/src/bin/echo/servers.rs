//! Each peer's way to send every message back, as its documentation has it, with the buffers that
//! it recommends.
//!
//! Where a crate can tell whether more has come already, all that has is answered before anything
//! is flushed. Text is checked by all.

use std::error::Error;

use fastwebsockets::{FragmentCollector, OpCode};
use futures_util::io::{BufReader, BufWriter};
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use soketto::Mode;
use soketto::connection::Builder;
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt;
use tungstenite::protocol::{Role, WebSocketConfig};
use web_socket::{DataType, MessageType};
use wtx::collection::Vector;
use wtx::rng::Xorshift64;
use wtx::web_socket::{Frame, WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin};

/// What a message may have, and what all are told where it can be told.
const MESSAGE_MAX: usize = 16 << 20;
/// Of those that do not bring one.
const BUFFER: usize = 16 << 10;

pub const NAMES: [&str; 8] = [
    "tokio-tungstenite",
    "tokio-websockets",
    "fastwebsockets",
    "sockudo-ws",
    "yawc",
    "wtx",
    "web-socket",
    "soketto",
];

type Echoed = Result<(), Box<dyn Error>>;

/// Sends every message back until the connection ends.
pub async fn echo(name: &str, stream: TcpStream) -> Echoed {
    match name {
        "tokio-tungstenite" => tungstenite(stream).await,
        "tokio-websockets" => tokio_websockets(stream).await,
        "fastwebsockets" => fastwebsockets(stream).await,
        "sockudo-ws" => sockudo(stream).await,
        "yawc" => yawc(stream).await,
        "wtx" => wtx(stream).await,
        "web-socket" => web_socket(stream).await,
        "soketto" => soketto(stream).await,
        other => unreachable!("{other} is not among the names"),
    }
}

/// For those that are a stream and a sink: what has come is answered, and then flushed.
async fn pump<S, M, E>(mut socket: S, is_data: impl Fn(&M) -> bool) -> Echoed
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: Error + 'static,
{
    while let Some(message) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            let message = message?;
            if is_data(&message) {
                socket.feed(message).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn tungstenite(stream: TcpStream) -> Echoed {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let socket =
        tokio_tungstenite::WebSocketStream::from_raw_socket(stream, Role::Server, Some(config));
    pump(socket.await, |message: &tungstenite::Message| {
        message.is_text() || message.is_binary()
    })
    .await
}

async fn tokio_websockets(stream: TcpStream) -> Echoed {
    let limits = tokio_websockets::Limits::default().max_payload_len(Some(MESSAGE_MAX));
    let socket = tokio_websockets::ServerBuilder::new()
        .limits(limits)
        .serve(stream);
    pump(socket, |message: &tokio_websockets::Message| {
        message.is_text() || message.is_binary()
    })
    .await
}

async fn sockudo(stream: TcpStream) -> Echoed {
    let config = sockudo_ws::Config::builder()
        .auto_ping(false)
        .idle_timeout(0)
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        .build();
    let socket = sockudo_ws::WebSocketStream::from_raw(stream, sockudo_ws::Role::Server, config);
    pump(socket, |message: &sockudo_ws::Message| {
        matches!(
            message,
            sockudo_ws::Message::Text(_) | sockudo_ws::Message::Binary(_)
        )
    })
    .await
}

async fn yawc(stream: TcpStream) -> Echoed {
    let options = yawc::Options::default()
        .with_utf8()
        .with_limits(MESSAGE_MAX, MESSAGE_MAX);
    let mut socket = yawc::WebSocket::from_stream(stream, yawc::Role::Server, options)?;
    while let Some(frame) = socket.next().await {
        let mut next = Some(frame);
        while let Some(frame) = next {
            if matches!(frame.opcode(), yawc::OpCode::Text | yawc::OpCode::Binary) {
                socket.feed(frame).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn fastwebsockets(stream: TcpStream) -> Echoed {
    let mut socket =
        fastwebsockets::WebSocket::after_handshake(stream, fastwebsockets::Role::Server);
    socket.set_max_message_size(MESSAGE_MAX);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

async fn wtx(stream: TcpStream) -> Echoed {
    let buffer = WebSocketBuffer::with_capacity(BUFFER, 0, 0)?;
    let mut socket =
        WebSocketOwned::<_, _, _, false>::new((), false, Xorshift64::new(7), stream, buffer);
    let mut message = Vector::new();
    loop {
        let frame = socket
            .read_frame(&mut message, WebSocketPayloadOrigin::Adaptive)
            .await?;
        let op_code = frame.op_code();
        match op_code {
            wtx::web_socket::OpCode::Text | wtx::web_socket::OpCode::Binary => {
                let payload = frame.payload().to_vec();
                let mut echo = Frame::<_, false>::new_fin(op_code, payload);
                socket.write_frame(&mut echo).await?;
            }
            wtx::web_socket::OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

async fn web_socket(stream: TcpStream) -> Echoed {
    let stream = BufStream::with_capacity(BUFFER, BUFFER, stream);
    let mut socket = web_socket::WebSocket::server(stream);
    socket.max_payload_len = MESSAGE_MAX;
    loop {
        match socket.recv_event().await? {
            web_socket::Event::Data {
                ty: DataType::Complete(MessageType::Text),
                data,
            } => socket.send(simdutf8::basic::from_utf8(&data)?).await?,
            web_socket::Event::Data { data, .. } => socket.send(&data[..]).await?,
            web_socket::Event::Ping(data) => socket.send_pong(data).await?,
            web_socket::Event::Pong(_) => {}
            _ => return Ok(socket.close(()).await?),
        }
        socket.flash().await?;
    }
}

async fn soketto(stream: TcpStream) -> Echoed {
    let stream =
        BufReader::with_capacity(BUFFER, BufWriter::with_capacity(BUFFER, stream.compat()));
    let mut builder = Builder::new(stream, Mode::Server);
    builder.set_max_message_size(MESSAGE_MAX);
    builder.set_max_frame_size(MESSAGE_MAX);
    let (mut sender, mut receiver) = builder.finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        match receiver.receive_data(&mut message).await? {
            soketto::Data::Text(_) => {
                sender
                    .send_text(simdutf8::basic::from_utf8(&message)?)
                    .await?;
            }
            soketto::Data::Binary(_) => sender.send_binary(&message).await?,
        }
        sender.flush().await?;
    }
}
