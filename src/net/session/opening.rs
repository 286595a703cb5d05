//! A session until its connection is open: connecting, asking, answering.

use std::io;
use std::mem;

use tracing::{Level, debug, enabled, error, info};

use crate::net::connect::Connecting;
use crate::net::decision::{Asking, Decided, Decision, Later};
use crate::net::end::EndWhy;
use crate::net::handler::Handler;
use crate::net::hub::Hub;
use crate::net::peer::Peer;
use crate::net::session::{Context, Session, State, Step};
use crate::proto::{
    Answer, ClientHandshake, Connection, HandshakeError, Incoming, PageRequest, Refusal, Role,
    Status, Upgrade,
};

/// A client that waits for the server's answer.
pub(super) struct Requested<C> {
    pub(super) handshake: ClientHandshake,
    pub(super) data: C,
}

/// A server whose handler decides later.
pub(super) struct Deciding<C> {
    pub(super) upgrade: Upgrade,
    later: Later<C>,
}

impl<H: Handler> Session<H> {
    /// Sees whether the present address has answered, and asks the server if it has. Answers
    /// whether there is more to do in this turn.
    pub(super) fn connect(&mut self, cx: &mut Context<'_, H>) -> bool {
        match self.transport.connected() {
            Ok(true) => self.ask(cx),
            Ok(false) => return false,
            Err(error) => self.connect_next(error, cx),
        }
        !matches!(self.state, State::Connecting(_))
    }

    /// Goes on to the next address after `error`, which is the end if there is none.
    pub(super) fn connect_next(&mut self, error: io::Error, cx: &mut Context<'_, H>) {
        let id = self.id(cx.hub);
        let State::Connecting(connecting) = &mut self.state else {
            return;
        };
        info!(
            target: "openline",
            connection = %id, peer = %self.link.address, %error, "could not connect"
        );
        let begun = connecting.begin(cx.hub.now, cx.config.protocol.handshake_timeout);
        let error = match begun {
            Ok(Some((transport, address))) => {
                self.transport = transport;
                self.link.address = address;
                self.writable = false;
                match self.register(cx.registry) {
                    Ok(()) => return,
                    Err(error) => error,
                }
            }
            Ok(None) => error,
            Err((address, error)) => {
                self.link.address = address;
                error
            }
        };
        self.finish(EndWhy::Connect(error), cx);
    }

    /// Sends the request.
    fn ask(&mut self, cx: &mut Context<'_, H>) {
        let since = cx.hub.now;
        let state = mem::replace(&mut self.state, State::Accepted { since });
        if let State::Connecting(connecting) = state {
            let Connecting {
                request,
                data,
                seed,
                ..
            } = *connecting;
            let config = cx.config.protocol.clone();
            let send = &mut cx.buffers.send;
            let handshake = ClientHandshake::start(&request, config, since, seed, send);
            self.state = State::Requested(Box::new(Requested { handshake, data }));
        }
    }

    /// Reads the server's answer.
    pub(super) fn hear(&mut self, cx: &mut Context<'_, H>) -> Step {
        let State::Requested(requested) = &mut self.state else {
            return Step::Next;
        };
        let Requested { handshake, data } = &mut **requested;
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
                    connection = %self.id(cx.hub), peer = %self.link.address, role = ?Role::Client,
                    subprotocol = accepted.subprotocol().map(tracing::field::debug),
                    "handshake accepted"
                );
                let connection = accepted.open(cx.hub.now, recv);
                let since = cx.hub.now;
                let state = mem::replace(&mut self.state, State::Accepted { since });
                if let State::Requested(requested) = state {
                    self.open(connection, requested.data, cx);
                }
            }
            Ok(Some(Answer::Refused(refused))) => {
                let response = refused.response(recv);
                let status = response.status();
                cx.handler.response(data, &response);
                self.finish(EndWhy::Refused { status }, cx);
            }
            Err(error) => self.fail_handshake(error, cx),
        }
        Step::Next
    }

    /// Reads a client's request, and answers it.
    pub(super) fn answer(&mut self, cx: &mut Context<'_, H>) -> Step {
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
    fn decide(&mut self, upgrade: Upgrade, cx: &mut Context<'_, H>) {
        let asking = self.asking(cx.hub);
        let request = upgrade.request(&cx.buffers.recv);
        let decided = match cx.handler.request(&request, &asking) {
            Ok(Decision::Accept(acceptance, data)) => Ok((acceptance, data)),
            Ok(Decision::Later(later)) => {
                debug!(target: "openline", connection = %self.id(cx.hub), "the decision is awaited");
                self.state = State::Deciding(Box::new(Deciding { upgrade, later }));
                return;
            }
            Err(refusal) => Err(refusal),
        };
        self.obey(upgrade, decided, cx);
    }

    /// Sees whether the decision that was put off has been made.
    pub(super) fn await_decision(&mut self, cx: &mut Context<'_, H>) -> Step {
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
    fn obey(&mut self, upgrade: Upgrade, decided: Decided<H::Connection>, cx: &mut Context<'_, H>) {
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
        match upgrade.accept(cx.hub.now, recv, &acceptance, send) {
            Ok(connection) => {
                info!(
                    target: "openline",
                    connection = %self.id(cx.hub), peer = %self.link.address, role = ?Role::Server,
                    path = path.as_deref(),
                    subprotocol = acceptance.subprotocol.as_deref().map(tracing::field::debug),
                    "handshake accepted"
                );
                self.open(connection, data, cx);
            }
            Err(error) => {
                error!(target: "openline", connection = %self.id(cx.hub), %error, "the acceptance is void");
                let refusal = Refusal::new(Status::INTERNAL_SERVER_ERROR);
                let status = refusal.status.number();
                error.into_upgrade().refuse(&refusal, send);
                self.finish(EndWhy::Refused { status }, cx);
            }
        }
    }

    /// Has the handler answer a request that is none for WebSocket, if it answers any.
    fn show(&mut self, page_request: PageRequest, cx: &mut Context<'_, H>) {
        let asking = self.asking(cx.hub);
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
        }
    }

    fn open(
        &mut self,
        mut connection: Connection,
        mut data: H::Connection,
        cx: &mut Context<'_, H>,
    ) {
        if self.eof {
            connection.handle_eof();
        }
        let mut peer = Peer {
            link: &mut self.link,
            hub: cx.hub,
            connection: &mut connection,
            send: &mut cx.buffers.send,
        };
        cx.handler.open(&mut data, &mut peer);
        self.state = State::Open(connection, data);
    }

    /// The end, before there was a connection; a server says why.
    pub(super) fn fail_handshake(&mut self, error: HandshakeError, cx: &mut Context<'_, H>) {
        if self.role == Role::Server && error != HandshakeError::EndOfFile {
            error.refusal().write(&mut cx.buffers.send);
        }
        self.finish(EndWhy::Handshake(error), cx);
    }
}
