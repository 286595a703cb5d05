//! The origins that a server lets in ([RFC 6454], [RFC 6455 §10.2]).
//!
//! An origin is compared whole and byte by byte: scheme, host and port. There are no patterns,
//! for a pattern is how `evil-example.com` gets in.
//!
//! [RFC 6454]: https://www.rfc-editor.org/rfc/rfc6454
//! [RFC 6455 §10.2]: https://www.rfc-editor.org/rfc/rfc6455#section-10.2

use std::fmt;
use std::str::FromStr;

/// An origin as browsers send it (RFC 6454 §6.2): in lower case, without a default port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(String);

impl Origin {
    /// Whether the value of a header field `Origin` is this one.
    pub(crate) fn is(&self, header: &str) -> bool {
        self.0 == header
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // RFC 6454 §4: `null` is what every sandboxed frame and every local file has.
        if text.eq_ignore_ascii_case("null") {
            return Err("null is the origin of anyone who wants it; it cannot be let in");
        }
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(FORM)?;
        if authority.contains('*') {
            return Err("origins are compared whole: name each of them, without *");
        }
        let (host, port) = split_port(authority);
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let is_host = |c: char| c.is_ascii_graphic() && !"/?#@\\:".contains(c);
        let is_ipv6 = |c: char| c.is_ascii_hexdigit() || ":.".contains(c);
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host_fits = match bracketed {
            Some(address) => !address.is_empty() && address.chars().all(is_ipv6),
            None => !host.is_empty() && host.chars().all(is_host),
        };
        if scheme.is_empty() || !scheme.chars().all(is_scheme) || !host_fits {
            return Err(FORM);
        }
        let port: Option<u16> = match port.map(str::parse) {
            None => None,
            Some(Ok(port)) => Some(port),
            Some(Err(_)) => return Err(FORM),
        };
        let default = match scheme {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        Ok(Self(match port {
            Some(port) if Some(port) != default => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }))
    }
}

const FORM: &str =
    "an origin is scheme://host or scheme://host:port, as in https://example.com; no path";

/// The port behind the last colon, if that is not within an IPv6 address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let cases = [
            ("https://example.com", Some("https://example.com")),
            ("HTTPS://Example.COM", Some("https://example.com")),
            ("https://example.com:443", Some("https://example.com")),
            ("http://example.com:80", Some("http://example.com")),
            ("http://example.com:443", Some("http://example.com:443")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("http://[::1]", Some("http://[::1]")),
            (
                "chrome-extension://abcdef",
                Some("chrome-extension://abcdef"),
            ),
            ("https://example.com/", None),
            ("https://user@example.com", None),
            ("https://*.example.com", None),
            ("https://example.com:x", None),
            ("https://example.com:", None),
            ("https://", None),
            ("example.com", None),
            ("null", None),
            ("*", None),
        ];
        for (text, origin) in cases {
            let parsed = text.parse::<Origin>().ok();
            let parsed = parsed.map(|origin| origin.to_string());
            assert_eq!(parsed.as_deref(), origin, "{text:?}");
        }
    }

    #[test]
    fn only_the_whole_origin_is_the_origin() {
        let ours: Origin = "https://example.com".parse().unwrap();
        assert!(ours.is("https://example.com"));
        for theirs in [
            "null",
            "",
            "http://example.com",
            "https://example.com:444",
            "https://example.com:443",
            "https://evil-example.com",
            "https://example.com.evil.net",
            "https://sub.example.com",
            "https://example.com@evil.net",
            "https://evil.net/https://example.com",
            "https://example.com/",
            "https://EXAMPLE.com",
            " https://example.com",
            "https://example.co",
        ] {
            assert!(!ours.is(theirs), "{theirs:?}");
        }
    }
}
