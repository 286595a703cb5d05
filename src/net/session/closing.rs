//! A session that we close: over a quota, a reader that is too slow, or because the loop ends.

use std::time::Instant;

use crate::net::config::SlowReader;
use crate::net::end::EndWhy;
use crate::net::handler::Handler;
use crate::net::quota::Quota;
use crate::net::session::{Context, Flow, Session, State};
use crate::proto::{Close, CloseCode, Refusal, SendBuffer, SendError, Status};

impl<H: Handler> Session<H> {
    /// The peer reads too slowly: closes the connection, if that is the policy.
    #[cold]
    pub(super) fn close_slow_reader(&mut self, queued: usize, cx: &mut Context<H>) -> bool {
        let SlowReader::Close(code, reason) = &cx.config.slow_reader else {
            return false;
        };
        let code = *code;
        self.begin_close(code, reason, cx.hub.now, &mut cx.buffers.send);
        let why = EndWhy::SlowReader { queued, code };
        self.finish(why, cx);
        true
    }

    /// A quota is exceeded: the end.
    #[cold]
    pub(super) fn close_exceeding(&mut self, quota: Quota, cx: &mut Context<H>) {
        let (now, send) = (cx.hub.now, &mut cx.buffers.send);
        self.begin_close(CloseCode::POLICY_VIOLATION, &quota.to_string(), now, send);
        self.finish(EndWhy::Quota(quota), cx);
    }

    /// Begins the closing handshake, unless that has been done: so much the better. A reason that
    /// is too long is left out.
    fn begin_close(&mut self, code: CloseCode, reason: &str, now: Instant, send: &mut SendBuffer) {
        if let State::Open(connection, _) = &mut self.state {
            let told = connection.close(now, Some(Close { code, reason }), send);
            if let Err(SendError::ReasonTooLong) = told {
                let close = Close { code, reason: "" };
                // It was open, and is.
                let _ = connection.close(now, Some(close), send);
            }
        }
    }

    /// One connection too many: says so.
    pub(in crate::net) fn turn_away(&mut self, quota: Quota, cx: &mut Context<H>) -> Flow {
        self.work(cx, |session, cx| {
            let status = match quota {
                Quota::ConnectionsPerAddress => Status::TOO_MANY_REQUESTS,
                _ => Status::SERVICE_UNAVAILABLE,
            };
            let refusal = Refusal::new(status).with_text(&format!("{quota}\n"));
            refusal.write(&mut cx.buffers.send);
            session.finish(EndWhy::Quota(quota), cx);
            true
        })
    }

    /// The loop stops: begins the closing handshake, or breaks off the opening one.
    pub(in crate::net) fn shut_down(&mut self, cx: &mut Context<H>) -> Flow {
        self.work(cx, |session, cx| {
            match &mut session.state {
                State::Open(..) => {
                    let (code, reason) = (cx.config.shutdown_code, &cx.config.shutdown_reason);
                    session.begin_close(code, reason, cx.hub.now, &mut cx.buffers.send);
                }
                State::Handshaking(_) | State::Deciding(_) => {
                    Refusal::new(Status::SERVICE_UNAVAILABLE).write(&mut cx.buffers.send);
                    session.finish(EndWhy::Shutdown, cx);
                }
                State::Connecting(_) | State::Requested(_) | State::Accepted { .. } => {
                    session.finish(EndWhy::Shutdown, cx);
                    session.give_up();
                }
                State::Lingering(_) => {}
            }
            true
        })
    }

    /// Nobody waits for it any more: the end, unless it was told already.
    pub(in crate::net) fn abandon(&mut self, why: EndWhy, cx: &mut Context<H>) {
        cx.hub.counters.queue(self.queued(), 0);
        cx.hub.mark = cx.hub.counters.mark();
        self.finish(why, cx);
    }
}
