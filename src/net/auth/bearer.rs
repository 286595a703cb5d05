//! Bearer tokens ([RFC 6750]): whoever has one is let in.
//!
//! Where the token is found is one question and whether it is good another: [`TokenFrom`]
//! answers the first, a [`Verify`] the second.
//!
//! [RFC 6750]: https://www.rfc-editor.org/rfc/rfc6750

use std::net::SocketAddr;

use crate::net::auth::denial::Denial;
use crate::net::auth::guard::Check;
use crate::net::auth::identity::Identity;
use crate::net::auth::token_from::TokenFrom;
use crate::proto::Request;

/// Knows a good token, and whose it is.
///
/// A closure that does is one. It must not compare secrets by `==`, which tells by its time how
/// much of a guess was right: [`KnownTokens`](crate::net::auth::KnownTokens) shows how.
pub trait Verify {
    /// Looks at a token, which is made as RFC 6750 §2.1 says.
    ///
    /// # Errors
    ///
    /// Why it is not good.
    fn verify(&mut self, token: &str) -> Result<Identity, Denial>;
}

impl<F> Verify for F
where
    F: FnMut(&str) -> Result<Identity, Denial>,
{
    fn verify(&mut self, token: &str) -> Result<Identity, Denial> {
        self(token)
    }
}

/// Lets in who has a good token.
///
/// ```
/// use openline::net::auth::{Bearer, Guard, KnownTokens, TokenFrom};
///
/// let tokens = KnownTokens::parse(b"alice 0f6fd28cb1a5e0b6b1c1d6a5a0f3a7c4\n")?;
/// let bearer = Bearer::new(tokens).from(TokenFrom::header().or(TokenFrom::subprotocol()));
/// let guard = Guard::new().and(bearer);
/// # let _ = guard;
/// # Ok::<(), openline::net::auth::TokensFault>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bearer<V> {
    from: TokenFrom,
    verify: V,
}

impl<V: Verify> Bearer<V> {
    /// Tokens in the Authorization field.
    #[must_use]
    pub fn new(verify: V) -> Self {
        Self {
            from: TokenFrom::header(),
            verify,
        }
    }

    /// Tokens from there instead.
    #[must_use]
    pub fn from(mut self, from: TokenFrom) -> Self {
        self.from = from;
        self
    }
}

impl<V: Verify> Check for Bearer<V> {
    fn check(&mut self, request: &Request<'_>, _: SocketAddr) -> Result<Option<Identity>, Denial> {
        let token = self.from.find(request)?;
        self.verify.verify(&token).map(Some)
    }
}
