//! openline.

use openline::proto::Role;

use crate::floor::ours;
use crate::floor::rounds::Contestant;
use crate::floor::stream::Stream;
use crate::memory::Sink;
use crate::message::Message;

const NAME: &str = "openline";

pub fn receive<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    let mut receiver = ours::Receiver::new(role);
    Contestant::new(NAME, move || receiver.pass_seeing(stream, see))
}

pub fn send(message: &Message) -> Contestant<'_> {
    let mut sender = ours::Sender::new(message.sender);
    let mut sink = Sink::new();
    // A client's payload is copied in any case, as its mask is applied.
    if message.sender == Role::Server && message.payload.len() >= SHARED_MIN {
        let shared = ours::shared(message.content, message.payload.clone());
        return Contestant::new(NAME, move || {
            (0..message.times)
                .for_each(|_| sender.send_shared(&shared, |bytes| sink.take_all(bytes)));
            message.times
        });
    }
    let data = ours::data(message.content, &message.payload);
    Contestant::new(NAME, move || {
        (0..message.times).for_each(|_| sender.send(data, |bytes| sink.take_all(bytes)));
        message.times
    })
}

/// From here on a caller would rather not have a payload copied.
const SHARED_MIN: usize = 4 << 10;
