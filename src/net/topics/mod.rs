//! Topics: who subscribes to what, and what is published in a turn of the loop.
//!
//! A publication waits until everything readable in the turn was read; then each subscriber gets
//! all that is for it in one write. Whoever had subscribed when it was published gets it, unless
//! it has unsubscribed since.
//!
//! ```text
//!   topics     "news"  subscribers  [ #7 | #2 | #9 ]
//!                                      ^ position
//!   entries    (news, position, next)--+      one for each subscription, in a list
//!                             |               that begins at its connection
//!                             +-> (sport, position, none)
//! ```
//!
//! Subscribing looks at the connection's own subscriptions, of which there are few; all else,
//! leaving included, costs O(1) a subscription and nobody else anything.

mod batch;
mod deliveries;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use slab::Slab;

use crate::proto::Prepared;

pub(super) use batch::{BATCH_MAX, Batch};
use deliveries::Run;
pub(super) use deliveries::{Deliveries, Delivery, List};

/// The bytes that the name of a topic may have: enough for a path of names, and no store of data.
pub const TOPIC_MAX: usize = 255;

/// The topics of a loop.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_name: HashMap<Arc<str>, u32>,
    topics: Slab<Topic>,
    entries: Slab<Entry>,
    /// Of this turn, in their order.
    publications: Vec<Publication>,
    /// The bytes of those.
    published_size: usize,
    /// How many publications there have been before those.
    published: u64,
}

/// A topic that has subscribers, or publications under way.
#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    subscribers: Vec<Subscriber>,
    /// How many publications there had been when the last of them subscribed.
    joined: u64,
}

#[derive(Clone, Copy, Debug)]
struct Subscriber {
    /// Its place in the loop's table.
    connection: u32,
    entry: u32,
    /// How many publications there had been when it subscribed.
    since: u64,
}

/// One subscription of one connection.
#[derive(Clone, Copy, Debug)]
struct Entry {
    topic: u32,
    /// Where among the topic's subscribers.
    position: u32,
    /// The connection's next.
    next: u32,
}

/// The subscriptions of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscriptions {
    first: u32,
}

/// A message to the subscribers of a topic.
#[derive(Debug)]
pub(super) struct Publication {
    topic: u32,
    pub(super) message: Prepared,
    /// Who is not to have it.
    except: Option<u32>,
}

/// Why a subscription was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The connection has as many as
    /// [`subscriptions_max`](crate::net::LoopConfig::subscriptions_max) allows.
    TooMany {
        /// The limit in force.
        max: usize,
    },
    /// The name is longer than [`TOPIC_MAX`].
    NameTooLong,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { max } => {
                write!(
                    f,
                    "the connection has {max} subscriptions, the most allowed"
                )
            }
            Self::NameTooLong => {
                write!(f, "the name of a topic has at most {TOPIC_MAX} bytes")
            }
        }
    }
}

impl Error for SubscribeError {}

/// No entry.
const NONE: u32 = u32::MAX;

impl Subscriptions {
    pub(super) const NONE: Self = Self { first: NONE };
}

impl Topics {
    /// Adds a subscription of `connection`; answers whether it is a new one.
    pub(super) fn subscribe(
        &mut self,
        connection: u32,
        own: &mut Subscriptions,
        name: &str,
        max: usize,
    ) -> Result<bool, SubscribeError> {
        if name.len() > TOPIC_MAX {
            return Err(SubscribeError::NameTooLong);
        }
        if self.find(*own, name).is_some() {
            return Ok(false);
        }
        if self.names(*own).count() >= max || self.entries.vacant_key() >= NONE as usize {
            return Err(SubscribeError::TooMany { max });
        }
        let topic = match self.by_name.get(name) {
            Some(topic) => *topic,
            None => {
                let name: Arc<str> = name.into();
                let topic = key(self.topics.insert(Topic {
                    name: Arc::clone(&name),
                    subscribers: Vec::new(),
                    joined: 0,
                }));
                self.by_name.insert(name, topic);
                topic
            }
        };
        let since = self.published();
        let Topic {
            subscribers,
            joined,
            ..
        } = &mut self.topics[topic as usize];
        *joined = since;
        let entry = key(self.entries.insert(Entry {
            topic,
            position: key(subscribers.len()),
            next: own.first,
        }));
        subscribers.push(Subscriber {
            connection,
            entry,
            since,
        });
        own.first = entry;
        Ok(true)
    }

