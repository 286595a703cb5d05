//! How far a run is, for who looks at a terminal.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::bench::plan::Mode;
use crate::cli::bench::shared::{Sum, Window};

/// A line on standard error that is drawn anew; nothing where that is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    mode: Mode,
    /// When it was drawn, and how many answers there were.
    last: Mutex<(Instant, u64)>,
}

impl Progress {
    pub(super) fn new(mode: Mode, is_wanted: bool) -> Self {
        let bar = match is_wanted {
            true => ProgressBar::new(0),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{bar:30} {msg}");
        bar.set_style(style.expect("the template can be read"));
        Self {
            bar,
            mode,
            last: Mutex::new((Instant::now(), 0)),
        }
    }

    /// Connections are being opened.
    pub(super) fn open(&self, sum: Sum, all: usize) {
        self.bar.set_length(all as u64);
        self.bar.set_position(sum.attempted);
        self.bar
            .set_message(format!("{} of {all} connections are open", sum.open));
    }

    /// It is being measured.
    pub(super) fn measure(&self, sum: Sum, now: Instant, window: Window) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = (now - last.0).as_secs_f64();
        if elapsed < 0.25 {
            return;
        }
        let rate = (sum.answered - last.1) as f64 / elapsed;
        *last = (now, sum.answered);
        let left = window.until.saturating_duration_since(now).as_secs_f64();
        let what = match self.mode {
            Mode::Echo => format!("{rate:.0} messages/s"),
            Mode::Broadcast => format!("{rate:.0} deliveries/s"),
            Mode::Handshakes => format!("{rate:.0} handshakes/s"),
            Mode::Idle => "idle".to_owned(),
        };
        let stage = if now < window.from {
            ", warming up"
        } else {
            ""
        };
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.bar.set_length(millis(window.until - window.from));
        let position = now.saturating_duration_since(window.from);
        self.bar.set_position(millis(position));
        self.bar.set_message(format!(
            "{what}, {} connections, {left:.0} s left{stage}",
            sum.open
        ));
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
