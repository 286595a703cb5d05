//! The mob: peers that come as often as those of the crowd. In a bad mood each behaves badly; in
//! a good one they come as often and say as much, and behave, so that what differs is how.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::bad::{Misdeed, message};
use crate::door::{Door, Stream};
use crate::random::Random;
use crate::server::{PATIENCE, Server, Trust};

/// For both servers together: most of their time goes into waiting.
const THREADS: usize = 16;
/// How soon a thread sees that it is time for another to come.
const TICK: Duration = Duration::from_millis(2);
/// One of so many has as much to say as a slow reader makes a server send.
const TALKATIVE: usize = 9;
/// How many messages of 64 KiB that is: so many are echoed into the sockets' buffers before the
/// server has too much to send.
const TALK: usize = 140;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Bad,
}

/// A mob at work.
pub(crate) struct Mob {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Those who came, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Came {
    misdeeds: BTreeMap<Misdeed, u64>,
    /// Those that behaved, their messages, and those that could not go on.
    good: u64,
    pub(crate) sent: u64,
    pub(crate) cut_off: u64,
    /// Those of the crowd that came meanwhile, while the mood was bad.
    pub(crate) beside_bad: u64,
}

/// What the threads have in common.
struct Shared {
    stop: AtomicBool,
    is_bad: AtomicBool,
    /// How many of the crowd have come, and how many of the mob are to have come.
    pace: Arc<AtomicU64>,
    begun: AtomicU64,
    /// How many of the crowd had come when the mood changed.
    changed_at: AtomicU64,
    came: Mutex<Came>,
}

struct Member {
    door: Door,
    random: Random,
    /// Those that stay until there are too many.
    held: VecDeque<Stream>,
    held_max: usize,
}

impl Mob {
    /// Some threads for each server, with so many bad connections at once between them; another
    /// comes whenever `pace` counts up.
    pub(crate) fn start(
        servers: &[Server; 2],
        trust: &Trust,
        size: usize,
        seed: u64,
        pace: Arc<AtomicU64>,
    ) -> Self {
        let now = pace.load(Ordering::Relaxed);
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            is_bad: AtomicBool::new(false),
            pace,
            begun: AtomicU64::new(now),
            changed_at: AtomicU64::new(now),
            came: Mutex::default(),
        });
        let all = servers.iter().cycle().take(THREADS);
        let threads = (0..).zip(all).map(|(n, server)| {
            let mut member = Member {
                door: Door::new(server, trust),
                random: Random::new(seed.wrapping_mul(1000).wrapping_add(n)),
                held: VecDeque::new(),
                held_max: size / THREADS,
            };
            let shared = Arc::clone(&shared);
            thread::spawn(move || member.go_on(&shared))
        });
        Self {
            threads: threads.collect(),
            shared,
        }
    }

    pub(crate) fn change_to(&self, mood: Mood) {
        let shared = &self.shared;
        let now = shared.pace.load(Ordering::Relaxed);
        let was_bad = shared.is_bad.swap(mood == Mood::Bad, Ordering::Relaxed);
        let since = shared.changed_at.swap(now, Ordering::Relaxed);
        if was_bad {
            shared.came.lock().unwrap().beside_bad += now - since;
        }
        // Who is late does not come in the other mood instead.
        shared.begun.store(now, Ordering::Relaxed);
    }

    pub(crate) fn stop(self) -> Came {
        self.change_to(Mood::Good);
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.shared.came.lock().unwrap().clone()
    }
}

impl Shared {
    /// Whether it is time for another to come.
    fn is_due(&self) -> bool {
        let due = self.pace.load(Ordering::Relaxed);
        let next = |begun| (begun < due).then_some(begun + 1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.begun.fetch_update(set, fetch, next).is_ok()
    }
}

impl Member {
    fn go_on(&mut self, shared: &Shared) {
        while !shared.stop.load(Ordering::Relaxed) {
            let is_bad = shared.is_bad.load(Ordering::Relaxed);
            if !is_bad {
                self.held.clear();
            }
            if !shared.is_due() {
                thread::sleep(TICK);
                continue;
            }
            if is_bad {
                let misdeed = Misdeed::any(&mut self.random);
                self.misbehave(misdeed);
                let mut came = shared.came.lock().unwrap();
                *came.misdeeds.entry(misdeed).or_default() += 1;
            } else {
                let behaved = self.behave();
                let mut came = shared.came.lock().unwrap();
                came.good += 1;
                match behaved {
                    Ok(sent) => came.sent += sent,
                    Err(error) => {
                        eprintln!("one that came and behaved: {error}");
                        came.cut_off += 1;
                    }
                }
            }
        }
    }

    fn misbehave(&mut self, misdeed: Misdeed) {
        // A server that does not put up with it is right.
        if let Ok(Some(stream)) = misdeed.commit(&self.door, &mut self.random) {
            self.held.push_back(stream);
            if self.held.len() > self.held_max {
                self.held.pop_front();
            }
        }
    }

    /// Comes, says something that comes back, and goes in order; answers how many messages that
    /// were.
    fn behave(&mut self) -> io::Result<u64> {
        let mut stream = self.door.enter(PATIENCE)?;
        stream.ask()?;
        let mut sent = 0;
        let mut exchange = |said: &[u8], expected: &[u8]| {
            stream.say(said)?;
            let mut echo = vec![0; expected.len()];
            stream.read_exact(&mut echo)?;
            sent += 1;
            match echo == expected {
                true => Ok(()),
                false => Err(io::Error::other("what came is not what was sent")),
            }
        };
        exchange(b"\x81\x85\0\0\0\0Hello", b"\x81\x05Hello")?;
        if self.random.below(TALKATIVE) == 0 {
            let long = message(64 << 10);
            // A server's frame has no masking key.
            let mut echo = [&long[..10], &long[14..]].concat();
            echo[1] &= 0x7f;
            for _ in 0..TALK {
                exchange(&long, &echo)?;
            }
        }
        exchange(b"\x88\x82\0\0\0\0\x03\xe8", b"\x88\x02\x03\xe8")?;
        stream.hear_out();
        Ok(sent)
    }
}

impl Came {
    pub(crate) fn bad(&self) -> u64 {
        self.misdeeds.values().sum()
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bad, beside, good) = (self.bad(), self.beside_bad, self.good);
        write!(f, "{good} more behaved; {bad} came badly, beside {beside}:")?;
        for (misdeed, count) in &self.misdeeds {
            write!(f, " {misdeed:?} {count}")?;
        }
        Ok(())
    }
}
