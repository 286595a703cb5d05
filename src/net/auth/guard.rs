//! Checks in their order.
//!
//! All must pass, and the first that does not ends it: what comes after is not asked.

use std::fmt;
use std::net::SocketAddr;

use crate::net::auth::denial::Denial;
use crate::net::auth::identity::Identity;
use crate::net::decision::Asking;
use crate::proto::Request;

/// One question about a request: an authentication, or a condition.
///
/// A closure that answers it is a check.
pub trait Check {
    /// Lets the request pass, as somebody or without a word on who it is, or denies it.
    ///
    /// # Errors
    ///
    /// Why it does not pass.
    fn check(
        &mut self,
        request: &Request<'_>,
        address: SocketAddr,
    ) -> Result<Option<Identity>, Denial>;
}

impl<F> Check for F
where
    F: FnMut(&Request<'_>, SocketAddr) -> Result<Option<Identity>, Denial>,
{
    fn check(
        &mut self,
        request: &Request<'_>,
        address: SocketAddr,
    ) -> Result<Option<Identity>, Denial> {
        self(request, address)
    }
}

/// Checks that a request must pass, in this order.
///
/// ```
/// use openline::net::auth::{Denial, Guard, Origins};
/// use openline::proto::Request;
/// use std::net::SocketAddr;
///
/// let guard = Guard::new()
///     .and(Origins::parse(["https://example.com"])?)
///     .and(|_: &Request<'_>, address: SocketAddr| match address.ip().is_loopback() {
///         true => Ok(None),
///         false => Err(Denial::Forbidden("only from this machine")),
///     });
/// # let _ = guard;
/// # Ok::<(), openline::net::auth::OriginError>(())
/// ```
///
/// One without checks lets everyone in. Each loop of a group has its own, by `clone`.
#[derive(Clone, Default)]
pub struct Guard {
    checks: Vec<Box<dyn AnyCheck>>,
}

/// A check of any type, that can still be cloned.
trait AnyCheck: Check + Send + Sync {
    fn boxed(&self) -> Box<dyn AnyCheck>;
}

impl<C: Check + Clone + Send + Sync + 'static> AnyCheck for C {
    fn boxed(&self) -> Box<dyn AnyCheck> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn AnyCheck> {
    fn clone(&self) -> Self {
        // Not the box itself, which would be a check too.
        (**self).boxed()
    }
}

impl Guard {
    /// A guard that asks nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this too, after what it asks already: cheap checks go first.
    #[must_use]
    pub fn and(mut self, check: impl Check + Clone + Send + Sync + 'static) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// Asks the checks. Who passes is whom the last of them that named someone named. The log
    /// learns who it is, or why not.
    ///
    /// # Errors
    ///
    /// The first denial; a [`Refusal`](crate::proto::Refusal) comes from it by `?`.
    pub fn admit(
        &mut self,
        request: &Request<'_>,
        asking: &Asking<'_>,
    ) -> Result<Identity, Denial> {
        let admitted = self.ask(request, asking.address());
        match &admitted {
            Ok(identity) => {
                if let Some(subject) = identity.subject() {
                    asking.identify(subject);
                }
            }
            Err(denial) => asking.explain(denial),
        }
        admitted
    }

    fn ask(&mut self, request: &Request<'_>, address: SocketAddr) -> Result<Identity, Denial> {
        let mut identity = Identity::default();
        for check in &mut self.checks {
            if let Some(known) = check.check(request, address)? {
                identity = known;
            }
        }
        Ok(identity)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("checks", &self.checks.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Guard;
    use crate::net::auth::denial::Denial;
    use crate::net::auth::identity::Identity;
    use crate::net::auth::request::{ADDRESS, with};
    use crate::proto::Request;

    fn answers(
        answer: Result<Option<&'static str>, Denial>,
    ) -> impl FnMut(&Request<'_>, SocketAddr) -> Result<Option<Identity>, Denial> + Clone + Send + Sync
    {
        move |_, _| answer.map(|name| name.map(Identity::new))
    }

    #[test]
    fn who_passes_all_is_whom_the_last_named() {
        let mut guard = Guard::new()
            .and(answers(Ok(Some("a certificate"))))
            .and(answers(Ok(Some("alice"))))
            .and(answers(Ok(None)));
        let identity = with("/", "", |request| guard.ask(request, ADDRESS));
        assert_eq!(identity.unwrap().subject(), Some("alice"));
    }

    #[test]
    fn after_the_first_denial_nothing_is_asked() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let mut guard = Guard::new().and(answers(Err(Denial::OriginMissing))).and(
            move |_: &Request<'_>, _: SocketAddr| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            },
        );
        let denial = with("/", "", |request| guard.ask(request, ADDRESS));
        assert_eq!(denial, Err(Denial::OriginMissing));
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }
}
