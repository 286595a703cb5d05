//! How large messages are: all alike, or by a distribution.
//!
//! A size is at least one byte, so that an echo has something to be told by.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use rand::rngs::StdRng;

use crate::cli::values::parse_size;

/// The sizes of messages: `125`, `16-4k` (each equally often), or `20:90,1k:9,64k:1` (a size and
/// how often it comes beside the others).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    text: String,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Fixed(u32),
    Between(u32, u32),
    Weighted {
        /// Each size, and the weight of it and all before it.
        sizes: Vec<(u32, u64)>,
        total: u64,
    },
}

/// The largest: what is sent lies in memory, and the protocol's largest is larger than that.
const SIZE_MAX: u64 = 1 << 30;
/// The largest weight, so that their sum is far from overflow.
const WEIGHT_MAX: u64 = 1 << 32;

impl Sizes {
    /// The largest that may come.
    pub(super) fn max(&self) -> u32 {
        match &self.form {
            Form::Fixed(size) | Form::Between(_, size) => *size,
            Form::Weighted { sizes, .. } => {
                let sizes = sizes.iter().map(|(size, _)| *size);
                sizes.max().unwrap_or_default()
            }
        }
    }

    /// The only one, if all are alike.
    #[inline]
    pub(super) fn only(&self) -> Option<u32> {
        match self.form {
            Form::Fixed(size) => Some(size),
            _ => None,
        }
    }

    /// The next.
    pub(super) fn draw(&self, random: &mut StdRng) -> u32 {
        match &self.form {
            Form::Fixed(size) => *size,
            Form::Between(min, max) => {
                let span = u64::from(max - min) + 1;
                // What is left of a division is even enough: the span is far below 2^64.
                let above = u32::try_from(random.next_u64() % span);
                min + above.expect("it is below the span of a u32")
            }
            Form::Weighted { sizes, total } => {
                let at = random.next_u64() % total;
                let position = sizes.partition_point(|(_, until)| *until <= at);
                sizes[position].0
            }
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = if text.contains(':') {
            weighted(text)?
        } else if let Some((min, max)) = text.split_once('-') {
            let (min, max) = (size(min)?, size(max)?);
            if min > max {
                return Err(format!("the smallest size comes first: {max}-{min}"));
            }
            Form::Between(min, max)
        } else {
            Form::Fixed(size(text)?)
        };
        Ok(Self {
            text: text.to_owned(),
            form,
        })
    }
}

fn weighted(text: &str) -> Result<Form, String> {
    let mut sizes = Vec::new();
    let mut total = 0;
    for part in text.split(',') {
        let (of, weight) = part
            .split_once(':')
            .ok_or_else(|| format!("{part} lacks its weight: sizes are {FORMS}"))?;
        let weight: Option<u64> = weight.parse().ok();
        let weight = weight
            .filter(|weight| (1..=WEIGHT_MAX).contains(weight))
            .ok_or_else(|| format!("the weight in {part} is not a whole number above 0"))?;
        total += weight;
        sizes.push((size(of)?, total));
    }
    Ok(Form::Weighted { sizes, total })
}

fn size(text: &str) -> Result<u32, String> {
    let size = parse_size(text).map_err(|error| format!("{error}; sizes are {FORMS}"))?;
    match u32::try_from(size) {
        Ok(size) if u64::from(size) <= SIZE_MAX => Ok(size),
        _ => Err("a message of the load is at most 1G".to_owned()),
    }
}

const FORMS: &str = "125, or 16-4k (between), or 20:90,1k:10 (with weights)";

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::Sizes;

    fn draws(text: &str) -> Vec<u32> {
        let sizes: Sizes = text.parse().unwrap();
        let mut random = StdRng::seed_from_u64(1);
        (0..10_000).map(|_| sizes.draw(&mut random)).collect()
    }

    #[test]
    fn one_size() {
        assert!(draws("1k").iter().all(|size| *size == 1024));
    }

    #[test]
    fn between_two_both_are_included() {
        let draws = draws("3-5");
        for size in 3..=5 {
            let count = draws.iter().filter(|drawn| **drawn == size).count();
            assert!((3000..3700).contains(&count), "{size}: {count}");
        }
        assert!(draws.iter().all(|size| (3..=5).contains(size)));
    }

    #[test]
    fn weights_are_kept() {
        let draws = draws("20:90,1k:9,64k:1");
        let count = |size| draws.iter().filter(|drawn| **drawn == size).count();
        assert!((8800..9200).contains(&count(20)));
        assert!((800..1000).contains(&count(1 << 10)));
        assert!((50..150).contains(&count(64 << 10)));
        assert_eq!("20:90,1k:9".parse::<Sizes>().unwrap().max(), 1 << 10);
    }

    #[test]
    fn what_is_no_size_is_said() {
        for (text, words) in [
            ("0", "at least 1"),
            ("", "125, or"),
            ("5-3", "3-5"),
            ("20:90,30", "30 lacks its weight"),
            ("20:0", "above 0"),
            ("2G", "at most 1G"),
        ] {
            let error = text.parse::<Sizes>().unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
