//! What a terminal is shown: nothing that it would obey but our own colours, and these only where
//! they are wanted.

use std::env;
use std::io::IsTerminal;

use clap::ValueEnum;
use openline::inspect::text::{Line, Tone};
pub(crate) use openline::inspect::{neutralise, neutralise_json, neutralise_lines};

/// Whether there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    #[default]
    Auto,
    /// Also into a file or a pipe, such as less -R
    Always,
    /// Nowhere
    Never,
}

impl Colour {
    /// Whether what is written to `stream` is coloured.
    pub(crate) fn on(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                // no-color.org: when it is there and not empty, whatever its value.
                let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
                stream.is_terminal() && !refused && !is_dumb
            }
        }
    }
}

/// The line, with colours if they are wanted.
pub(crate) fn paint(line: &Line, coloured: bool) -> String {
    if !coloured {
        return line.to_string();
    }
    let mut text = String::new();
    for piece in &line.pieces {
        let code = match piece.tone {
            Tone::Plain | Tone::Payload => {
                text.push_str(&piece.text);
                continue;
            }
            Tone::Faint => "2",
            Tone::Client => "1;36",
            Tone::Server => "1;35",
            Tone::Name => "1",
            Tone::Fault => "1;31",
        };
        text.extend(["\x1b[", code, "m", &piece.text, "\x1b[0m"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use openline::inspect::text::{Line, Tone};

    use super::paint;

    #[test]
    fn colours_are_there_when_they_are_wanted() {
        let line = Line::new(Tone::Fault, "!").with(Tone::Plain, " a");
        assert_eq!(paint(&line, false), "! a");
        assert_eq!(paint(&line, true), "\x1b[1;31m!\x1b[0m a");
    }
}
