//! The text format of Prometheus, [version 0.0.4].
//!
//! Every family is there from the start, with its help and its type; of those that count by label,
//! a label appears when there is something to count.
//!
//! [version 0.0.4]: https://prometheus.io/docs/instrumenting/exposition_formats/

use std::fmt::{self, Display, Formatter, Write as _};

use crate::net::metrics::histogram::Distribution;
use crate::net::metrics::snapshot::{ByKind, ByRole, Snapshot};

/// The media type of a [`Snapshot`] as text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the values of a family are.
#[derive(Clone, Copy)]
enum Type {
    Counter,
    Gauge,
    Histogram,
}

impl Display for Snapshot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use Type::{Counter, Gauge};
        let mut text = Text(f);
        text.by_role("connections", Gauge, "Open connections.", self.connections)?;
        text.by_role(
            "connections_opened_total",
            Counter,
            "Connections that were opened.",
            self.opened,
        )?;
        text.family(
            "connections_ended_total",
            Counter,
            "Open connections that ended: why, by whom, and the close code.",
        )?;
        for (verdict, count) in &self.ends {
            let labels = [
                ("role", verdict.role),
                ("why", verdict.why),
                ("by", verdict.by),
                ("code", verdict.code),
            ];
            text.sample("connections_ended_total", &labels, count)?;
        }
        text.family(
            "handshakes_total",
            Counter,
            "Opening handshakes, and requests for pages, by what came of them.",
        )?;
        for (outcome, count) in &self.handshakes {
            let status = outcome.status.map(|status| status.to_string());
            let labels = [
                ("role", outcome.role),
                ("outcome", outcome.outcome),
                ("status", status.as_deref().unwrap_or_default()),
            ];
            text.sample("handshakes_total", &labels, count)?;
        }
        text.distribution(
            "handshake_seconds",
            "How long accepted handshakes took.",
            &self.handshake,
        )?;
        text.one(
            "accepts_total",
            Counter,
            "Sockets that were accepted.",
            self.accepts,
        )?;
        text.one(
            "accept_failures_total",
            Counter,
            "Accepts that failed, as when descriptors are used up.",
            self.accept_failures,
        )?;
        text.by_kind(
            "messages_received_total",
            "Messages that were received.",
            self.messages_received,
        )?;
        text.by_kind(
            "messages_sent_total",
            "Messages that were queued to be sent.",
            self.messages_sent,
        )?;
        text.one(
            "messages_compressed_total",
            Counter,
            "Messages that were compressed, once for all peers that share one.",
            self.messages_compressed,
        )?;
        text.one(
            "received_bytes_total",
            Counter,
            "Bytes read from sockets, above TLS.",
            self.bytes_received,
        )?;
        text.one(
            "sent_bytes_total",
            Counter,
            "Bytes written to sockets, above TLS.",
            self.bytes_sent,
        )?;
        text.one(
            "queued_bytes",
            Gauge,
            "Bytes that wait to be sent.",
            self.queued_bytes,
        )?;
        text.one(
            "queued_connections",
            Gauge,
            "Connections with bytes that wait to be sent.",
            self.queued_connections,
        )?;
        text.one(
            "mailbox_letters",
            Gauge,
            "Messages of other threads that wait for the loops.",
            self.mailbox_letters,
        )?;
        text.one(
            "topics",
            Gauge,
            "Topics that have subscribers, in each loop.",
            self.topics,
        )?;
        text.one(
            "subscriptions",
            Gauge,
            "Subscriptions to topics.",
            self.subscriptions,
        )?;
        text.one(
            "publications_total",
            Counter,
            "Publications to topics with subscribers, in each loop.",
            self.publications,
        )?;
        text.one(
            "publications_dropped_total",
            Counter,
            "Publications that were not queued for a subscriber that reads too slowly.",
            self.publications_dropped,
        )?;
        text.one(
            "publications_lost_total",
            Counter,
            "Publications that were lost to a loop because its mailbox was full.",
            self.publications_lost,
        )?;
        text.distribution(
            "ping_round_trip_seconds",
            "How long our pings took until they were answered.",
            &self.round_trip,
        )
    }
}

