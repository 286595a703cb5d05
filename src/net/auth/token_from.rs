//! Where in a request its bearer token is ([RFC 6750 §2]).
//!
//! Exactly one: who sends two leaves it to chance which of them each reader on the way sees.
//!
//! [RFC 6750 §2]: https://www.rfc-editor.org/rfc/rfc6750#section-2

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::net::auth::cookie::cookie;
use crate::net::auth::denial::Denial;
use crate::net::auth::origins::Origins;
use crate::proto::Request;

/// The places of a request where a token is looked for.
///
/// ```
/// use openline::net::auth::TokenFrom;
///
/// let programs_and_pages = TokenFrom::header().or(TokenFrom::subprotocol());
/// # let _ = programs_and_pages;
/// ```
#[derive(Clone, Debug)]
pub struct TokenFrom(Vec<Place>);

#[derive(Clone, Debug)]
enum Place {
    Header,
    Subprotocol,
    Query(String),
    Cookie(String, Origins),
}

impl TokenFrom {
    /// The header field `Authorization: Bearer TOKEN` (§2.1): the place of choice, for those who
    /// can set it. Browsers cannot.
    #[must_use]
    pub fn header() -> Self {
        Self(vec![Place::Header])
    }

    /// A subprotocol that the client offers: `bearer.TOKEN`, or `base64url.bearer.TOKEN` with the
    /// token in base64url without padding, if it has characters such as `/` and `=` that the
    /// name of a subprotocol cannot have. The best that a script in a browser can do:
    ///
    /// ```js
    /// new WebSocket("wss://example.com/", ["chat", "bearer." + token])
    /// ```
    ///
    /// A subprotocol such as `chat` stands beside it, for the server to choose: browsers insist
    /// that one is chosen, and to choose the token would be to send it back. Proxies seldom log
    /// this field, as they do the target of a request.
    #[must_use]
    pub fn subprotocol() -> Self {
        Self(vec![Place::Subprotocol])
    }

    /// A parameter of the query (§2.3), such as `access_token`.
    ///
    /// Targets with their queries stand in the logs of servers and proxies, in the history of
    /// browsers and in whatever a user copies (§5.3). openline logs paths only, but it is not
    /// the only one to see them. So this is for tokens that live for seconds: handed out by an
    /// authenticated request just before, and good for one connection.
    #[must_use]
    pub fn query(name: &str) -> Self {
        Self(vec![Place::Query(name.to_owned())])
    }

    /// A cookie. Browsers send it from whatever page opens the connection, so a token that is
    /// found here counts only for pages of these origins.
    #[must_use]
    pub fn cookie(name: &str, origins: Origins) -> Self {
        Self(vec![Place::Cookie(name.to_owned(), origins)])
    }

    /// Here or there.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The request's token.
    ///
    /// # Errors
    ///
    /// When there is none, or more than one, or one of characters that tokens do not have.
    pub(super) fn find<'a>(&self, request: &Request<'a>) -> Result<Cow<'a, str>, Denial> {
        let mut found = None;
        for place in &self.0 {
            for token in place.tokens(request)? {
                // §2: clients must not use more than one way.
                if found.replace(token?).is_some() {
                    return Err(Denial::TokenAmbiguous);
                }
            }
        }
        let token = found.ok_or(Denial::TokenMissing)?;
        match is_token(&token) {
            true => Ok(token),
            false => Err(Denial::TokenMalformed),
        }
    }
}

/// A token, or why what stands in its place is none.
type Found<'a> = Result<Cow<'a, str>, Denial>;

