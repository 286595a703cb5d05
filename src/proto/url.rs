//! WebSocket URLs ([RFC 6455 §3]): `ws://host:port/path?query`, and `wss` for TLS.
//!
//! Strict: a character that RFC 3986 does not allow where it stands is refused and not encoded,
//! so what is sent is what was written.
//!
//! [RFC 6455 §3]: https://www.rfc-editor.org/rfc/rfc6455#section-3

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::proto::accept::basic_credentials;

/// A `ws` or `wss` URL.
///
/// ```
/// use openline::proto::Url;
///
/// let url: Url = "ws://[::1]:9001/chat?room=1".parse()?;
/// assert_eq!((url.host(), url.port()), ("::1", 9001));
/// assert_eq!(url.authority(), "[::1]:9001");
/// assert_eq!(url.resource_name(), "/chat?room=1");
/// # Ok::<(), openline::proto::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    is_secure: bool,
    /// `user:password`, percent-decoded.
    userinfo: Option<Vec<u8>>,
    host: String,
    port: u16,
    resource_name: String,
}

/// Why a text is not a WebSocket URL. Says nothing of what the URL held: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin with `ws://` or `wss://`.
    Scheme,
    /// It has a fragment, `#…` (§3: a `#` must be written `%23`).
    Fragment,
    /// Its host is empty, or has a character that must not stand in it.
    Host,
    /// What stands in brackets is not an IPv6 address.
    Ipv6,
    /// Its port is not a number from 1 to 65535.
    Port,
    /// Its user information has a character that must be percent-encoded, a colon in the user
    /// name, or a control character (RFC 7617 §2).
    Userinfo,
    /// Its path or query has a character that must be percent-encoded.
    ResourceName,
}

impl Url {
    /// Whether the scheme is `wss`: WebSocket over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host to connect to, in lower case; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to: 80 for `ws` and 443 for `wss` if the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the Host header field says: the host, an IPv6 address in brackets, and the port if
    /// it is not the default.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port == default_port(self.is_secure) {
            true => host,
            false => format!("{host}:{}", self.port),
        }
    }

    /// The path, `/` if it is empty, and the query (§3): what stands in the request line.
    #[must_use]
    pub fn resource_name(&self) -> &str {
        &self.resource_name
    }

    /// The user information as the credentials of Basic authentication, in Base64.
    pub(crate) fn basic_credentials(&self) -> Option<String> {
        self.userinfo.as_deref().map(basic_credentials)
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let is_secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("ws") => false,
            _ if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(UrlError::Scheme),
        };
        // §3: fragment identifiers are meaningless here and must not be used.
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at(end);
        // A second `@` is then one that should have been encoded, and is refused.
        let (userinfo, authority) = match authority.rsplit_once('@') {
            Some((userinfo, authority)) => (decode_userinfo(userinfo)?, authority),
            None => (None, authority),
        };
        let (host, port) = parse_authority(authority)?;
        // A host is looked up as it is written, and no name that can be has a percent sign.
        if host.contains('%') {
            return Err(UrlError::Host);
        }
        let port = match port {
            Some(0) => return Err(UrlError::Port),
            Some(port) => port,
            None => default_port(is_secure),
        };
        if !is_path_and_query(resource.as_bytes()) {
            return Err(UrlError::ResourceName);
        }
        // §3: an empty path is written as `/`.
        let slash = if resource.starts_with('/') { "" } else { "/" };
        Ok(Self {
            is_secure,
            userinfo,
            host,
            port,
            resource_name: format!("{slash}{resource}"),
        })
    }
}

