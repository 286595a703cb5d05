//! A session until its connection is open: connecting, asking, answering.

use std::mem;
use std::time::{Duration, Instant};

use mio::Token;
use tracing::{Level, debug, enabled, error, info};

use crate::net::connect::{self, Connecting, Found, Plan, Progress};
use crate::net::decision::{Asking, Decided, Decision, Later};
use crate::net::end::EndWhy;
use crate::net::handler::Handler;
use crate::net::hub::Hub;
use crate::net::peer::Peer;
use crate::net::session::{Context, Session, State, Step};
use crate::net::trace::Note;
use crate::net::transport::Transport;
use crate::proto::{
    Answer, ClientHandshake, Connection, HandshakeError, Incoming, PageRequest, Refusal, Role,
    Status, Upgrade,
};

/// A client that waits for the server's answer.
pub(super) struct Requested<C> {
    pub(super) handshake: ClientHandshake,
    pub(super) data: C,
    /// For a redirect, and for when it is to connect again.
    pub(super) plan: Plan,
}

/// A server whose handler decides later.
pub(super) struct Deciding<C> {
    pub(super) upgrade: Upgrade,
    later: Later<C>,
}

impl<H: Handler> Session<H> {
    /// Goes on with the way to the server, and asks it once there is a stream. Answers whether
    /// there is more to do in this turn.
    pub(super) fn connect(&mut self, cx: &mut Context<H>) -> bool {
        let id = self.id(&cx.hub);
        let State::Connecting(connecting) = &mut self.state else {
            return true;
        };
        match connecting.proceed(id, &cx.hub, cx.poll.registry()) {
            Progress::Wait => return false,
            Progress::Stream(transport, address) => {
                self.transport = transport;
                self.link.address = address;
                // What was told was of any of the sockets that were tried.
                (self.readable, self.writable) = (true, true);
                (self.hung_up, self.eof) = (false, false);
                let token = Token(id.place.index as usize);
                match self.transport.reregister(cx.poll.registry(), token) {
                    Ok(()) => self.ask(cx),
                    Err(error) => self.finish(EndWhy::Connect(error), cx),
                }
            }
            Progress::Failed(address, error) => {
                self.link.address = address.unwrap_or(self.link.address);
                self.finish(EndWhy::Connect(error), cx);
            }
        }
        true
    }

    /// The name of the host was looked up.
    pub(super) fn found(&mut self, found: Found, cx: &mut Context<H>) {
        if let State::Connecting(connecting) = &mut self.state
            && let Err(error) = connecting.found(found, cx.hub.now)
        {
            self.finish(EndWhy::Connect(error), cx);
        }
    }

    /// Goes where a redirect led: from the beginning.
    fn follow(&mut self, cx: &mut Context<H>) {
        let since = cx.hub.now;
        let state = mem::replace(&mut self.state, State::Accepted { since });
        if let State::Requested(requested) = state {
            let Requested { plan, data, .. } = *requested;
            info!(
                target: "openline",
                connection = %self.id(&cx.hub), peer = %self.link.address,
                to = plan.request.url().host(), "redirected"
            );
            self.transport = Transport::Absent;
            (self.readable, self.writable) = (false, false);
            (self.hung_up, self.eof) = (false, false);
            cx.buffers.discard();
            let connecting = Connecting::new(plan, data, since);
            self.state = State::Connecting(Box::new(connecting));
        }
    }

    /// Sends the request.
    fn ask(&mut self, cx: &mut Context<H>) {
        let since = cx.hub.now;
        let seed = match connect::seed() {
            Ok(seed) => seed,
            Err(error) => return self.finish(EndWhy::Connect(error), cx),
        };
        let state = mem::replace(&mut self.state, State::Accepted { since });
        if let State::Connecting(connecting) = state {
            let Connecting { plan, data, .. } = *connecting;
            let config = cx.config.protocol.clone();
            let send = &mut cx.buffers.send;
            let handshake = ClientHandshake::start(&plan.request, config, since, seed, send);
            let requested = Requested {
                handshake,
                data,
                plan,
            };
            self.state = State::Requested(Box::new(requested));
        }
    }

