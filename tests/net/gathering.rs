//! What is published while a loop is about to deliver: gathered, so that several publications leave
//! in one write, and within bounds.

use openline::proto::Config;

use crate::support::{Raw, TEXT, config, frame, request};
use crate::topics::{ALONE, Group, SUBSCRIBERS, assert_quiet, start, subscribers, tell, text};

#[test]
fn what_is_published_before_much_is_delivered_leaves_with_it() {
    let group = start(1, config(Config::default()));
    let mut raws = subscribers(&group, &request(ALONE), SUBSCRIBERS);
    let (mut publisher, _) = group.open();
    let (mut other, _) = group.open();
    assert_quiet(&mut publisher);
    let before = group.writes();
    publisher.send(&[frame(TEXT, b"pub x 1"), frame(TEXT, b"wait")].concat());
    group.await_waiting();
    // The loop has waited for sockets before this is readable.
    tell(&mut other, "pub x 2");
    group.pass.send(()).unwrap();
    for raw in &mut raws {
        assert_eq!([text(raw), text(raw)], ["1", "2"]);
    }
    assert_quiet(&mut publisher);
    assert_eq!(group.writes() - before, SUBSCRIBERS + 1, "and the Pong's");
    group.stop();
}

/// A loop that is had to find one thing at each look: while it stands still at what it has found,
/// the next is sent.
struct Looks {
    group: Group,
    subscribers: Vec<Raw>,
    others: std::vec::IntoIter<Raw>,
    /// Those of the others that have sent something.
    done: Vec<Raw>,
}

impl Looks {
    fn new(audience: usize) -> Self {
        let group = start(1, config(Config::default()));
        let subscribers = subscribers(&group, &request(ALONE), audience);
        let mut others: Vec<Raw> = (0..40).map(|_| group.open().0).collect();
        assert_quiet(&mut others[0]);
        subscribers[0].0.set_nonblocking(true).unwrap();
        Self {
            group,
            subscribers,
            others: others.into_iter(),
            done: Vec::new(),
        }
    }

    /// Has the loop find what one of the others says, and stand still; answers whether the
    /// subscribers have got something.
    fn find(&mut self, what: &str) -> bool {
        let mut other = self.others.next().unwrap();
        other.send(&[frame(TEXT, what.as_bytes()), frame(TEXT, b"wait")].concat());
        if !self.done.is_empty() {
            self.group.pass.send(()).unwrap();
        }
        self.group.await_waiting();
        self.done.push(other);
        self.subscribers[0].0.peek(&mut [0]).is_ok()
    }

    /// How many publications are gathered before they are delivered, if there is always one more.
    fn gathered(&mut self, publication: &str) -> usize {
        let what = format!("pub x {publication}");
        (0..40).position(|_| self.find(&what)).unwrap()
    }

    fn stop(self) {
        self.group.pass.send(()).unwrap();
        self.group.stop();
    }
}

#[test]
fn what_is_gathered_has_an_end() {
    // A look a subscriber, after the one that found the first.
    for audience in [16, 20] {
        let mut looks = Looks::new(audience);
        assert_eq!(looks.gathered("1"), 1 + audience);
        looks.stop();
    }
    // And 64 KiB.
    let mut looks = Looks::new(20);
    assert_eq!(looks.gathered(&"1".repeat(16 << 10)), 4);
    looks.stop();
}

#[test]
fn nothing_is_gathered_for_few_nor_while_others_are_ready() {
    let mut looks = Looks::new(15);
    assert_eq!(looks.gathered("1"), 1);
    looks.stop();

    let mut looks = Looks::new(16);
    assert!(!looks.find("pub x 1"));
    assert!(!looks.find("sub z"), "it looks");
    assert!(looks.find("pub x 2"), "it did not look again");
    looks.stop();
}
