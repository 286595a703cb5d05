//! How a subcommand says that it cannot do what it was asked to.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::cli::terminal::neutralise;

/// Says on standard error what went wrong.
pub(crate) fn fail(error: &str) -> ExitCode {
    // A terminal that is gone learns no more.
    let _ = writeln!(io::stderr(), "error: {}", neutralise(error));
    ExitCode::FAILURE
}

/// Says what is wrong with an argument, as clap does for what it finds wrong itself. The exit
/// code is for the subcommand to choose: 2 with all of them.
pub(crate) fn refuse(subcommand: &str, error: &str) {
    let mut program = crate::Program::command();
    program.build();
    let command = program.find_subcommand_mut(subcommand);
    let command = command.expect("it is one of ours");
    // A terminal that is gone learns no more.
    let _ = command.error(ErrorKind::ValueValidation, error).print();
}
