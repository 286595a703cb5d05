//! `openline inspect`: what a byte stream or a capture says, frame by frame.

mod capture;
mod connections;
mod dump;
mod flows;
mod input;
mod packet;
mod tcp;

use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use openline::inspect::{Conversation, Limits, Sides, Start, guess_sender};
use openline::proto::{DeflateParams, Role, WindowBits};

use crate::cli::failure::fail;
use crate::cli::form::FormArgs;
use crate::cli::inspect::connections::Connections;
use crate::cli::inspect::dump::Piece;
use crate::cli::inspect::input::{Format, Input};
use crate::cli::show::{Place, Show};

const AFTER_HELP: &str = "\
The input may be bytes as such, bytes written as text (digits with or without blanks, 0x or \\x; \
dumps by xxd, hexdump -C, od -A x -t x1 or tshark -x; Base64), a capture (pcap, pcapng) or a \
recording by 'openline tap'. In hexadecimal, # begins a comment, and a line that begins with > or \
< was sent by the client or the server.

A line a frame: > what the client sent, < what the server sent; where in its direction's stream \
it begins; what it is; the bytes of payload; flags and key; the payload. Lines with ! say which \
rule was broken where, its section, the close code that it deserves, and what was expected. Lines \
with = are messages put together from several frames.

In a capture each connection has a number, as in [1]; those that are not WebSocket are left out, \
and --list names them all. TLS hides what it carries: capture behind it, or use 'openline tap'.

Exit codes:
  0  the stream is legal; it may break off
  1  the input cannot be read
  2  an argument that cannot be
  3  a rule was broken
  4  there is no WebSocket in the input

Examples:
  echo 818537fa213d7f9f4d5158 | openline inspect --verbose
  xxd stream.bin | openline inspect
  openline inspect capture.pcapng --list
  openline inspect capture.pcapng --connection 3 --json | jq -r .message.text
  tcpdump -i lo -U -w - port 9001 | openline inspect -";

/// Decode a WebSocket byte stream, a capture or a recording, and point at what is wrong
#[derive(Debug, clap::Args)]
#[command(
    after_help = "See 'openline inspect --help' for forms of input, exit codes and examples.",
    after_long_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// What to read; - or nothing is standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    file: PathBuf,

    /// How the input is written
    #[arg(long, value_enum, default_value_t, help_heading = "Input")]
    format: Format,

    /// Who sent a stream that has one direction; else its first bytes tell
    #[arg(
        long,
        value_enum,
        alias = "role",
        value_name = "END",
        help_heading = "Input"
    )]
    from: Option<End>,

    /// Frames without their handshake are compressed (RFC 7692), with parameters as in a server's
    /// answer: --deflate=server_no_context_takeover
    #[arg(
        long,
        value_name = "PARAMS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = parse_deflate,
        help_heading = "Input"
    )]
    deflate: Option<DeflateParams>,

    /// Look at this connection of a capture or recording only (repeatable)
    #[arg(short, long, value_name = "NUMBER", help_heading = "Input")]
    connection: Vec<usize>,

    /// List the connections of a capture or recording
    #[arg(short, long, help_heading = "Output")]
    list: bool,

    #[command(flatten)]
    form: FormArgs,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum End {
    /// The end that opened the connection
    Client,
    /// The end that accepted it
    Server,
}

impl End {
    /// As the library calls it.
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::Client => Role::Client,
            Self::Server => Role::Server,
        }
    }
}

