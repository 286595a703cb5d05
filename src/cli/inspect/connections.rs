//! The connections of a capture or a recording, shown or listed.
//!
//! What a connection says is held back until it is known to be WebSocket, and shown from its
//! beginning then.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

use openline::inspect::{Conversation, Item, Limits, Sides, Start, json};
use openline::proto::Role;
use serde_json::json;

use crate::cli::inspect::flows::{Flow, Flows, Nature, What};
use crate::cli::inspect::packet::{self, Useless};
use crate::cli::inspect::{Stop, capture};
use crate::cli::recording::{self, Entry, Event};
use crate::cli::show::{Place, Show, Tally, count};
use crate::cli::terminal::neutralise;

/// Which connections are shown, and how far that is.
pub(super) struct Connections<'a> {
    /// Empty: all that are WebSocket.
    wanted: &'a [usize],
    is_list: bool,
    /// What is held back of each, until it is known what it is.
    held: HashMap<usize, Vec<(Duration, What)>>,
    announced: Vec<usize>,
    tallies: HashMap<usize, Tally>,
    begun: Option<Duration>,
    before: Duration,
}

impl<'a> Connections<'a> {
    pub(super) fn new(wanted: &'a [usize], is_list: bool) -> Self {
        Self {
            wanted,
            is_list,
            held: HashMap::new(),
            announced: Vec::new(),
            tallies: HashMap::new(),
            begun: None,
            before: Duration::ZERO,
        }
    }

    /// Reads a capture to its end.
    pub(super) fn capture(
        &mut self,
        reader: Box<dyn Read + Send>,
        show: &mut Show<impl Write>,
    ) -> Result<(), Stop> {
        let mut flows = Flows::new(Limits::default());
        let mut last = Duration::ZERO;
        let mut useless: HashMap<String, u64> = HashMap::new();
        // The reader cannot be stopped from within: the first error is kept.
        let mut failed = None;
        let remark = capture::read(reader, |time, link_type, bytes| {
            last = time;
            if failed.is_some() {
                return;
            }
            match packet::read(bytes, link_type) {
                Ok(packet) => {
                    let (at, happened) = flows.take(time, &packet);
                    let shown = self.happened(&flows, at, time, happened, show);
                    failed = shown.and_then(|()| Ok(show.flush()?)).err();
                }
                Err(Useless::Other) => {}
                Err(Useless::Fragment) => {
                    *useless
                        .entry("fragments of IP packets".to_owned())
                        .or_default() += 1;
                }
                Err(Useless::Malformed) => {
                    *useless.entry("malformed packets".to_owned()).or_default() += 1;
                }
                Err(Useless::LinkType(number)) => {
                    let what = format!("packets of link layer {number}, which is not understood");
                    *useless.entry(what).or_default() += 1;
                }
            }
        })
        .map_err(Stop::Unreadable)?;
        if let Some(error) = failed {
            return Err(error);
        }
        for (at, happened) in flows.finish() {
            self.happened(&flows, at, last, happened, show)?;
        }
        for flow in flows.all().iter().filter(|_| self.is_list) {
            self.list(flow, show)?;
        }
        let mut useless: Vec<_> = useless.into_iter().collect();
        useless.sort();
        let useless = useless
            .into_iter()
            .map(|(what, n)| format!("{n} {what} were passed over"));
        for text in remark.into_iter().chain(useless) {
            show.remark(
                Place::default(),
                &text,
                json!({"event": "remark", "what": text}),
            )?;
        }
        self.hint(&flows, show)
    }

    /// Says what there is instead, if there is no WebSocket.
    fn hint(&self, flows: &Flows, show: &mut Show<impl Write>) -> Result<(), Stop> {
        if self.is_list || !self.announced.is_empty() {
            return Ok(());
        }
        if let Some(missing) = self
            .wanted
            .iter()
            .find(|wanted| **wanted > flows.all().len())
        {
            let text = format!("there is no connection {missing}; --list names those there are");
            let value = json!({"event": "remark", "what": text});
            return Ok(show.remark(Place::default(), &text, value)?);
        }
        let of = |nature| {
            flows
                .all()
                .iter()
                .filter(|flow| flow.nature == nature)
                .count() as u64
        };
        let text = match (flows.all().len() as u64, of(Nature::Tls)) {
            (0, _) => "there is no TCP connection in the capture".to_owned(),
            (all, 0) => format!(
                "none of {} is WebSocket; --list names them",
                count(all, "connection")
            ),
            (all, tls) => format!(
                "none of {} can be seen to be WebSocket, and TLS hides {tls} of them; capture \
                 behind it, or use 'openline tap'",
                count(all, "connection")
            ),
        };
        Ok(show.remark(
            Place::default(),
            &text,
            json!({"event": "remark", "what": text}),
        )?)
    }

