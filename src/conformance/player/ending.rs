//! How the connection ended, and what both verdicts are.

use std::time::Duration;

use crate::conformance::case::{Answer, Case, Decides, Party};
use crate::conformance::codec::Params;
use crate::conformance::player::judge::Judge;
use crate::conformance::verdict::{Behavior, BehaviorClose, Outcome};
use crate::proto::Role;

/// What is known of the connection beside the events.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) opened: bool,
    /// The status of a server's response.
    pub(super) status: Option<u16>,
    /// What a check of the peer's head found.
    pub(super) fault: Option<String>,
    pub(super) deflate: Option<Params>,
    pub(super) unimplemented: bool,
    /// The opcode that a client answered a response with that it must reject.
    pub(super) answered: Option<u8>,
    pub(super) violation: Option<String>,
    pub(super) sent_close: bool,
    pub(super) received_close: bool,
    pub(super) closed_by_peer: bool,
    /// Our Close frame came first, and was answered.
    pub(super) clean: bool,
    pub(super) local_code: Option<u16>,
    pub(super) local_reason: Option<String>,
    pub(super) remote_code: Option<u16>,
    pub(super) remote_reason: Option<String>,
    /// The peer's stream has ended.
    pub(super) ended: bool,
    /// By a reset.
    pub(super) reset: bool,
    pub(super) dropped_by_us: bool,
    /// The deadline came.
    pub(super) late: bool,
}

impl Facts {
    /// Our Close frame goes out.
    pub(super) fn sends_close(&mut self, payload: &[u8]) {
        self.sent_close = true;
        if let Some((code, reason)) = payload.split_first_chunk() {
            self.local_code = Some(u16::from_be_bytes(*code));
            if !reason.is_empty() {
                self.local_reason = Some(String::from_utf8_lossy(reason).into_owned());
            }
        }
        if self.received_close {
            self.clean = true;
        }
    }

    fn closed_by_us(&self) -> bool {
        self.sent_close && !self.closed_by_peer
    }

    /// Both verdicts.
    pub(super) fn outcome(
        &self,
        case: &Case,
        peer: Role,
        judge: &Judge,
        duration: Duration,
    ) -> Outcome {
        let (mut behavior, mut result) = self.behavior(case, judge);
        let (mut behavior_close, result_close) = self.behavior_close(case, peer);
        if case.ending.informational {
            let was = if behavior == Behavior::Ok {
                "as expected"
            } else {
                "otherwise"
            };
            result = format!("The document leaves it open; the peer behaved {was}. {result}");
            if self.violation.is_none() {
                behavior = Behavior::Informational;
                behavior_close = BehaviorClose::Informational;
            }
        } else if self.opened && !self.unimplemented {
            let decided = self.decide(case.ending.decides, behavior_close);
            if let Some(decided) = decided
                && decided > behavior
            {
                behavior = decided;
                result.clone_from(&result_close);
            }
        }
        Outcome {
            behavior,
            behavior_close,
            result,
            result_close,
            local_close_code: self.local_code,
            local_close_reason: self.local_reason.clone(),
            remote_close_code: self.remote_code,
            remote_close_reason: self.remote_reason.clone().filter(|text| !text.is_empty()),
            closed_by_us: self.closed_by_us(),
            dropped_by_us: self.dropped_by_us,
            clean: self.clean,
            opened: self.opened,
            duration,
        }
    }

    fn behavior(&self, case: &Case, judge: &Judge) -> (Behavior, String) {
        if let Some(violation) = &self.violation {
            let what = format!("The peer broke the protocol: {violation}.");
            return (Behavior::Failed, what);
        }
        if let Some(fault) = &self.fault {
            let what = format!("The peer's head is not as it must be: {fault}.");
            return (Behavior::Failed, what);
        }
        match &case.opening.answer {
            Answer::Opens | Answer::ShouldOpen if self.opened => {}
            Answer::ShouldOpen if self.refused() => {
                let what = "The server refused the connection, and had only to decline an offer.";
                return (Behavior::NonStrict, what.to_owned());
            }
            Answer::Opens | Answer::ShouldOpen => return (Behavior::Failed, self.unopened()),
            Answer::Refuses(statuses) => return self.refusal(statuses),
            Answer::Rejects => return self.rejection(),
            Answer::Drops => return self.dropping(),
            Answer::Either => {
                let what = match self.status {
                    Some(status) => format!("The server answered {status}."),
                    None if self.answered.is_some() => "The client went on.".to_owned(),
                    None => "The peer dropped the connection, or said nothing.".to_owned(),
                };
                return (Behavior::Informational, what);
            }
        }
        if self.unimplemented {
            let what = match self.deflate {
                None => "The peer did not agree to permessage-deflate.",
                Some(_) => "The peer lets no message refer back to another.",
            };
            return (Behavior::Unimplemented, what.to_owned());
        }
        judge.verdict()
    }

    /// A server says that the fault is the request's. RFC 7692 §7.1 has it decline an illegal
    /// offer, which is to go on without (§5); but RFC 6455 §4.2.2 lets it refuse any connection.
    fn refused(&self) -> bool {
        matches!(self.status, Some(400..=499))
    }

    fn unopened(&self) -> String {
        match self.status {
            Some(status) => format!("The server refused with status {status}."),
            None if self.ended => "The connection ended within the opening handshake.".to_owned(),
            None => "The opening handshake was not completed in time.".to_owned(),
        }
    }

