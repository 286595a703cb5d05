//! The comparison: messages that come back to their sender.

use std::error::Error;

use crate::builtin::Builtin;
use crate::load::{Exchange, Generator, Load};
use crate::process::{Command, Server};
use crate::rounds::{self, Begin, Case, Goal, Settings, What};

/// What we hold ourselves to, load by load: the ratio to raw, and in user mode that to the floor.
const GOALS: [(Load, f64, Option<f64>); 7] = [
    (Load::new(64, 1, 20), 1.01, Some(1.2)),
    (Load::new(64, 1, 125), 1.01, None),
    (Load::new(64, 1, 16 << 10), 1.04, None),
    (Load::new(500, 1, 1 << 10), 1.02, None),
    (Load::new(1, 1, 1 << 20), 1.45, None),
    (Load::new(16, 64, 20), 1.12, None),
    (Load::new(4, 2048, 20), 3.0, None),
];

pub fn run(
    settings: &Settings,
    loads: Vec<Load>,
    others: Vec<Command>,
) -> Result<(), Box<dyn Error>> {
    let mut commands = vec![
        Command::builtin(Builtin::Raw)?,
        Command::builtin(Builtin::Floor)?,
        Command::builtin(Builtin::Openline)?,
    ];
    commands.extend(others);
    let servers = rounds::start(&commands)?;
    let loads = match loads.is_empty() {
        true => GOALS.map(|(load, ..)| load).to_vec(),
        false => loads,
    };
    let cases = loads.into_iter().map(|load| {
        let exchange = |server: &Server| Exchange::binary(server, load.size);
        let exchanges: Vec<Exchange> = servers.iter().map(exchange).collect();
        let goal = GOALS.iter().find(|(known, ..)| *known == load);
        let goal = goal.map_or(Goal::default(), |&(_, ratio, user)| Goal {
            ratio: Some(ratio),
            user,
        });
        case(What::Echo, load, exchanges, goal)
    });
    rounds::run(settings, &servers, cases)
}

/// Each server is sent what is meant for it, and is to send back what is expected of it.
pub fn case(what: What, load: Load, exchanges: Vec<Exchange>, goal: Goal) -> Case<'static> {
    let sizes = exchanges.iter().map(|exchange| exchange.echo.len());
    let sizes = sizes.collect();
    let begin: Box<Begin<'static>> = Box::new(move |number, server| {
        Ok(Box::new(Generator::open(server, load, &exchanges[number])?))
    });
    Case {
        what,
        load,
        sizes,
        begin,
        goal,
    }
}
