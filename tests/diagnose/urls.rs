//! What was asked for.

use crate::support::{diagnose, finish, openline};

#[test]
fn a_url_of_another_scheme() {
    for (url, hint) in [
        (
            "https://example.com/chat",
            "Did you mean wss://example.com/chat?",
        ),
        ("http://example.com", "Did you mean ws://example.com?"),
        (
            "example.com/chat",
            "Did you mean ws://example.com/chat, or wss://",
        ),
    ] {
        diagnose(url, &[]).fails(10, "url-scheme", "arguments", &[hint]);
    }
    // What may be a password is not repeated.
    let report = diagnose("https://user:hunter2@example.com/", &[]);
    assert!(!report.json.to_string().contains("hunter2"));
    report.fails(10, "url-scheme", "arguments", &["wss:// for TLS"]);
}

#[test]
fn a_url_that_cannot_be() {
    for (url, words) in [
        ("ws://example.com/#top", "fragment"),
        ("ws://exa mple/", "host"),
        ("ws://example.com:99999/", "port"),
        ("ws://[::g]/", "IPv6"),
    ] {
        diagnose(url, &[]).fails(10, "url-invalid", "arguments", &[words]);
    }
}

#[test]
fn other_arguments_that_cannot_be_exit_with_2() {
    let url = "ws://127.0.0.1:1/";
    for (arguments, words) in [
        (&[url, "--header", "novalue"][..], "Name: value"),
        (&[url, "--header", "Upgrade: h2c"], "--header Upgrade"),
        (&[url, "--subprotocol", "a b"], "--subprotocol"),
        (&[url, "--timeout", "0"], "more than 0"),
        (&[url, "--hold", "never"], "has to end"),
        (&[url, "--cert", "x"], "--key"),
        (&["wss://127.0.0.1:1/", "--ca", "/nowhere"], "--ca /nowhere"),
        (
            &["wss://127.0.0.1:1/", "--ca", "/dev/null"],
            "no certificate",
        ),
        (&[url, "--no-proxy", "--proxy", "http://x"], "--proxy"),
    ] {
        let output = finish(openline(&[&["diagnose"], arguments].concat()));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}
