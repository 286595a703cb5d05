//! openline's codec beside those of other crates, on the same streams: each one's time a message
//! as a ratio to the floor, by medians of interleaved rounds in one run.
//!
//! `cargo run --release [-- [--json] [--free] [--read-size KIB] [WORD…]]`; see benches/README.md.

#[path = "../../floor/mod.rs"]
mod floor;
mod memory;
mod message;
mod peers;
mod report;

use std::hint::black_box;
use std::process::ExitCode;

use bytes::Bytes;
use floor::rounds::{Contestant, Figure, compare};
use floor::stream::Stream;
use floor::{Receiver, Sender, calls};
use memory::Sink;
use message::Message;
use report::{Direction, Row};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if !options.free {
        calls::charge();
    }
    let mut head = !options.json;
    for row in Row::all() {
        if options
            .words
            .iter()
            .all(|word| row.to_string().contains(word))
        {
            let figures = measure(&row, options.read_size);
            match options.json {
                true => report::print_json(&row, &figures, options.read_size, !options.free),
                false => report::print(&row, &figures, std::mem::take(&mut head)),
            }
        }
    }
    ExitCode::SUCCESS
}

const USAGE: &str = "\
usage: cargo run --release -- [--json] [--free] [--read-size KIB] [WORD…]
  --json           one line of JSON a row
  --free           reads and writes cost nothing; else each makes a system call that moves no byte
  --read-size KIB  what a read is asked for, and brings at most (asked for 16 KiB by those who can
                   be told; brings up to 64 to those who ask for more)
  WORD…            only the rows whose names contain every word: receive server ascii '16 B'";

struct Options {
    json: bool,
    free: bool,
    read_size: Option<usize>,
    words: Vec<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            json: false,
            free: false,
            read_size: None,
            words: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => options.json = true,
                "--free" => options.free = true,
                "--read-size" => {
                    let size: Option<usize> = arguments.next().and_then(|kib| kib.parse().ok());
                    options.read_size = match size {
                        Some(kib @ 1..=1024) => Some(kib << 10),
                        _ => return Err("--read-size takes 1 to 1024 KiB".to_owned()),
                    };
                }
                option if option.starts_with("--") => {
                    return Err(format!("there is no option {option}"));
                }
                word => options.words.push(word.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Measures a row more than once, each time with everything built anew and elsewhere in memory: a row
/// that is mostly copying came out a third apart in two processes.
fn measure(row: &Row, read_size: Option<usize>) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    for time in 0..times(row) {
        let aside = vec![0_u8; time * STEP];
        let more = match row.direction {
            Direction::Receive => receive(row, read_size, time * STEP),
            Direction::Send => send(row, time * STEP),
        };
        black_box(aside);
        match figures.is_empty() {
            true => figures = more,
            false => figures
                .iter_mut()
                .zip(more)
                .for_each(|(figure, more)| figure.extend(more)),
        }
    }
    figures
}

/// How often; what waits for memory varies more.
fn times(row: &Row) -> usize {
    if row.size >= 1 << 20 { 9 } else { 5 }
}

/// How much further everything lies each time: as allocators place things, but not at a line of the
/// cache.
const STEP: usize = 9 * 64 + 16;

/// In each round everyone has a turn; of these each goes first, and follows each other, equally
/// often.
const ROUNDS: usize = 2 * (peers::COUNT + 1);

fn receive(row: &Row, read_size: Option<usize>, shift: usize) -> Vec<Figure> {
    let mut stream = Stream::new(row.role.peer(), row.content, row.size);
    stream.bytes = shifted(&stream.bytes, shift);
    if let Some(size) = read_size {
        stream.read_size = size;
        stream.read_size_max = size;
    }
    let mut floor = Receiver::new(&stream);
    let mut contestants = vec![Contestant::new("floor", || floor.pass(&stream))];
    contestants.extend(peers::receivers(&stream, row.role, |payload| {
        black_box(payload);
    }));
    compare(contestants, ROUNDS)
}

fn send(row: &Row, shift: usize) -> Vec<Figure> {
    let mut message = Message::new(row.role, row.content, row.size);
    message.payload = shifted(&message.payload, shift);
    let mut floor = Sender::new(row.role, row.content, row.size);
    let mut sink = Sink::new();
    let mut contestants = vec![Contestant::new("floor", || {
        let payload = &message.payload;
        (0..message.times).for_each(|_| floor.send(payload, |bytes| sink.take_all(bytes)));
        message.times
    })];
    contestants.extend(peers::senders(&message));
    compare(contestants, ROUNDS)
}

/// The same bytes, so far behind the beginning of their memory.
fn shifted(bytes: &Bytes, shift: usize) -> Bytes {
    let mut memory = vec![0; shift];
    memory.extend_from_slice(bytes);
    Bytes::from(memory).slice(shift..)
}
