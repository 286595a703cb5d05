//! Each peer with its own opening handshake (RFC 6455 §4.2), as its documentation has it; then it
//! echoes until the closing handshake.
//!
//! web-socket has none of its own. yawc and fastwebsockets leave HTTP to hyper.

use std::convert::Infallible;

use fastwebsockets::upgrade;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use soketto::handshake;
use soketto::handshake::server;
use tokio::net::TcpStream;
use wtx::rng::Xorshift64;
use wtx::web_socket::{WebSocketAcceptor, WebSocketBuffer};

use crate::servers::{self, Served};
use crate::settings::{self, BUFFER};

/// Opens the connection, and echoes until it ends.
pub async fn serve(name: &str, mut stream: TcpStream) -> Served {
    match name {
        "tokio-tungstenite" => {
            let config = Some(settings::tungstenite());
            servers::pump(tokio_tungstenite::accept_async_with_config(stream, config).await?).await
        }
        "tokio-websockets" => {
            let (_, socket) = settings::tokio_websockets().accept(stream).await?;
            servers::pump(socket).await
        }
        "fastwebsockets" => fastwebsockets(stream).await,
        "sockudo-ws" => {
            sockudo_ws::handshake::server_handshake(&mut stream).await?;
            let (role, config) = (sockudo_ws::Role::Server, settings::sockudo());
            let socket = sockudo_ws::WebSocketStream::from_raw(stream, role, config);
            servers::pump(socket).await
        }
        "yawc" => yawc(stream, settings::yawc()).await,
        "wtx" => {
            let buffer = WebSocketBuffer::with_capacity(BUFFER, 0, 0)?;
            let acceptor = WebSocketAcceptor::default()
                .rng(Xorshift64::new(7))
                .wsb(buffer);
            servers::wtx(acceptor.accept(stream).await?).await
        }
        "soketto" => {
            let mut server = handshake::Server::new(servers::soketto_buffered(stream));
            let key = server.receive_request().await?.key();
            let accept = server::Response::Accept {
                key,
                protocol: None,
            };
            server.send_response(&accept).await?;
            let mut builder = server.into_builder();
            builder.set_max_message_size(settings::MESSAGE_MAX);
            let (sender, receiver) = builder.finish();
            servers::soketto(sender, receiver).await
        }
        other => unreachable!("{other} is not among the names"),
    }
}

async fn fastwebsockets(stream: TcpStream) -> Served {
    let answer = service_fn(|mut request: Request<Incoming>| async move {
        let upgraded = upgrade::upgrade(&mut request);
        Ok::<_, Infallible>(respond(upgraded.map(|(response, socket)| {
            tokio::task::spawn_local(async move {
                // How a connection ends is the generator's to judge.
                if let Ok(socket) = socket.await {
                    let _ = servers::fastwebsockets(socket).await;
                }
            });
            response
        })))
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    Ok(connection.with_upgrades().await?)
}

/// yawc, with compression where the options have it.
pub async fn yawc(stream: TcpStream, options: yawc::Options) -> Served {
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let upgraded = yawc::WebSocket::upgrade_with_options(&mut request, options.clone());
        let response = respond(upgraded.map(|(response, socket)| {
            tokio::task::spawn_local(async move {
                if let Ok(socket) = socket.await {
                    let _ = servers::yawc(socket).await;
                }
            });
            response
        }));
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    Ok(connection.with_upgrades().await?)
}

/// What was made of the request, or that nothing can be.
fn respond<E>(upgraded: Result<Response<Empty<Bytes>>, E>) -> Response<Empty<Bytes>> {
    upgraded.unwrap_or_else(|_| {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    })
}
