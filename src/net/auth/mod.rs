//! Who is let in, decided before the 101 ([RFC 6455 §10.2], [§10.5]).
//!
//! A [`Guard`] asks its checks in order; the first that denies ends the handshake with the
//! status that the [`Denial`] deserves, and what all of them pass has an [`Identity`]. It fits
//! [`Handler::request`](crate::net::Handler::request), where `?` turns a denial into a refusal:
//!
//! ```
//! use openline::net::auth::{Bearer, Denial, Guard, Identity, KnownTokens, Origins};
//! use openline::net::{Asking, Decision, Handler, Message, Peer};
//! use openline::proto::{Acceptance, Refusal, Request, SendError};
//!
//! struct Chat {
//!     guard: Guard,
//! }
//!
//! impl Handler for Chat {
//!     type Connection = Identity;
//!
//!     fn request(
//!         &mut self,
//!         request: &Request<'_>,
//!         asking: &Asking<'_>,
//!     ) -> Result<Decision<Identity>, Refusal> {
//!         let identity = self.guard.admit(request, asking)?;
//!         Ok(Decision::Accept(Acceptance::default(), identity))
//!     }
//!
//!     fn message(
//!         &mut self,
//!         identity: &mut Identity,
//!         peer: &mut Peer<'_>,
//!         _: Message<'_>,
//!     ) -> Result<(), SendError> {
//!         peer.send_text(&format!("hello, {}", identity.subject().unwrap_or("stranger")))
//!     }
//! }
//!
//! let tokens = KnownTokens::parse(b"alice 0f6fd28cb1a5e0b6b1c1d6a5a0f3a7c4\n")?;
//! let chat = Chat {
//!     guard: Guard::new()
//!         .and(Origins::parse(["https://example.com", "https://*.example.com"])?)
//!         .and(Bearer::new(tokens)),
//! };
//! # let _ = chat;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which check for whom
//!
//! | who connects | what it can send | the check |
//! | --- | --- | --- |
//! | a program | `Authorization: Bearer TOKEN` | [`Bearer`] with [`KnownTokens`], a `Jwt` or a closure |
//! | a script in a browser, which cannot set that field | a subprotocol, or a parameter of the query | the same, with [`TokenFrom`] |
//! | a page whose user has logged in | its cookies | [`SessionCookie`], which asks for [`Origins`] too |
//! | any page | `Origin`, which no script can forge | [`Origins`] |
//!
//! `Origin` says which page opens the connection and not who sits in front of it; programs send
//! whatever they like. So it guards what browsers send unasked, cookies above all, and is no
//! authentication.
//!
//! There is no Basic authentication: browsers neither ask for it on a WebSocket nor keep it out
//! of the URL, and a password is slow to check by design, which is nothing for a handshake.
//!
//! # What is promised
//!
//! - Nothing but a pass lets in: an error, a file that cannot be read, a field that came twice or
//!   that two readers could read differently denies.
//! - Secrets are compared in time that does not depend on where they differ, and whatever is
//!   said, shown or logged about a check has been written by us: no token, no cookie, no header
//!   field of the client's is ever part of it.
//! - Files are read again when they change, looked at once a second at most; one that can no
//!   longer be read or understood leaves what was known in force, and is complained about.
//!
//! [RFC 6455 §10.2]: https://www.rfc-editor.org/rfc/rfc6455#section-10.2
//! [§10.5]: https://www.rfc-editor.org/rfc/rfc6455#section-10.5

mod bearer;
mod cookie;
mod denial;
mod file;
mod guard;
mod identity;
#[cfg(feature = "jwt")]
mod jwt;
mod origins;
#[cfg(test)]
mod request;
mod token_from;
mod tokens;

pub use bearer::{Bearer, Verify};
pub use cookie::SessionCookie;
pub use denial::Denial;
pub use file::{FileError, FileFault};
pub use guard::{Check, Guard};
pub use identity::Identity;
#[cfg(feature = "jwt")]
pub use jwt::{Jwt, KeyFault};
pub use origins::{Origin, OriginError, Origins};
pub use token_from::TokenFrom;
pub use tokens::{KnownTokens, TokenFault, TokensFault};