impl Place {
    fn tokens<'a>(&self, request: &Request<'a>) -> Result<Vec<Found<'a>>, Denial> {
        Ok(match self {
            Self::Header => request
                .headers()
                .filter(|(name, _)| name.eq_ignore_ascii_case("Authorization"))
                .filter_map(|(_, value)| credentials(value))
                .collect(),
            Self::Subprotocol => request.subprotocols().filter_map(offered).collect(),
            Self::Query(name) => request
                .query()
                .into_iter()
                .flat_map(|query| query.split('&'))
                .filter_map(|pair| pair.split_once('='))
                .filter(|(other, _)| unescape(other).is_ok_and(|other| other == *name))
                .map(|(_, value)| unescape(value))
                .collect(),
            Self::Cookie(name, origins) => {
                let token = cookie(request, name).map_err(|_| Denial::TokenAmbiguous)?;
                if token.is_some() {
                    origins.judge(request.origin())?;
                }
                token.map(|token| Ok(token.into())).into_iter().collect()
            }
        })
    }
}

/// What stands behind the scheme Bearer; `None` for other schemes, which are not for us.
fn credentials(value: &[u8]) -> Option<Found<'_>> {
    const SCHEME: usize = "Bearer".len();
    // RFC 9110 §11.1: the name of a scheme is the same in any case.
    let is_bearer = value
        .get(..SCHEME)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"Bearer"));
    let rest = value.get(SCHEME..).filter(|_| is_bearer)?;
    // RFC 9110 §11.4: one space at least.
    match rest.first() {
        None => return Some(Err(Denial::TokenMalformed)),
        Some(b' ') => {}
        Some(_) => return None,
    }
    let token = std::str::from_utf8(rest).map_err(|_| Denial::TokenMalformed);
    Some(token.map(|token| token.trim_start_matches(' ').into()))
}

/// The token in the name of a subprotocol, if there is one.
fn offered(name: &str) -> Option<Found<'_>> {
    if let Some(token) = name.strip_prefix("bearer.") {
        return Some(Ok(token.into()));
    }
    let encoded = name.strip_prefix("base64url.bearer.")?;
    let decoded = URL_SAFE_NO_PAD.decode(encoded).ok();
    let token = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    Some(token.map(Cow::Owned).ok_or(Denial::TokenMalformed))
}

/// Undoes percent-encoding (RFC 3986 §2.1). A `+` stays one: tokens have it, and no spaces.
fn unescape(text: &str) -> Found<'_> {
    if !text.contains('%') {
        return Ok(text.into());
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_owned();
    for part in parts {
        let digits = part.get(..2).ok_or(Denial::TokenMalformed)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Denial::TokenMalformed);
        }
        let byte = u8::from_str_radix(digits, 16).map_err(|_| Denial::TokenMalformed)?;
        bytes.push(byte);
        bytes.extend(&part.as_bytes()[2..]);
    }
    let text = String::from_utf8(bytes).map_err(|_| Denial::TokenMalformed)?;
    Ok(Cow::Owned(text))
}

