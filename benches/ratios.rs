//! Openline as a ratio to the floor, by medians of interleaved rounds in one run.
//!
//! `cargo bench --bench ratios [-- WORD…]`: only the lines that contain every word.

mod floor;

use openline::proto::{Data, Role};

use floor::rounds::{Contestant, Figure, compare};
use floor::stream::{Content, SIZES, Stream, display};
use floor::{Receiver, Sender, ours};

fn main() {
    // Cargo adds --bench.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let wanted = |line: &str| words.iter().all(|word| line.contains(word.as_str()));
    println!(
        "{:<28} {:>11} {:>11}   {:<21} target",
        "", "floor", "ours", "ratio [quartiles]"
    );
    for content in Content::ALL {
        for size in SIZES {
            let line = format!("receive {content} {}", display(size));
            if wanted(&line) {
                print(&line, &receive(content, size), receive_target(size));
            }
        }
    }
    for role in [Role::Server, Role::Client] {
        for size in SIZES {
            let name = match role {
                Role::Server => "server",
                Role::Client => "client",
            };
            let line = format!("send {name} {}", display(size));
            if wanted(&line) {
                print(&line, &send(role, size), Some(1.5));
            }
        }
    }
}

/// What we hold ourselves to, where we have said so.
fn receive_target(size: usize) -> Option<f64> {
    match size {
        16 => Some(2.0),
        0x400.. => Some(1.25),
        _ => None,
    }
}

fn receive(content: Content, size: usize) -> Vec<Figure> {
    let stream = Stream::new(Role::Client, content, size);
    let (mut floor, mut ours) = (Receiver::new(&stream), ours::Receiver::new(Role::Server));
    let contestants = vec![
        Contestant::new("floor", || floor.pass(&stream)),
        Contestant::new("ours", || ours.pass(&stream)),
    ];
    compare(contestants, ROUNDS)
}

fn send(role: Role, size: usize) -> Vec<Figure> {
    let payload = Content::Binary.payload(size);
    let messages = ((1 << 20) / size).clamp(4, 4096);
    let mut floor = Sender::new(role, Content::Binary, size);
    let mut ours = ours::Sender::new(role);
    let contestants = vec![
        Contestant::new("floor", || {
            (0..messages).for_each(|_| floor.send(&payload, |_| ()));
            messages
        }),
        Contestant::new("ours", || {
            (0..messages).for_each(|_| ours.send(Data::Binary(&payload), |_| ()));
            messages
        }),
    ];
    compare(contestants, ROUNDS)
}

fn print(line: &str, figures: &[Figure], target: Option<f64>) {
    let [floor, ours] = figures else {
        unreachable!("two contestants have two figures");
    };
    let [low, median, high] = ours.ratio_to(floor);
    let target = target.map_or(String::new(), |target| match median <= target {
        true => format!("{target:.2}"),
        false => format!("{target:.2} missed"),
    });
    println!(
        "{line:<28} {:>8.1} ns {:>8.1} ns   {median:.2} [{low:.2} to {high:.2}]   {target}",
        floor.nanoseconds()[1],
        ours.nanoseconds()[1]
    );
}

const ROUNDS: usize = 200;
