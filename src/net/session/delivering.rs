//! What comes to a session from elsewhere than its peer: from other threads, and from topics.

use std::io;

use crate::net::end::EndWhy;
use crate::net::handler::Handler;
use crate::net::hub::Hub;
use crate::net::mailbox::Content;
use crate::net::peer::Peer;
use crate::net::remote::{OwnedMessage, Undelivered};
use crate::net::session::{Context, Flow, Session, State};
use crate::proto::{Close, Kind, Prepared, SendError};

impl<H: Handler> Session<H> {
    /// What other threads have to say.
    pub(in crate::net) fn deliver(
        &mut self,
        contents: impl Iterator<Item = Content>,
        cx: &mut Context<H>,
    ) -> Flow {
        self.work(cx, |session, cx| {
            for content in contents {
                match content {
                    Content::Message(message) => {
                        if let Err(why) = session.deliver_one(&message, cx) {
                            let id = session.id(&cx.hub);
                            cx.handler.undelivered(id, message, why);
                        }
                    }
                    Content::Call => session.call(cx),
                    // That there is something to take up is all it says.
                    Content::Decided => {}
                    Content::Found(found) => session.found(*found, cx),
                }
            }
            true
        })
    }

    /// Writes at once what was published, as others get it, if nothing is in the way: nothing of it
    /// is copied or queued then. `None` if something is, and nothing was done; else what the write
    /// came to, which [`follow_up`](Self::follow_up) goes on from if that was not all.
    #[inline]
    pub(in crate::net) fn hand_on(
        &mut self,
        frames: &[u8],
        kinds: (u64, u64),
        cx: &mut Context<H>,
    ) -> Option<io::Result<usize>> {
        let State::Open(connection, _) = &mut self.state else {
            return None;
        };
        let is_free = self.writable && self.held.is_none() && self.link.extras.is_none();
        if !is_free || !connection.begin_encoded(frames.len()) {
            return None;
        }
        cx.hub.counters.sent_together(kinds);
        let scratch = &mut cx.buffers.scratch;
        let written = self.write(frames, scratch, &cx.hub, &mut cx.handler);
        if let Ok(sent) = written
            && sent == frames.len()
        {
            self.wrote(sent, sent, cx);
        }
        Some(written)
    }

    /// Goes on from what a write of `frames` at once came to.
    #[inline(never)]
    pub(in crate::net) fn follow_up(
        &mut self,
        frames: &[u8],
        written: io::Result<usize>,
        cx: &mut Context<H>,
    ) -> Flow {
        match written {
            Ok(sent) => self.work(cx, |session, cx| {
                let left = &frames[sent..];
                if !left.is_empty() {
                    cx.buffers.send.extend(left);
                    session.wrote(sent, frames.len(), cx);
                }
                true
            }),
            Err(error) => self.break_off(error, cx),
        }
    }

    /// What was published for it.
    pub(in crate::net) fn deliver_published<'a>(
        &mut self,
        messages: impl Iterator<Item = &'a Prepared>,
        cx: &mut Context<H>,
    ) -> Flow {
        self.work(cx, |session, cx| {
            for message in messages {
                session.pass_on(message, cx);
            }
            true
        })
    }

    /// Sends a publication, if the peer reads fast enough.
    fn pass_on(&mut self, message: &Prepared, cx: &mut Context<H>) {
        let State::Open(connection, _) = &mut self.state else {
            return;
        };
        match connection.send_prepared(message, &mut cx.buffers.send) {
            Ok(()) => return cx.hub.counters.sent(message.kind()),
            Err(SendError::Closed) => return,
            Err(SendError::QueueFull { queued }) if self.close_slow_reader(queued, cx) => return,
            // It reads too slowly, or a message in fragments is under way.
            Err(_) => {}
        }
        self.link.extras().dropped += 1;
        cx.hub.counters.drops.add(1);
    }

    /// As many publications for it were lost on their way.
    pub(in crate::net) fn miss(&mut self, count: u64) {
        if self.is_open() {
            self.link.extras().dropped += count;
        }
    }

    /// Obeys a message that is about a subscription.
    pub(in crate::net) fn subscribe(
        &mut self,
        message: &OwnedMessage,
        hub: &mut Hub,
    ) -> Result<(), Undelivered> {
        match (&self.state, message) {
            (State::Lingering(_), _) => Err(Undelivered::Ended),
            (State::Open(..), OwnedMessage::Subscribe(topic)) => {
                let subscribed = hub.subscribe(&mut self.link, topic);
                subscribed.map(|_| ()).map_err(Undelivered::Subscribe)
            }
            (State::Open(..), OwnedMessage::Unsubscribe(topic)) => {
                hub.topics.unsubscribe(&mut self.link.subscriptions, topic);
                Ok(())
            }
            _ => Err(Undelivered::NotOpen),
        }
    }

    fn call(&mut self, cx: &mut Context<H>) {
        if let State::Open(connection, data) = &mut self.state {
            let mut peer = Peer {
                link: &mut self.link,
                hub: &mut cx.hub,
                connection,
                send: &mut cx.buffers.send,
                received: &[],
                answer: None,
            };
            cx.handler.called(data, &mut peer);
        }
    }

    fn deliver_one(
        &mut self,
        message: &OwnedMessage,
        cx: &mut Context<H>,
    ) -> Result<(), Undelivered> {
        let send = &mut cx.buffers.send;
        let connection = match &mut self.state {
            State::Open(connection, _) => connection,
            State::Lingering(_) => return Err(Undelivered::Ended),
            _ if matches!(message, OwnedMessage::Close(_)) => {
                self.finish(EndWhy::Abandoned, cx);
                return Ok(());
            }
            _ => return Err(Undelivered::NotOpen),
        };
        let counters = &cx.hub.counters;
        match message {
            OwnedMessage::Text(text) => {
                counters.count_sent(Kind::Text, connection.send_text(text, send))
            }
            OwnedMessage::Binary(data) => {
                counters.count_sent(Kind::Binary, connection.send_binary(data, send))
            }
            OwnedMessage::Prepared(prepared) => {
                counters.count_sent(prepared.kind(), connection.send_prepared(prepared, send))
            }
            OwnedMessage::Ping(payload) => connection.send_ping(payload, send),
            OwnedMessage::Subscribe(_) | OwnedMessage::Unsubscribe(_) => {
                return self.subscribe(message, &mut cx.hub);
            }
            OwnedMessage::Close(close) => {
                let close = close.as_ref().map(|(code, reason)| Close {
                    code: *code,
                    reason,
                });
                connection.close(cx.hub.now, close, send)
            }
        }
        .map_err(Undelivered::Send)
    }
}