    /// Reads the server's answer.
    pub(super) fn hear(&mut self, cx: &mut Context<H>) -> Step {
        let State::Requested(requested) = &mut self.state else {
            return Step::Next;
        };
        let Requested {
            handshake,
            data,
            plan,
        } = &mut **requested;
        let deadline = handshake.poll_timeout();
        let recv = &mut cx.buffers.recv;
        let polled = match handshake.poll(recv) {
            Ok(None) if self.eof => handshake.handle_eof(recv),
            polled => polled,
        };
        match polled {
            Ok(None) => return Step::More,
            Ok(Some(Answer::Accepted(accepted))) => {
                cx.handler.response(data, &accepted.response(recv));
                info!(
                    target: "openline",
                    connection = %self.id(&cx.hub), peer = %self.link.address, role = ?Role::Client,
                    subprotocol = accepted.subprotocol().map(tracing::field::debug),
                    compression = accepted.compression().map(tracing::field::display),
                    "handshake accepted"
                );
                let connection = accepted.open(cx.hub.now, recv);
                let since = cx.hub.now;
                let state = mem::replace(&mut self.state, State::Accepted { since });
                if let State::Requested(requested) = state {
                    let Requested { data, plan, .. } = *requested;
                    if plan.options.reconnect.is_some() {
                        self.link.extras().plan = Some((plan, since));
                    }
                    let took = elapsed(deadline, cx);
                    self.open(connection, data, took, cx);
                }
            }
            Ok(Some(Answer::Refused(refused))) => {
                let response = refused.response(recv);
                let status = response.status();
                cx.handler.response(data, &response);
                if plan.redirect(status, response.header_str("Location")) {
                    self.follow(cx);
                    return Step::More;
                }
                self.finish(EndWhy::Refused { status }, cx);
            }
            Err(error) => self.fail_handshake(error, cx),
        }
        Step::Next
    }

    /// Reads a client's request, and answers it.
    pub(super) fn answer(&mut self, cx: &mut Context<H>) -> Step {
        let State::Handshaking(handshake) = &mut self.state else {
            return Step::Next;
        };
        match handshake.poll_incoming(&cx.buffers.recv) {
            Ok(None) if !self.eof => return Step::More,
            Ok(None) => self.fail_handshake(HandshakeError::EndOfFile, cx),
            Ok(Some(Incoming::Upgrade(upgrade))) => self.decide(upgrade, cx),
            Ok(Some(Incoming::Page(page))) => self.show(page, cx),
            Err(error) => self.fail_handshake(error, cx),
        }
        Step::Next
    }

    /// Has the handler decide on a request that is legal.
    fn decide(&mut self, upgrade: Upgrade, cx: &mut Context<H>) {
        let asking = self.asking(&cx.hub);
        let request = upgrade.request(&cx.buffers.recv);
        let answer = cx.handler.request(&request, &asking);
        self.link.note(asking.note);
        let decided = match answer {
            Ok(Decision::Accept(acceptance, data)) => Ok((acceptance, data)),
            Ok(Decision::Later(later)) => {
                debug!(target: "openline", connection = %self.id(&cx.hub), "the decision is awaited");
                self.state = State::Deciding(Box::new(Deciding { upgrade, later }));
                return;
            }
            Err(refusal) => Err(refusal),
        };
        self.obey(upgrade, decided, cx);
    }

    /// Sees whether the decision that was put off has been made.
    pub(super) fn await_decision(&mut self, cx: &mut Context<H>) -> Step {
        let State::Deciding(deciding) = &self.state else {
            return Step::Next;
        };
        let Some(decided) = deciding.later.take() else {
            return Step::Wait;
        };
        let since = cx.hub.now;
        if let State::Deciding(deciding) = mem::replace(&mut self.state, State::Accepted { since })
        {
            self.obey(deciding.upgrade, decided, cx);
        }
        Step::Next
    }