/// Whether this is made as tokens are: `b64token` (§2.1).
pub(super) fn is_token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/".contains(&c);
    !body.is_empty() && body.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::TokenFrom;
    use crate::net::auth::denial::Denial;
    use crate::net::auth::origins::Origins;
    use crate::net::auth::request::with;

    fn everywhere() -> TokenFrom {
        let origins = Origins::parse(["https://a.example"]).unwrap();
        TokenFrom::header()
            .or(TokenFrom::subprotocol())
            .or(TokenFrom::query("access_token"))
            .or(TokenFrom::cookie("token", origins))
    }

    fn find(from: &TokenFrom, target: &str, headers: &str) -> Result<String, Denial> {
        with(target, headers, |request| {
            from.find(request).map(|token| token.into_owned())
        })
    }

    #[test]
    fn a_token_is_found_where_it_may_be() {
        let cases = [
            ("/", "Authorization: Bearer ab.c-_~+/==\r\n", "ab.c-_~+/=="),
            ("/", "authorization: bEARER   abc\r\n", "abc"),
            ("/", "Sec-WebSocket-Protocol: chat, bearer.a.b\r\n", "a.b"),
            (
                "/",
                "Sec-WebSocket-Protocol: base64url.bearer.YS9iPQ, chat\r\n",
                "a/b=",
            ),
            ("/?a=1&access_token=abc&b=2", "", "abc"),
            ("/?access%5Ftoken=a%2Fb%3d%3D", "", "a/b=="),
            ("/?access_token=a+b", "", "a+b"),
            (
                "/",
                "Origin: https://a.example\r\nCookie: a=b; token=abc\r\n",
                "abc",
            ),
            // Of another scheme, for somebody else.
            (
                "/?access_token=abc",
                "Authorization: Basic dXNlcjpwYXNz\r\n",
                "abc",
            ),
        ];
        for (target, headers, token) in cases {
            let found = find(&everywhere(), target, headers);
            assert_eq!(found.as_deref(), Ok(token), "{target} {headers:?}");
        }
    }

    #[test]
    fn whatever_else_there_is_denies() {
        use Denial::{
            OriginMissing, OriginNotAllowed, TokenAmbiguous, TokenMalformed, TokenMissing,
        };
        let cases = [
            ("/", "", TokenMissing),
            ("/", "Authorization: Basic YTpi\r\n", TokenMissing),
            ("/", "Authorization: Bearerabc\r\n", TokenMissing),
            ("/", "X-Authorization: Bearer abc\r\n", TokenMissing),
            ("/?ACCESS_TOKEN=abc", "", TokenMissing),
            ("/?x=access_token=abc", "", TokenMissing),
            ("/", "Authorization: Bearer\r\n", TokenMalformed),
            ("/", "Authorization: Bearer a b\r\n", TokenMalformed),
            ("/", "Authorization: Bearer a,Bearer b\r\n", TokenMalformed),
            ("/", "Authorization: Bearer \u{e9}\r\n", TokenMalformed),
            ("/", "Authorization: Bearer ==\r\n", TokenMalformed),
            ("/?access_token=", "", TokenMalformed),
            ("/?access_token=a%2", "", TokenMalformed),
            ("/?access_token=a%+1", "", TokenMalformed),
            ("/?access_token=a%00b", "", TokenMalformed),
            ("/?access_token=a%ff", "", TokenMalformed),
            (
                "/",
                "Sec-WebSocket-Protocol: chat, bearer.\r\n",
                TokenMalformed,
            ),
            (
                "/",
                "Sec-WebSocket-Protocol: base64url.bearer.a\r\n",
                TokenMalformed,
            ),
            ("/?access_token=a&access_token=a", "", TokenAmbiguous),
            (
                "/",
                "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n",
                TokenAmbiguous,
            ),
            (
                "/?access_token=a",
                "Authorization: Bearer a\r\n",
                TokenAmbiguous,
            ),
            (
                "/",
                "Sec-WebSocket-Protocol: bearer.a, bearer.b\r\n",
                TokenAmbiguous,
            ),
            (
                "/",
                "Cookie: token=a; token=b\r\nOrigin: https://a.example\r\n",
                TokenAmbiguous,
            ),
            ("/", "Cookie: token=a\r\n", OriginMissing),
            (
                "/",
                "Cookie: token=a\r\nOrigin: https://b.example\r\n",
                OriginNotAllowed,
            ),
        ];
        for (target, headers, denial) in cases {
            let found = find(&everywhere(), target, headers);
            assert_eq!(found, Err(denial), "{target} {headers:?}");
        }
    }

    #[test]
    fn a_token_in_a_place_that_is_not_looked_at_is_not_there() {
        let from = TokenFrom::header();
        for (target, headers) in [
            ("/?access_token=abc", ""),
            ("/", "Sec-WebSocket-Protocol: bearer.abc\r\n"),
            ("/", "Cookie: token=abc\r\nOrigin: https://a.example\r\n"),
        ] {
            assert_eq!(find(&from, target, headers), Err(Denial::TokenMissing));
        }
    }
}
