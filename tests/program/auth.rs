//! `openline serve --auth`: who is let in, who is not, and what is said about it.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use crate::support::{DEADLINE, Server, run, text};

const TOKEN: &str = "0f6fd28cb1a5e0b6b1c1d6a5a0f3a7c4";
const SECRET: &str = "this-is-the-secret-of-thirty-two-bytes";

/// A file that is gone when the test is over.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &str) -> Self {
        let name = format!("openline-program-{}-{name}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(content);
        file
    }

    /// In one step, as secrets are to be changed: nobody reads a file that is half written.
    fn write(&self, content: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(&new, &self.0).unwrap();
    }

    fn argument(&self, kind: &str) -> String {
        format!("{kind}:{}", self.0.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn jwt(claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", part(&json!({"alg": "HS256"})), part(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let field = |line: &'a str| line.split_once(": ").filter(|(other, _)| *other == name);
    head.lines().find_map(field).map(|(_, value)| value)
}

#[test]
fn who_has_a_token_is_let_in_and_named_in_the_log() {
    let file = File::new("tokens", &format!("alice {TOKEN}\n"));
    let server = Server::start(&["--auth", &file.argument("bearer")]);
    let (_, head) = server.ask(&format!("Authorization: Bearer {TOKEN}\r\n"));
    assert_eq!(status(&head), "101");
    let wrong = TOKEN.replace('4', "5");
    let (_, head) = server.ask(&format!("Authorization: Bearer {wrong}\r\n"));
    assert_eq!(status(&head), "401");
    let challenge = field(&head, "WWW-Authenticate").unwrap();
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    let (_, head) = server.ask("");
    assert_eq!(status(&head), "401");
    assert_eq!(
        field(&head, "WWW-Authenticate"),
        Some("Bearer realm=\"websocket\"")
    );
    // A place that was not asked for is no place.
    let (_, head) = server.ask(&format!("Sec-WebSocket-Protocol: bearer.{TOKEN}\r\n"));
    assert_eq!(status(&head), "401");
    let (_, log) = server.stop("TERM");
    assert!(log.contains("alice"), "{log}");
    assert!(log.contains("the token is not known"), "{log}");
    assert!(log.contains("a token is needed"), "{log}");
    assert!(!log.contains(&TOKEN[..8]), "{log}");
}

#[test]
fn a_list_that_changes_is_read_again() {
    let file = File::new("changing", &format!("alice {TOKEN}\n"));
    // One loop: each reads the file for itself, when it is next asked.
    let server = Server::start(&["--threads", "1", "--auth", &file.argument("bearer")]);
    let status_of = |token: &str| {
        let (_, head) = server.ask(&format!("Authorization: Bearer {token}\r\n"));
        status(&head).to_owned()
    };
    let becomes = |token: &str, expected: &str| {
        let begun = Instant::now();
        while status_of(token) != expected {
            assert!(begun.elapsed() < DEADLINE);
            thread::sleep(Duration::from_millis(50));
        }
    };
    assert_eq!(status_of(TOKEN), "101");
    file.write("bob abcdefghijklmnopqrstuvwxyz\n");
    becomes("abcdefghijklmnopqrstuvwxyz", "101");
    assert_eq!(status_of(TOKEN), "401");
    // What makes no sense changes nothing.
    file.write("bob short\n");
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(status_of("abcdefghijklmnopqrstuvwxyz"), "101");
    let (_, log) = server.stop("TERM");
    assert!(log.contains("line 1"), "{log}");
}

#[test]
fn a_script_in_a_browser_has_its_token_in_a_subprotocol() {
    let file = File::new("script", &format!("alice {TOKEN}\n"));
    let auth = file.argument("bearer");
    let server = Server::start(&[
        "--auth",
        &auth,
        "--auth-from",
        "subprotocol",
        "--auth-from",
        "query:access_token",
        "--subprotocol",
        "chat",
    ]);
    for offer in [
        format!("chat, bearer.{TOKEN}"),
        format!("base64url.bearer.{}, chat", URL_SAFE_NO_PAD.encode(TOKEN)),
    ] {
        let (_, head) = server.ask(&format!("Sec-WebSocket-Protocol: {offer}\r\n"));
        assert_eq!(status(&head), "101");
        // The token is not sent back.
        assert_eq!(field(&head, "Sec-WebSocket-Protocol"), Some("chat"));
    }
    let url = format!("{}?access_token={TOKEN}", server.url);
    let output = run(&["connect", &url], b"hello\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "hello\n");
    let both = format!(
        "Sec-WebSocket-Protocol: bearer.{TOKEN}, base64url.bearer.{}\r\n",
        URL_SAFE_NO_PAD.encode(TOKEN)
    );
    let (_, head) = server.ask(&both);
    assert_eq!(status(&head), "400");
    assert!(head.contains("invalid_request"), "{head}");
    let (_, log) = server.stop("TERM");
    assert!(!log.contains(&TOKEN[..8]), "{log}");
}

#[test]
fn a_cookie_counts_only_for_the_pages_of_the_list() {
    let file = File::new("cookie", &format!("alice {TOKEN}\n"));
    let auth = file.argument("bearer");
    let server = Server::start(&[
        "--auth",
        &auth,
        "--auth-from",
        "cookie:sid",
        "--origin",
        "https://*.example.com",
    ]);
    let cookie = format!("Cookie: a=b; sid={TOKEN}\r\n");
    for (headers, expected) in [
        (format!("Origin: https://a.example.com\r\n{cookie}"), "101"),
        (
            format!("Origin: https://a.b.example.com\r\n{cookie}"),
            "403",
        ),
        (
            format!("Origin: https://evil-example.com\r\n{cookie}"),
            "403",
        ),
        (cookie.clone(), "403"),
        ("Origin: https://a.example.com\r\n".to_owned(), "401"),
        (
            format!("Origin: https://a.example.com\r\n{cookie}Cookie: sid=planted\r\n"),
            "400",
        ),
    ] {
        let (_, head) = server.ask(&headers);
        assert_eq!(status(&head), expected, "{headers:?}");
    }
}

#[test]
fn a_jwt_is_let_in_for_its_audience_and_time() {
    let file = File::new("secret", &format!("{SECRET}\n"));
    let auth = file.argument("jwt-secret");
    let server = Server::start(&[
        "--auth",
        &auth,
        "--jwt-audience",
        "chat",
        "--jwt-issuer",
        "login",
        "--jwt-leeway",
        "5s",
    ]);
    let claims = |audience: &str, exp: u64| json!({"iss": "login", "aud": audience, "sub": "alice\u{1b}[31m", "exp": exp});
    let soon = now() + 600;
    for (claims, expected, why) in [
        (claims("chat", soon), "101", ""),
        (claims("mail", soon), "401", "another audience"),
        (claims("chat", now() - 60), "401", "has expired"),
        (json!({"aud": "chat", "exp": soon}), "401", "another issuer"),
    ] {
        let token = jwt(&claims);
        let (_, head) = server.ask(&format!("Authorization: Bearer {token}\r\n"));
        assert_eq!(status(&head), expected, "{claims}");
        let challenge = field(&head, "WWW-Authenticate").unwrap_or_default();
        assert!(challenge.contains(why), "{challenge}");
        assert!(!head.contains(&token[..8]));
    }
    let (_, log) = server.stop("TERM");
    assert!(log.contains("alice\\") && !log.contains('\u{1b}'), "{log}");
    assert!(log.contains("the token has expired"), "{log}");
}

#[test]
fn a_file_that_cannot_be_used_is_said_with_what_to_do() {
    let short = File::new("short", "alice\tsecret\n");
    let odd = File::new("odd", SECRET);
    for (auth, words) in [
        ("bearer:/nowhere/tokens".to_owned(), "openssl rand"),
        (
            short.argument("bearer"),
            "line 1: the token has less than 16",
        ),
        (odd.argument("jwt"), "jwt-secret:FILE"),
    ] {
        let output = run(&["serve", "0", "--auth", &auth], b"");
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        assert!(error.contains(words), "{error}");
        assert!(
            !error.contains("secret\n") && !error.contains(SECRET),
            "{error}"
        );
    }
}
