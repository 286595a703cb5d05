//! Templates: one case or group in the file, many in the suite.
//!
//! `for size 16 64 256` makes one of each value, and `{size}` in any text stands for it; a text
//! that is nothing but `{size}` stands for the value itself, a number if it is one. `{n}` counts
//! from 1, `{n:size}` counts the values of one `for`. A `for` with a table binds several names at
//! a time; several `for` make every combination, the last the fastest.

use kdl::{KdlDocument, KdlNode, KdlValue};

use crate::conformance::error::VectorsError;
use crate::conformance::read::document::Node;

/// What the names of a template stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    names: Vec<(String, KdlValue)>,
}

impl Scope {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// This scope, and another within it.
    pub(super) fn with(&self, inner: &Self) -> Self {
        let names = self.names.iter().chain(&inner.names).cloned().collect();
        Self { names }
    }

    /// This scope, without the count, which each template has of its own, and with the group's id.
    pub(super) fn of_group(&self, id: &str) -> Self {
        let mut names = self.names.clone();
        names.retain(|(name, _)| name != "n" && name != "group");
        names.push(("group".to_owned(), KdlValue::String(id.to_owned())));
        Self { names }
    }

    fn value(&self, name: &str) -> Option<&KdlValue> {
        let mut names = self.names.iter().rev();
        names.find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

/// Every scope that the `for`s of a node make; `None` if it has none.
pub(super) fn scopes(node: Node<'_>) -> Result<Option<Vec<Scope>>, VectorsError> {
    let mut scopes: Option<Vec<Scope>> = None;
    for template in node.children().filter(|child| child.name() == "for") {
        let rows = rows(template)?;
        let outer = scopes.unwrap_or_else(|| vec![Scope::default()]);
        let product = |scope: &Scope| rows.iter().map(|row| scope.with(row)).collect::<Vec<_>>();
        scopes = Some(outer.iter().flat_map(product).collect());
    }
    if let Some(scopes) = &mut scopes {
        for (n, scope) in (1..).zip(scopes) {
            scope.names.push(("n".to_owned(), KdlValue::Integer(n)));
        }
    }
    Ok(scopes)
}

/// The scopes of one `for`.
fn rows(node: Node<'_>) -> Result<Vec<Scope>, VectorsError> {
    let args: Vec<_> = node.args().collect();
    let help = "write `for name value value …`, or `for name name … { - value value … }`";
    let Some(first) = args.first() else {
        return Err(node.error("a for without a name", help));
    };
    let first = node.text(first)?;
    let mut rows = Vec::new();
    if node.node.children().is_none() {
        for entry in &args[1..] {
            rows.push(vec![(first.to_owned(), entry.value().clone())]);
        }
    } else {
        for row in node.children() {
            let values: Vec<_> = row.args().collect();
            if row.name() != "-" || values.len() != args.len() {
                let what = format!("this row does not have {} values", args.len());
                return Err(row.error(what, help));
            }
            let mut names = Vec::new();
            for (name, value) in args.iter().zip(values) {
                names.push((node.text(name)?.to_owned(), value.value().clone()));
            }
            rows.push(names);
        }
    }
    if rows.is_empty() {
        return Err(node.error("a for without a value", help));
    }
    let counted = (1..).zip(rows).map(|(n, mut names)| {
        names.push((format!("n:{first}"), KdlValue::Integer(n)));
        Scope { names }
    });
    Ok(counted.collect())
}

/// The node with the names of its texts filled in, its children's too.
pub(super) fn fill(node: Node<'_>, scope: &Scope) -> Result<KdlNode, VectorsError> {
    let mut filled = node.node.clone();
    if scope.is_empty() {
        return Ok(filled);
    }
    for (entry, before) in filled.entries_mut().iter_mut().zip(node.node.entries()) {
        if let Some(text) = before.value().as_string() {
            let value = fill_text(text, scope).map_err(|name| {
                let help = "write {{ for a brace, or add a `for` with this name";
                node.error_at(before, format!("{{{name}}} stands for nothing here"), help)
            })?;
            if let Some(value) = value {
                entry.set_value(value);
            }
        }
    }
    if node.node.children().is_some() {
        let mut children = KdlDocument::new();
        for child in node.children() {
            children.nodes_mut().push(fill(child, scope)?);
        }
        filled.set_children(children);
    }
    Ok(filled)
}

/// `None` if there was nothing to fill in.
fn fill_text(text: &str, scope: &Scope) -> Result<Option<KdlValue>, String> {
    if !text.contains(['{', '}']) {
        return Ok(None);
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            filled.push_str(brace);
            rest = after;
            continue;
        }
        let name = match rest.split_once('}') {
            Some((name, after)) if brace == "{" => {
                rest = after;
                name
            }
            _ => return Err(rest.to_owned()),
        };
        let value = scope.value(name).ok_or(name)?;
        if filled.is_empty() && rest.is_empty() {
            return Ok(Some(value.clone()));
        }
        match value {
            KdlValue::String(value) => filled.push_str(value),
            value => filled.push_str(&value.to_string()),
        }
    }
    filled.push_str(rest);
    Ok(Some(KdlValue::String(filled)))
}

#[cfg(test)]
mod tests {
    use kdl::KdlValue;

    use super::{Scope, fill_text};

    #[test]
    fn names_stand_for_their_values() {
        let scope = Scope {
            names: vec![
                ("n".to_owned(), KdlValue::Integer(7)),
                ("who".to_owned(), KdlValue::String("peer".to_owned())),
            ],
        };
        let text = |text: &str| Ok(Some(KdlValue::String(text.to_owned())));
        assert_eq!(fill_text("a {who} {n}", &scope), text("a peer 7"));
        assert_eq!(fill_text("{n}", &scope), Ok(Some(KdlValue::Integer(7))));
        assert_eq!(fill_text("plain", &scope), Ok(None));
        assert_eq!(fill_text("{{\"a\":{n}}}", &scope), text("{\"a\":7}"));
        assert_eq!(fill_text("{nobody}", &scope), Err("nobody".to_owned()));
        assert!(fill_text("open {n", &scope).is_err());
        assert!(fill_text("close }", &scope).is_err());
    }
}
