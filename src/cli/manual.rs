//! `openline completions` and `openline man`: what a shell and a reader of manuals want, made
//! from the arguments themselves, so that neither can be out of date.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::failure::fail;

const COMPLETIONS_HELP: &str = "\
Examples:
  openline completions bash > ~/.local/share/bash-completion/completions/openline
  openline completions zsh > \"${fpath[1]}/_openline\"
  openline completions fish > ~/.config/fish/completions/openline.fish";

const MAN_HELP: &str = "\
Examples:
  openline man | man -l -
  openline man tap | man -l -
  openline man --dir ~/.local/share/man/man1";

/// Write what completes the arguments in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the manual page of the program, or of a subcommand
#[derive(Debug, clap::Args)]
#[command(after_help = MAN_HELP)]
pub(crate) struct ManArgs {
    /// The subcommand
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Option<String>,

    /// Write every page into this directory: openline.1, openline-serve.1 and so on
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Writes the completions to standard output.
pub(crate) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut program = crate::Program::command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, NAME, &mut script);
    done(
        io::stdout()
            .write_all(&script)
            .map_err(|error| error.to_string()),
    )
}

/// Writes the page to standard output, or all into a directory.
pub(crate) fn man(args: &ManArgs) -> ExitCode {
    let mut program = crate::Program::command();
    program.build();
    done(match (&args.dir, &args.command) {
        (Some(dir), _) => pages(&program, dir),
        (None, None) => page(&program).and_then(|page| print(&page)),
        (None, Some(name)) => match program.find_subcommand(name) {
            Some(command) => page(command).and_then(|page| print(&page)),
            None => Err(format!("there is no subcommand {name:?}")),
        },
    })
}

fn done(written: Result<(), String>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn print(page: &[u8]) -> Result<(), String> {
    io::stdout()
        .write_all(page)
        .map_err(|error| error.to_string())
}

fn pages(program: &Command, dir: &Path) -> Result<(), String> {
    let commands = program
        .get_subcommands()
        .filter(|command| command.get_name() != "help");
    for command in std::iter::once(program).chain(commands) {
        let path = dir.join(format!("{}.1", file_name(command)));
        let failed = |error: io::Error| format!("cannot write {}: {error}", path.display());
        let page = page(command)?;
        let mut file = File::create(&path).map_err(failed)?;
        file.write_all(&page).map_err(failed)?;
    }
    Ok(())
}

/// `openline`, or `openline-serve`.
fn file_name(command: &Command) -> String {
    match command.get_name() {
        NAME => NAME.to_owned(),
        name => format!("{NAME}-{name}"),
    }
}

fn page(command: &Command) -> Result<Vec<u8>, String> {
    let mut page = Vec::new();
    let man = Man::new(command.clone()).title(file_name(command));
    man.render(&mut page).map_err(|error| error.to_string())?;
    Ok(page)
}

const NAME: &str = "openline";
