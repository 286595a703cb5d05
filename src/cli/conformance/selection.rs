//! Which cases are played: ids, groups and globs.

use clap::Args;
use openline::conformance::{Case, Vectors};
use openline::proto::Role;

/// Which cases.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cases")]
pub(super) struct Selection {
    /// Only these cases: an id, a group such as 6.4 or mask, or a glob such as '*/utf8/*'
    /// (repeatable, or with commas)
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub(super) cases: Vec<String>,

    /// Not these cases; patterns as in --cases
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub(super) exclude: Vec<String>,
}

impl Selection {
    /// The cases for a peer in this role, in their order.
    ///
    /// # Errors
    ///
    /// The first pattern that no case fits, and a selection that leaves nothing.
    pub(super) fn choose<'a>(
        &self,
        vectors: &'a Vectors,
        peer: Option<Role>,
    ) -> Result<Vec<&'a Case>, String> {
        let every = vectors.cases();
        for pattern in self.cases.iter().chain(&self.exclude) {
            if !every.iter().any(|case| fits(pattern, &case.id)) {
                return Err(format!("no case is called {pattern}"));
            }
        }
        let chosen: Vec<_> = every
            .iter()
            .filter(|case| peer.is_none_or(|peer| case.suits(peer)))
            .filter(|case| self.cases.is_empty() || self.cases.iter().any(|p| fits(p, &case.id)))
            .filter(|case| !self.exclude.iter().any(|p| fits(p, &case.id)))
            .collect();
        match chosen.is_empty() {
            true => Err("no case is left to play against a peer in this role".to_owned()),
            false => Ok(chosen),
        }
    }
}

/// Whether a pattern means this case: its id, the beginning of it up to a dot or a slash, or a
/// glob, in which `*` is any characters and `?` is one.
pub(super) fn fits(pattern: &str, id: &str) -> bool {
    let is_group = id
        .strip_prefix(pattern)
        .is_some_and(|rest| rest.starts_with(['.', '/']));
    is_group || glob(pattern.as_bytes(), id.as_bytes())
}

/// Goes back to the last `*` only, which is as good as to all of them: it is linear in practice
/// and at most quadratic.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                None => return false,
                Some((at, from)) => {
                    *from += 1;
                    (p, t) = (*at + 1, *from);
                }
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use openline::conformance::Vectors;
    use openline::proto::Role;

    use super::{Selection, fits};

    #[test]
    fn patterns_are_ids_groups_and_globs() {
        let cases = [
            ("6.4.1", "6.4.1", true),
            ("6.4", "6.4.1", true),
            ("6.4", "6.40.1", false),
            ("6.*", "6.4.1", true),
            ("6.?.1", "6.4.1", true),
            ("6.?.1", "6.22.1", false),
            ("*.1", "6.4.1", true),
            ("*.1", "6.4.11", false),
            ("mask", "mask/server/text", true),
            ("*/server/*", "mask/server/text", true),
            ("*", "1.1.1", true),
            ("", "1.1.1", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
        ];
        for (pattern, id, expected) in cases {
            assert_eq!(fits(pattern, id), expected, "{pattern} {id}");
        }
    }

    #[test]
    fn autobahn_has_517_cases_for_either_role() {
        for role in [Role::Server, Role::Client] {
            let selection = Selection {
                cases: vec!["?.*".to_owned(), "??.*".to_owned()],
                exclude: Vec::new(),
            };
            let chosen = selection.choose(Vectors::embedded(), Some(role)).unwrap();
            assert_eq!(chosen.len(), 517);
        }
    }

    #[test]
    fn a_pattern_that_means_nothing_is_an_error() {
        let selection = |cases: &str, exclude: &str| {
            let list = |text: &str| text.split(' ').map(str::to_owned).collect();
            Selection {
                cases: list(cases),
                exclude: list(exclude),
            }
            .choose(Vectors::embedded(), Some(Role::Server))
        };
        let error = selection("99.*", "1.1").unwrap_err();
        assert_eq!(error, "no case is called 99.*");
        assert!(selection("1", "1").unwrap_err().contains("no case is left"));
    }
}
