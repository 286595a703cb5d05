//! The values of arguments of several subcommands: sizes, times, URLs and header fields.

use std::str::FromStr;
use std::time::Duration;

use openline::net::Threads;
use openline::proto::{Url, UrlError};

/// A number of bytes: `4096`, `64k`, `16M`, `1G`; the units are powers of 1024.
pub(crate) fn parse_size(text: &str) -> Result<u64, &'static str> {
    let (digits, unit) = split_unit(text);
    let unit: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(SIZE),
    };
    let number: u64 = digits.parse().map_err(|_| SIZE)?;
    let size = number.checked_mul(unit).filter(|size| *size > 0);
    size.ok_or("a size is at least 1 and below 16 exbibytes")
}

const SIZE: &str = "a size is a whole number with k, M or G, such as 64k or 16M";

/// How many loops of a group, each in a thread.
pub(crate) fn parse_threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok();
    threads
        .filter(|threads| (1..=Threads::MAX).contains(threads))
        .ok_or_else(|| format!("the number of threads is 1 to {}", Threads::MAX))
}

/// A time, or never: `250ms`, `25s`, `5m`, `1h`, `0`, `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// This long; zero too.
    Span(Duration),
    /// Without end.
    Never,
}

impl Time {
    /// The longest that can be said: beyond it, clocks would overflow.
    pub(crate) const MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// As the setting of a timer that zero turns off as well.
    pub(crate) fn timer(self) -> Option<Duration> {
        match self {
            Self::Span(span) if !span.is_zero() => Some(span),
            _ => None,
        }
    }
}

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("never") {
            return Ok(Self::Never);
        }
        let (digits, unit) = split_unit(text);
        let number: u64 = digits.parse().map_err(|_| TIME)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "" if number == 0 => 1,
            "" => return Err("a time needs its unit, such as 25s"),
            _ => return Err(TIME),
        };
        let span = number.checked_mul(milliseconds).map(Duration::from_millis);
        let span = span.filter(|span| *span <= Self::MAX);
        span.map(Self::Span)
            .ok_or("a time is at most a year; `never` is longer")
    }
}

const TIME: &str = "a time is a whole number with ms, s, m or h, such as 25s, or `never`";

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// As [`Url`] reads it, with what people leave out in mind.
pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    text.parse()
        .map_err(|error| match (error, text.split_once("://")) {
            (UrlError::Scheme, None) => format!("{error}: did you mean ws://{text}?"),
            (UrlError::Scheme, Some(("http", rest))) => {
                format!("{error}: did you mean ws://{rest}?")
            }
            (UrlError::Scheme, Some(("https", rest))) => {
                format!("{error}: did you mean wss://{rest}?")
            }
            _ => error.to_string(),
        })
}

/// A header field: `Name: value`.
pub(crate) fn parse_header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a header field is 'Name: value'")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Time, parse_size};

    #[test]
    fn sizes() {
        let cases = [
            ("1", Some(1)),
            ("64k", Some(64 << 10)),
            ("64KiB", Some(64 << 10)),
            ("16M", Some(16 << 20)),
            ("2g", Some(2 << 30)),
            ("17179869183G", Some(17_179_869_183 << 30)),
            ("17179869184G", None),
            ("0", None),
            ("", None),
            ("k", None),
            ("-1", None),
            ("1.5M", None),
            ("16 M", None),
            ("16T", None),
        ];
        for (text, size) in cases {
            assert_eq!(parse_size(text).ok(), size, "{text:?}");
        }
    }

    #[test]
    fn times() {
        let span = |milliseconds| Some(Time::Span(Duration::from_millis(milliseconds)));
        let cases = [
            ("250ms", span(250)),
            ("25s", span(25_000)),
            ("5m", span(300_000)),
            ("1h", span(3_600_000)),
            ("8760h", Some(Time::Span(Time::MAX))),
            ("8761h", None),
            ("0", span(0)),
            ("0s", span(0)),
            ("never", Some(Time::Never)),
            ("25", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("1d", None),
            ("99999999999999999999s", None),
        ];
        for (text, time) in cases {
            assert_eq!(text.parse::<Time>().ok(), time, "{text:?}");
        }
    }

    #[test]
    fn zero_and_never_turn_a_timer_off() {
        let timer = |text: &str| text.parse::<Time>().unwrap().timer();
        assert_eq!(timer("0"), None);
        assert_eq!(timer("never"), None);
        assert_eq!(timer("1s"), Some(Duration::from_secs(1)));
    }
}
