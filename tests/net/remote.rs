//! Reaching the loop from another thread.

use openline::net::{LoopConfig, OwnedMessage, RemoteError, Undelivered};
use openline::proto::{CloseCode, Config, Prepared, SendError};

use crate::support::{CLOSE, PING, Raw, Seen, Server, TEXT, config, echo, frame};

#[test]
fn messages_arrive_in_order_and_what_cannot_is_given_back() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    let Seen::Open(id, _) = server.next() else {
        panic!("it opens first");
    };
    let news = Prepared::text("news");
    for message in [
        OwnedMessage::Text("one".to_owned()),
        OwnedMessage::Prepared(news.clone()),
        OwnedMessage::Ping(b"?".to_vec()),
    ] {
        server.remote.send(id, message).unwrap();
    }
    assert_eq!(raw.frame(), (TEXT, b"one".to_vec()));
    assert_eq!(raw.frame(), (TEXT, b"news".to_vec()));
    assert_eq!(raw.frame(), (PING, b"?".to_vec()));

    server.remote.close(id, CloseCode::NORMAL, "done").unwrap();
    let late = OwnedMessage::Prepared(news);
    server.remote.send(id, late.clone()).unwrap();
    assert_eq!(raw.frame(), (CLOSE, b"\x03\xe8done".to_vec()));
    let closed = Undelivered::Send(SendError::Closed);
    assert_eq!(server.next(), Seen::Undelivered(late.clone(), closed));

    raw.send(&frame(CLOSE, b"\x03\xe8"));
    assert_eq!(raw.rest(), b"");
    assert!(server.end().contains("by: Us"));

    // The next connection has the same place in the table, and another name.
    let mut other = Raw::open(server.address);
    server.remote.send(id, late.clone()).unwrap();
    assert!(matches!(server.next(), Seen::Open(other, _) if other != id));
    assert_eq!(server.next(), Seen::Undelivered(late, Undelivered::Ended));
    other.send(&frame(TEXT, b"x"));
    assert_eq!(other.frame(), (TEXT, b"x".to_vec()));
    server.stop();
}

#[test]
fn many_threads_at_once() {
    let server = Server::start(config(Config::default()), echo);
    let mut raw = Raw::open(server.address);
    let Seen::Open(id, _) = server.next() else {
        panic!("it opens first");
    };
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let remote = server.remote.clone();
            std::thread::spawn(move || {
                for _ in 0..1000 {
                    let message = OwnedMessage::Binary(vec![1; 100]);
                    remote.send(id, message).unwrap();
                }
            })
        })
        .collect();
    for _ in 0..4000 {
        assert_eq!(raw.frame().1.len(), 100);
    }
    for thread in threads {
        thread.join().unwrap();
    }
    server.stop();
}

#[test]
fn a_full_mailbox_and_a_loop_that_is_gone_are_answered_at_once() {
    let config = LoopConfig {
        mailbox_max: 0,
        ..config(Config::default())
    };
    let server = Server::start(config, echo);
    let raw = Raw::open(server.address);
    let Seen::Open(id, _) = server.next() else {
        panic!("it opens first");
    };
    let message = OwnedMessage::Text(String::new());
    let answer = server.remote.send(id, message.clone());
    assert!(matches!(answer, Err(RemoteError::Full)));
    let remote = server.remote.clone();
    drop(raw);
    server.stop();
    assert!(matches!(remote.send(id, message), Err(RemoteError::Gone)));
    assert!(matches!(remote.shutdown(), Err(RemoteError::Gone)));
}
