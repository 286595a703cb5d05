//! The program `openline`: its arguments.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::{
    bench, conformance, connect, demo, diagnose, inspect, manual, replay, serve, tap,
};

/// WebSocket (RFC 6455) from the command line: serve, connect, see and mend
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "\
Try it, in two terminals:
  openline serve
  openline connect ws://127.0.0.1:9001/"
)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Connect(Box<connect::Args>),
    Demo(demo::Args),
    Diagnose(Box<diagnose::Args>),
    Inspect(inspect::Args),
    Conformance(Box<conformance::Args>),
    Tap(Box<tap::Args>),
    Replay(replay::Args),
    Bench(Box<bench::Args>),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

fn main() -> ExitCode {
    match Program::parse().command {
        Command::Serve(args) => serve::run(*args),
        Command::Connect(args) => connect::run(&args).into(),
        Command::Demo(args) => demo::run(&args),
        Command::Diagnose(args) => diagnose::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Conformance(args) => conformance::run(*args),
        Command::Tap(args) => tap::run(*args),
        Command::Replay(args) => replay::run(&args),
        Command::Bench(args) => bench::run(&args).into(),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}
