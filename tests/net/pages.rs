//! Ordinary requests beside WebSocket: answered once, delimited, and nothing follows.

use openline::net::{Asking, Decision, End, Handler, Message, Peer};
use openline::proto::{Acceptance, Config, Page, Refusal, Request, SendError, Status};

use std::sync::mpsc::Sender;

use crate::support::{Raw, Seen, Server, TEXT, config, frame};

/// Echoes, and has two pages.
struct WithPages(Sender<Seen>);

impl Handler for WithPages {
    type Connection = ();

    fn request(&mut self, _: &Request<'_>, _: &Asking<'_>) -> Result<Decision<()>, Refusal> {
        Ok((Acceptance::default(), ()).into())
    }

    fn page(&mut self, request: &Request<'_>, asking: &Asking<'_>) -> Option<Page> {
        match request.path() {
            "/health" => Some(Page::text("alive\n")),
            "/large" => Some(Page::new("text/html", vec![b'x'; 4 << 20]).unwrap()),
            "/me" => Some(Page::text(&asking.address().to_string())),
            "/none" => None,
            _ => Some(Refusal::new(Status::NOT_FOUND).into()),
        }
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        peer.send(message)
    }

    fn end(&mut self, data: Option<()>, end: &End) {
        let why = format!("{:?}", end.why);
        let _ = self.0.send(Seen::End(data.is_some(), why));
    }
}

fn start() -> Server {
    Server::run(config(Config::default()), WithPages, |_| {})
}

fn ask(server: &Server, request: &str) -> String {
    let mut raw = Raw::connect(server.address);
    raw.send(request.as_bytes());
    String::from_utf8(raw.rest()).unwrap()
}

#[test]
fn a_page_and_its_head() {
    let server = start();
    let page = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nalive\n";
    let get = "GET /health?verbose HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(ask(&server, get), page);
    assert_eq!(
        server.next(),
        Seen::End(false, "Page { status: 200 }".to_owned())
    );
    let head = get.replace("GET", "HEAD");
    assert_eq!(ask(&server, &head), page.strip_suffix("alive\n").unwrap());

    let unknown = ask(&server, &get.replace("/health", "/x"));
    assert!(unknown.starts_with("HTTP/1.1 404 "), "{unknown}");
    let large = ask(&server, &get.replace("/health", "/large"));
    assert!(large.contains("\r\nContent-Length: 4194304\r\n"));
    assert!(large.ends_with(&"x".repeat(4 << 20)));
    let me = ask(&server, &get.replace("/health", "/me"));
    assert!(me.contains("\r\n\r\n127.0.0.1:"), "{me}");
    let none = ask(&server, &get.replace("/health", "/none"));
    assert!(none.starts_with("HTTP/1.1 426 "), "{none}");

    let mut raw = Raw::open(server.address);
    raw.send(&frame(TEXT, b"x"));
    assert_eq!(raw.frame(), (TEXT, b"x".to_vec()));
    server.stop();
}

#[test]
fn what_follows_is_never_another_request() {
    let server = start();
    let get = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = ask(&server, &format!("{get}{get}"));
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert_eq!(server.end(), "Page { status: 200 }");
    for smuggler in [
        "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
        "GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n",
        "GET /health HTTP/1.1\r\n\r\n",
    ] {
        let answer = ask(&server, &format!("{smuggler}{get}"));
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        assert!(server.end().starts_with("Handshake("));
    }
    server.stop();
}