    /// Answers a request as it was decided.
    fn obey(&mut self, upgrade: Upgrade, decided: Decided<H::Connection>, cx: &mut Context<H>) {
        let (recv, send) = (&mut cx.buffers.recv, &mut cx.buffers.send);
        // Not the query, which may be a secret.
        let path = enabled!(target: "openline", Level::INFO)
            .then(|| upgrade.request(recv).path().to_owned());
        let (acceptance, data) = match decided {
            Ok(accepted) => accepted,
            Err(refusal) => {
                let status = refusal.status.number();
                upgrade.refuse(&refusal, send);
                return self.finish(EndWhy::Refused { status }, cx);
            }
        };
        let deadline = upgrade.poll_timeout();
        match upgrade.accept(cx.hub.now, recv, &acceptance, send) {
            Ok(connection) => {
                info!(
                    target: "openline",
                    connection = %self.id(&cx.hub), peer = %self.link.address, role = ?Role::Server,
                    path = path.as_deref(),
                    subject = self.link.subject(),
                    subprotocol = acceptance.subprotocol.as_deref().map(tracing::field::debug),
                    compression = connection.compression().map(tracing::field::display),
                    "handshake accepted"
                );
                let took = elapsed(deadline, cx);
                self.open(connection, data, took, cx);
            }
            Err(error) => {
                error!(target: "openline", connection = %self.id(&cx.hub), %error, "the acceptance is void");
                let refusal = Refusal::new(Status::INTERNAL_SERVER_ERROR);
                let status = refusal.status.number();
                error.into_upgrade().refuse(&refusal, send);
                self.finish(EndWhy::Refused { status }, cx);
            }
        }
    }

    /// Has the handler answer a request that is none for WebSocket, if it answers any.
    fn show(&mut self, page_request: PageRequest, cx: &mut Context<H>) {
        let asking = self.asking(&cx.hub);
        let request = page_request.request(&cx.buffers.recv);
        let send = &mut cx.buffers.send;
        let why = match cx.handler.page(&request, &asking) {
            Some(page) => {
                let status = page.status.number();
                page_request.answer(&page, send);
                EndWhy::Page { status }
            }
            None => EndWhy::Handshake(page_request.refuse(send)),
        };
        self.finish(why, cx);
    }

    fn asking<'a>(&self, hub: &'a Hub) -> Asking<'a> {
        Asking {
            id: self.id(hub),
            address: self.link.address,
            remote: &hub.remote,
            note: Note::default(),
        }
    }

    fn open(
        &mut self,
        mut connection: Connection,
        mut data: H::Connection,
        took: Option<Duration>,
        cx: &mut Context<H>,
    ) {
        cx.hub.counters.opened(self.role(), took);
        let id = self.id(&cx.hub);
        let queued = cx.buffers.send.len();
        self.link.trace_session(id, self.role(), cx.hub.now, queued);
        cx.hub.mark = cx.hub.counters.mark();
        if self.eof {
            connection.handle_eof();
        }
        let mut peer = Peer {
            link: &mut self.link,
            hub: &mut cx.hub,
            connection: &mut connection,
            send: &mut cx.buffers.send,
            received: &[],
            answer: None,
        };
        cx.handler.open(&mut data, &mut peer);
        self.state = State::Open(connection, data);
    }

    /// The end, before there was a connection; a server says why.
    pub(super) fn fail_handshake(&mut self, error: HandshakeError, cx: &mut Context<H>) {
        if self.role() == Role::Server && error != HandshakeError::EndOfFile {
            error.refusal().write(&mut cx.buffers.send);
        }
        self.finish(EndWhy::Handshake(error), cx);
    }
}

/// How long a handshake took, by its deadline.
fn elapsed<H: Handler>(deadline: Option<Instant>, cx: &Context<H>) -> Option<Duration> {
    let left = deadline?.saturating_duration_since(cx.hub.now);
    cx.config.protocol.handshake_timeout.checked_sub(left)
}
