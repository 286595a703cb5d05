//! The prompt: a line editor with history, above which messages appear.
//!
//! The editor puts the terminal into raw mode while it waits for a line. A connection can end
//! meanwhile, so [`Terminal`] remembers how the terminal was, and puts it back.

use std::fs::File;
use std::io::{self, Read, Write};

#[cfg(unix)]
use nix::sys::termios::Termios;
use openline::net::OwnedMessage;
use openline::proto::CloseCode;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};

use crate::cli::connect::command::{HELP, Line};
use crate::cli::connect::input::{Plan, Sender};
use crate::cli::connect::outbox::Over;
use crate::cli::terminal::neutralise;

const PROMPT: &str = "> ";

/// The line editor.
pub(super) struct Prompt {
    editor: Editor<(), MemHistory>,
}

/// Prints above the prompt, from any thread.
pub(super) type Printer = Box<dyn ExternalPrinter + Send>;

impl Prompt {
    /// A prompt, and what prints above it.
    pub(super) fn new() -> rustyline::Result<(Self, Printer)> {
        // A paste of several lines is then several messages, as from a pipe. What is sent may be
        // a secret, so history is not written to a file.
        let config = Config::builder()
            .bracketed_paste(false)
            .auto_add_history(true)
            .build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history)?;
        let printer = editor.create_external_printer()?;
        Ok((Self { editor }, Box::new(printer)))
    }

    /// Sends what is typed until there is no more, and closes.
    pub(super) fn run(mut self, sender: &Sender, plan: &Plan) {
        // Over already is as good.
        let _ = self.converse(sender, plan);
    }

    fn converse(&mut self, sender: &Sender, plan: &Plan) -> Result<(), Over> {
        loop {
            let line = match self.editor.readline(PROMPT) {
                Ok(line) => line,
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => break,
                Err(ReadlineError::Signal(_)) => continue,
                Err(error) => {
                    say(&format!("! the prompt failed: {error}"));
                    break;
                }
            };
            let message = match Line::parse(&line) {
                // An empty line is a slip of the hand.
                Ok(Line::Text(text)) if text.is_empty() => continue,
                Ok(Line::Text(text)) if plan.is_binary => OwnedMessage::Binary(text.into_bytes()),
                Ok(Line::Text(text)) => OwnedMessage::Text(text),
                Ok(Line::Binary(data)) => OwnedMessage::Binary(data),
                Ok(Line::BinaryFile(path)) => match read_file(&path, plan.line_max) {
                    Ok(data) => OwnedMessage::Binary(data),
                    Err(error) => {
                        say(&format!("! {} cannot be sent: {error}", neutralise(&path)));
                        continue;
                    }
                },
                Ok(Line::Ping(payload)) => OwnedMessage::Ping(payload),
                Ok(Line::Close(None)) => break,
                Ok(Line::Close(close)) => return sender.send(OwnedMessage::Close(close)),
                Ok(Line::Help) => {
                    say(HELP);
                    continue;
                }
                Err(error) => {
                    say(&format!("! {error}"));
                    continue;
                }
            };
            sender.send(message)?;
        }
        let (code, reason): &(CloseCode, String) = &plan.close;
        sender.send(OwnedMessage::Close(Some((*code, reason.clone()))))
    }
}

/// Answers the person at the prompt. A terminal that is gone needs no answer.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn read_file(path: &str, max: u64) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    File::open(path)?
        .take(max.saturating_add(1))
        .read_to_end(&mut data)?;
    match data.len() as u64 <= max {
        true => Ok(data),
        false => Err(io::Error::other(format!("it has more than {max} bytes"))),
    }
}

/// The terminal as it was before the prompt.
#[cfg(unix)]
pub(super) struct Terminal(Option<Termios>);

#[cfg(unix)]
impl Terminal {
    pub(super) fn remember() -> Self {
        Self(nix::sys::termios::tcgetattr(io::stdin()).ok())
    }

    /// Puts the terminal back, and the cursor to the start of a line of its own.
    pub(super) fn restore(&self) {
        use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

        let is_raw = |modes: Termios| !modes.local_flags.contains(LocalFlags::ICANON);
        // The prompt stands there, and perhaps the half of a line.
        if tcgetattr(io::stdin()).is_ok_and(is_raw) {
            // A terminal that is gone has no cursor.
            let _ = writeln!(io::stdout());
        }
        if let Some(modes) = &self.0 {
            // A terminal that is gone needs no modes.
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, modes);
        }
    }
}

/// Consoles elsewhere are put back by their system.
#[cfg(not(unix))]
pub(super) struct Terminal;

#[cfg(not(unix))]
impl Terminal {
    pub(super) fn remember() -> Self {
        Self
    }

    pub(super) fn restore(&self) {}
}