    /// Takes a subscription away; answers whether there was one.
    pub(super) fn unsubscribe(&mut self, own: &mut Subscriptions, name: &str) -> bool {
        let Some((before, entry)) = self.find(*own, name) else {
            return false;
        };
        let next = self.entries[entry as usize].next;
        match before {
            Some(before) => self.entries[before as usize].next = next,
            None => own.first = next,
        }
        self.remove(entry);
        true
    }

    /// Takes all subscriptions of a connection away.
    #[inline]
    pub(super) fn leave(&mut self, own: &mut Subscriptions) {
        while own.first != NONE {
            let entry = own.first;
            own.first = self.entries[entry as usize].next;
            self.remove(entry);
        }
    }

    /// The topics that a connection subscribes to, the latest first.
    pub(super) fn names(&self, own: Subscriptions) -> impl Iterator<Item = &str> {
        self.list(own)
            .map(|(_, entry)| &*self.topics[entry.topic as usize].name)
    }

    /// Notes a message for the subscribers that a topic has here.
    pub(super) fn publish(&mut self, name: &str, message: &Prepared, except: Option<u32>) {
        if let Some(topic) = self.by_name.get(name) {
            self.published_size += message.frame().len();
            self.publications.push(Publication {
                topic: *topic,
                message: message.clone(),
                except,
            });
        }
    }

    /// Who subscribes to a topic, by their places in the loop's table.
    pub(super) fn subscribers(&self, name: &str) -> impl Iterator<Item = u32> {
        let topic = self.by_name.get(name);
        let subscribers = topic.map(|topic| &self.topics[*topic as usize].subscribers);
        let subscribers = subscribers.into_iter().flatten();
        subscribers.map(|subscriber| subscriber.connection)
    }

    /// How many topics and subscriptions there are, and how many publications there have been to
    /// subscribers here.
    pub(super) fn census(&self) -> (usize, usize, u64) {
        (self.topics.len(), self.entries.len(), self.published)
    }

    /// How many publications there have been to subscribers here.
    pub(super) fn published(&self) -> u64 {
        self.published + self.publications.len() as u64
    }

    /// The bytes of what was published and has not been delivered, for one who is to have it all.
    pub(super) fn published_size(&self) -> usize {
        self.published_size
    }

    /// How many subscribe to what was published last in this turn.
    pub(super) fn audience(&self) -> usize {
        let last = self.publications.last();
        last.map_or(0, |last| self.topics[last.topic as usize].subscribers.len())
    }

    /// Whether something was published that has not been delivered.
    pub(super) fn is_quiet(&self) -> bool {
        self.publications.is_empty()
    }

    /// Takes what was published, and writes into `deliveries` who is to have which of it: each
    /// connection once.
    pub(super) fn take(&mut self, deliveries: &mut Deliveries) -> Vec<Publication> {
        let publications = std::mem::take(&mut self.publications);
        self.published_size = 0;
        deliveries.clear();
        match self.common_topic(&publications) {
            Some(topic) => {
                let connections = topic.subscribers.iter().map(|one| one.connection);
                deliveries.all_to(connections, key(publications.len()));
            }
            None => self.assign(&publications, deliveries),
        }
        self.published += publications.len() as u64;
        for publication in &publications {
            self.forget_if_unused(publication.topic);
        }
        publications
    }

    /// The topic of all that was published, if all who subscribe to it are to have all of that: so
    /// it is mostly.
    fn common_topic(&self, publications: &[Publication]) -> Option<&Topic> {
        let first = publications.first()?.topic;
        let topic = &self.topics[first as usize];
        let is_for_all =
            |publication: &Publication| publication.topic == first && publication.except.is_none();
        let joined_before = topic.joined <= self.published;
        (joined_before && publications.iter().all(is_for_all)).then_some(topic)
    }

