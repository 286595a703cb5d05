//! Each crate by its public API, as its documentation would have it: reads and writes buffered up
//! to the same size where it can be said, no timers, no compression, text checked by us with the
//! same library where the crate does not check it. The caller keeps the payload that it sends.

mod fastwebsockets;
mod openline;
mod sockudo;
mod soketto;
mod tokio_websockets;
mod tungstenite;
mod web_socket;
mod wtx;
mod yawc;

use ::openline::proto::Role;

use crate::floor::rounds::Contestant;
use crate::floor::stream::Stream;
use crate::message::Message;

/// How many crates take part, openline among them.
pub const COUNT: usize = 9;

/// All that receive, as the end in the role `role`; `see` gets each payload.
pub fn receivers<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> [Contestant<'a>; COUNT] {
    [
        openline::receive(stream, role, see),
        tungstenite::receive(stream, role, see),
        tokio_websockets::receive(stream, role, see),
        fastwebsockets::receive(stream, role, see),
        sockudo::receive(stream, role, see),
        yawc::receive(stream, role, see),
        wtx::receive(stream, role, see),
        web_socket::receive(stream, role, see),
        soketto::receive(stream, role, see),
    ]
}

/// All that send.
pub fn senders(message: &Message) -> [Contestant<'_>; COUNT] {
    [
        openline::send(message),
        tungstenite::send(message),
        tokio_websockets::send(message),
        fastwebsockets::send(message),
        sockudo::send(message),
        yawc::send(message),
        wtx::send(message),
        web_socket::send(message),
        soketto::send(message),
    ]
}

/// The check of a text for a crate that leaves it to its caller.
fn check(text: &[u8]) {
    simdutf8::basic::from_utf8(text).expect("the stream is legal");
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use ::openline::proto::Role;

    use super::receivers;
    use crate::floor::stream::{Content, Stream};

    #[test]
    fn every_receiver_delivers_every_payload() {
        for role in [Role::Server, Role::Client] {
            for content in Content::ALL {
                for size in [16, 1 << 10, 70_000, 1 << 20] {
                    let stream = Stream::new(role.peer(), content, size);
                    let expected = content.payload(size);
                    let seen = Cell::new(0);
                    let see = |payload: &[u8]| {
                        assert!(payload == expected);
                        seen.set(seen.get() + 1);
                    };
                    for mut receiver in receivers(&stream, role, see) {
                        // Twice: what the first pass left over must not show in the second.
                        for _ in 0..2 {
                            seen.set(0);
                            assert_eq!((receiver.pass)(), stream.messages, "{}", receiver.name);
                            assert_eq!(seen.get(), stream.messages, "{}", receiver.name);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_receiver_refuses_what_is_not_text() {
        for size in [16, 1 << 10, 1 << 20] {
            let mut stream = Stream::new(Role::Server, Content::MultiByte, size);
            // The last byte of the last message.
            let mut bytes = stream.bytes.to_vec();
            *bytes.last_mut().expect("there are messages") = 0xff;
            stream.bytes = bytes.into();
            for mut receiver in receivers(&stream, Role::Client, |_| ()) {
                let refused = catch_unwind(AssertUnwindSafe(|| (receiver.pass)()));
                assert!(refused.is_err(), "{} takes {size} bytes", receiver.name);
            }
        }
    }
}
