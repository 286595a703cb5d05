//! A kernel that obeys a script: what each call on one socket comes to.
//!
//! It tells readiness as epoll does at an edge: once, when something has come since a call found
//! too little. So a session that does not ask again when it should, hangs, and is found out.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::net::session::Readiness;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing out of the ordinary.
    Whole,
    /// One byte is taken or given; there is more, but later.
    OneByte,
    /// Later.
    WouldBlock,
    /// A signal came.
    Interrupted,
    /// The connection is lost.
    Fatal(io::ErrorKind),
}

/// The faults of the calls, in their order; what comes after the last is whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub(super) recv: Vec<Fault>,
    pub(super) send: Vec<Fault>,
    pub(super) half_close: Option<io::ErrorKind>,
    /// Of a client's: how far its connect has got each time that is asked.
    pub(super) connect: Vec<Fault>,
}

/// The peer's and the loop's side of the kernel.
#[derive(Clone, Debug)]
pub(super) struct Kernel(Arc<Mutex<State>>);

/// The socket's side.
#[derive(Debug)]
pub(in crate::net) struct Scripted(Kernel);

#[derive(Debug, Default)]
struct State {
    script: Script,
    arrived: VecDeque<u8>,
    eof: bool,
    departed: Vec<u8>,
    failed: bool,
    half_closed: bool,
    closed: bool,
    /// A client's, which nothing can be sent to yet.
    connecting: bool,
    /// What is to be told next.
    event: Readiness,
    counts: Counts,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) connect: usize,
    pub(super) recv: usize,
    pub(super) send: usize,
    /// The bytes that moved in either direction.
    pub(super) moved: usize,
}

impl Kernel {
    pub(super) fn new(script: Script) -> Self {
        let state = State {
            script,
            event: Readiness {
                readable: false,
                writable: true,
                read_closed: false,
            },
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A socket that was accepted.
    pub(super) fn socket(&self) -> Scripted {
        Scripted(self.clone())
    }

    /// One that is being connected.
    pub(super) fn dial(&self) -> Scripted {
        self.lock().connecting = true;
        self.socket()
    }

    /// These bytes come from the peer.
    pub(super) fn arrive(&self, bytes: impl IntoIterator<Item = u8>) {
        let mut state = self.lock();
        state.arrived.extend(bytes);
        state.event.readable = true;
    }

    /// The peer sends no more.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.eof = true;
        (state.event.readable, state.event.read_closed) = (true, true);
    }

    /// What was sent to the peer since this was asked.
    pub(super) fn departed(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().departed)
    }

    /// What there is to tell, once.
    pub(super) fn event(&self) -> Option<Readiness> {
        let event = std::mem::take(&mut self.lock().event);
        (event.readable || event.writable || event.read_closed).then_some(event)
    }

    pub(super) fn is_half_closed(&self) -> bool {
        self.lock().half_closed
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().eof
    }

    /// Whether the descriptor has returned.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics with it held")
    }
}

impl Scripted {
    /// Whether the connect has come to its end.
    pub(in crate::net) fn connected(&self) -> io::Result<bool> {
        let state = &mut *self.0.lock();
        match fault(&state.script.connect, &mut state.counts.connect) {
            Fault::Whole => {
                state.connecting = false;
                Ok(true)
            }
            Fault::Fatal(kind) => {
                state.failed = true;
                Err(kind.into())
            }
            // Something else was told of it, and this will be.
            Fault::OneByte | Fault::WouldBlock | Fault::Interrupted => {
                state.event.writable = true;
                Ok(false)
            }
        }
    }

    pub(in crate::net) fn recv(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let state = &mut *self.0.lock();
        let fault = fault(&state.script.recv, &mut state.counts.recv);
        if state.connecting {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if state.failed {
            // The error was told; what is left is the end.
            return Ok(0);
        }
        let limit = match fault {
            Fault::Whole => bytes.len(),
            Fault::OneByte => 1.min(bytes.len()),
            Fault::WouldBlock => {
                state.event.readable = true;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Fault::Interrupted => return Err(io::ErrorKind::Interrupted.into()),
            Fault::Fatal(kind) => {
                state.failed = true;
                return Err(kind.into());
            }
        };
        if state.arrived.is_empty() {
            return match state.eof {
                true => Ok(0),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let n = limit.min(state.arrived.len());
        for (to, from) in bytes.iter_mut().zip(state.arrived.drain(..n)) {
            *to = from;
        }
        // A read that was not filled found all there was: what is left came since.
        state.event.readable |= n < bytes.len() && !state.arrived.is_empty();
        state.counts.moved += n;
        Ok(n)
    }

    pub(in crate::net) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let state = &mut *self.0.lock();
        let fault = fault(&state.script.send, &mut state.counts.send);
        if state.connecting {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if state.failed || state.half_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let n = match fault {
            Fault::Whole => bytes.len(),
            Fault::OneByte => 1.min(bytes.len()),
            Fault::WouldBlock => {
                state.event.writable = true;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Fault::Interrupted => return Err(io::ErrorKind::Interrupted.into()),
            Fault::Fatal(kind) => {
                state.failed = true;
                return Err(kind.into());
            }
        };
        state.departed.extend_from_slice(&bytes[..n]);
        state.event.writable |= n < bytes.len();
        state.counts.moved += n;
        Ok(n)
    }

    pub(in crate::net) fn half_close(&self) -> io::Result<()> {
        let state = &mut *self.0.lock();
        state.half_closed = true;
        match state.script.half_close {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.0.lock().closed = true;
    }
}

/// The fault of the next call.
fn fault(script: &[Fault], calls: &mut usize) -> Fault {
    let fault = script.get(*calls).copied().unwrap_or(Fault::Whole);
    *calls += 1;
    fault
}