    /// Finds for each subscriber what it is to have.
    fn assign(&self, publications: &[Publication], deliveries: &mut Deliveries) {
        let mut topics = 0;
        let mut end = 0;
        for of_one in publications.chunk_by(|a, b| a.topic == b.topic) {
            let first = end;
            end += key(of_one.len());
            topics += 1;
            let is_for_all = of_one.iter().all(|one| one.except.is_none());
            for subscriber in &self.topics[of_one[0].topic as usize].subscribers {
                // Those before it subscribed it does not get.
                let before = subscriber.since.saturating_sub(self.published);
                let first = first.max(u32::try_from(before).unwrap_or(end));
                let run = Run { first, end };
                match is_for_all {
                    true => deliveries.assign(subscriber.connection, run),
                    false => deliveries.assign_parts(subscriber.connection, run, publications),
                }
            }
        }
        // Those to one topic come grouped by connection.
        deliveries.collect(topics > 1);
    }

    /// A connection's entries, each with its place.
    fn list(&self, own: Subscriptions) -> impl Iterator<Item = (u32, &Entry)> {
        let mut at = own.first;
        std::iter::from_fn(move || {
            let entry = self.entries.get(at as usize)?;
            Some((std::mem::replace(&mut at, entry.next), entry))
        })
    }

    /// The entry of a connection's subscription, and the one before it.
    fn find(&self, own: Subscriptions, name: &str) -> Option<(Option<u32>, u32)> {
        let topic = *self.by_name.get(name)?;
        let mut before = None;
        for (at, entry) in self.list(own) {
            if entry.topic == topic {
                return Some((before, at));
            }
            before = Some(at);
        }
        None
    }

    /// Removes an entry that is in no connection's list any more.
    fn remove(&mut self, entry: u32) {
        let Entry {
            topic, position, ..
        } = self.entries.remove(entry as usize);
        let subscribers = &mut self.topics[topic as usize].subscribers;
        subscribers.swap_remove(position as usize);
        if let Some(moved) = subscribers.get(position as usize) {
            self.entries[moved.entry as usize].position = position;
        }
        // A topic comes and goes with its subscribers; memory of a crowd that left is given back.
        if subscribers.len() < subscribers.capacity() / 4 {
            subscribers.shrink_to(subscribers.len() * 2);
        }
        self.forget_if_unused(topic);
    }

    fn forget_if_unused(&mut self, topic: u32) {
        let is_published_to = |publication: &Publication| publication.topic == topic;
        if let Some(unused) = self.topics.get(topic as usize)
            && unused.subscribers.is_empty()
            && !self.publications.iter().any(is_published_to)
        {
            let Topic { name, .. } = self.topics.remove(topic as usize);
            self.by_name.remove(&name);
        }
    }
}

