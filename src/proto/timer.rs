//! The timers of an open connection as values: ping, pong, idle.
//!
//! They are measured from what was last received or sent, so nothing is armed or cancelled on a
//! message's way: it only leaves its time behind. The deadlines of the two handshakes are fixed
//! when they begin, and stand where those states do.

use std::time::{Duration, Instant};

use crate::proto::config::Config;

/// What the timers are measured from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    /// When the peer last showed life: a byte of it was parsed, or it acknowledged some of ours.
    received: Instant,
    /// When our last Ping went out; it is answered once `received` is not before it.
    pinged: Option<Instant>,
    /// Whether a Ping was sent that is not the timer's.
    pinged_otherwise: bool,
    /// From when the idle time counts.
    idle_since: Instant,
    /// Whether a message was sent since.
    sent: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    PongTimeout,
    IdleTimeout,
}

impl Timers {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            received: now,
            pinged: None,
            pinged_otherwise: false,
            idle_since: now,
            sent: false,
        }
    }

    /// Bytes of the peer were parsed.
    #[inline]
    pub(crate) fn received(&mut self, now: Instant) {
        self.received = now;
    }

    /// They were of a data message.
    #[inline]
    pub(crate) fn received_message(&mut self, now: Instant) {
        self.received = now;
        self.idle_since = now;
    }

    /// A message was queued. Senders have no clock at hand: [`due`](Self::due) takes the time.
    #[inline]
    pub(crate) fn sent_message(&mut self) {
        self.sent = true;
    }

    /// Whether a Ping of ours may be on its way: its answer was not [taken](Self::take_answered).
    #[inline]
    pub(crate) fn is_pinging(&self) -> bool {
        self.pinged.is_some()
    }

    /// A Ping was queued that is not the timer's, which waits for no answer.
    pub(crate) fn pinged_otherwise(&mut self) {
        self.pinged_otherwise = true;
    }

    /// Whether the peer may owe a Pong: to the timer's Ping until it is taken, to others as long as
    /// the connection lasts, since nobody keeps count of them.
    pub(crate) fn may_be_owed_pong(&self) -> bool {
        self.is_pinging() || self.pinged_otherwise
    }

    /// When [`due`](Self::due) is to be asked at the latest.
    pub(crate) fn deadline(&self, config: &Config) -> Option<Instant> {
        let life = match (self.unanswered(), config.ping_interval) {
            (Some(pinged), _) => pinged.checked_add(config.pong_timeout),
            (None, Some(interval)) => self.received.checked_add(interval),
            (None, None) => None,
        };
        let idle = config
            .idle_timeout
            .and_then(|timeout| self.idle_since.checked_add(timeout));
        [life, idle].into_iter().flatten().min()
    }

    /// What is due at `now`. A Ping is noted as sent.
    pub(crate) fn due(&mut self, now: Instant, config: &Config) -> Due {
        if let Some(timeout) = config.idle_timeout
            && has_passed(timeout, self.idle_since, now)
        {
            if !self.sent {
                return Due::IdleTimeout;
            }
            // A message went out at some time since; counting from now errs by less than the
            // timeout, and spares every send a look at the clock.
            self.sent = false;
            self.idle_since = now;
        }
        match (self.unanswered(), config.ping_interval) {
            (Some(pinged), _) if has_passed(config.pong_timeout, pinged, now) => Due::PongTimeout,
            (None, Some(interval)) if has_passed(interval, self.received, now) => {
                self.pinged = Some(now);
                Due::Ping
            }
            _ => Due::Nothing,
        }
    }

    /// Takes when our last Ping went out, if a byte has come since.
    pub(crate) fn take_answered(&mut self) -> Option<Instant> {
        self.pinged.take_if(|pinged| *pinged <= self.received)
    }

    /// When our last Ping went out, if no byte has come since.
    fn unanswered(&self) -> Option<Instant> {
        self.pinged.filter(|pinged| *pinged > self.received)
    }
}

/// Whether `time` has passed; one too long for the clock never has.
fn has_passed(time: Duration, since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= time
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Due, Timers};
    use crate::proto::config::Config;

    fn config() -> Config {
        Config {
            ping_interval: Some(seconds(30)),
            pong_timeout: seconds(10),
            idle_timeout: Some(seconds(100)),
            ..Config::default()
        }
    }

    #[test]
    fn silence_is_pinged_and_then_declared_dead() {
        let (start, config) = (Instant::now(), config());
        let mut timers = Timers::new(start);
        assert_eq!(timers.deadline(&config), Some(start + seconds(30)));
        assert_eq!(timers.due(start + seconds(29), &config), Due::Nothing);
        assert_eq!(timers.due(start + seconds(31), &config), Due::Ping);
        assert_eq!(timers.deadline(&config), Some(start + seconds(41)));
        assert_eq!(timers.due(start + seconds(40), &config), Due::Nothing);
        assert_eq!(timers.due(start + seconds(41), &config), Due::PongTimeout);
    }

    #[test]
    fn any_byte_shows_life() {
        let (start, config) = (Instant::now(), config());
        let mut timers = Timers::new(start);
        assert_eq!(timers.due(start + seconds(30), &config), Due::Ping);
        timers.received(start + seconds(30));
        assert_eq!(timers.deadline(&config), Some(start + seconds(60)));
        assert_eq!(timers.due(start + seconds(45), &config), Due::Nothing);
        assert_eq!(timers.due(start + seconds(60), &config), Due::Ping);
    }

    #[test]
    fn idleness_is_the_absence_of_messages_either_way() {
        let (start, mut config) = (Instant::now(), config());
        config.ping_interval = None;
        let mut timers = Timers::new(start);
        timers.received_message(start + seconds(50));
        timers.received(start + seconds(140));
        assert_eq!(timers.due(start + seconds(149), &config), Due::Nothing);
        timers.sent_message();
        assert_eq!(timers.due(start + seconds(150), &config), Due::Nothing);
        assert_eq!(timers.deadline(&config), Some(start + seconds(250)));
        assert_eq!(timers.due(start + seconds(250), &config), Due::IdleTimeout);
    }

    #[test]
    fn a_time_too_long_for_the_clock_never_passes() {
        let start = Instant::now();
        let config = Config {
            ping_interval: Some(Duration::MAX),
            idle_timeout: Some(Duration::MAX),
            ..Config::default()
        };
        let mut timers = Timers::new(start);
        assert_eq!(timers.deadline(&config), None);
        assert_eq!(timers.due(start + seconds(1), &config), Due::Nothing);
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }
}
