//! What is shown to people, and what is not.

use std::process::Command;

use crate::support::{
    answer, behave, clean, drain, finish, http, is_left_out, openline, respond, websocket,
    write_frame,
};

/// What is written to a pipe.
fn text(arguments: &[&str]) -> String {
    let output = finish(openline(&[&["diagnose"], arguments].concat()));
    // Progress is for terminals.
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_last_lines_are_the_verdict() {
    let url = answer("404 Not Found", "nothing here");
    let shown = text(&[&url]);
    let order = [
        url.as_str(),
        " ok   url        no TLS, host 127.0.0.1",
        "FAIL  http       there is nothing at /ws (404)",
        "seen  HTTP answered 404 Not Found",
        "the body says: nothing here",
        "not reached: handshake, messages, pings, idle, close",
        "verdict  http: there is nothing at /ws (404)",
        "suspect  what was asked for",
        "means    A server of HTTP is there",
        "do       1. Check the path",
        "exit     15 (http-not-found)",
    ];
    let mut rest = shown.as_str();
    for line in order {
        let at = rest.find(line);
        let at = at.unwrap_or_else(|| panic!("{line:?} is missing or too early in {shown}"));
        rest = &rest[at..];
    }
    assert!(
        shown.lines().all(|line| line.chars().count() <= 100),
        "{shown}"
    );
}

#[test]
fn a_connection_that_works_is_called_so() {
    let url = websocket(|stream| while behave(stream) {});
    let shown = text(&[&url, "--pings", "2"]);
    assert!(
        shown.contains("Nothing is wrong with this connection"),
        "{shown}"
    );
    let shown = text(&[&url, "--pings", "2", "--subprotocol", "x"]);
    assert!(shown.contains("look at the warning above"), "{shown}");
    assert!(shown.contains("means RFC 6455 allows it"), "{shown}");
}

#[test]
fn what_the_peer_says_is_made_harmless() {
    let evil = "\x1b]0;title\x07\u{202e}";
    let page = http(move |stream, _| {
        respond(stream, "404 No", evil);
    });
    let field = http(move |stream, _| {
        respond(stream, &format!("404 No\r\nServer: {evil}"), "");
    });
    let reason = websocket(move |stream| {
        write_frame(stream, 0x88, &[b"\x0f\xa0", evil.as_bytes()].concat());
        drain(stream);
    });
    let message = websocket(move |stream| {
        write_frame(stream, 0x81, evil.as_bytes());
        while behave(stream) {}
    });
    for url in [page, field, reason, message] {
        for json in [&[][..], &["--json"]] {
            let arguments = [&[url.as_str(), "--pings", "1", "--listen", "1s"], json].concat();
            let shown = text(&arguments);
            let is_harmless = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
            assert!(shown.chars().all(is_harmless), "{shown:?}");
            assert!(
                ["x1b", "u001b", "u{1b}"]
                    .iter()
                    .any(|one| shown.contains(one)),
                "{shown}"
            );
        }
    }
}

#[test]
fn secrets_are_not_shown() {
    let url = answer("401 No\r\nSet-Cookie: session=hunter5", "");
    let url = url.replace("ws://", "ws://user:hunter2@") + "?token=hunter6";
    let arguments = [
        url.as_str(),
        "--cookie",
        "session=hunter3",
        "--header",
        "X-Key: hunter4",
    ];
    for json in [&[][..], &["--json"]] {
        let shown = text(&[&arguments, json].concat());
        assert!(!shown.contains("hunter"), "{shown}");
    }
}

/// Runs at a terminal, which `script` makes, with these variables set.
fn at_a_terminal(variables: &[(&str, &str)]) -> Option<String> {
    let is_there = Command::new("script").arg("--version").output().is_ok();
    if is_left_out("script (bsdutils)", is_there) {
        return None;
    }
    let program = env!("CARGO_BIN_EXE_openline");
    let mut command = Command::new("script");
    command.args([
        "-qec",
        &format!("{program} diagnose ws://127.0.0.1:1/"),
        "/dev/null",
    ]);
    clean(&mut command);
    command.env("TERM", "xterm").envs(variables.iter().copied());
    Some(String::from_utf8(finish(command).stdout).unwrap())
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let Some(shown) = at_a_terminal(&[]) else {
        return;
    };
    assert!(shown.contains("\x1b[31mFAIL\x1b[0m"), "{shown:?}");
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = at_a_terminal(&[variable]).unwrap();
        assert!(
            !shown.contains("\x1b[31m") && shown.contains("FAIL"),
            "{shown:?}"
        );
    }
}

#[test]
fn help_teaches() {
    let help = text(&["--help"]);
    for word in [
        "14  tls",
        "20  close",
        "--hold",
        "--bearer",
        "verdict",
        "Examples:",
        "no_proxy",
    ] {
        assert!(help.contains(word), "nothing of {word:?} in {help}");
    }
}
