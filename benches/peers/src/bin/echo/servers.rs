//! Each peer's way to send every message back, as its documentation has it, with the buffers that
//! it recommends.
//!
//! Where a crate can tell whether more has come already, all that has is answered before anything
//! is flushed. Text is checked by all.

use std::error::Error;

use fastwebsockets::{FragmentCollector, OpCode, WebSocket};
use futures_util::io::{BufReader, BufWriter};
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use soketto::connection::Builder;
use soketto::{Mode, Receiver, Sender};
use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use web_socket::{DataType, MessageType};
use wtx::collection::Vector;
use wtx::rng::Xorshift64;
use wtx::web_socket::{Frame, WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin};

use crate::settings::{self, BUFFER, Data, MESSAGE_MAX};

/// How a connection went until it ended.
pub type Served = Result<(), Box<dyn Error>>;

/// A connection, plain or over TLS.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Socket for S {}

/// Sends every message back until the connection ends.
pub async fn serve(name: &str, stream: impl Socket + wtx::stream::Stream) -> Served {
    match name {
        "tokio-tungstenite" => pump(settings::tungstenite_stream(stream).await).await,
        "tokio-websockets" => pump(settings::tokio_websockets().serve(stream)).await,
        "fastwebsockets" => {
            let role = fastwebsockets::Role::Server;
            fastwebsockets(WebSocket::after_handshake(stream, role)).await
        }
        "sockudo-ws" => {
            let (role, config) = (sockudo_ws::Role::Server, settings::sockudo());
            pump(sockudo_ws::WebSocketStream::from_raw(stream, role, config)).await
        }
        "yawc" => {
            let (role, options) = (yawc::Role::Server, settings::yawc());
            yawc(yawc::WebSocket::from_stream(stream, role, options)?).await
        }
        "wtx" => {
            let buffer = WebSocketBuffer::with_capacity(BUFFER, 0, 0)?;
            let random = Xorshift64::new(7);
            wtx(WebSocketOwned::new((), false, random, stream, buffer)).await
        }
        "web-socket" => web_socket(stream).await,
        "soketto" => {
            let mut builder = Builder::new(soketto_buffered(stream), Mode::Server);
            builder.set_max_message_size(MESSAGE_MAX);
            builder.set_max_frame_size(MESSAGE_MAX);
            let (sender, receiver) = builder.finish();
            soketto(sender, receiver).await
        }
        other => unreachable!("{other} is not among the names"),
    }
}

/// For those that are a stream and a sink: what has come is answered, and then flushed.
pub async fn pump<S, M, E>(mut socket: S) -> Served
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    M: Data,
    E: Error + 'static,
{
    while let Some(message) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            let message = message?;
            if message.is_data() {
                socket.feed(message).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

/// The same for yawc, whose stream has no errors but ends.
pub async fn yawc(mut socket: yawc::WebSocket<impl Socket>) -> Served {
    while let Some(frame) = socket.next().await {
        let mut next = Some(frame);
        while let Some(frame) = next {
            if frame.is_data() {
                socket.feed(frame).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

pub async fn fastwebsockets(mut socket: WebSocket<impl Socket>) -> Served {
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

pub async fn wtx<S>(mut socket: WebSocketOwned<(), Xorshift64, S, false>) -> Served
where
    S: wtx::stream::Stream,
{
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

async fn web_socket(stream: impl Socket) -> Served {
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

/// What soketto's documentation would have between it and a stream.
pub type SokettoStream<S> = BufReader<BufWriter<Compat<S>>>;

pub fn soketto_buffered<S: Socket>(stream: S) -> SokettoStream<S> {
    let writer = BufWriter::with_capacity(BUFFER, stream.compat());
    BufReader::with_capacity(BUFFER, writer)
}

pub async fn soketto<S: Socket>(
    mut sender: Sender<SokettoStream<S>>,
    mut receiver: Receiver<SokettoStream<S>>,
) -> Served {
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