impl fmt::Display for Url {
    /// The URL without its user information, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.resource_name)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "a WebSocket URL begins with ws:// or wss://",
            Self::Fragment => {
                "a WebSocket URL has no fragment (RFC 6455 §3): write %23 for a # in the path"
            }
            Self::Host => {
                "the host of the URL is empty or has a character that no host has; \
                 names beyond ASCII are written in their xn-- form"
            }
            Self::Ipv6 => "what stands in brackets in the URL is not an IPv6 address",
            Self::Port => "the port of the URL is not a number from 1 to 65535",
            Self::Userinfo => {
                "the user information of the URL has a colon in the user name, a control \
                 character, or one that must be percent-encoded"
            }
            Self::ResourceName => {
                "the path or query of the URL has a character that must be percent-encoded"
            }
        })
    }
}

impl Error for UrlError {}

/// Splits `host[:port]` (RFC 3986 §3.2): the host in lower case and without brackets.
pub(crate) fn parse_authority(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(UrlError::Ipv6)?;
            if !is_ipv6(address) {
                return Err(UrlError::Ipv6);
            }
            (address.to_ascii_lowercase(), port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            if host.is_empty() || !is_encoded(host.as_bytes(), b"") {
                return Err(UrlError::Host);
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    let port = match port.strip_prefix(':') {
        // RFC 3986 §3.2.3: a port may be empty, and is then the default.
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| UrlError::Port)?)
        }
        None if port.is_empty() => None,
        _ => return Err(UrlError::Port),
    };
    Ok((host, port))
}

/// Whether this is the text of an IPv6 address (RFC 3986 §3.2.2).
fn is_ipv6(address: &str) -> bool {
    match address.split_once("::") {
        // The double colon stands for one group at least.
        Some((before, after)) => {
            let before = ipv6_groups(before, false);
            let groups = before.zip(ipv6_groups(after, true));
            groups.is_some_and(|(before, after)| before + after < 8)
        }
        None => ipv6_groups(address, true) == Some(8),
    }
}

/// How many groups of 16 bits there are between colons; an IPv4 address at the end is two.
fn ipv6_groups(text: &str, may_end_in_ipv4: bool) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let mut groups = 0;
    let mut parts = text.split(':').peekable();
    while let Some(part) = parts.next() {
        let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        groups += match part.len() {
            1..=4 if is_hex => 1,
            _ if may_end_in_ipv4 && parts.peek().is_none() && is_ipv4(part) => 2,
            _ => return None,
        };
    }
    Some(groups)
}

/// Whether this is an IPv4 address: four numbers to 255, without leading zeros.
fn is_ipv4(address: &str) -> bool {
    let is_octet = |octet: &str| {
        let is_number = octet.bytes().all(|byte| byte.is_ascii_digit());
        let is_short = octet.len() == 1 || !octet.starts_with('0');
        is_number && is_short && octet.parse::<u8>().is_ok()
    };
    address.split('.').count() == 4 && address.split('.').all(is_octet)
}

fn is_path_and_query(resource: &[u8]) -> bool {
    is_encoded(resource, b":@/?")
}

/// `user:password` with what was percent-encoded decoded (RFC 7617 §2); `None` if it is empty.
pub(crate) fn decode_userinfo(userinfo: &str) -> Result<Option<Vec<u8>>, UrlError> {
    if userinfo.is_empty() {
        return Ok(None);
    }
    if !is_encoded(userinfo.as_bytes(), b":") {
        return Err(UrlError::Userinfo);
    }
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let mut decoded = percent_decode(user);
    // RFC 7617 §2: the first colon ends the user name, so it cannot have one.
    if decoded.contains(&b':') {
        return Err(UrlError::Userinfo);
    }
    decoded.push(b':');
    decoded.extend(percent_decode(password));
    match decoded.iter().any(u8::is_ascii_control) {
        true => Err(UrlError::Userinfo),
        false => Ok(Some(decoded)),
    }
}