    /// A server had to refuse.
    fn refusal(&self, statuses: &[u16]) -> (Behavior, String) {
        match self.status {
            Some(101) => (
                Behavior::Failed,
                "The server agreed to what it must refuse.".to_owned(),
            ),
            Some(status) if statuses.contains(&status) => (
                Behavior::Ok,
                format!("The server refused with status {status}."),
            ),
            Some(status) if status >= 300 => {
                let listed: Vec<_> = statuses.iter().map(u16::to_string).collect();
                let fits = listed.join(" or ");
                let what = format!("The server refused, with status {status}; {fits} says why.");
                (Behavior::NonStrict, what)
            }
            Some(status) => (
                Behavior::Failed,
                format!("The server answered {status}, which is no refusal."),
            ),
            None if self.ended => (
                Behavior::NonStrict,
                "The server dropped the connection without a response.".to_owned(),
            ),
            None => (
                Behavior::Failed,
                "The server neither refused nor dropped the connection in time.".to_owned(),
            ),
        }
    }

    /// The peer had to drop the connection.
    fn dropping(&self) -> (Behavior, String) {
        let (behavior, what) = match self.status {
            Some(101) => (Behavior::Failed, "The server agreed to half a request."),
            Some(_) => (Behavior::Ok, "The server refused."),
            None if self.answered.is_some() => (Behavior::Failed, "The client went on."),
            None if self.ended => (Behavior::Ok, "The peer dropped the connection."),
            None => (
                Behavior::Failed,
                "The peer did not drop the connection in time.",
            ),
        };
        (behavior, what.to_owned())
    }

    /// A client had to drop the connection.
    fn rejection(&self) -> (Behavior, String) {
        match self.answered {
            Some(8) if self.ended => (
                Behavior::NonStrict,
                "The client rejected the response, with a Close frame on a connection that was \
                 never open."
                    .to_owned(),
            ),
            Some(8) => (
                Behavior::Failed,
                "The client sent a Close frame and left the connection open.".to_owned(),
            ),
            Some(_) => (
                Behavior::Failed,
                "The client took for consent what it must reject.".to_owned(),
            ),
            None if self.ended => (
                Behavior::Ok,
                "The client dropped the connection.".to_owned(),
            ),
            None => (
                Behavior::Failed,
                "The client did not drop the connection in time.".to_owned(),
            ),
        }
    }

    fn behavior_close(&self, case: &Case, peer: Role) -> (BehaviorClose, String) {
        let ending = &case.ending;
        let say = |verdict, what: &str| (verdict, what.to_owned());
        if !self.opened {
            return match case.opening.answer {
                Answer::ShouldOpen if self.refused() => {
                    say(BehaviorClose::Ok, "There was nothing to close.")
                }
                Answer::Opens | Answer::ShouldOpen => say(
                    BehaviorClose::Failed,
                    "The opening handshake was never completed.",
                ),
                _ => say(BehaviorClose::Ok, "There was nothing to close."),
            };
        }
        let by_us = ending.by == Party::Us || self.unimplemented;
        if ending.by == Party::EndOfFile && !self.unimplemented {
            return match self.ended || self.received_close {
                true => say(
                    BehaviorClose::Ok,
                    "The peer dropped the connection when our stream ended.",
                ),
                false => say(
                    BehaviorClose::Failed,
                    "The peer kept the connection when our stream had ended.",
                ),
            };
        }
        let peer_left = self.closed_by_peer || self.ended && !self.sent_close;
        if by_us != self.closed_by_us() || !by_us && !peer_left {
            let what = match (by_us, peer_left) {
                (true, true) => "The peer ended what was ours to end.",
                (true, false) => "The time was up before it was ours to close.",
                (false, _) => "The peer did not end the connection, and had to.",
            };
            return say(BehaviorClose::Failed, what);
        }
        if (ending.clean || self.unimplemented) && !self.clean {
            return say(BehaviorClose::Unclean, "The peer sent no Close frame.");
        }
        if let Some(code) = self.remote_code
            // What the case would have had it close with is another matter.
            && !self.unimplemented
            && !ending.codes.is_empty()
            && !ending.codes.contains(&code)
        {
            let codes: Vec<_> = ending.codes.iter().map(u16::to_string).collect();
            let what = format!(
                "The peer closed with {code}; it should be {}, or none.",
                codes.join(" or ")
            );
            return (BehaviorClose::WrongCode, what);
        }
        if peer == Role::Server && self.dropped_by_us {
            let what = "The server left it to us, the client, to drop the connection.";
            return say(BehaviorClose::FailedByClient, what);
        }
        say(BehaviorClose::Ok, "The connection was closed properly.")
    }

    /// What the ending makes of the first verdict.
    fn decide(&self, decides: Decides, close: BehaviorClose) -> Option<Behavior> {
        match (decides, close) {
            (Decides::Party | Decides::All, BehaviorClose::Failed)
            | (Decides::Code, BehaviorClose::WrongCode)
            | (Decides::All, BehaviorClose::Unclean) => Some(Behavior::Failed),
            (Decides::All, BehaviorClose::WrongCode) => Some(Behavior::NonStrict),
            // §7.1.7: who fails the connection should say so in a Close frame.
            (Decides::All, BehaviorClose::Ok) if !self.received_close => Some(Behavior::NonStrict),
            _ => None,
        }
    }
}
