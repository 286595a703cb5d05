//! yawc's echo server, with compression.

use std::convert::Infallible;
use std::error::Error;

use futures_util::SinkExt;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use yawc::{CompressionLevel, DeflatePool, Frame, HttpWebSocket, OpCode, Options, WebSocket};

/// Echoes messages until it is killed, compressed at that level and whatever their size.
pub fn serve(port: u16, level: u32) -> Result<(), Box<dyn Error>> {
    // No context is taken over, and there is one thread: one compressor serves all, as its
    // documentation recommends.
    let options = Options::default()
        .with_utf8()
        .with_no_delay()
        .with_compression_level(CompressionLevel::new(level))
        .with_compression_threshold(0)
        .server_no_context_takeover()
        .client_no_context_takeover()
        .with_deflate_pool(DeflatePool::new(1));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(shake_hands(stream, options.clone()));
        }
    })
}

async fn shake_hands(stream: TcpStream, options: Options) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let options = options.clone();
        async move { Ok::<_, Infallible>(upgrade(request, options)) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // Whoever only looks whether the port is open ends in an error here.
    let _ = connection.with_upgrades().await;
}

fn upgrade(
    mut request: Request<Incoming>,
    options: Options,
) -> Response<http_body_util::Empty<Bytes>> {
    match WebSocket::upgrade_with_options(&mut request, options) {
        Ok((response, upgraded)) => {
            tokio::spawn(async move {
                if let Ok(socket) = upgraded.await {
                    echo(socket).await;
                }
            });
            response
        }
        Err(_) => {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    }
}

async fn echo(mut socket: HttpWebSocket) {
    while let Ok(frame) = socket.next_frame().await {
        let echo = match frame.opcode() {
            OpCode::Text => Frame::text(frame.into_payload()),
            OpCode::Binary => Frame::binary(frame.into_payload()),
            _ => continue,
        };
        if socket.send(echo).await.is_err() {
            break;
        }
    }
}
