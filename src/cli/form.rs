//! How what was seen is written, and the options of the subcommands that show frames.

use std::io;

use openline::inspect::text::{Detail, Options};

use crate::cli::terminal::Colour;
use crate::cli::values::parse_size;

/// How it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// For people.
    Text { options: Options, is_coloured: bool },
    /// For programs: an object a line.
    Json,
}

/// What the user chooses of it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct FormArgs {
    /// Draw each frame bit by bit, as RFC 6455 does
    #[arg(short, long, conflicts_with = "json")]
    verbose: bool,

    /// Write an object of JSON a line, exact to the byte
    #[arg(long)]
    json: bool,

    /// How much of each payload is shown to people [default: 60, with --verbose 256]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_payload: Option<u64>,

    /// Whether there are colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
}

impl FormArgs {
    /// The form that was chosen, for standard output.
    pub(crate) fn form(&self) -> Form {
        if self.json {
            return Form::Json;
        }
        let (detail, usual) = match self.verbose {
            true => (Detail::Bits, 256),
            false => (Detail::Line, 60),
        };
        let payload_max = self.max_payload;
        Form::Text {
            options: Options {
                detail,
                payload_max: payload_max
                    .map_or(usual, |max| usize::try_from(max).unwrap_or(usize::MAX)),
            },
            is_coloured: self.color.on(&io::stdout()),
        }
    }
}
