//! Handshakes to feed: every input goes in whole and one byte at a time, and the two must agree.

use std::sync::Arc;
use std::time::Instant;

use openline::proto::{
    Acceptance, Answer, ClientHandshake, ClientRequest, Config, HandshakeError, RecvBuffer,
    SendBuffer, ServerHandshake, Upgrade,
};

/// The request of §1.2, less what a browser adds.
pub const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// `REQUEST` with more header fields behind its own: lines, each with its end.
pub fn request_with(lines: &str) -> String {
    format!("{}{lines}\r\n", REQUEST.strip_suffix("\r\n").unwrap())
}

/// `REQUEST` with one of its lines replaced, or without it.
pub fn request_where(name: &str, line: &str) -> String {
    let start = REQUEST.find(name).unwrap();
    let end = start + REQUEST[start..].find("\r\n").unwrap() + 2;
    format!("{}{line}{}", &REQUEST[..start], &REQUEST[end..])
}

/// What a server makes of these bytes: the request and the buffer that it lies in.
pub fn serve_under(
    config: &Arc<Config>,
    bytes: &[u8],
) -> Result<Option<(Upgrade, RecvBuffer)>, HandshakeError> {
    let now = Instant::now();
    let mut handshake = ServerHandshake::new(Arc::clone(config), now);
    let mut recv = RecvBuffer::new();
    let mut one_at_a_time = Ok(None);
    for byte in bytes {
        recv.extend(&[*byte]);
        one_at_a_time = handshake.poll(&recv);
        if !matches!(one_at_a_time, Ok(None)) {
            break;
        }
    }
    let mut handshake = ServerHandshake::new(Arc::clone(config), now);
    let mut recv = RecvBuffer::new();
    recv.extend(bytes);
    let whole = handshake.poll(&recv);
    let verdict = |result: &Result<Option<Upgrade>, _>| match result {
        Ok(upgrade) => Ok(upgrade.as_ref().map(|upgrade| format!("{upgrade:?}"))),
        Err(error) => Err(*error),
    };
    assert_eq!(verdict(&one_at_a_time), verdict(&whole));
    if let Err(error) = whole {
        assert_eq!(
            handshake.poll(&recv).unwrap_err(),
            error,
            "an error is final"
        );
    }
    Ok(whole?.map(|upgrade| (upgrade, recv)))
}

/// As `serve_under`, for a request that is whole and the default limits.
pub fn serve(bytes: impl AsRef<[u8]>) -> Result<(Upgrade, RecvBuffer), HandshakeError> {
    let served = serve_under(&Arc::default(), bytes.as_ref())?;
    Ok(served.expect("a whole request"))
}

/// The seed of every client here.
pub const SEED: [u8; 32] = [7; 32];

/// What a client sends first, and the key in it.
pub fn ask(request: &ClientRequest) -> (ClientHandshake, String, String) {
    let mut send = SendBuffer::new();
    let handshake =
        ClientHandshake::start(request, Arc::default(), Instant::now(), SEED, &mut send);
    let sent = String::from_utf8(send.pending().to_vec()).unwrap();
    let (_, key) = sent.split_once("Sec-WebSocket-Key: ").unwrap();
    let key = key.split_once("\r\n").unwrap().0.to_owned();
    (handshake, sent, key)
}

/// What a client makes of this answer to its request, by a server that then closes.
pub fn answer(
    request: &ClientRequest,
    bytes: impl AsRef<[u8]>,
) -> Result<(Answer, RecvBuffer), HandshakeError> {
    let bytes = bytes.as_ref();
    let (mut handshake, ..) = ask(request);
    let mut recv = RecvBuffer::new();
    let mut one_at_a_time = Ok(None);
    for byte in bytes {
        recv.extend(&[*byte]);
        one_at_a_time = handshake.poll(&mut recv);
        if !matches!(one_at_a_time, Ok(None)) {
            break;
        }
    }
    if matches!(one_at_a_time, Ok(None)) {
        one_at_a_time = handshake.handle_eof(&mut recv);
    }
    let (mut handshake, ..) = ask(request);
    let mut recv = RecvBuffer::new();
    recv.extend(bytes);
    let mut whole = handshake.poll(&mut recv);
    if matches!(whole, Ok(None)) {
        whole = handshake.handle_eof(&mut recv);
    }
    let verdict = |result: &Result<Option<Answer>, _>| match result {
        Ok(answer) => Ok(format!("{answer:?}")),
        Err(error) => Err(*error),
    };
    assert_eq!(verdict(&one_at_a_time), verdict(&whole));
    if let Err(error) = whole {
        let again = handshake.poll(&mut recv).unwrap_err();
        assert_eq!(again, error, "an error is final");
    }
    whole.map(|answer| (answer.expect("the server has closed"), recv))
}

/// What our server answers to this request when it agrees.
pub fn agree(request: &ClientRequest) -> String {
    let (_, sent, _) = ask(request);
    let (upgrade, mut recv) = serve(sent).unwrap();
    let mut send = SendBuffer::new();
    let acceptance = Acceptance::default();
    upgrade
        .accept(Instant::now(), &mut recv, &acceptance, &mut send)
        .unwrap();
    String::from_utf8(send.pending().to_vec()).unwrap()
}
