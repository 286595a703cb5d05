//! What a server or a proxy answered, as far as it tells who answered and why.

use std::fmt::Write as _;

use openline::proto;
use serde_json::{Value, json};

use crate::cli::diagnose::finding::shorten;

/// The head of a response, and the beginning of its body.
#[derive(Clone, Debug, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Response {
    /// Reads a head that need not be legal as an answer to WebSocket; `None` if it is not HTTP.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut response = httparse::Response::new(&mut fields);
        let read = response.parse(bytes).ok()?;
        let body = match read {
            httparse::Status::Complete(head) => &bytes[head..],
            httparse::Status::Partial => &[],
        };
        let fields = response.headers.iter();
        Some(Self {
            status: response.code?,
            reason: response.reason.unwrap_or_default().to_owned(),
            headers: fields.map(|field| text(field.name, field.value)).collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        })
    }

    pub(super) fn of(response: &proto::Response<'_>) -> Self {
        let fields = response.headers();
        Self {
            status: response.status(),
            reason: response.reason().to_owned(),
            headers: fields.map(|(name, value)| text(name, value)).collect(),
            body: String::from_utf8_lossy(response.body()).into_owned(),
        }
    }

    /// The first header field of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.iter();
        let field = fields.find(|(other, _)| other.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// `404 Not Found`.
    pub(super) fn line(&self) -> String {
        format!("HTTP answered {} {}", self.status, self.reason)
            .trim_end()
            .to_owned()
    }

    /// The header fields that say who answered and what is wanted, and what the body says.
    pub(super) fn telling_lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| TELLING.iter().any(|one| one.eq_ignore_ascii_case(name)))
            .map(|(name, value)| format!("{name}: {}", shorten(value, VALUE_MAX)))
            .take(LINES_MAX)
            .collect();
        if let Some(body) = self.body_line() {
            lines.push(body);
        }
        lines
    }

    /// The title of a page, or the beginning of a text.
    fn body_line(&self) -> Option<String> {
        if self.is_html() {
            let title = self.title();
            let title = title.map(|title| format!(", titled {title:?}"));
            return Some(format!("an HTML page{}", title.unwrap_or_default()));
        }
        let mut words = String::new();
        for word in self.body.split_whitespace().take(40) {
            // Writing to a string cannot fail.
            let _ = write!(words, "{}{word}", if words.is_empty() { "" } else { " " });
        }
        (!words.is_empty()).then(|| format!("the body says: {}", shorten(&words, VALUE_MAX)))
    }

    /// Whether a page came, for people with a browser.
    pub(super) fn is_html(&self) -> bool {
        let is_declared = self.header("Content-Type");
        let is_declared = is_declared.is_some_and(|kind| kind.starts_with("text/html"));
        let start = self.body.trim_start().get(..14).unwrap_or_default();
        let start = start.to_ascii_lowercase();
        is_declared || start.starts_with("<!doctype html") || start.starts_with("<html")
    }

    fn title(&self) -> Option<String> {
        let lower = self.body.to_ascii_lowercase();
        let start = lower.find("<title")?;
        let start = start + lower[start..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        let title = self.body.get(start..end)?;
        Some(shorten(title.trim(), 80))
    }

    /// Who stands before the server, if the answer shows that somebody does.
    pub(super) fn intermediary(&self) -> Option<String> {
        if let Some(via) = self.header("Via") {
            return Some(format!("a proxy (Via: {})", shorten(via, 60)));
        }
        let server = self.header("Server").unwrap_or_default();
        let lower = server.to_ascii_lowercase();
        if INTERMEDIARIES.iter().any(|name| lower.contains(name)) {
            return Some(shorten(server, 60));
        }
        let trace = [
            "CF-Ray",
            "X-Amz-Cf-Id",
            "X-Cache",
            "X-Served-By",
            "X-Varnish",
        ];
        let trace = trace.iter().find(|name| self.header(name).is_some());
        trace.map(|name| format!("a cache or CDN ({name})"))
    }

    pub(super) fn json(&self) -> Value {
        let headers = self.headers.iter();
        let headers: Vec<_> = headers
            .map(
                |(name, value)| match name.eq_ignore_ascii_case("Set-Cookie") {
                    // A report is passed on, and a session is a secret.
                    true => json!([name, "…"]),
                    false => json!([name, value]),
                },
            )
            .collect();
        json!({
            "status": self.status,
            "reason": self.reason,
            "headers": headers,
            "body": shorten(&self.body, 1024),
        })
    }
}

fn text(name: &str, value: &[u8]) -> (String, String) {
    (name.to_owned(), String::from_utf8_lossy(value).into_owned())
}

const VALUE_MAX: usize = 160;
const LINES_MAX: usize = 12;

/// Fields worth a line.
const TELLING: [&str; 17] = [
    "Server",
    "Via",
    "Location",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Retry-After",
    "Upgrade",
    "Sec-WebSocket-Version",
    "Allow",
    "Age",
    "X-Cache",
    "X-Served-By",
    "X-Varnish",
    "CF-Ray",
    "CF-Cache-Status",
    "X-Amz-Cf-Id",
    "X-Request-Id",
];

/// Programs that mostly stand before another, as the field Server names them.
const INTERMEDIARIES: [&str; 17] = [
    "nginx",
    "openresty",
    "envoy",
    "haproxy",
    "cloudflare",
    "awselb",
    "cloudfront",
    "google frontend",
    "gws",
    "akamai",
    "varnish",
    "squid",
    "traefik",
    "caddy",
    "apache",
    "kong",
    "microsoft-azure-application-gateway",
];

#[cfg(test)]
mod tests {
    use super::Response;

    #[test]
    fn a_page_is_known_and_its_title_read() {
        let head = "HTTP/1.1 200 OK\r\nServer: nginx/1.2\r\n\r\n";
        let page = format!("{head}<!DOCTYPE html><Title a=b> Sign in\n</TITLE>");
        let response = Response::parse(page.as_bytes()).unwrap();
        assert!(response.is_html());
        let lines = response.telling_lines();
        assert_eq!(
            lines,
            ["Server: nginx/1.2", "an HTML page, titled \"Sign in\""]
        );
        assert_eq!(response.intermediary().as_deref(), Some("nginx/1.2"));
    }

    #[test]
    fn odd_bodies_do_no_harm() {
        for body in [
            "<title",
            "<title>",
            "<title></title",
            "",
            "é",
            "</title><title>",
        ] {
            let response = Response {
                body: body.to_owned(),
                ..Response::default()
            };
            response.telling_lines();
        }
        assert!(Response::parse(b"SSH-2.0-OpenSSH\r\n").is_none());
    }
}