    /// Something happened on a connection of a capture.
    fn happened(
        &mut self,
        flows: &Flows,
        at: usize,
        time: Duration,
        happened: Vec<What>,
        show: &mut Show<impl Write>,
    ) -> Result<(), Stop> {
        self.begun.get_or_insert(time);
        let flow = &flows.all()[at];
        let is_wanted = self.wanted.is_empty() || self.wanted.contains(&flow.number);
        for what in &happened {
            if let What::Item(item) = what {
                self.tallies.entry(flow.number).or_default().add(item);
            }
        }
        if self.is_list || !is_wanted {
            return Ok(());
        }
        let held = self.held.entry(flow.number).or_default();
        held.extend(happened.into_iter().map(|what| (time, what)));
        let is_shown = match flow.nature {
            Nature::WebSocket => true,
            // Who asks for one connection gets it, whatever it is.
            _ => !self.wanted.is_empty(),
        };
        if !is_shown {
            // What is known to be something else needs no memory.
            if matches!(flow.nature, Nature::Tls | Nature::Other) || held.len() > HELD_MAX {
                held.clear();
            }
            return Ok(());
        }
        let held = std::mem::take(held);
        if held.is_empty() {
            return Ok(());
        }
        if !self.announced.contains(&flow.number) {
            self.announced.push(flow.number);
            let (client, server) = flow.addresses();
            let text = format!("{client} > {server}");
            let value = json!({
                "event": "connection",
                "client": client.to_string(),
                "server": server.to_string(),
            });
            let place = self.place(flow.number, flow.begun);
            show.remark(place, &text, value)?;
        }
        for (time, what) in held {
            let place = self.place(flow.number, time);
            match what {
                What::Item(item) => {
                    show.item(place, &item)?;
                    show.agreed(place, &item, flow.conversation())?;
                }
                What::End => show.remark(place, "the connection ended", json!({"event": "end"}))?,
            }
        }
        Ok(())
    }

    fn list(&self, flow: &Flow, show: &mut Show<impl Write>) -> Result<(), Stop> {
        let (client, server) = flow.addresses();
        let nature = match flow.nature {
            Nature::WebSocket => "websocket",
            Nature::Http => "http",
            Nature::Tls => "tls",
            Nature::Other => "other",
            Nature::Unknown => "silent",
        };
        let tally = self.tallies.get(&flow.number).copied().unwrap_or_default();
        let (up, down) = (flow.counts(Role::Client), flow.counts(Role::Server));
        let (retransmitted, reordered) = (
            up.retransmitted + down.retransmitted,
            up.reordered + down.reordered,
        );
        let lost = up.lost + down.lost;
        let mut text = format!(
            "{client} > {server}  {nature}, {} + {} bytes, {}, {}",
            up.bytes,
            down.bytes,
            count(tally.frames, "frame"),
            count(tally.violations, "violation")
        );
        for (n, what) in [
            (retransmitted, "retransmitted"),
            (reordered, "out of order"),
        ] {
            if n > 0 {
                text += &format!(", {} {what}", count(n, "segment"));
            }
        }
        if lost > 0 {
            text += &format!(", {} not captured", count(lost, "byte"));
        }
        let value = json!({
            "event": "connection",
            "client": client.to_string(),
            "server": server.to_string(),
            "nature": nature,
            "client_bytes": up.bytes,
            "server_bytes": down.bytes,
            "frames": tally.frames,
            "violations": tally.violations,
            "retransmitted": retransmitted,
            "out_of_order": reordered,
            "missing": lost,
        });
        let place = Place {
            connection: Some(flow.number),
            ..Place::default()
        };
        Ok(show.remark(place, &text, value)?)
    }

    /// When, since the capture began, and since what was shown before.
    fn place(&mut self, connection: usize, time: Duration) -> Place {
        let time = time.saturating_sub(self.begun.unwrap_or_default());
        let delta = time.saturating_sub(self.before);
        self.before = self.before.max(time);
        Place {
            connection: Some(connection),
            time: Some((time, delta)),
            is_continued: false,
        }
    }

