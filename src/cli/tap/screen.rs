//! What every tapped connection tells: shown, counted and recorded in the order in which it
//! happened.

use std::fs::File;
use std::io::{self, Stdout, Write};
use std::process;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use openline::inspect::{Conversation, Item};
use openline::proto::Role;
use serde_json::json;

use crate::cli::form::Form;
use crate::cli::recording::{self, Entry, Event};
use crate::cli::show::{Place, Show, Tally};
use crate::cli::tap::rule::Counted;
use crate::cli::terminal::neutralise;

/// Shared by all connections.
pub(super) struct Screen {
    begun: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    show: Show<Stdout>,
    recording: Option<File>,
    /// Which frames are shown; empty: all.
    only: Vec<Counted>,
    /// When something was last shown.
    before: Duration,
    /// What was seen, whether it was shown or not.
    tally: Tally,
}

impl Screen {
    pub(super) fn new(form: Form, recording: Option<File>, only: Vec<Counted>) -> Self {
        Self {
            begun: Instant::now(),
            inner: Mutex::new(Inner {
                show: Show::new(io::stdout(), form),
                recording,
                only,
                before: Duration::ZERO,
                tally: Tally::default(),
            }),
        }
    }

    /// Clients can connect.
    pub(super) fn listening(&self, url: &str, target: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("listening on {url} for {target}");
        let value = json!({"event": "listening", "url": url, "target": target});
        let shown = inner.show.remark(Place::default(), &text, value);
        check(shown.and_then(|()| inner.show.flush()));
    }

    /// A client came.
    pub(super) fn opened(&self, connection: usize, client: &str, target: &str) {
        let event = Event::Open {
            client: client.to_owned(),
            target: target.to_owned(),
        };
        let text = format!("{client} > {target}");
        let value = json!({"event": "connection", "client": client, "server": target});
        self.with(connection, |inner, place| {
            inner.record(place, event);
            inner.show.remark(place, &text, value)
        });
    }

    /// An end sent these bytes.
    pub(super) fn received(&self, connection: usize, from: Role, bytes: &[u8]) {
        self.with(connection, |inner, place| {
            if inner.recording.is_some() {
                let bytes = bytes.to_owned();
                inner.record(place, Event::Data { from, bytes });
            }
            Ok(())
        });
    }

    /// An end sends no more.
    pub(super) fn ended(&self, connection: usize, from: Role) {
        let end = match from {
            Role::Client => "client",
            Role::Server => "server",
        };
        let text = format!("the {end} sends no more");
        self.with(connection, |inner, place| {
            inner.record(place, Event::End { from });
            let value = json!({"event": "end", "from": end});
            inner.show.remark(place, &text, value)
        });
    }

    /// What the bytes made.
    pub(super) fn items(&self, connection: usize, items: &[Item], conversation: &Conversation) {
        if items.is_empty() {
            return;
        }
        self.with(connection, |inner, mut place| {
            for item in items {
                inner.tally.add(item);
                let is_shown = match item {
                    Item::Frame(frame) if !inner.only.is_empty() => {
                        // Each counts, whether another has it shown already or not.
                        let only = inner.only.iter_mut();
                        only.fold(false, |any, rule| rule.is_met(connection, frame) | any)
                    }
                    _ => true,
                };
                if is_shown {
                    inner.show.item(place, item)?;
                    inner.show.agreed(place, item, conversation)?;
                    let time = place.time.map_or(Duration::ZERO, |(time, _)| time);
                    place.time = Some((time, Duration::ZERO));
                }
            }
            Ok(())
        });
    }

    /// Something worth knowing, also to who reads the recording.
    pub(super) fn note(&self, connection: usize, what: &str) {
        self.with(connection, |inner, place| {
            let event = Event::Note {
                what: what.to_owned(),
            };
            inner.record(place, event);
            let value = json!({"event": "remark", "what": what});
            inner.show.remark(place, what, value)
        });
    }

    /// What there was, in all.
    pub(super) fn finish(&self) -> Tally {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = inner.tally;
        let shown = inner.show.summary(&tally).and_then(|()| inner.show.flush());
        check(shown);
        tally
    }

    fn with(&self, connection: usize, tell: impl FnOnce(&mut Inner, Place) -> io::Result<()>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let time = self.begun.elapsed();
        let place = Place {
            connection: Some(connection),
            time: Some((time, time.saturating_sub(inner.before))),
            is_continued: false,
        };
        let told = tell(&mut inner, place).and_then(|()| inner.show.flush());
        if inner.show.was_used() {
            inner.before = time;
        }
        check(told);
    }
}

impl Inner {
    fn record(&mut self, place: Place, event: Event) {
        let (Some(file), Some(connection)) = (&mut self.recording, place.connection) else {
            return;
        };
        let entry = Entry {
            time: place.time.unwrap_or_default().0,
            connection,
            event,
        };
        if let Err(error) = recording::write(file, &entry) {
            // Better to pass bytes on without a recording than not at all.
            self.recording = None;
            let error = neutralise(&error.to_string()).into_owned();
            let _ = writeln!(io::stderr(), "error: the recording ends here: {error}");
        }
    }
}

/// A tap that nobody looks at any more is over, as any filter is.
fn check(shown: io::Result<()>) {
    if let Err(error) = shown {
        match error.kind() {
            io::ErrorKind::BrokenPipe => process::exit(0),
            _ => {
                let _ = writeln!(io::stderr(), "error: cannot write: {error}");
                process::exit(1);
            }
        }
    }
}
