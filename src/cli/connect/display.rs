//! What is seen of a connection: messages on standard output, all else on standard error.
//!
//! Nothing of the peer's reaches a terminal but through [`terminal`](crate::cli::terminal).

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use openline::net::Message;
use openline::proto::{Close, DeflateParams, Response};
use serde_json::{Value, json};

use crate::cli::connect::prompt::Printer;
use crate::cli::terminal::{neutralise, neutralise_json, neutralise_lines};

/// Shows what happens.
pub(super) struct Display {
    form: Form,
    /// Whether handshake, pings, pongs and the end are shown as well.
    pub(super) is_verbose: bool,
}

enum Form {
    /// Messages as they are, a line feed behind each.
    Raw,
    /// Messages for the eye.
    Terminal,
    /// Every event as a line of JSON.
    Json,
    /// Everything above the prompt.
    Prompt(Printer),
}

impl Display {
    /// For standard output, whatever it is.
    pub(super) fn stdout(is_json: bool, is_verbose: bool) -> Self {
        let form = match (is_json, io::stdout().is_terminal()) {
            (true, _) => Form::Json,
            (false, true) => Form::Terminal,
            (false, false) => Form::Raw,
        };
        Self { form, is_verbose }
    }

    /// For a person at a prompt.
    pub(super) fn prompt(printer: Printer, is_verbose: bool) -> Self {
        Self {
            form: Form::Prompt(printer),
            is_verbose,
        }
    }

    /// Whether a person types at a prompt.
    pub(super) fn is_prompt(&self) -> bool {
        matches!(self.form, Form::Prompt(_))
    }

    /// The server answered, be it 101 or not.
    pub(super) fn response(&mut self, response: &Response<'_>) -> io::Result<()> {
        let headers = response.headers();
        if let Form::Json = self.form {
            let headers: Vec<_> = headers
                .map(|(name, value)| json!([name, String::from_utf8_lossy(value)]))
                .collect();
            return self.event(&json!({
                "event": if response.status() == 101 { "open" } else { "refused" },
                "status": response.status(),
                "reason": response.reason(),
                "subprotocol": match response.status() {
                    101 => response.header_str("Sec-WebSocket-Protocol"),
                    _ => None,
                },
                "headers": headers,
                "body": String::from_utf8_lossy(response.body()),
            }));
        }
        if self.is_verbose {
            self.note(&format!("{} {}", response.status(), response.reason()));
            for (name, value) in headers {
                self.note(&format!("{name}: {}", String::from_utf8_lossy(value)));
            }
        }
        Ok(())
    }

    /// The start of a body that came with a refusal, for people.
    pub(super) fn body(&mut self, body: &[u8]) {
        if let Form::Json = self.form {
            return;
        }
        let body = String::from_utf8_lossy(body);
        for line in body.lines().take(BODY_LINES_MAX) {
            self.line_aside(&format!("  {}", neutralise(line)));
        }
    }

    /// The connection is open.
    pub(super) fn opened(&mut self, url: &str, subprotocol: Option<&str>) {
        if !self.is_prompt() {
            return;
        }
        let mut text = format!("connected to {url}");
        if let Some(subprotocol) = subprotocol {
            // Writing to a string cannot fail.
            let _ = write!(text, ", subprotocol {subprotocol}");
        }
        self.note(&text);
        self.note("/help lists the commands");
    }

    /// What was agreed to about compression, for who asked for more.
    pub(super) fn compression(&mut self, params: Option<&DeflateParams>) {
        if !self.is_verbose {
            return;
        }
        match params {
            Some(params) => self.note(&format!("compression: {params}")),
            None => self.note("compression: none"),
        }
    }

    /// A message came.
    pub(super) fn message(&mut self, message: Message<'_>) -> io::Result<()> {
        match (&mut self.form, message) {
            (Form::Raw, Message::Text(text)) => write_line(text.as_bytes()),
            (Form::Raw, Message::Binary(data)) => write_line(data),
            (Form::Json, Message::Text(text)) => {
                self.event(&json!({"event": "text", "text": text}))
            }
            (Form::Json, Message::Binary(data)) => {
                self.event(&json!({"event": "binary", "base64": BASE64.encode(data)}))
            }
            (Form::Terminal, Message::Text(text)) => {
                write_line(neutralise_lines(text, "").as_bytes())
            }
            (Form::Terminal, Message::Binary(data)) => write_line(hex(data).as_bytes()),
            (Form::Prompt(printer), Message::Text(text)) => {
                print(printer, &format!("< {}", neutralise_lines(text, "  ")))
            }
            (Form::Prompt(printer), Message::Binary(data)) => {
                let text = format!("< {} bytes: {}", data.len(), hex(data));
                print(printer, &text)
            }
            // Messages are taken whole.
            (_, Message::Chunk(_)) => Ok(()),
        }
    }

    /// A Ping or a Pong came; `is_wanted` shows it in any case.
    pub(super) fn control(
        &mut self,
        name: &str,
        payload: &[u8],
        is_wanted: bool,
    ) -> io::Result<()> {
        match self.form {
            Form::Json => self.event(&json!({"event": name, "base64": BASE64.encode(payload)})),
            _ if self.is_verbose || is_wanted => {
                self.note(format!("{name} {}", String::from_utf8_lossy(payload)).trim_end());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The peer's Close frame came.
    pub(super) fn closing(&mut self, close: Option<Close<'_>>) {
        if self.is_verbose && !matches!(self.form, Form::Json) {
            self.note(&match close {
                Some(Close { code, reason }) => {
                    format!("close {code} {reason}").trim_end().to_owned()
                }
                None => "close without a code".to_owned(),
            });
        }
    }

    /// An event of its own form, where events are written as JSON.
    pub(super) fn event(&mut self, event: &Value) -> io::Result<()> {
        match self.form {
            Form::Json => write_line(neutralise_json(&event.to_string()).as_bytes()),
            _ => Ok(()),
        }
    }

    /// A remark, marked as one, beside the messages.
    pub(super) fn note(&mut self, text: &str) {
        self.line_aside(&format!("* {}", neutralise(text)));
    }

    /// What may go wrong for it, beside the messages.
    pub(super) fn warn(&mut self, text: &str) {
        self.line_aside(&format!("warning: {}", neutralise(text)));
    }

    /// What went wrong, beside the messages, and what to do about it.
    pub(super) fn error(&mut self, error: &str, hint: Option<&str>) {
        self.line_aside(&format!("error: {}", neutralise(error)));
        if let Some(hint) = hint {
            self.line_aside(&format!("  tip: {hint}"));
        }
    }

    /// A line that is harmless already. That nobody reads it is no reason to stop.
    fn line_aside(&mut self, line: &str) {
        let _ = match &mut self.form {
            Form::Prompt(printer) => print(printer, line),
            _ => writeln!(io::stderr(), "{line}"),
        };
    }
}

/// The lines of a refusal's body that are shown.
const BODY_LINES_MAX: usize = 10;
/// The bytes of a binary message that a terminal shows.
const HEX_MAX: usize = 1024;

fn hex(data: &[u8]) -> String {
    let mut text = String::with_capacity(2 * data.len().min(HEX_MAX) + 4);
    for byte in data.iter().take(HEX_MAX) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    if data.len() > HEX_MAX {
        text.push_str(" …");
    }
    text
}

/// One write for a message and its line feed, so that messages of others do not come between.
fn write_line(line: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line);
    bytes.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&bytes)?;
    stdout.flush()
}

fn print(printer: &mut Printer, text: &str) -> io::Result<()> {
    printer.print(format!("{text}\n")).map_err(io::Error::other)
}