/// A place in a table that is kept shorter than `u32::MAX`, as the loop's own is.
#[expect(clippy::cast_possible_truncation, reason = "tables are shorter")]
fn key(index: usize) -> u32 {
    index as u32
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{Deliveries, Delivery, SubscribeError, Subscriptions, TOPIC_MAX, Topics};
    use crate::proto::Prepared;

    /// What each connection is to have, by the number that was published.
    fn take(topics: &mut Topics) -> Vec<(u32, Vec<u8>)> {
        let mut deliveries = Deliveries::default();
        let publications = topics.take(&mut deliveries);
        let read = |delivery: &Delivery| {
            let connection = delivery.connection;
            let messages = deliveries.of(delivery.list, &publications);
            messages.map(move |message| (connection, message.frame()[2..].to_vec()))
        };
        deliveries.each().iter().flat_map(read).collect()
    }

    #[test]
    fn several_publications_are_grouped_by_connection_and_keep_their_order() {
        let mut topics = Topics::default();
        let mut own = [Subscriptions::NONE; 3];
        for (connection, own) in (0..).zip(&mut own) {
            assert_eq!(topics.subscribe(connection, own, "a", 9), Ok(true));
            assert_eq!(topics.subscribe(connection, own, "a", 9), Ok(false));
        }
        topics.subscribe(1, &mut own[1], "b", 9).unwrap();
        assert!(topics.is_quiet());
        for (topic, text, except) in [("a", "1", None), ("b", "2", None), ("a", "3", Some(2))] {
            topics.publish(topic, &Prepared::text(text), except);
        }
        topics.publish("nobody's", &Prepared::text("4"), None);
        assert!(!topics.is_quiet());
        assert_eq!((topics.audience(), topics.published_size()), (3, 3 * 3));
        let of = |connection, text: &str| (connection, text.as_bytes().to_vec());
        let expected = [
            of(0, "1"),
            of(0, "3"),
            of(1, "1"),
            of(1, "2"),
            of(1, "3"),
            of(2, "1"),
        ];
        assert_eq!(take(&mut topics), expected);
        assert!(topics.is_quiet());
        assert_eq!((topics.audience(), topics.published_size()), (0, 0));
    }

    #[test]
    fn who_subscribes_afterwards_does_not_get_it_nor_who_has_left() {
        let mut topics = Topics::default();
        let mut own = [Subscriptions::NONE; 3];
        topics.subscribe(0, &mut own[0], "a", 9).unwrap();
        topics.subscribe(1, &mut own[1], "a", 9).unwrap();
        topics.publish("a", &Prepared::text("x"), None);
        topics.subscribe(2, &mut own[2], "a", 9).unwrap();
        topics.leave(&mut own[0]);
        assert_eq!(take(&mut topics), [(1, b"x".to_vec())]);
        // Also when the topic would have been forgotten in between.
        topics.publish("a", &Prepared::text("y"), None);
        topics.leave(&mut own[1]);
        topics.leave(&mut own[2]);
        topics.subscribe(0, &mut own[0], "b", 9).unwrap();
        assert_eq!(take(&mut topics), []);
        assert_eq!(topics.topics.len(), 1);
    }

    #[test]
    fn limits_of_number_and_of_length() {
        let mut topics = Topics::default();
        let mut own = Subscriptions::NONE;
        for name in ["a", "b"] {
            topics.subscribe(0, &mut own, name, 2).unwrap();
        }
        let refused = topics.subscribe(0, &mut own, "c", 2);
        assert_eq!(refused, Err(SubscribeError::TooMany { max: 2 }));
        assert_eq!(topics.subscribe(0, &mut own, "a", 2), Ok(false));
        let long = "x".repeat(TOPIC_MAX + 1);
        let refused = topics.subscribe(0, &mut own, &long, 9);
        assert_eq!(refused, Err(SubscribeError::NameTooLong));
        assert_eq!(topics.subscribe(0, &mut own, &long[1..], 9), Ok(true));
    }

    proptest! {
        /// Against the obvious: a set of pairs.
        #[test]
        fn as_a_naive_table(steps in vec((0_u32..6, 0_usize..5, 0_u32..8), 1..300)) {
            let names = ["a", "b", "c", "d", "e"];
            let mut topics = Topics::default();
            let mut own = [Subscriptions::NONE; 6];
            let mut naive = BTreeSet::new();
            for (connection, name, what) in steps {
                let mine = &mut own[connection as usize];
                match what {
                    0..=3 => {
                        let added = topics.subscribe(connection, mine, names[name], 9);
                        prop_assert_eq!(added, Ok(naive.insert((name, connection))));
                    }
                    4..=5 => {
                        let removed = topics.unsubscribe(mine, names[name]);
                        prop_assert_eq!(removed, naive.remove(&(name, connection)));
                    }
                    6 => {
                        topics.leave(mine);
                        naive.retain(|(_, other)| *other != connection);
                    }
                    _ => {
                        topics.publish(names[name], &Prepared::text("x"), None);
                        let got: BTreeSet<_> = take(&mut topics).into_iter().map(|(to, _)| to).collect();
                        let expected = naive.iter().filter(|(topic, _)| *topic == name);
                        prop_assert_eq!(got, expected.map(|(_, to)| *to).collect());
                    }
                }
                let mut by_connection: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
                for (name, connection) in &naive {
                    by_connection.entry(*connection).or_default().insert(names[*name]);
                }
                for (connection, own) in (0..).zip(own) {
                    let names: BTreeSet<_> = topics.names(own).collect();
                    prop_assert_eq!(names, by_connection.remove(&connection).unwrap_or_default());
                }
            }
            for own in &mut own {
                topics.leave(own);
            }
            prop_assert!(topics.topics.is_empty() && topics.entries.is_empty());
            prop_assert!(topics.by_name.is_empty());
        }
    }
}
