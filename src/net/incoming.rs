//! What came and is not parsed yet, for a handler that knows what it is to be.

use crate::proto::{Data, Kind, RecvBuffer};

/// What came over a connection and was not looked at yet: messages that a handler knows before they
/// come may be taken as they lie there.
///
/// Who generates load knows each echo. To compare it with what lies there costs a part of what it
/// costs to find out what lies there and to have that told.
#[derive(Debug)]
pub struct Incoming<'a> {
    recv: &'a mut RecvBuffer,
    /// Messages may be taken if they have fewer bytes.
    end: usize,
    /// How many texts and binary messages were taken.
    pub(super) taken: (u64, u64),
}

impl<'a> Incoming<'a> {
    #[inline]
    pub(super) fn new(recv: &'a mut RecvBuffer, end: usize) -> Self {
        Self {
            recv,
            end,
            taken: (0, 0),
        }
    }

    /// Takes the messages that come next as long as they are these, each there as a whole, in one
    /// frame that is neither compressed nor masked; answers how many were taken. So a server, which
    /// gets masked frames only, takes none; and one of 65,535 bytes or more is not taken either.
    ///
    /// What is not taken is told by [`message`](crate::net::Handler::message).
    #[inline(always)]
    pub fn take<'m>(&mut self, messages: impl IntoIterator<Item = Data<'m>>) -> u64 {
        let end = self.end;
        let mut ahead = self.recv.ahead();
        let (mut texts, mut binaries) = (0, 0);
        for message in messages {
            let (kind, payload) = message.split();
            if payload.len() >= end || !ahead.pass_message(kind.opcode(), payload) {
                break;
            }
            match kind {
                Kind::Text => texts += 1,
                Kind::Binary => binaries += 1,
            }
        }
        let passed = ahead.passed();
        self.recv.consume(passed);
        self.taken = (self.taken.0 + texts, self.taken.1 + binaries);
        texts + binaries
    }
}
