//! The room: who is present, what is said, and the agent that answers while no person does.
//!
//! No sockets and no clock: it is told what happens and when, and gives what is to be sent.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openline::net::ConnectionId;
use serde_json::{Value, json};

/// A text message, and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) to: ConnectionId,
    pub(super) text: String,
}

/// Which side of the conversation somebody is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Customer,
    Agent,
}

#[derive(Debug, Default)]
pub(super) struct Room {
    tabs: BTreeMap<ConnectionId, Tab>,
    /// What happened, for those who poll; the oldest first.
    events: VecDeque<(u64, Value)>,
    seq: u64,
    /// What the automatic agent is about to do.
    plans: VecDeque<(Instant, Plan)>,
    lines_said: usize,
}

#[derive(Debug)]
struct Tab {
    name: String,
    side: Side,
}

#[derive(Clone, Copy, Debug)]
enum Plan {
    Type,
    Say(&'static str),
}

impl Room {
    /// A tab comes in.
    pub(super) fn enter(
        &mut self,
        id: ConnectionId,
        side: Side,
        key: &str,
        now: Instant,
    ) -> Vec<Post> {
        let name = self.free_name(side);
        let welcome = json!({"type": "welcome", "name": name, "key": key, "seq": self.seq});
        self.tabs.insert(
            id,
            Tab {
                name: name.clone(),
                side,
            },
        );
        let mut posts = vec![Post {
            to: id,
            text: welcome.to_string(),
        }];
        posts.extend(self.happen(json!({"what": "present", "names": self.present()})));
        posts.extend(self.notice(format!("{name} came in.")));
        if side == Side::Customer && !self.has_agent() {
            self.plan(GREETING, now);
        }
        posts
    }

    /// A tab is gone.
    pub(super) fn leave(&mut self, id: ConnectionId) -> Vec<Post> {
        let Some(tab) = self.tabs.remove(&id) else {
            return Vec::new();
        };
        let mut posts = self.typing_of(&tab.name, false);
        posts.extend(self.happen(json!({"what": "present", "names": self.present()})));
        posts.extend(self.notice(format!("{} left.", tab.name)));
        posts
    }

    /// A tab says something.
    pub(super) fn say(&mut self, id: ConnectionId, text: &str, now: Instant) -> Vec<Post> {
        let Some(Tab { name, side }) = self.tabs.get(&id) else {
            return Vec::new();
        };
        let side = *side;
        let text: String = text.chars().take(TEXT_MAX).collect();
        let posts = self.happen(json!({"what": "said", "from": name, "text": text}));
        if side == Side::Customer && !self.has_agent() {
            let line = LINES[self.lines_said % LINES.len()];
            self.lines_said += 1;
            self.plan(line, now);
        }
        posts
    }

    /// A tab begins to type, or stops.
    pub(super) fn typing(&self, id: ConnectionId, on: bool) -> Vec<Post> {
        match self.tabs.get(&id) {
            Some(tab) => self.typing_of(&tab.name, on),
            None => Vec::new(),
        }
    }

    /// A tab has every tab notified.
    pub(super) fn notify(&mut self, id: ConnectionId) -> Vec<Post> {
        match self.tabs.get(&id).map(|tab| tab.name.clone()) {
            Some(name) => self.notice(format!("{name} notified every tab.")),
            None => Vec::new(),
        }
    }

    /// What the automatic agent does by now.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Post> {
        let mut posts = Vec::new();
        while self.plans.front().is_some_and(|(due, _)| *due <= now)
            && let Some((_, plan)) = self.plans.pop_front()
        {
            // A person may have come who does better.
            if self.has_agent() {
                continue;
            }
            posts.extend(match plan {
                Plan::Type => self.typing_of(AUTOMATIC, true),
                Plan::Say(line) => {
                    self.happen(json!({"what": "said", "from": AUTOMATIC, "text": line}))
                }
            });
        }
        posts
    }

    /// What happened after the event of this number, as a poll is answered.
    pub(super) fn since(&self, seq: u64) -> String {
        let events = self.events.iter().filter(|(at, _)| *at > seq);
        let events: Vec<_> = events.map(|(_, event)| event).collect();
        json!({"seq": self.seq, "events": events}).to_string()
    }

    /// The tabs that are there.
    pub(super) fn tabs(&self) -> impl Iterator<Item = ConnectionId> {
        self.tabs.keys().copied()
    }

    fn notice(&mut self, text: String) -> Vec<Post> {
        self.happen(json!({"what": "notice", "text": text}))
    }

    /// Something happens, and everybody is told.
    fn happen(&mut self, mut event: Value) -> Vec<Post> {
        self.seq += 1;
        event["type"] = "event".into();
        event["seq"] = self.seq.into();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        // Milliseconds fit into a number of JavaScript's for long enough.
        event["at"] = since_1970
            .map_or(0.0, |at| at.as_secs_f64() * 1000.0)
            .into();
        let text = event.to_string();
        self.events.push_back((self.seq, event));
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
        self.everybody(&text)
    }

    fn typing_of(&self, name: &str, on: bool) -> Vec<Post> {
        self.everybody(&json!({"type": "typing", "name": name, "on": on}).to_string())
    }

    fn everybody(&self, text: &str) -> Vec<Post> {
        let posts = self.tabs.keys();
        posts
            .map(|to| Post {
                to: *to,
                text: text.to_owned(),
            })
            .collect()
    }

    fn plan(&mut self, line: &'static str, now: Instant) {
        let from = self.plans.back().map_or(now, |(due, _)| now.max(*due));
        self.plans.push_back((from + BEFORE_TYPING, Plan::Type));
        self.plans
            .push_back((from + BEFORE_TYPING + WHILE_TYPING, Plan::Say(line)));
    }

    fn has_agent(&self) -> bool {
        self.tabs.values().any(|tab| tab.side == Side::Agent)
    }

    fn present(&self) -> Vec<&str> {
        let automatic = (!self.has_agent()).then_some(AUTOMATIC);
        let tabs = self.tabs.values().map(|tab| tab.name.as_str());
        tabs.chain(automatic).collect()
    }

    fn free_name(&self, side: Side) -> String {
        let kind = match side {
            Side::Customer => "customer",
            Side::Agent => "agent",
        };
        let is_taken = |name: &String| self.tabs.values().any(|tab| tab.name == *name);
        (1..)
            .map(|n| format!("{kind} {n}"))
            .find(|name| !is_taken(name))
            .unwrap_or_default()
    }
}

const AUTOMATIC: &str = "automatic agent";
const GREETING: &str = "Hello! I answer by rote, until somebody opens the agent’s side. Look at the wire below while we talk.";
/// What the automatic agent has to say, in turn.
const LINES: [&str; 6] = [
    "Your message went up as one Text frame. It is masked: choose it below, and compare its payload before and after.",
    "And this one came down unmasked: only clients mask, so that no cache in between takes their bytes for something else.",
    "You saw that I was typing? That was a frame of its own, as short as they come. By polling you would have missed it.",
    "Press “Ping me”: your browser answers a Ping by itself, and no script on this page hears of it.",
    "Try a message in fragments: three frames, one message, and a Ping that passes between them.",
    "When you have seen enough, close with a code of your own and watch both Close frames go by.",
];
const BEFORE_TYPING: Duration = Duration::from_millis(700);
const WHILE_TYPING: Duration = Duration::from_millis(1600);
/// The characters of a message; the page allows no more either.
const TEXT_MAX: usize = 2000;
/// What is kept for those who poll: minutes of a lively talk.
const EVENTS_MAX: usize = 500;
