//! A conversation of one answer: what clients ask beside cases.
//!
//! Here we are an ordinary server, on the library's own connection: a strange client is refused,
//! a slow one is left, and nothing is held of it but its request.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openline::proto::{
    Acceptance, Close, CloseCode, Config, Connection, Event, RecvBuffer, Refusal, SendBuffer,
    ServerHandshake, Status,
};

use crate::cli::conformance::guest::Guest;

/// What is answered.
#[derive(Debug)]
pub(super) enum Reply {
    /// A text, and then the end.
    Text(String),
    /// The end.
    Nothing,
    /// There is nothing of that name; the body of a 404.
    NotFound(String),
}

/// Answers a request whose first bytes have come, and waits until the client has it.
///
/// # Errors
///
/// When the client is gone or does not take part in time: nobody needs to know.
pub(super) fn answer(mut guest: Guest, early: &[u8], reply: &Reply) -> io::Result<()> {
    guest.set_deadline(Instant::now() + PATIENCE);
    let mut recv = RecvBuffer::new();
    let mut send = SendBuffer::new();
    recv.extend(early);
    let mut handshake = ServerHandshake::new(Arc::new(Config::default()), Instant::now());
    let upgrade = loop {
        match handshake.poll(&recv) {
            Ok(Some(upgrade)) => break upgrade,
            Ok(None) => {}
            Err(error) => {
                error.refusal().write(&mut send);
                return leave(&mut guest, &mut send);
            }
        }
        if !read(&mut guest, &mut recv)? {
            return Ok(());
        }
    };
    let text = match reply {
        Reply::Text(text) => Some(text),
        Reply::Nothing => None,
        Reply::NotFound(body) => {
            upgrade.refuse(&Refusal::new(Status::NOT_FOUND).with_text(body), &mut send);
            return leave(&mut guest, &mut send);
        }
    };
    let now = Instant::now();
    let Ok(mut connection) = upgrade.accept(now, &mut recv, &Acceptance::default(), &mut send)
    else {
        return Ok(());
    };
    if let Some(text) = text {
        connection
            .send_text(text, &mut send)
            .map_err(io::Error::other)?;
    }
    let close = Close {
        code: CloseCode::NORMAL,
        reason: "",
    };
    connection
        .close(now, Some(close), &mut send)
        .map_err(io::Error::other)?;
    converse(&mut guest, &mut connection, &mut recv, &mut send)?;
    leave(&mut guest, &mut send)
}

/// Goes on until the closing handshake is over.
fn converse(
    guest: &mut Guest,
    connection: &mut Connection,
    recv: &mut RecvBuffer,
    send: &mut SendBuffer,
) -> io::Result<()> {
    loop {
        flush(guest, send)?;
        loop {
            match connection.poll(Instant::now(), recv, send) {
                Ok(None) => break,
                Ok(Some(Event::Closed(_))) | Err(_) => return Ok(()),
                Ok(Some(_)) => {}
            }
        }
        if !read(guest, recv)? {
            return Ok(());
        }
    }
}

/// Reads once; whether there was something.
fn read(guest: &mut Guest, recv: &mut RecvBuffer) -> io::Result<bool> {
    let mut bytes = [0; 4096];
    let n = guest.read(&mut bytes)?;
    recv.extend(&bytes[..n]);
    Ok(n > 0)
}

fn flush(guest: &mut Guest, send: &mut SendBuffer) -> io::Result<()> {
    while !send.pending().is_empty() {
        let n = guest.write(send.pending())?;
        send.advance(n);
    }
    guest.flush()
}

/// Ends the stream behind what is to be sent, and waits for the client to do the same: to close
/// with unread bytes would reset it, and lose what we said.
fn leave(guest: &mut Guest, send: &mut SendBuffer) -> io::Result<()> {
    flush(guest, send)?;
    guest.shutdown()?;
    guest.hurry(Instant::now() + LEAVE_TIMEOUT);
    let mut bytes = [0; 4096];
    while guest.read(&mut bytes)? > 0 {}
    Ok(())
}

/// From the request to the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// From our end to the client's.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
