//! The client that blocks.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use openline::net::{
    Client, ClientError, ConnectOptions, EndWhy, LoopConfig, Message, OwnedMessage, Peer,
};
use openline::proto::{ClientRequest, CloseCode, Config, SendError};

use crate::support::{Server, config, echo};

#[test]
fn messages_there_and_back_and_the_end() {
    let server = Server::start(config(Config::default()), echo);
    let mut client = Client::connect(&format!("ws://{}/", server.address)).unwrap();
    client.send_text("hello").unwrap();
    let received = client.receive().unwrap();
    assert_eq!(received, Some(OwnedMessage::Text("hello".to_owned())));

    // More than the sockets hold, in one message and in many.
    let large: Vec<u8> = vec![7; 8 << 20];
    client.send_binary(&large).unwrap();
    assert_eq!(client.receive().unwrap(), Some(OwnedMessage::Binary(large)));
    for n in 0..1000 {
        client.send_text(&n.to_string()).unwrap();
    }
    for n in 0..1000 {
        let received = client.receive().unwrap();
        assert_eq!(received, Some(OwnedMessage::Text(n.to_string())));
    }

    let nothing = client.receive_timeout(Duration::from_millis(50));
    assert!(matches!(nothing, Err(ClientError::TimedOut)), "{nothing:?}");
    client.ping(Duration::from_secs(10)).unwrap();
    client.close(CloseCode::NORMAL, "bye").unwrap();
    assert!(!client.is_open());
    assert_eq!(client.receive().unwrap(), None);
    let sent = client.send_text("late");
    assert!(matches!(sent, Err(ClientError::Closed)), "{sent:?}");
    server.stop();
}

#[test]
fn the_servers_last_messages_are_received_before_its_close() {
    let answer = |peer: &mut Peer<'_>, _: Message<'_>| -> Result<(), SendError> {
        peer.send_text("one")?;
        peer.send_text("two")?;
        peer.close(CloseCode::GOING_AWAY, "")
    };
    let server = Server::start(config(Config::default()), answer);
    let mut client = Client::connect(&format!("ws://{}/", server.address)).unwrap();
    client.send_text("go").unwrap();
    for text in ["one", "two"] {
        let received = client.receive().unwrap();
        assert_eq!(received, Some(OwnedMessage::Text(text.to_owned())));
    }
    assert_eq!(client.receive().unwrap(), None);
    server.stop();
}

#[test]
fn an_end_that_is_none_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Read first: what is left unread would be answered with a reset.
        assert!(stream.read(&mut [0; 4096]).unwrap() > 100);
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
    });
    let refused = Client::connect(&format!("ws://{address}/")).unwrap_err();
    let ClientError::Ended(end) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        matches!(end.why, EndWhy::Refused { status: 403 }),
        "{end:?}"
    );
    let nobody = Client::connect(&format!("ws://{address}/")).unwrap_err();
    assert!(nobody.to_string().contains("could not connect"), "{nobody}");
    let no_url = Client::connect("http://example.com/").unwrap_err();
    assert!(matches!(no_url, ClientError::Url(_)), "{no_url:?}");
}

#[cfg(unix)]
#[test]
fn over_a_unix_socket() {
    use std::os::unix::net::UnixListener;

    let path = std::env::temp_dir().join(format!("openline-test-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
        String::from_utf8(request).unwrap()
    });
    let request = ClientRequest::new("ws://app.example/chat".parse().unwrap());
    let options = ConnectOptions {
        unix: Some(path.clone()),
        ..ConnectOptions::default()
    };
    let refused = Client::connect_with(request.clone(), &options, LoopConfig::default());
    assert!(refused.unwrap_err().to_string().contains("404"));
    let asked = server.join().unwrap();
    assert!(
        asked.starts_with("GET /chat HTTP/1.1\r\nHost: app.example\r\n"),
        "{asked}"
    );
    std::fs::remove_file(&path).unwrap();
    let gone = Client::connect_with(request, &options, LoopConfig::default());
    assert!(gone.unwrap_err().to_string().contains("could not connect"));
}