/// Writes families and samples.
struct Text<'a, 'f>(&'a mut Formatter<'f>);

impl Text<'_, '_> {
    fn family(&mut self, name: &str, kind: Type, help: &str) -> fmt::Result {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        writeln!(self.0, "# HELP openline_{name} {help}")?;
        writeln!(self.0, "# TYPE openline_{name} {kind}")
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> fmt::Result {
        write!(self.0, "openline_{name}")?;
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(self.0, "{before}{label}=\"")?;
            write_escaped(self.0, text)?;
            self.0.write_char('"')?;
        }
        let after = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{after} {value}")
    }

    fn one(&mut self, name: &str, kind: Type, help: &str, value: u64) -> fmt::Result {
        self.family(name, kind, help)?;
        self.sample(name, &[], value)
    }

    fn by_role(&mut self, name: &str, kind: Type, help: &str, value: ByRole) -> fmt::Result {
        self.family(name, kind, help)?;
        self.sample(name, &[("role", "server")], value.server)?;
        self.sample(name, &[("role", "client")], value.client)
    }

    fn by_kind(&mut self, name: &str, help: &str, value: ByKind) -> fmt::Result {
        self.family(name, Type::Counter, help)?;
        self.sample(name, &[("kind", "text")], value.text)?;
        self.sample(name, &[("kind", "binary")], value.binary)
    }

    fn distribution(&mut self, name: &str, help: &str, value: &Distribution) -> fmt::Result {
        self.family(name, Type::Histogram, help)?;
        let bucket = format!("{name}_bucket");
        for (bound, count) in value.cumulative() {
            let bound = bound.as_secs_f64().to_string();
            self.sample(&bucket, &[("le", &bound)], count)?;
        }
        self.sample(&bucket, &[("le", "+Inf")], value.count())?;
        self.sample(&format!("{name}_sum"), &[], value.sum().as_secs_f64())?;
        self.sample(&format!("{name}_count"), &[], value.count())
    }
}

/// The value of a label: backslashes, quotes and ends of lines are escaped.
fn write_escaped(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            '"' => f.write_str("\\\"")?,
            '\n' => f.write_str("\\n")?,
            c => f.write_char(c)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::Text;
    use crate::net::metrics::snapshot::{ByKind, Snapshot, Verdict};

    #[test]
    fn a_sample_is_a_line() {
        let mut snapshot = Snapshot {
            queued_bytes: 12,
            messages_sent: ByKind { text: 3, binary: 4 },
            ..Snapshot::default()
        };
        let verdict = Verdict {
            role: "server",
            why: "closed",
            by: "peer",
            code: "1000",
        };
        snapshot.ends.insert(verdict, 2);
        let text = snapshot.to_string();
        for line in [
            "# HELP openline_queued_bytes Bytes that wait to be sent.",
            "# TYPE openline_queued_bytes gauge",
            "openline_queued_bytes 12",
            "openline_messages_sent_total{kind=\"text\"} 3",
            "openline_messages_sent_total{kind=\"binary\"} 4",
            "openline_connections_ended_total{role=\"server\",why=\"closed\",by=\"peer\",code=\"1000\"} 2",
            "openline_handshake_seconds_bucket{le=\"0.0001\"} 0",
            "openline_handshake_seconds_bucket{le=\"+Inf\"} 0",
            "openline_handshake_seconds_sum 0",
            "openline_handshake_seconds_count 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
    }

    #[test]
    fn what_would_end_a_label_is_escaped() {
        struct Sample;
        impl fmt::Display for Sample {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Text(f).sample("x", &[("a", "\\\"\n"), ("b", "é")], 1)
            }
        }
        assert_eq!(
            Sample.to_string(),
            "openline_x{a=\"\\\\\\\"\\n\",b=\"é\"} 1\n"
        );
    }
}