    /// Reads a recording to its end.
    pub(super) fn recording(
        &mut self,
        reader: Box<dyn Read + Send>,
        show: &mut Show<impl Write>,
    ) -> Result<(), Stop> {
        let mut lines = BufReader::new(reader);
        let mut conversations: HashMap<usize, Conversation> = HashMap::new();
        let mut number = 0;
        let mut line = Vec::new();
        self.begun = Some(Duration::ZERO);
        loop {
            line.clear();
            number += 1;
            let failed = |error: &dyn std::fmt::Display| {
                Stop::Unreadable(format!("line {number} of the recording: {error}"))
            };
            let n = lines
                .read_until(b'\n', &mut line)
                .map_err(|error| failed(&error))?;
            if n == 0 {
                break;
            }
            let entry = match recording::parse(&line) {
                Ok(Some(entry)) => entry,
                Ok(None) => continue,
                // Whoever wrote it was killed: what came before is whole.
                Err(_) if !line.ends_with(b"\n") => {
                    let text = "the recording breaks off within its last line";
                    show.remark(
                        Place::default(),
                        text,
                        json!({"event": "remark", "what": text}),
                    )?;
                    break;
                }
                Err(error) => return Err(failed(&error)),
            };
            self.entry(entry, &mut conversations, show)?;
        }
        let mut unfinished: Vec<_> = conversations.into_iter().collect();
        unfinished.sort_by_key(|(connection, _)| *connection);
        for (connection, mut conversation) in unfinished {
            let place = self.place(connection, self.before);
            for role in [Role::Client, Role::Server] {
                let items = conversation.finish(role);
                self.items(items, &conversation, connection, place, show)?;
            }
        }
        if self.is_list {
            let mut tallies: Vec<_> = self.tallies.iter().collect();
            tallies.sort_by_key(|(connection, _)| **connection);
            for (connection, tally) in tallies {
                let place = Place {
                    connection: Some(*connection),
                    ..Place::default()
                };
                let text = format!(
                    "{}, {}, {}",
                    count(tally.frames, "frame"),
                    count(tally.messages, "message"),
                    count(tally.violations, "violation")
                );
                let value = json!({
                    "event": "connection",
                    "frames": tally.frames,
                    "messages": tally.messages,
                    "violations": tally.violations,
                });
                show.remark(place, &text, value)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        entry: Entry,
        conversations: &mut HashMap<usize, Conversation>,
        show: &mut Show<impl Write>,
    ) -> Result<(), Stop> {
        let connection = entry.connection;
        if !self.wanted.is_empty() && !self.wanted.contains(&connection) {
            return Ok(());
        }
        let place = self.place(connection, entry.time);
        let conversation = conversations
            .entry(connection)
            .or_insert_with(|| Conversation::new(Sides::Both, Start::Detect, Limits::default()));
        self.tallies.entry(connection).or_default();
        let items = match &entry.event {
            Event::Data { from, bytes } => conversation.push(*from, bytes),
            Event::End { from } => {
                let items = conversation.finish(*from);
                let conversation = &conversations[&connection];
                self.items(items, conversation, connection, place, show)?;
                if !self.is_list {
                    let end = json::role(*from);
                    let text = format!("the {end} sends no more");
                    show.remark(place, &text, json!({"event": "end", "from": end}))?;
                }
                return Ok(());
            }
            Event::Open { .. } | Event::Note { .. } if self.is_list => return Ok(()),
            Event::Open { client, target } => {
                let text = format!("{client} > {target}");
                let value = json!({"event": "connection", "client": client, "server": target});
                return Ok(show.remark(place, &text, value)?);
            }
            Event::Note { what } => {
                let text = neutralise(what).into_owned();
                let value = json!({"event": "remark", "what": what});
                return Ok(show.remark(place, &text, value)?);
            }
        };
        let conversation = &conversations[&connection];
        self.items(items, conversation, connection, place, show)
    }

    fn items(
        &mut self,
        items: Vec<Item>,
        conversation: &Conversation,
        connection: usize,
        place: Place,
        show: &mut Show<impl Write>,
    ) -> Result<(), Stop> {
        for item in items {
            self.tallies.entry(connection).or_default().add(&item);
            if !self.is_list {
                show.item(place, &item)?;
                show.agreed(place, &item, conversation)?;
            }
        }
        Ok(())
    }
}

/// What is held back of a connection of which nobody knows what it is.
const HELD_MAX: usize = 10_000;
