//! What the program says about its arguments.

use crate::support::{finish, openline, run, text};

#[test]
fn help_teaches() {
    for (arguments, words) in [
        (&["--help"][..], &["serve", "connect", "Usage"][..]),
        (
            &["serve", "--help"],
            &[
                "--origin",
                "Examples:",
                "SIGTERM",
                "[default: 25s]",
                "jwt:FILE",
                "bearer.TOKEN",
            ],
        ),
        (
            &["connect", "--help"],
            &["Exit codes:", "Examples:", "--bearer", "OPENLINE_BEARER"],
        ),
        (
            &["inspect", "--help"],
            &["Exit codes:", "Examples:", "xxd", "pcapng", "--json"],
        ),
        (
            &["tap", "--help"],
            &[
                "Exit codes",
                "Examples:",
                "from=client",
                "--record",
                "--inject",
            ],
        ),
        (
            &["bench", "--help"],
            &[
                "Exit codes:",
                "Examples:",
                "latency_us",
                "coordinated omission",
                "--idle",
            ],
        ),
        (
            &["replay", "--help"],
            &["Exit codes", "Examples:", "--speed", "--patience"],
        ),
    ] {
        let output = run(arguments, b"");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let help = text(&output.stdout);
        for word in words {
            assert!(help.contains(word), "{arguments:?} says nothing of {word}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_and_exits_with_2() {
    let url = "ws://127.0.0.1:1/";
    for (arguments, words) in [
        (&["connect"][..], "URL"),
        (
            &["connect", "localhost:9001"],
            "did you mean ws://localhost:9001?",
        ),
        (
            &["connect", "https://localhost/"],
            "did you mean wss://localhost/?",
        ),
        (&["connect", "ws://localhost/#top"], "%23"),
        (&["connect", url, "--close", "1005"], "a close code is"),
        (
            &["connect", "--close", "4000", url],
            "put the URL before --close",
        ),
        (&["connect", url, "--header", "novalue"], "Name: value"),
        (
            &["connect", url, "--header", "Upgrade: h2c"],
            "--header Upgrade",
        ),
        (&["connect", url, "--subprotocol", "a b"], "--subprotocol"),
        (&["connect", url, "--wait", "5"], "25s"),
        (&["bench", url, "--size", "5-3"], "3-5"),
        (&["bench", url, "--duration", "0"], "takes some time"),
        (&["bench", url, "--broadcast", "-c", "1"], "nobody"),
        (&["bench", url, "--idle", "--rate", "5"], "--rate"),
        (&["bench", url, "--rate", "none"], "1000 or 0.5"),
        (
            &["bench", url, "--header", "Upgrade: h2c"],
            "--header Upgrade",
        ),
        (&["serve", "::1"], "brackets"),
        (
            &["serve", "--origin", "https://*example.com"],
            "one whole label",
        ),
        (&["serve", "--origin", "https://*.com"], "two labels"),
        (&["serve", "--origin", "null"], "anyone"),
        (&["serve", "--auth", "basic:file"], "bearer:FILE"),
        (&["serve", "--auth", "jwt:"], "the file is missing"),
        (&["serve", "--auth-from", "header"], "--auth"),
        (
            &["serve", "--auth", "jwt:f", "--auth-from", "cookie"],
            "cookie:NAME",
        ),
        (
            &["serve", "--auth", "jwt:f", "--auth-from", "cookie:sid"],
            "needs --origin",
        ),
        (
            &["serve", "--auth", "bearer:f", "--jwt-issuer", "a"],
            "jwt-secret:FILE",
        ),
        (&["serve", "--origin", "https://example.com/"], "no path"),
        (&["serve", "--max-message", "1.5M"], "16M"),
        (&["serve", "--subprotocol", "a,b"], "subprotocol"),
    ] {
        let output = run(arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn a_secret_is_not_repeated() {
    let mut command = openline(&["connect", "ws://127.0.0.1:1/", "-vvv"]);
    command.env("OPENLINE_BEARER", "se cret");
    let output = finish(command, b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(!text(&output.stderr).contains("se cret"));
    let mut command = openline(&["connect", "--help"]);
    command.env("OPENLINE_BEARER", "hunter2");
    assert!(!text(&finish(command, b"").stdout).contains("hunter2"));
}
