//! The seeds of a group of loops: what is made before there are threads and handlers.

use std::io;
use std::sync::Arc;

use mio::Poll;

use crate::net::alarm::Alarm;
use crate::net::config::LoopConfig;
use crate::net::event_loop::{ALARM, WAKER};
use crate::net::listener::Listener;
use crate::net::mailbox::Mailbox;
use crate::net::quota::Census;
use crate::net::remote::Remote;

/// What a loop needs before it has a handler and a thread: all that takes a descriptor, so that
/// whoever is told where the group listens finds nothing missing.
#[derive(Debug)]
pub(in crate::net) struct Seed {
    pub(super) poll: Poll,
    pub(super) alarm: Alarm,
    pub(super) number: u16,
    pub(super) remote: Remote,
    pub(super) census: Arc<Census>,
    pub(super) listeners: Vec<Listener>,
}

impl Seed {
    /// The seeds of loops that reach each other.
    pub(in crate::net) fn group(size: usize, config: &LoopConfig) -> io::Result<Vec<Self>> {
        let polls: Vec<_> = (0..size).map(|_| Poll::new()).collect::<io::Result<_>>()?;
        let mailboxes = polls
            .iter()
            .map(|poll| Mailbox::new(poll.registry(), WAKER, config.mailbox_max));
        let remote = Remote::new(mailboxes.collect::<io::Result<_>>()?);
        let census = Arc::<Census>::default();
        let seeds = (0..).zip(polls).map(|(number, poll)| {
            Ok(Self {
                alarm: Alarm::new(poll.registry(), ALARM)?,
                poll,
                number,
                remote: remote.clone(),
                census: Arc::clone(&census),
                listeners: Vec::new(),
            })
        });
        seeds.collect()
    }

    pub(in crate::net) fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// The loop will accept from `listener`.
    pub(in crate::net) fn listen(&mut self, listener: Listener) {
        self.listeners.push(listener);
    }
}
