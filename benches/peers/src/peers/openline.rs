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
    let data = ours::data(message.content, &message.payload);
    let unbuffered = message.sender == Role::Server && message.payload.len() >= UNBUFFERED_MIN;
    Contestant::new(NAME, move || {
        for _ in 0..message.times {
            match unbuffered {
                true => sender.send_unbuffered(data, |bytes| sink.take_all(bytes)),
                false => sender.send(data, |bytes| sink.take_all(bytes)),
            }
        }
        message.times
    })
}

/// From here on a caller would rather not have a server's payload copied.
const UNBUFFERED_MIN: usize = 4 << 10;
