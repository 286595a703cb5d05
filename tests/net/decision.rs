//! A decision about a request that is made later, by another thread.

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use openline::net::{Asking, Decision, End, Handler, LoopConfig, Message, Peer, Ticket, TooLate};
use openline::proto::{Acceptance, CloseCode, Config, Refusal, Request, SendError, Status};

use crate::support::{PATIENCE, Raw, Seen, Server, TEXT, config, frame, request};

/// Hands its tickets out, and sends back what the ticket said and the message.
struct Deferring {
    seen: Sender<Seen>,
    tickets: Sender<Ticket<String>>,
}

impl Handler for Deferring {
    type Connection = String;

    fn request(
        &mut self,
        _: &Request<'_>,
        asking: &Asking<'_>,
    ) -> Result<Decision<String>, Refusal> {
        let (ticket, later) = asking.later();
        self.tickets.send(ticket).unwrap();
        Ok(Decision::Later(later))
    }

    fn message(
        &mut self,
        name: &mut String,
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        let Message::Text(text) = message else {
            return Ok(());
        };
        peer.send_text(&format!("{name}: {text}"))
    }

    fn end(&mut self, name: Option<String>, end: &End) {
        let seen = Seen::End(name.is_some(), format!("{:?}", end.why));
        let _ = self.seen.send(seen);
    }
}

fn start(config: LoopConfig) -> (Server, Receiver<Ticket<String>>) {
    let (tickets, receiver) = channel();
    let server = Server::run(config, |seen| Deferring { seen, tickets }, |_| {});
    (server, receiver)
}

fn ask(server: &Server, tickets: &Receiver<Ticket<String>>) -> (Raw, Ticket<String>) {
    let mut raw = Raw::connect(server.address);
    raw.send(request("/").as_bytes());
    (raw, tickets.recv_timeout(PATIENCE).unwrap())
}

#[test]
fn accepted_later_with_what_the_other_thread_found_out() {
    let (server, tickets) = start(config(Config::default()));
    let (mut raw, ticket) = ask(&server, &tickets);
    // Nothing is answered and nothing is lost meanwhile.
    raw.send(&frame(TEXT, b"early"));
    raw.0
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = raw.0.read(&mut [0]).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    raw.0.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(ticket.is_awaited());
    ticket
        .accept(Acceptance::default(), "bert".to_owned())
        .unwrap();
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(raw.frame(), (TEXT, b"bert: early".to_vec()));
    raw.send(&frame(TEXT, b"late"));
    assert_eq!(raw.frame(), (TEXT, b"bert: late".to_vec()));
    server.stop();
}

#[test]
fn refused_later_or_dropped_which_lets_nobody_in() {
    let (server, tickets) = start(config(Config::default()));
    let (raw, ticket) = ask(&server, &tickets);
    let refusal = Refusal::new(Status::FORBIDDEN).with_text("not you\n");
    ticket.refuse(refusal).unwrap();
    let answer = String::from_utf8(raw.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nnot you\n"), "{answer}");
    assert_eq!(server.end(), "Refused { status: 403 }");

    let (raw, ticket) = ask(&server, &tickets);
    drop(ticket);
    let answer = String::from_utf8(raw.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(server.end(), "Refused { status: 500 }");
    server.stop();
}

#[test]
fn a_decision_that_takes_too_long_is_made_for_nobody() {
    let protocol = Config {
        handshake_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    let (server, tickets) = start(config(protocol));
    let (raw, ticket) = ask(&server, &tickets);
    let answer = String::from_utf8(raw.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(server.end(), "Handshake(Undecided)");
    assert!(!ticket.is_awaited());
    let decided = ticket.accept(Acceptance::default(), String::new());
    assert_eq!(decided, Err(TooLate));
    server.stop();
}

#[test]
fn shutting_down_decides_too_and_a_ticket_outlives_its_loop() {
    let (server, tickets) = start(config(Config::default()));
    let (raw, ticket) = ask(&server, &tickets);
    server.remote.shutdown().unwrap();
    let answer = String::from_utf8(raw.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    server.join();
    let refusal = Refusal::new(Status::FORBIDDEN);
    assert_eq!(ticket.refuse(refusal), Err(TooLate));
}

#[test]
fn whoever_waits_for_a_decision_is_not_read_from() {
    let (server, tickets) = start(config(Config::default()));
    let (mut raw, ticket) = ask(&server, &tickets);
    raw.0
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut sent = 0;
    // What the two kernels hold between them, and not a byte of it in the loop.
    while let Ok(n) = raw.0.write(&[0; 64 << 10]) {
        sent += n;
        assert!(sent < 64 << 20, "the server stops listening");
    }
    ticket.refuse(Refusal::new(Status::FORBIDDEN)).unwrap();
    assert_eq!(server.end(), "Refused { status: 403 }");
    server.stop();
}

#[test]
fn closed_by_another_thread_while_the_decision_is_awaited() {
    let (server, tickets) = start(config(Config::default()));
    let (raw, ticket) = ask(&server, &tickets);
    server
        .remote
        .close(ticket.id(), CloseCode::NORMAL, "")
        .unwrap();
    assert_eq!(server.end(), "Abandoned");
    assert_eq!(
        ticket.accept(Acceptance::default(), String::new()),
        Err(TooLate)
    );
    assert!(raw.rest().is_empty());
    server.stop();
}
