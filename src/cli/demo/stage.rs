//! What the loop and the clock share: the room, the wires, and the way to both.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use openline::net::{ConnectionId, OwnedMessage, Remote};
use serde_json::json;

use crate::cli::demo::room::{Post, Room};
use crate::cli::demo::wires::{BOARD, Wires};

/// How often the clock strikes.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// How often the dashboard is told.
const BOARD_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Stage {
    shared: Mutex<Shared>,
    place: OnceLock<(SocketAddr, Remote)>,
    start: Instant,
}

/// All that changes.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) room: Room,
    pub(super) wires: Wires,
    /// The secret of each tab, by which its other connections show that they are its own.
    pub(super) keys: HashMap<String, ConnectionId>,
    pub(super) counts: Counts,
    last_board: Instant,
    last_messages: u64,
}

/// What the dashboard shows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) messages_in: u64,
    pub(super) messages_out: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self {
            shared: Mutex::new(Shared {
                room: Room::default(),
                wires: Wires::default(),
                keys: HashMap::new(),
                counts: Counts::default(),
                last_board: Instant::now(),
                last_messages: 0,
            }),
            place: OnceLock::new(),
            start: Instant::now(),
        }
    }

    /// The server listens, and can be reached.
    pub(super) fn begin(&self, address: SocketAddr, remote: Remote) {
        // It is called once.
        let _ = self.place.set((address, remote));
    }

    /// Where the server listens, once it does.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.place.get().map(|(address, _)| *address)
    }

    /// Changes something, and sends what comes of it.
    pub(super) fn with(&self, change: impl FnOnce(&mut Shared) -> Vec<Post>) {
        let posts = {
            let mut shared = self.lock();
            let posts = change(&mut shared);
            shared.counts.messages_out += posts.len() as u64;
            posts
        };
        let Some((_, remote)) = self.place.get() else {
            return;
        };
        for Post { to, text } in posts {
            // Who is gone, or far behind, does without.
            let _ = remote.send(to, OwnedMessage::Text(text));
        }
    }

    /// Does what is due.
    pub(super) fn tick(&self) {
        let now = Instant::now();
        self.with(|shared| {
            let mut posts = shared.room.tick(now);
            posts.extend(shared.wires.tick(now));
            posts.extend(self.board(shared, now));
            posts
        });
    }

    /// The dashboard's message to each tab, once a second.
    fn board(&self, shared: &mut Shared, now: Instant) -> Vec<Post> {
        let since = now.duration_since(shared.last_board);
        if since < BOARD_INTERVAL {
            return Vec::new();
        }
        shared.last_board = now;
        let counts = shared.counts;
        let messages = counts.messages_in + counts.messages_out;
        // Not a number that needs more than a double's 53 bits.
        #[allow(clippy::cast_precision_loss)]
        let rate = (messages - shared.last_messages) as f64 / since.as_secs_f64();
        shared.last_messages = messages;
        let shared = &*shared;
        let up = self.start.elapsed().as_secs();
        let posts = shared.room.tabs().map(|to| {
            let costs = json!({
                "webSocket": shared.wires.size(to),
                "polling": shared.wires.polled(to),
            });
            let rest = json!({
                "connections": shared.wires.open(),
                "messagesIn": counts.messages_in, "messagesOut": counts.messages_out,
                "bytesIn": counts.bytes_in, "bytesOut": counts.bytes_out,
                "rate": rate, "up": up, "costs": costs,
            })
            .to_string();
            // Its type comes first, so that the wire can tell it from other messages.
            let text = format!("{BOARD},{}", &rest[1..]);
            Post { to, text }
        });
        posts.collect()
    }

    /// A panic while the lock was held would be a fault of the demo's own, and shown as such.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
