//! What other threads send to a loop, and what is published in it.
//!
//! Letters to one connection keep their order and leave in one write. Publications go out when
//! everything readable in the turn was read: one write for each subscriber.
//!
//! A write costs a microsecond or more, and a publication that comes while a thousand subscribers
//! are written to costs a thousand again. So a loop that has much to deliver looks first whether
//! more has come, for a small share of the time that delivering will take.

use std::mem;
use std::time::Duration;

use tracing::warn;

use crate::net::event_loop::EventLoop;
use crate::net::handler::Handler;
use crate::net::mailbox::{Content, Item, Letter, Lost, Post};
use crate::net::remote::Undelivered;
use crate::net::topics::{BATCH_MAX, Batch, Delivery};

/// As many subscribers have a loop look once more for what else is published: a look costs about a
/// tenth of a write.
const SUBSCRIBERS_A_LOOK: usize = 16;

impl<H: Handler> EventLoop<H> {
    /// Takes what other threads have sent.
    pub(super) fn handle_mailbox(&mut self) {
        let empty = mem::take(&mut self.items);
        let Post {
            mut items,
            lost,
            shutdowns,
            ..
        } = self.mailbox().take(empty);
        let mut letters = Vec::new();
        for item in items.drain(..) {
            match item {
                // Now, so that it comes before or after what is published as it did there.
                Item::Letter(letter) if letter.is_of_topics() => self.subscribe(letter),
                Item::Letter(letter) => letters.push(letter),
                Item::News(topic, message) => self.cx.hub.topics.publish(&topic, &message, None),
            }
        }
        self.items = items;
        if lost.count > 0 {
            self.count_lost(&lost);
        }
        // Those to one connection together, in their order, so that they leave in one write.
        letters.sort_by_key(|letter| letter.id);
        let mut rest = letters.into_iter().peekable();
        while let Some(first) = rest.next() {
            let id = first.id;
            let mut contents = vec![first.content];
            while let Some(letter) = rest.next_if(|letter| letter.id == id) {
                contents.push(letter.content);
            }
            let index = id.place.index;
            let known = self.sessions.get(index as usize);
            if known.is_some_and(|session| session.place() == id.place) {
                self.visit(index, |session, cx| {
                    session.deliver(contents.into_iter(), cx)
                });
            } else {
                for content in contents {
                    self.return_to_sender(Letter { id, content });
                }
            }
        }
        for _ in 0..shutdowns {
            self.shut_down();
        }
    }

    /// Tells of the letters that nobody will read.
    pub(super) fn refuse_letters(&mut self) {
        for item in self.mailbox().take(Vec::new()).items {
            if let Item::Letter(letter) = item {
                self.return_to_sender(letter);
            }
        }
    }

    /// Has those who would have got them know how many publications were lost.
    #[cold]
    fn count_lost(&mut self, lost: &Lost) {
        let (thread, count) = (self.cx.hub.number, lost.count);
        warn!(target: "openline", thread, count, "publications are lost: the mailbox was full");
        self.cx.hub.counters.lost.add(lost.count);
        for (topic, count) in &lost.topics {
            for index in self.cx.hub.topics.subscribers(topic) {
                if let Some(session) = self.sessions.get_mut(index as usize) {
                    session.miss(*count);
                }
            }
        }
    }

    /// Obeys a letter that is about a subscription.
    fn subscribe(&mut self, letter: Letter) {
        let place = letter.id.place;
        let session = self.sessions.get_mut(place.index as usize);
        let Some(session) = session.filter(|session| session.place() == place) else {
            return self.return_to_sender(letter);
        };
        if let Content::Message(message) = letter.content
            && let Err(why) = session.subscribe(&message, &mut self.cx.hub)
        {
            self.cx.handler.undelivered(letter.id, message, why);
        }
    }

    /// Reads what comes before it pays to deliver what has been published: at a look, or at as many
    /// as pay where publications come apace. Each look that brings publications is followed by as
    /// many, up to a look a subscriber. What else is ready ends it, and so does much that is
    /// published: neither is to keep subscribers waiting, nor the latter to fill the memory.
    pub(super) fn gather_publications(&mut self) {
        let is_pressed = mem::take(&mut self.has_delivered_much);
        let has_paid = mem::take(&mut self.gathers);
        let audience = self.cx.hub.topics.audience();
        if audience < SUBSCRIBERS_A_LOOK {
            return;
        }
        // They come apace if this came while others were delivered, or if it paid the last time.
        let looks = audience / SUBSCRIBERS_A_LOOK;
        let mut left = match is_pressed || has_paid {
            true => looks,
            false => 1,
        };
        for _ in 0..audience {
            if left == 0 || self.cx.hub.topics.published_size() >= BATCH_MAX {
                break;
            }
            left -= 1;
            // If it cannot, the wait of the next turn says so.
            if self.wait(Some(Duration::ZERO)).is_err() {
                break;
            }
            let ready = self.events.iter().count() as u64;
            if ready == 0 {
                continue;
            }
            let before = self.cx.hub.topics.published();
            if self.handle_events() {
                self.handle_mailbox();
                self.begin_wanted();
            }
            if self.cx.hub.topics.published() - before < ready {
                break;
            }
            self.gathers = true;
            left = looks;
        }
    }

    /// Sends what was published in this turn: to each subscriber all of it at once.
    ///
    /// Who was first the last time is last now, so that nobody always waits for all others.
    pub(super) fn deliver_publications(&mut self) {
        if !self.cx.hub.abroad.is_empty() {
            self.cx
                .hub
                .remote
                .pass_on(self.cx.hub.number, &self.cx.hub.abroad);
            self.cx.hub.abroad.clear();
        }
        if self.cx.hub.topics.is_quiet() {
            return;
        }
        let mut deliveries = mem::take(&mut self.deliveries);
        let publications = self.cx.hub.topics.take(&mut deliveries);
        let mut batch = mem::take(&mut self.batch);
        if self.goes_back {
            deliveries.reverse();
        }
        self.goes_back = !self.goes_back;
        for &Delivery { connection, list } in deliveries.each() {
            let together =
                batch.is_of(list) || batch.put_together(list, deliveries.of(list, &publications));
            if together && self.hand_on(connection, &batch) {
                continue;
            }
            let messages = deliveries.of(list, &publications);
            self.visit(connection, |session, cx| {
                session.deliver_published(messages, cx)
            });
        }
        batch.forget();
        self.batch = batch;
        self.has_delivered_much = deliveries.each().len() >= SUBSCRIBERS_A_LOOK;
        self.deliveries = deliveries;
    }

    /// Delivers what many get in a row as they do, in a write of what was put together once for all;
    /// answers whether that is done.
    #[inline]
    fn hand_on(&mut self, connection: u32, batch: &Batch) -> bool {
        let frames = batch.frames();
        let Some((session, cx)) = self.enter(connection) else {
            return true;
        };
        match session.hand_on(frames, batch.kinds(), cx) {
            None => return false,
            Some(Ok(sent)) if sent == frames.len() && self.cx.buffers.send.is_empty() => {}
            Some(written) => self.visit(connection, |session, cx| {
                session.follow_up(frames, written, cx)
            }),
        }
        true
    }

    fn return_to_sender(&mut self, letter: Letter) {
        if let Content::Message(message) = letter.content {
            self.cx
                .handler
                .undelivered(letter.id, message, Undelivered::Ended);
        }
    }
}
