//! soketto. It reads and writes what it needs at once, so that buffers go between; text is its
//! caller's to check. It appends to the caller's buffer, which is used again and again.

use futures_util::io::{BufReader, BufWriter};
use openline::proto::{self, Role};
use soketto::connection::Builder;
use soketto::{Data, Mode, Receiver, Sender};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::check;
use crate::floor::ours;
use crate::floor::rounds::Contestant;
use crate::floor::stream::{DRAIN_SIZE, READ_SIZE, Stream};
use crate::memory::{Memory, ready};
use crate::message::Message;

const NAME: &str = "soketto";

pub fn receive<'a>(
    stream: &'a Stream,
    role: Role,
    see: impl Fn(&[u8]) + Copy + 'a,
) -> Contestant<'a> {
    let (_, mut receiver) = open(Memory::new(stream), role, stream.read_size);
    let mut message = Vec::new();
    Contestant::new(NAME, move || {
        for _ in 0..stream.messages {
            message.clear();
            let data = ready(receiver.receive_data(&mut message)).expect("the stream is legal");
            if let Data::Text(_) = data {
                check(&message);
            }
            see(&message);
        }
        stream.messages
    })
}

pub fn send(message: &Message) -> Contestant<'_> {
    let (mut sender, _) = open(Memory::empty(), message.sender, READ_SIZE);
    let data = ours::data(message.content, &message.payload);
    Contestant::new(NAME, move || {
        for _ in 0..message.times {
            match data {
                proto::Data::Text(text) => ready(sender.send_text(text)),
                proto::Data::Binary(data) => ready(sender.send_binary(data)),
            }
            .expect("memory takes all");
        }
        message.times
    })
}

type Buffered<'a> = BufReader<BufWriter<Compat<Memory<'a>>>>;

fn open(
    memory: Memory<'_>,
    role: Role,
    read_size: usize,
) -> (Sender<Buffered<'_>>, Receiver<Buffered<'_>>) {
    let mode = match role {
        Role::Server => Mode::Server,
        Role::Client => Mode::Client,
    };
    let stream = BufWriter::with_capacity(DRAIN_SIZE, memory.compat());
    Builder::new(BufReader::with_capacity(read_size, stream), mode).finish()
}
