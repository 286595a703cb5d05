//! The program `openline`: its arguments.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::{connect, serve};

/// WebSocket at the command line: serve connections, or make one
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Connect(Box<connect::Args>),
}

fn main() -> ExitCode {
    match Program::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Connect(args) => connect::run(*args).into(),
    }
}
