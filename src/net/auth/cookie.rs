//! Cookies, and a session that one of them names ([RFC 6265 §4.2], [§5.4]).
//!
//! Cookies go along with whatever page opens the connection, so a session without an origin is
//! not to be had here (RFC 6455 §10.2).
//!
//! [RFC 6265 §4.2]: https://www.rfc-editor.org/rfc/rfc6265#section-4.2
//! [§5.4]: https://www.rfc-editor.org/rfc/rfc6265#section-5.4

use std::fmt;
use std::net::SocketAddr;

use crate::net::auth::denial::Denial;
use crate::net::auth::guard::Check;
use crate::net::auth::identity::Identity;
use crate::net::auth::origins::Origins;
use crate::proto::Request;

/// Lets in whose session a cookie names, from pages of certain origins.
///
/// ```
/// use openline::net::auth::{Denial, Guard, Identity, Origins, SessionCookie};
/// use std::collections::HashMap;
///
/// let sessions = HashMap::from([("31d4d96e407aad42".to_owned(), "alice")]);
/// let guard = Guard::new().and(SessionCookie::new(
///     "__Host-session",
///     Origins::parse(["https://example.com"])?,
///     move |value: &str| {
///         let user = sessions.get(value).ok_or(Denial::SessionUnknown)?;
///         Ok(Identity::new(user))
///     },
/// ));
/// # let _ = guard;
/// # Ok::<(), openline::net::auth::OriginError>(())
/// ```
///
/// A name that begins with `__Host-` cannot be planted by another host of the same site.
#[derive(Clone)]
pub struct SessionCookie<F> {
    name: String,
    origins: Origins,
    look_up: F,
}

impl<F> SessionCookie<F>
where
    F: FnMut(&str) -> Result<Identity, Denial>,
{
    /// The session is the value of the cookie `name`, and `look_up` says whose it is. It runs in
    /// the loop's thread, where everyone waits for it.
    ///
    /// It answers [`Denial::SessionUnknown`], or [`Denial::Unavailable`] when it cannot know.
    pub fn new(name: &str, origins: Origins, look_up: F) -> Self {
        Self {
            name: name.to_owned(),
            origins,
            look_up,
        }
    }
}

impl<F> Check for SessionCookie<F>
where
    F: FnMut(&str) -> Result<Identity, Denial>,
{
    fn check(&mut self, request: &Request<'_>, _: SocketAddr) -> Result<Option<Identity>, Denial> {
        self.origins.judge(request.origin())?;
        let value = cookie(request, &self.name)?.ok_or(Denial::CookieMissing)?;
        (self.look_up)(value).map(Some)
    }
}

impl<F> fmt::Debug for SessionCookie<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCookie")
            .field("name", &self.name)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// The value of the cookie of this name, as it was sent: quotes belong to it (§5.2).
///
/// # Errors
///
/// When there are two that differ. Servers cannot tell by their order which of them is whose
/// (§4.2.2), and another host of the same site can set one.
pub(super) fn cookie<'a>(request: &Request<'a>, name: &str) -> Result<Option<&'a str>, Denial> {
    let mut found = None;
    // §5.4: one field; proxies that speak HTTP/2 behind them may make several of it.
    let fields = request
        .headers()
        .filter(|(field, _)| field.eq_ignore_ascii_case("Cookie"));
    for pair in fields.flat_map(|(_, value)| value.split(|byte| *byte == b';')) {
        // A pair that is not text is some other program's.
        let Ok(pair) = std::str::from_utf8(pair) else {
            continue;
        };
        let Some((other, value)) = pair.trim_matches([' ', '\t']).split_once('=') else {
            continue;
        };
        // §4.1.1: names are compared as they are, in their case.
        if other != name {
            continue;
        }
        if found.is_some_and(|found| found != value) {
            return Err(Denial::CookieAmbiguous);
        }
        found = Some(value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{SessionCookie, cookie};
    use crate::net::auth::denial::Denial;
    use crate::net::auth::guard::Check;
    use crate::net::auth::identity::Identity;
    use crate::net::auth::origins::Origins;
    use crate::net::auth::request::{ADDRESS, with};

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let cases = [
            ("Cookie: sid=abc\r\n", Ok(Some("abc"))),
            ("cookie: a=1; sid=abc; b=2\r\n", Ok(Some("abc"))),
            ("Cookie: a=1;sid=abc;b=2\r\n", Ok(Some("abc"))),
            ("Cookie: a=1\r\nCookie: sid=abc\r\n", Ok(Some("abc"))),
            ("Cookie: sid=\"abc\"\r\n", Ok(Some("\"abc\""))),
            ("Cookie: sid=a=b\r\n", Ok(Some("a=b"))),
            ("Cookie: sid=\r\n", Ok(Some(""))),
            ("Cookie: sid=abc; sid=abc\r\n", Ok(Some("abc"))),
            ("Cookie: ;;; sid=abc ;\r\n", Ok(Some("abc"))),
            ("", Ok(None)),
            ("Cookie: sid\r\n", Ok(None)),
            ("Cookie: SID=abc\r\n", Ok(None)),
            ("Cookie: xsid=abc; sidx=abc; a=sid=abc\r\n", Ok(None)),
            ("X-Cookie: sid=abc\r\n", Ok(None)),
            (
                "Cookie: sid=abc; sid=evil\r\n",
                Err(Denial::CookieAmbiguous),
            ),
            (
                "Cookie: sid=abc\r\nCookie: sid=evil\r\n",
                Err(Denial::CookieAmbiguous),
            ),
        ];
        for (headers, value) in cases {
            with("/", headers, |request| {
                assert_eq!(cookie(request, "sid"), value, "{headers:?}");
            });
        }
    }

    #[test]
    fn a_session_is_nothing_without_its_page() {
        let origins = Origins::parse(["https://a.example"]).unwrap();
        let mut check = SessionCookie::new("sid", origins, |value: &str| match value {
            "abc" => Ok(Identity::new("alice")),
            "down" => Err(Denial::Unavailable("the database is down")),
            _ => Err(Denial::SessionUnknown),
        });
        let ours = "Origin: https://a.example\r\n";
        let cases = [
            (format!("{ours}Cookie: sid=abc\r\n"), Ok("alice")),
            (
                format!("{ours}Cookie: sid=abd\r\n"),
                Err(Denial::SessionUnknown),
            ),
            (ours.to_owned(), Err(Denial::CookieMissing)),
            (
                format!("{ours}Cookie: sid=down\r\n"),
                Err(Denial::Unavailable("the database is down")),
            ),
            ("Cookie: sid=abc\r\n".to_owned(), Err(Denial::OriginMissing)),
            (
                "Origin: https://evil.example\r\nCookie: sid=abc\r\n".to_owned(),
                Err(Denial::OriginNotAllowed),
            ),
        ];
        for (headers, expected) in cases {
            let passed = with("/", &headers, |request| check.check(request, ADDRESS));
            let expected = expected.map(|name| Some(Identity::new(name)));
            assert_eq!(passed, expected, "{headers:?}");
        }
    }
}