/// Why there is nothing to see.
pub(super) enum Stop {
    /// The input cannot be read.
    Unreadable(String),
    /// Whoever reads the output has gone.
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Looks at the input.
pub(crate) fn run(args: &Args) -> ExitCode {
    match inspect(args) {
        Ok(code) => ExitCode::from(code),
        // As of any filter: who has seen enough is not told that there is more.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Stop::Output(error)) => fail(&format!("cannot write: {error}")),
        Err(Stop::Unreadable(error)) => fail(&error),
    }
}

fn inspect(args: &Args) -> Result<u8, Stop> {
    let (reader, size) = input::open(&args.file).map_err(Stop::Unreadable)?;
    let reader = progress(reader, size);
    let input = input::recognise(reader, args.format).map_err(Stop::Unreadable)?;
    let out = BufWriter::new(io::stdout().lock());
    let mut show = Show::new(out, args.form.form());
    match input {
        Input::Pieces(pieces) => self::pieces(&pieces, args, &mut show)?,
        Input::Stream(reader) => stream(reader, args, &mut show)?,
        Input::Capture(reader) => {
            let mut connections = Connections::new(&args.connection, args.list);
            connections.capture(reader, &mut show)?;
        }
        Input::Recording(reader) => {
            let mut connections = Connections::new(&args.connection, args.list);
            connections.recording(reader, &mut show)?;
        }
    }
    let tally = show.tally();
    if !args.list {
        show.summary(&tally)?;
    }
    show.flush()?;
    Ok(match (tally.heads + tally.frames, tally.is_legal()) {
        _ if args.list => 0,
        (0, _) => 4,
        (_, true) => 0,
        (_, false) => 3,
    })
}

/// Bytes that were written as text: of one direction, or of both in their order.
fn pieces(pieces: &[Piece], args: &Args, show: &mut Show<impl Write>) -> Result<(), Stop> {
    let has_both = pieces.iter().any(|piece| piece.sender.is_some());
    if !has_both {
        let bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.bytes.clone())
            .collect();
        return stream(Box::new(io::Cursor::new(bytes)), args, show);
    }
    let mut conversation = conversation(Sides::Both, args);
    let usual = args.from.map_or(Role::Client, End::role);
    for piece in pieces {
        let sender = piece.sender.unwrap_or(usual);
        for item in conversation.push(sender, &piece.bytes) {
            show.item(Place::default(), &item)?;
        }
    }
    for role in [Role::Client, Role::Server] {
        for item in conversation.finish(role) {
            show.item(Place::default(), &item)?;
        }
    }
    Ok(())
}

/// Of a stream of which nothing is known but what the user says.
fn conversation(sides: Sides, args: &Args) -> Conversation {
    let conversation = Conversation::new(sides, Start::Detect, Limits::default());
    match args.deflate {
        Some(params) => conversation.with_compression(params),
        None => conversation,
    }
}

/// As a server's answer has them, behind the name of the extension.
fn parse_deflate(text: &str) -> Result<DeflateParams, &'static str> {
    const PARAMS: &str = "there are server_no_context_takeover, client_no_context_takeover, \
        server_max_window_bits=8 to 15 and client_max_window_bits=8 to 15, with ; between";

    let mut params = DeflateParams {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    };
    let words = text
        .split(';')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    for word in words.filter(|word| *word != "permessage-deflate") {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let bits = || value.parse().ok().and_then(WindowBits::new).ok_or(PARAMS);
        match name {
            "server_no_context_takeover" => params.server_no_context_takeover = true,
            "client_no_context_takeover" => params.client_no_context_takeover = true,
            "server_max_window_bits" => params.server_max_window_bits = bits()?,
            "client_max_window_bits" => params.client_max_window_bits = bits()?,
            _ => return Err(PARAMS),
        }
    }
    Ok(params)
}

/// One direction, shown while it is read.
fn stream(
    mut reader: Box<dyn Read + Send>,
    args: &Args,
    show: &mut Show<impl Write>,
) -> Result<(), Stop> {
    let mut conversation: Option<(Role, Conversation)> = None;
    let mut start = Vec::new();
    let mut bytes = vec![0; 64 << 10];
    loop {
        let n = match reader.read(&mut bytes) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Stop::Unreadable(format!("cannot read the input: {error}"))),
        };
        let mut came = &bytes[..n];
        if conversation.is_none() {
            start.extend_from_slice(came);
            let guess = guess_sender(&start);
            let sender = match (args.from, guess) {
                (Some(end), _) => end.role(),
                (None, Some(guess)) => guess,
                (None, None) if n == 0 => Role::Client,
                (None, None) => continue,
            };
            let sides = Sides::Only(sender);
            conversation = Some((sender, self::conversation(sides, args)));
            came = &start;
        }
        let Some((sender, conversation)) = &mut conversation else {
            continue;
        };
        for item in conversation.push(*sender, came) {
            show.item(Place::default(), &item)?;
        }
        // What comes slowly is shown at once.
        show.flush()?;
        if n == 0 {
            for item in conversation.finish(*sender) {
                show.item(Place::default(), &item)?;
            }
            return Ok(());
        }
    }
}

/// Shows on a terminal how much of a large file was read, if what is found goes elsewhere.
fn progress(reader: Box<dyn Read + Send>, size: Option<u64>) -> Box<dyn Read + Send> {
    use std::io::IsTerminal;

    match size {
        Some(size) if size > LARGE && !io::stdout().is_terminal() && io::stderr().is_terminal() => {
            let bar = indicatif::ProgressBar::new(size);
            Box::new(bar.wrap_read(reader))
        }
        _ => reader,
    }
}

/// What takes longer to read than one waits without a word.
const LARGE: u64 = 64 << 20;
