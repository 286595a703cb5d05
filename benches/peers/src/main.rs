//! openline, tungstenite, tokio-websockets and fastwebsockets on the same streams: each one's
//! time a message as a ratio to the floor, by medians of interleaved rounds in one run.
//!
//! `cargo run --release [-- WORD…]`: only the lines that contain every word.

#[path = "../../floor/mod.rs"]
mod floor;
mod memory;
mod receive;
mod send;

use openline::proto::Role;

use floor::rounds::Figure;
use floor::stream::{Content, SIZES, display};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |line: &str| words.iter().all(|word| line.contains(word.as_str()));
    print!("{:<28} {:>10}", "ratio to the floor", "floor");
    for name in ["openline", "tungstenite", "tokio-ws", "fastws"] {
        print!(" {name:>11}");
    }
    println!("   openline / best of the others");
    for content in Content::ALL {
        for size in SIZES {
            let line = format!("receive {content} {}", display(size));
            if wanted(&line) {
                print(&line, &receive::compare(content, size, ROUNDS));
            }
        }
    }
    for (role, name) in [(Role::Server, "server"), (Role::Client, "client")] {
        for size in SIZES {
            let line = format!("send {name} {}", display(size));
            if wanted(&line) {
                print(&line, &send::compare(role, size, ROUNDS));
            }
        }
    }
}

fn print(line: &str, figures: &[Figure]) {
    let [floor, ours, others @ ..] = figures else {
        unreachable!("the floor and openline are measured");
    };
    print!("{line:<28} {:>7.1} ns", floor.nanoseconds);
    for figure in &figures[1..] {
        print!(" {:>11.2}", figure.ratio[1]);
    }
    let best = others.iter().map(|other| other.ratio[1]);
    println!(
        "   {:.2}",
        ours.ratio[1] / best.fold(f64::INFINITY, f64::min)
    );
}

const ROUNDS: usize = 60;
