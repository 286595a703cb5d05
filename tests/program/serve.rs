//! `openline serve`.

use crate::support::{Server, ask, finish, openline, run, signal, text};

fn request(fields: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

#[test]
fn a_signal_drains_and_the_exit_code_is_0() {
    for name in ["TERM", "INT"] {
        let server = Server::start(&[]);
        let mut client = openline(&["connect", &server.url, "--wait", "never"])
            .spawn()
            .unwrap();
        // Once the echo is back, the connection is open.
        let stdin = client.stdin.as_mut().unwrap();
        std::io::Write::write_all(stdin, b"there?\n").unwrap();
        let mut stdout = std::io::BufReader::new(client.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        assert_eq!(line, "there?\n");

        signal(server.id(), name);
        let ended = finish(client);
        assert_eq!(ended.status.code(), Some(0), "1001 is a clean end");
        let server = server.finish();
        assert_eq!(server.status.code(), Some(0));
        assert!(text(&server.stderr).contains("shutting down"));
    }
}

#[test]
fn an_address_in_use_is_an_error_that_says_what_to_do() {
    let server = Server::start(&[]);
    let second = run(&mut openline(&["serve", server.address()]), b"");
    assert_eq!(second.status.code(), Some(1));
    let error = text(&second.stderr);
    assert!(error.contains(server.address()), "{error}");
    assert!(error.contains("choose another port"), "{error}");
}

#[test]
fn only_the_origins_allowed_are_let_in() {
    let server = Server::start(&["--origin", "https://example.com"]);
    let status = |fields: &str| {
        let answer = ask(server.address(), &request(fields));
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(status("Origin: https://example.com\r\n"), "101");
    for refused in [
        "",
        "Origin: null\r\n",
        "Origin: http://example.com\r\n",
        "Origin: https://example.com:8443\r\n",
        "Origin: https://evil-example.com\r\n",
        "Origin: https://example.com.evil.net\r\n",
        "Origin: https://sub.example.com\r\n",
        "Origin: https://example.com@evil.net\r\n",
    ] {
        assert_eq!(status(refused), "403", "{refused:?}");
    }
}

#[test]
fn the_first_of_our_subprotocols_that_is_offered_is_chosen() {
    let server = Server::start(&["--subprotocol", "b", "--subprotocol", "a"]);
    let chosen = |offered: &str| {
        let answer = ask(server.address(), &request(offered));
        answer
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "))
            .map(str::to_owned)
    };
    assert_eq!(
        chosen("Sec-WebSocket-Protocol: a, b, c\r\n").as_deref(),
        Some("b")
    );
    assert_eq!(
        chosen("Sec-WebSocket-Protocol: a\r\n").as_deref(),
        Some("a")
    );
    assert_eq!(chosen("Sec-WebSocket-Protocol: c\r\n"), None);
    assert_eq!(chosen(""), None);
}

#[test]
fn the_log_tells_handshakes_and_ends_in_json() {
    let server = Server::start(&["--log-format", "json"]);
    let client = run(
        &mut openline(&["connect", &server.url, "--close", "4000", "done"]),
        b"hi\n",
    );
    assert_eq!(client.status.code(), Some(0));
    ask(
        server.address(),
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    let log = server.log();
    let events: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let said = |message: &str| {
        let event = events.iter().find(|event| event["message"] == message);
        event.unwrap_or_else(|| panic!("{message} is not in {log}"))
    };
    assert_eq!(said("handshake accepted")["role"], "Server");
    assert_eq!(said("connection ended")["code"], 4000);
    assert_eq!(said("connection ended")["by"], "Peer");
    assert!(said("handshake failed")["why"].as_str().is_some());
}

#[test]
fn a_message_above_the_limit_ends_its_connection_with_1009() {
    let server = Server::start(&["--max-message", "1k"]);
    let fits = run(&mut openline(&["connect", &server.url]), &[b'x'; 1024]);
    assert_eq!((fits.status.code(), fits.stdout.len()), (Some(0), 1025));
    let above = run(&mut openline(&["connect", &server.url]), &[b'x'; 1025]);
    assert_eq!(above.status.code(), Some(7));
    assert!(text(&above.stderr).contains("1009"));
}

#[test]
fn an_idle_connection_is_closed_and_the_log_says_so() {
    let server = Server::start(&["--idle-timeout", "300ms"]);
    let client = run(
        &mut openline(&["connect", &server.url, "--wait", "never"]),
        b"",
    );
    assert_eq!(client.status.code(), Some(0));
    assert!(server.log().contains("no message for too long"));
}

#[test]
fn bad_arguments_are_explained() {
    for (args, word) in [
        (&["serve", "ws://localhost"][..], "without a scheme"),
        (&["serve", "--origin", "*"], "origin"),
        (&["serve", "--max-message", "lots"], "64k"),
        (&["serve", "--subprotocol", "a b"], "token"),
    ] {
        let output = run(&mut openline(args), b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            text(&output.stderr).contains(word),
            "{}",
            text(&output.stderr)
        );
    }
}
