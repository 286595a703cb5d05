//! `openline conformance`: plays every case against a server, or serves them to clients.

mod client;
mod control;
mod describe;
mod drive;
mod exceptions;
mod guest;
mod path;
mod record;
mod report;
mod run;
mod selection;
mod server;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand};
use openline::proto::Url;

use crate::cli::address::Address;
use crate::cli::conformance::selection::Selection;
use crate::cli::tls;

const AFTER_HELP: &str = "\
Autobahn's 517 cases under their numbers, and several hundred of our own: the opening handshake, \
mask bit, lengths, reserved bits, closing, UTF-8 at every cut, compression. What is wrong is told \
on standard output as it is found, with the section of the RFC; progress goes to standard error.

Verdicts are Autobahn's: OK, NON-STRICT (allowed, but not as it should be), INFORMATIONAL (the \
RFC leaves it open), UNIMPLEMENTED (the peer lacks what it may lack), FAILED; and one on how the \
connection ended: OK, WRONG CODE, UNCLEAN, FAILED BY CLIENT, FAILED.

Files for --expect and --baseline have lines 'PATTERN VERDICT[/CLOSE]  # comment', such as:
  6.4.*    NON-STRICT        # bad UTF-8 is noticed at the end of a message
  7.9.3    OK/WRONG-CODE
An exception of --expect that no longer occurs is told, and with --strict it counts.

Exit codes:
  0  nothing to complain of
  1  the cases could not be played: no connection, a file that cannot be read or written
  2  an argument that cannot be
  3  a verdict to complain of: FAILED in the answers or not OK at the end; with --strict also \
NON-STRICT; with --baseline only what is worse than there

Examples:
  openline conformance server ws://localhost:8080/echo
  openline conformance server ws://localhost:8080 --cases '6.*' --exclude 6.4 --report reports
  openline conformance server ws://localhost:8080 --write-baseline ws.txt
  openline conformance server ws://localhost:8080 --baseline ws.txt --json
  openline conformance client :9001 --report reports
  openline conformance client 0 --once -- node harness.js {url}
  openline conformance client :9443 --tls fullchain.pem privkey.pem
  openline conformance list --cases mask
  openline conformance show 6.4.1";

/// Test a WebSocket server or client against every rule of RFC 6455 and RFC 7692
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "See 'openline conformance --help' for verdicts, files, exit codes and examples.",
    after_long_help = AFTER_HELP,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Server(ServerArgs),
    Client(ClientArgs),
    List(ListArgs),
    Show(ShowArgs),
}

/// Play the cases against a server that echoes text and binary messages
#[derive(Debug, ClapArgs)]
#[command(after_help = "See 'openline conformance --help' for verdicts, files and exit codes.")]
struct ServerArgs {
    /// Where it is: ws://HOST[:PORT][/PATH] or wss://
    #[arg(value_name = "URL")]
    url: Url,

    /// What the server is called in reports [default: HOST:PORT]
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,

    /// Play so many cases at a time; heavy ones two at a time
    #[arg(
        short,
        long,
        value_name = "COUNT",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    jobs: u16,

    /// Play a case that ran out of time in company once more, alone: at most so many
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    retry: usize,

    #[command(flatten)]
    what: What,

    #[command(flatten)]
    tls: tls::ClientArgs,
}

/// Be the server that clients connect to: at /runCase?case=N&agent=NAME, as with Autobahn, or at
/// /case/ID
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "A client asks /getCaseCount, echoes at each /runCase?case=N&agent=NAME, and at \
                  last asks /updateReports?agent=NAME, as with Autobahn; /cases is a list of JSON \
                  with every id, and /case/ID?agent=NAME plays one.\n\nSee 'openline conformance \
                  --help' for verdicts, files and exit codes."
)]
struct ClientArgs {
    /// Where to listen: HOST:PORT, HOST, PORT (this machine only) or :PORT (every interface);
    /// port 0 takes a free one
    #[arg(value_name = "ADDR", default_value_t)]
    address: Address,

    /// End when a client has asked for the reports, or with COMMAND
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    what: What,

    #[command(flatten)]
    tls: tls::ServerArgs,

    /// Run this client; {url} becomes ws://HOST:PORT, which is also in OPENLINE_URL, or wss://;
    /// the file of a certificate made now is in OPENLINE_CA
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

/// What is played, and what becomes of it.
#[derive(Debug, ClapArgs)]
struct What {
    #[command(flatten)]
    selection: Selection,

    /// Read the cases from this folder's .kdl files instead of those built in
    #[arg(long, value_name = "DIR", help_heading = "Cases")]
    vectors: Option<PathBuf>,

    /// Write index.html, and index.json with a file for each case as Autobahn does; other agents
    /// that are there already stay
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    report: Option<PathBuf>,

    /// Known exceptions: what they say is not complained of
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    expect: Option<PathBuf>,

    /// Tell only what differs from this file, and complain only of what is worse
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "expect",
        help_heading = "Results"
    )]
    baseline: Option<PathBuf>,

    /// Write a file for --baseline
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    write_baseline: Option<PathBuf>,

    /// Complain of NON-STRICT too, and of exceptions that no longer occur
    #[arg(long, help_heading = "Results")]
    strict: bool,

    /// Write an object of JSON a case instead of text
    #[arg(long, help_heading = "Results")]
    json: bool,
}

/// List the cases: id, title and section
#[derive(Debug, ClapArgs)]
struct ListArgs {
    #[command(flatten)]
    selection: Selection,

    /// Read the cases from this folder's .kdl files instead of those built in
    #[arg(long, value_name = "DIR", help_heading = "Cases")]
    vectors: Option<PathBuf>,

    /// Write an object of JSON a case
    #[arg(long)]
    json: bool,
}

/// Show a case: what it sends, what it expects, and why
#[derive(Debug, ClapArgs)]
struct ShowArgs {
    /// Its id, such as 6.4.1; a group or a glob shows several
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,

    /// Read the cases from this folder's .kdl files instead of those built in
    #[arg(long, value_name = "DIR")]
    vectors: Option<PathBuf>,
}

/// Runs the subcommand.
pub(crate) fn run(args: Args) -> ExitCode {
    let ran = match args.command {
        Command::Server(args) => run::server(args),
        Command::Client(args) => run::client(args),
        Command::List(args) => run::list(&args),
        Command::Show(args) => run::show(&args),
    };
    ran.unwrap_or_else(run::Failure::tell)
}
