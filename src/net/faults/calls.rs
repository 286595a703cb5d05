//! Calls that a test has fail, in its own thread, whatever socket they are about.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;

use crate::net::faults::Scripted;

/// A call that has no socket of ours yet, or is about the kernel's table of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Call {
    /// Has a socket's readiness told: `epoll_ctl`, to add one.
    Register,
    /// The same, to have it told anew.
    Reregister,
    /// Waits for readiness: `epoll_wait`.
    Wait,
}

/// What the next calls come to: `None` is nothing out of the ordinary.
type Script = VecDeque<Option<io::Error>>;

thread_local! {
    static SCRIPTS: RefCell<[Script; 3]> = const { RefCell::new([const { VecDeque::new() }; 3]) };
    static DIALLED: RefCell<VecDeque<io::Result<Scripted>>> =
        const { RefCell::new(VecDeque::new()) };
}

/// What this call is to come to.
pub(in crate::net) fn check(call: Call) -> io::Result<()> {
    let fault = SCRIPTS.with_borrow_mut(|scripts| scripts[call as usize].pop_front());
    fault.flatten().map_or(Ok(()), Err)
}

/// The socket, or the failure, that is to come of the next connect.
pub(in crate::net) fn dialled() -> Option<io::Result<Scripted>> {
    DIALLED.with_borrow_mut(VecDeque::pop_front)
}

/// Has the next calls of this kind fail, or not.
pub(super) fn fail(call: Call, script: impl IntoIterator<Item = Option<io::Error>>) {
    SCRIPTS.with_borrow_mut(|scripts| scripts[call as usize] = script.into_iter().collect());
}

/// Has the next connects come to these.
pub(super) fn dial(sockets: impl IntoIterator<Item = io::Result<Scripted>>) {
    DIALLED.with_borrow_mut(|dialled| *dialled = sockets.into_iter().collect());
}
