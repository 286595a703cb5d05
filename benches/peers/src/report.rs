//! What is measured, row by row, and how it is told: to people, and to programs.

use std::fmt;

use openline::proto::Role;
use serde_json::json;

use crate::floor::rounds::Figure;
use crate::floor::stream::{Content, SIZES, display};

#[derive(Clone, Copy)]
pub enum Direction {
    Receive,
    Send,
}

/// One comparison: what the end in a role does with messages of one kind and size.
pub struct Row {
    pub direction: Direction,
    pub role: Role,
    pub content: Content,
    pub size: usize,
}

impl Row {
    pub fn all() -> impl Iterator<Item = Self> {
        let directions = [Direction::Receive, Direction::Send];
        directions.into_iter().flat_map(|direction| {
            [Role::Server, Role::Client]
                .into_iter()
                .flat_map(move |role| {
                    Content::ALL.into_iter().flat_map(move |content| {
                        SIZES.into_iter().map(move |size| Self {
                            direction,
                            role,
                            content,
                            size,
                        })
                    })
                })
        })
    }

    /// What openline may take, to the floor.
    fn target(&self) -> Option<f64> {
        match self.size {
            16 => Some(1.5),
            0x400.. => Some(1.15),
            _ => None,
        }
    }

    fn names(&self) -> [&'static str; 2] {
        let direction = match self.direction {
            Direction::Receive => "receive",
            Direction::Send => "send",
        };
        let role = match self.role {
            Role::Server => "server",
            Role::Client => "client",
        };
        [direction, role]
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [direction, role] = self.names();
        let size = display(self.size);
        write!(f, "{direction} {role} {} {size}", self.content)
    }
}

/// openline and the best of the others, and what the figures say of them.
struct Verdict<'a> {
    best: &'a Figure,
    /// openline's time to that of the best, in the same round.
    to_best: [f64; 3],
    /// openline's time to the floor's.
    to_floor: [f64; 3],
    first: bool,
    near_floor: bool,
}

impl<'a> Verdict<'a> {
    fn new(row: &Row, figures: &'a [Figure]) -> Self {
        let [floor, ours, others @ ..] = figures else {
            unreachable!("the floor and openline are measured");
        };
        let best = others
            .iter()
            .min_by(|a, b| a.ratio_to(floor)[1].total_cmp(&b.ratio_to(floor)[1]))
            .expect("others are measured");
        let (to_best, to_floor) = (ours.ratio_to(best), ours.ratio_to(floor));
        Self {
            best,
            to_best,
            to_floor,
            first: to_best[1] < 1.0,
            near_floor: row.target().is_none_or(|target| to_floor[1] <= target),
        }
    }
}

/// A line of the table, and before the first its head.
pub fn print(row: &Row, figures: &[Figure], head: bool) {
    let floor = &figures[0];
    if head {
        print!("{:<32} {:>10}", "ratio to the floor, median", floor.name);
        figures[1..]
            .iter()
            .for_each(|figure| print!(" {:>11}", figure.name));
        println!("   openline to the best of the others [quartiles]");
    }
    let verdict = Verdict::new(row, figures);
    print!("{:<32} {:>7.1} ns", row.to_string(), floor.nanoseconds()[1]);
    for figure in &figures[1..] {
        print!(" {:>11.2}", figure.ratio_to(floor)[1]);
    }
    let [low, median, high] = verdict.to_best;
    print!(
        "   {median:.2} [{low:.2} to {high:.2}] {}",
        verdict.best.name
    );
    if !verdict.first {
        // Between quartiles on either side of 1 chance decides.
        print!("{}", if low < 1.0 { ", level" } else { ", not first" });
    }
    if !verdict.near_floor {
        print!(", above {} of the floor", row.target().unwrap_or_default());
    }
    println!();
}

pub fn print_json(row: &Row, figures: &[Figure], read_size: Option<usize>, charged: bool) {
    let floor = &figures[0];
    let verdict = Verdict::new(row, figures);
    let [direction, role] = row.names();
    let contestants: Vec<_> = figures
        .iter()
        .map(|figure| {
            json!({
                "name": figure.name,
                "nanoseconds": figure.nanoseconds(),
                "ratio_to_floor": figure.ratio_to(floor),
                "calls_a_message": figure.calls,
            })
        })
        .collect();
    let line = json!({
        "what": "codec",
        "direction": direction,
        "role": role,
        "content": row.content.to_string(),
        "size": row.size,
        "read_size": read_size,
        "calls_charged": charged,
        "contestants": contestants,
        "best_of_the_others": verdict.best.name,
        "openline_to_best": verdict.to_best,
        "openline_to_floor": verdict.to_floor,
        "first": verdict.first,
        "near_floor": verdict.near_floor,
    });
    println!("{line}");
}
