//! What a handler decides about a request, at once or later from any thread.
//!
//! A request is answered once: by the handler, by the [`Ticket`] that it took for the decision, or,
//! when neither does in time, by the loop, which lets nobody in.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::net::mailbox::{Content, Letter};
use crate::net::peer::ConnectionId;
use crate::net::remote::Remote;
use crate::net::trace::Note;
use crate::proto::{Acceptance, Refusal, Status};

/// The answer to a request that is not refused.
#[derive(Debug)]
pub enum Decision<C> {
    /// It is accepted so, and this is kept for its connection.
    Accept(Acceptance, C),
    /// It will be decided by a [`Ticket`].
    Later(Later<C>),
}

impl<C> From<(Acceptance, C)> for Decision<C> {
    fn from((acceptance, data): (Acceptance, C)) -> Self {
        Self::Accept(acceptance, data)
    }
}

/// A client that waits for the handler's decision.
#[derive(Debug)]
pub struct Asking<'a> {
    pub(super) id: ConnectionId,
    pub(super) address: SocketAddr,
    pub(super) remote: &'a Remote,
    pub(super) note: Note,
}

impl Asking<'_> {
    /// The name that its connection will have, or has already where a page is asked for.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says who the client is: the log names it with the connection, from the handshake to the
    /// end. A [`Guard`](crate::net::auth::Guard) does.
    pub fn identify(&self, subject: &str) {
        self.note.identify(subject);
    }

    /// Says why the request is refused, for the log alone: nothing of it is sent. It must not
    /// repeat what could be a secret.
    pub fn explain(&self, reason: &dyn fmt::Display) {
        self.note.explain(reason);
    }

    /// Puts the decision off: the ticket makes it, in any thread, and `Later` is what the handler
    /// returns meanwhile. Until then nothing more is read from the client, and the deadline is
    /// the handshake's: after [`handshake_timeout`] the answer is 503.
    ///
    /// ```
    /// use openline::net::{Asking, Decision};
    /// use openline::proto::{Acceptance, Refusal, Request, Status};
    ///
    /// fn request(request: &Request<'_>, asking: &Asking<'_>) -> Result<Decision<String>, Refusal> {
    ///     let name = request.query().unwrap_or_default().to_owned();
    ///     let (ticket, later) = asking.later();
    ///     std::thread::spawn(move || {
    ///         let known = name == "bert"; // as the database says
    ///         let decided = match known {
    ///             true => ticket.accept(Acceptance::default(), name),
    ///             false => ticket.refuse(Refusal::new(Status::FORBIDDEN)),
    ///         };
    ///         if let Err(too_late) = decided {
    ///             println!("{too_late}");
    ///         }
    ///     });
    ///     Ok(Decision::Later(later))
    /// }
    /// ```
    ///
    /// [`handshake_timeout`]: crate::proto::Config::handshake_timeout
    #[must_use]
    pub fn later<C>(&self) -> (Ticket<C>, Later<C>) {
        let slot = Arc::new(Mutex::new(None));
        let ticket = Ticket {
            id: self.id,
            slot: Arc::downgrade(&slot),
            remote: self.remote.clone(),
        };
        (ticket, Later { slot })
    }
}

/// Decides about one request, from any thread. Dropped without a word it refuses, with 500.
#[derive(Debug)]
pub struct Ticket<C> {
    id: ConnectionId,
    slot: Weak<Slot<C>>,
    remote: Remote,
}

impl<C> Ticket<C> {
    /// The name that the connection will have.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether someone still waits for the decision.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.slot.strong_count() > 0
    }

    /// Accepts, and has `data` kept for the connection.
    ///
    /// # Errors
    ///
    /// [`TooLate`] when nobody waits any more.
    pub fn accept(mut self, acceptance: Acceptance, data: C) -> Result<(), TooLate> {
        self.decide(Ok((acceptance, data)))
    }

    /// Refuses.
    ///
    /// # Errors
    ///
    /// [`TooLate`] when nobody waits any more.
    pub fn refuse(mut self, refusal: Refusal) -> Result<(), TooLate> {
        self.decide(Err(refusal))
    }

    fn decide(&mut self, decided: Decided<C>) -> Result<(), TooLate> {
        let slot = std::mem::take(&mut self.slot).upgrade().ok_or(TooLate)?;
        *lock(&slot) = Some(decided);
        drop(slot);
        let letter = Letter {
            id: self.id,
            content: Content::Decided,
        };
        self.remote.post_always(letter).map_err(|_| TooLate)
    }
}

impl<C> Drop for Ticket<C> {
    fn drop(&mut self) {
        // Decided already, or nobody waits: then there is nothing to refuse.
        let _ = self.decide(Err(Refusal::new(Status::INTERNAL_SERVER_ERROR)));
    }
}

/// The client is gone, the handshake's deadline has passed, or the loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody waits any more for the decision about the request")
    }
}

impl Error for TooLate {}

/// A decision that will be made by its [`Ticket`].
#[derive(Debug)]
pub struct Later<C> {
    slot: Arc<Slot<C>>,
}

impl<C> Later<C> {
    /// The decision, if it has been made.
    pub(super) fn take(&self) -> Option<Decided<C>> {
        lock(&self.slot).take()
    }
}

pub(super) type Decided<C> = Result<(Acceptance, C), Refusal>;
type Slot<C> = Mutex<Option<Decided<C>>>;

/// A panic while the lock was held left nothing half-done: a value is moved in or out.
fn lock<C>(slot: &Slot<C>) -> MutexGuard<'_, Option<Decided<C>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
