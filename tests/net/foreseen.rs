//! Messages that are known before they come, and several that are sent at once.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use openline::net::{EventLoop, Handler, Incoming, LoopConfig, Message, Peer};
use openline::proto::{Chunk, ClientRequest, CloseCode, Config, Data, Kind, SendError};

use crate::support::{PATIENCE, Server, config};

/// A client that has a server begin, knows which texts are to come, and tells what it took, was
/// told, and was refused.
struct Foreseeing {
    texts: VecDeque<&'static str>,
    told: Sender<String>,
}

impl Foreseeing {
    fn tell(&self, what: String) {
        // The test may have seen enough.
        let _ = self.told.send(what);
    }
}

impl Handler for Foreseeing {
    type Connection = ();

    fn open(&mut self, (): &mut (), peer: &mut Peer<'_>) {
        peer.send_all([Data::Text("begin"), Data::Binary(b"now")])
            .unwrap();
    }

    fn incoming(&mut self, (): &mut (), _: &mut Peer<'_>, incoming: &mut Incoming<'_>) {
        let taken = incoming.take(self.texts.iter().map(|text| Data::Text(text)));
        for text in self.texts.drain(..usize::try_from(taken).unwrap()) {
            let _ = self.told.send(format!("took {text}"));
        }
    }

    fn message(
        &mut self,
        (): &mut (),
        peer: &mut Peer<'_>,
        message: Message<'_>,
    ) -> Result<(), SendError> {
        let payload = String::from_utf8_lossy(message.payload());
        self.tell(format!("told {payload}"));
        if self.texts.front() == Some(&&*payload) {
            self.texts.pop_front();
        }
        if payload == "end" {
            let received = peer.remote().metrics().snapshot().messages_received;
            self.tell(format!(
                "{} texts, {} binary",
                received.text, received.binary
            ));
            peer.close(CloseCode::NORMAL, "")?;
            let refused = peer.send_all([Data::Text("late")]);
            self.tell(format!("{refused:?}"));
        }
        Ok(())
    }

    fn ping(&mut self, (): &mut (), _: &mut Peer<'_>, payload: &[u8]) {
        self.tell(format!("ping {}", String::from_utf8_lossy(payload)));
    }
}

fn client(server: &Server, texts: &[&'static str], config: LoopConfig) -> Receiver<String> {
    let (told, receiver) = channel();
    let texts = texts.iter().copied().collect();
    let request = ClientRequest::new(format!("ws://{}/", server.address).parse().unwrap());
    thread::spawn(move || {
        let mut client = EventLoop::new(Foreseeing { texts, told }, config).unwrap();
        client.connect(request, ()).unwrap();
        client.run().unwrap();
    });
    receiver
}

fn all(told: &Receiver<String>) -> Vec<String> {
    std::iter::from_fn(|| told.recv_timeout(PATIENCE).ok()).collect()
}

/// Once the client has it begin: what is foreseen, what is not, and what stands between.
fn talk(peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), SendError> {
    if message != Message::Binary(b"now") {
        return Ok(());
    }
    peer.send_text("one")?;
    peer.send_text("two, which is longer than what is compared without a call")?;
    peer.ping(b"?")?;
    peer.send_text("three")?;
    peer.send_binary(b"four")?;
    for (data, last) in [(&b"fo"[..], false), (b"ur", true)] {
        let kind = Kind::Text;
        peer.send(Message::Chunk(Chunk { kind, data, last }))?;
    }
    peer.send_text("five")?;
    peer.send_text("end")
}

const TEXTS: [&str; 5] = [
    "one",
    "two, which is longer than what is compared without a call",
    "three",
    "four",
    "five",
];

#[test]
fn what_is_foreseen_is_taken_in_its_place_and_all_else_is_told() {
    let server = Server::start(config(Config::default()), talk);
    let told = all(&client(&server, &TEXTS, config(Config::default())));
    let expected = [
        "took one",
        "took two, which is longer than what is compared without a call",
        "ping ?",
        "took three",
        "told four",
        "told four",
        "took five",
        "told end",
        "6 texts, 1 binary",
        "Err(Closed)",
    ];
    assert_eq!(told, expected);
    server.stop();
}

#[cfg(feature = "deflate")]
#[test]
fn what_is_compressed_is_told() {
    let compressing = || {
        config(Config {
            compression: Some(openline::proto::Deflate {
                threshold: 0,
                ..openline::proto::Deflate::default()
            }),
            ..Config::default()
        })
    };
    let server = Server::start(compressing(), talk);
    let told = all(&client(&server, &TEXTS, compressing()));
    let is_taken = |told: &String| told.starts_with("took");
    assert!(!told.iter().any(is_taken), "{told:?}");
    assert!(told.contains(&"6 texts, 1 binary".to_owned()), "{told:?}");
    server.stop();
}

#[test]
fn a_limit_holds_for_what_is_foreseen_too() {
    let narrow = config(Config {
        message_size_max: 3,
        ..Config::default()
    });
    let server = Server::start(config(Config::default()), talk);
    let told = all(&client(&server, &TEXTS, narrow));
    assert_eq!(told, ["took one"]);
    server.stop();
}

#[test]
fn several_messages_are_sent_in_order_all_or_none() {
    let several = |peer: &mut Peer<'_>, message: Message<'_>| {
        if message != Message::Binary(b"now") {
            return Ok(());
        }
        let room = peer.room();
        assert!(room > 0);
        // There is room for the first when it begins.
        let long = "x".repeat(room);
        peer.send_all([Data::Text("one"), Data::Text(&long), Data::Text("end")])?;
        let refused = peer.send_all([Data::Text("never")]);
        assert!(matches!(refused, Err(SendError::QueueFull { .. })));
        Ok(())
    };
    let server = Server::start(config(Config::default()), several);
    let told = all(&client(&server, &["one"], config(Config::default())));
    let sizes: Vec<usize> = told.iter().map(String::len).collect();
    assert_eq!(told[0], "took one");
    assert!(told[1].starts_with("told x"), "{sizes:?}");
    assert_eq!(told[2..], ["told end", "3 texts, 0 binary", "Err(Closed)"]);
    // So did the client.
    assert_eq!(server.next_message(), b"begin");
    assert_eq!(server.next_message(), b"now");
    server.stop();
}