/// Whether every byte is unreserved, a sub-delimiter, one of `also`, or percent-encoded
/// (RFC 3986 §2).
fn is_encoded(mut bytes: &[u8], also: &[u8]) -> bool {
    while let Some((byte, rest)) = bytes.split_first() {
        bytes = match byte {
            b'%' => match rest {
                [high, low, rest @ ..] if hex(*high).is_some() && hex(*low).is_some() => rest,
                _ => return false,
            },
            byte if byte.is_ascii_alphanumeric() => rest,
            b'-' | b'.' | b'_' | b'~' => rest,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => rest,
            byte if also.contains(byte) => rest,
            _ => return false,
        };
    }
    true
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let encoded = |byte: Option<u8>| byte.and_then(hex).unwrap_or_default();
        decoded.push(match byte {
            b'%' => encoded(bytes.next()) << 4 | encoded(bytes.next()),
            byte => byte,
        });
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

const fn default_port(is_secure: bool) -> u16 {
    if is_secure { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Url, UrlError, is_ipv6};

    fn url(url: &str) -> Result<Url, UrlError> {
        url.parse()
    }

    #[test]
    fn the_parts_of_section_3() {
        for (text, host, port, authority, resource_name) in [
            ("ws://a", "a", 80, "a", "/"),
            ("wss://a", "a", 443, "a", "/"),
            (
                "WSS://Example.COM/A",
                "example.com",
                443,
                "example.com",
                "/A",
            ),
            ("ws://a:80/", "a", 80, "a", "/"),
            ("ws://a:443/", "a", 443, "a:443", "/"),
            ("wss://a:80/", "a", 80, "a:80", "/"),
            ("wss://a:443/", "a", 443, "a", "/"),
            ("ws://a:/b", "a", 80, "a", "/b"),
            ("ws://a:65535", "a", 65_535, "a:65535", "/"),
            ("ws://a?b", "a", 80, "a", "/?b"),
            ("ws://a/?b?c=/@:", "a", 80, "a", "/?b?c=/@:"),
            ("ws://a//b/../c;d", "a", 80, "a", "//b/../c;d"),
            ("ws://a/%20%C3%a9", "a", 80, "a", "/%20%C3%a9"),
            (
                "ws://127.0.0.1:9001",
                "127.0.0.1",
                9001,
                "127.0.0.1:9001",
                "/",
            ),
            ("ws://[::1]", "::1", 80, "[::1]", "/"),
            (
                "ws://[2001:DB8:0::1]:9001/a",
                "2001:db8:0::1",
                9001,
                "[2001:db8:0::1]:9001",
                "/a",
            ),
            (
                "ws://a_b-c.xn--d~1",
                "a_b-c.xn--d~1",
                80,
                "a_b-c.xn--d~1",
                "/",
            ),
            ("ws://user@a/b@c", "a", 80, "a", "/b@c"),
        ] {
            let url = url(text).unwrap();
            assert_eq!((url.host(), url.port()), (host, port), "{text}");
            assert_eq!(url.authority(), authority, "{text}");
            assert_eq!(url.resource_name(), resource_name, "{text}");
            assert_eq!(
                url.is_secure(),
                text.to_ascii_lowercase().starts_with("wss"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_url_says_why() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("a", UrlError::Scheme),
            ("//a", UrlError::Scheme),
            ("ws:a", UrlError::Scheme),
            ("http://a", UrlError::Scheme),
            (" ws://a", UrlError::Scheme),
            ("ws://a/#b", UrlError::Fragment),
            ("ws://a#", UrlError::Fragment),
            ("ws://", UrlError::Host),
            ("ws:///a", UrlError::Host),
            ("ws://:80", UrlError::Host),
            ("ws://user@", UrlError::Host),
            ("ws://a b", UrlError::Host),
            ("ws://a\\b", UrlError::Host),
            ("ws://a%41", UrlError::Host),
            ("ws://\u{e9}", UrlError::Host),
            ("ws://a\r\nb", UrlError::Host),
            ("ws://a<b", UrlError::Host),
            ("ws://[::1", UrlError::Ipv6),
            ("ws://[]", UrlError::Ipv6),
            ("ws://[a]", UrlError::Ipv6),
            ("ws://[127.0.0.1]", UrlError::Ipv6),
            ("ws://[fe80::1%25eth0]", UrlError::Ipv6),
            ("ws://[v1.a]", UrlError::Ipv6),
            ("ws://[::1]a", UrlError::Port),
            ("ws://::1", UrlError::Host),
            ("ws://a:b", UrlError::Port),
            ("ws://a:0", UrlError::Port),
            ("ws://a:+80", UrlError::Port),
            ("ws://a:65536", UrlError::Port),
            ("ws://a:80:80", UrlError::Port),
            ("ws://a b@c", UrlError::Userinfo),
            ("ws://a@b@c", UrlError::Userinfo),
            ("ws://a%@c", UrlError::Userinfo),
            ("ws://a%0a@c", UrlError::Userinfo),
            ("ws://a%3Ab:c@d", UrlError::Userinfo),
            ("ws://a/ b", UrlError::ResourceName),
            ("ws://a/\r\nb: c", UrlError::ResourceName),
            ("ws://a/\u{e9}", UrlError::ResourceName),
            ("ws://a/%", UrlError::ResourceName),
            ("ws://a/%4", UrlError::ResourceName),
            ("ws://a/%4g", UrlError::ResourceName),
            ("ws://a/?\"", UrlError::ResourceName),
            ("ws://a/\\b", UrlError::ResourceName),
            ("ws://a/[b]", UrlError::ResourceName),
        ] {
            assert_eq!(url(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn user_information_becomes_credentials() {
        let credentials = |text| url(text).unwrap().basic_credentials();
        // RFC 7617 §2, the example, with its blank percent-encoded.
        let example = credentials("ws://Aladdin:open%20sesame@a");
        assert_eq!(example.as_deref(), Some("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        // RFC 7617 §2.1: UTF-8.
        let example = credentials("ws://test:123%C2%A3@a");
        assert_eq!(example.as_deref(), Some("dGVzdDoxMjPCow=="));
        assert_eq!(credentials("ws://user@a").as_deref(), Some("dXNlcjo="));
        assert_eq!(credentials("ws://u:p:q%40@a").as_deref(), Some("dTpwOnFA"));
        assert_eq!(credentials("ws://@a"), None);
        assert_eq!(credentials("ws://a"), None);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let url = url("wss://user:secret@a:1/b?c").unwrap();
        assert_eq!(url.to_string(), "wss://a:1/b?c");
        assert_eq!(format!("{url:?}"), "Url(wss://a:1/b?c)");
    }

    #[test]
    fn ipv6_addresses_by_their_grammar() {
        for text in [
            "::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "::1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
            "ABCD::0012",
        ] {
            assert!(is_ipv6(text), "{text}");
        }
        for text in [
            "",
            ":",
            ":::",
            "1",
            "1:2",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1::2::3",
            "1:2:3:4::5:6:7:8",
            ":1::",
            "1:",
            "12345::",
            "g::",
            "1.2.3.4",
            "1.2.3.4::",
            "::1.2.3",
            "::1.2.3.04",
            "::1.2.3.256",
            "::1.2.3.4.5",
            "::+1",
            "::1%25a",
            "1:2:3:4:5:6:7:1.2.3.4",
        ] {
            assert!(!is_ipv6(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn ipv6_addresses_are_those_of_the_standard_library(
            text in "(1?:){0,4}:?(2:){0,4}(:|af?|1.25.0.4)?|[0-9af:.]{0,12}",
        ) {
            let expected = text.parse::<std::net::Ipv6Addr>().is_ok();
            prop_assert_eq!(is_ipv6(&text), expected, "{}", text);
        }

        #[test]
        fn what_is_displayed_is_read_again(
            text in "wss?://([a-z%@:.]{0,6}|\\[[0-9a-f:]{2,8}\\])(:[0-9]{0,5})?[/?a%1 é#]{0,6}",
        ) {
            if let Ok(first) = url(&text) {
                let second = url(&first.to_string()).unwrap();
                prop_assert_eq!(first.to_string(), second.to_string());
                prop_assert_eq!(first.authority(), second.authority());
            }
        }
    }
}
