//! Reads vectors files: KDL in, cases out.
//!
//! Whatever a file says that is not understood is an error with its place, never passed over: a
//! probe that does not probe is worse than none.

mod document;
mod expectation;
mod opening;
mod step;
mod template;

use crate::conformance::case::{Case, Ending, Group, Opening, Party, Within};
use crate::conformance::error::VectorsError;
use crate::proto::Role;

use document::{Node, Source};
use template::{Scope, fill, scopes};

/// Reads a file: its cases and groups are put behind those that are there.
pub(super) fn read(
    name: &str,
    text: &str,
    groups: &mut Vec<Group>,
    cases: &mut Vec<Case>,
) -> Result<(), VectorsError> {
    let source = Source { name, text };
    let document = source.parse()?;
    let mut reader = Reader { groups, cases };
    for node in document.nodes() {
        let node = Node {
            node,
            source: &source,
        };
        match node.name() {
            "family" => reader.group(node, None, &Inherited::default(), &Scope::default())?,
            _ => return Err(node.unknown("a file is made of `family \"id\" \"title\" { … }`")),
        }
    }
    Ok(())
}

struct Reader<'a> {
    groups: &'a mut Vec<Group>,
    cases: &'a mut Vec<Case>,
}

/// What a group says for all of its cases.
#[derive(Clone, Default)]
struct Inherited {
    rfc: String,
    peer: Option<Role>,
    opening: Opening,
    ending: Ending,
    within: Within,
}

impl Reader<'_> {
    /// A family or a group, as often as its template says.
    fn group(
        &mut self,
        node: Node<'_>,
        parent: Option<&str>,
        inherited: &Inherited,
        outer: &Scope,
    ) -> Result<(), VectorsError> {
        match scopes(node)? {
            None => self.group_once(node, parent, inherited, outer),
            Some(scopes) => scopes
                .iter()
                .try_for_each(|scope| self.group_once(node, parent, inherited, &outer.with(scope))),
        }
    }

    fn group_once(
        &mut self,
        template: Node<'_>,
        parent: Option<&str>,
        inherited: &Inherited,
        scope: &Scope,
    ) -> Result<(), VectorsError> {
        template.only(&[])?;
        let filled = fill_head(template, scope)?;
        let node = Node {
            node: &filled,
            source: template.source,
        };
        let [id, title] = node.texts()?;
        check_id(node, id)?;
        self.groups.push(Group {
            id: id.to_owned(),
            title: title.to_owned(),
            parent: parent.map(str::to_owned),
        });
        let scope = match scope.is_empty() {
            true => scope.clone(),
            false => scope.of_group(id),
        };
        let mut inherited = inherited.clone();
        for child in template.children() {
            match child.name() {
                "for" => {}
                "group" => self.group(child, Some(id), &inherited, &scope)?,
                "case" => self.case(child, id, &inherited, &scope)?,
                _ => {
                    let filled = fill(child, &scope)?;
                    let child = Node {
                        node: &filled,
                        source: child.source,
                    };
                    inherited.read(child)?;
                }
            }
        }
        Ok(())
    }

    /// A case, as often as its template says.
    fn case(
        &mut self,
        node: Node<'_>,
        group: &str,
        inherited: &Inherited,
        outer: &Scope,
    ) -> Result<(), VectorsError> {
        let scopes = scopes(node)?.unwrap_or_else(|| vec![Scope::default()]);
        for scope in scopes {
            let filled = fill(node, &outer.with(&scope))?;
            let case = read_case(
                Node {
                    node: &filled,
                    source: node.source,
                },
                group,
                inherited,
            )?;
            check_id(node, &case.id)?;
            if self.cases.iter().any(|other| other.id == case.id) {
                let what = format!("there is a case {:?} already", case.id);
                return Err(node.error(what, "give this one another id"));
            }
            self.cases.push(case);
        }
        Ok(())
    }
}

/// Ids are typed into shells and stand in URLs, as they are.
fn check_id(node: Node<'_>, id: &str) -> Result<(), VectorsError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./-_+".contains(&byte);
    match !id.is_empty() && id.bytes().all(is_plain) {
        true => Ok(()),
        false => {
            let what = format!("the id {id:?} would have to be quoted");
            Err(node.error(what, "make it of letters, digits and . / - _ +"))
        }
    }
}

/// The arguments of a node, filled in; its children are left for later.
fn fill_head(node: Node<'_>, scope: &Scope) -> Result<kdl::KdlNode, VectorsError> {
    let mut head = node.node.clone();
    head.clear_children();
    fill(
        Node {
            node: &head,
            source: node.source,
        },
        scope,
    )
}

impl Inherited {
    /// What a group and a case can both say.
    fn read(&mut self, node: Node<'_>) -> Result<(), VectorsError> {
        match node.name() {
            "rfc" => node.only_text()?.clone_into(&mut self.rfc),
            "peer" => {
                self.peer = match node.only_text()? {
                    "server" => Some(Role::Server),
                    "client" => Some(Role::Client),
                    "both" => None,
                    _ => {
                        let what = "the peer under test is in no such role";
                        return Err(node.error(what, "write \"server\", \"client\" or \"both\""));
                    }
                }
            }
            "within" => self.within = expectation::within(node)?,
            "end" => self.ending = expectation::ending(node)?,
            "deflate" | "request" | "response" | "checks" | "answer" => {
                opening::read(node, &mut self.opening)?;
            }
            _ => {
                return Err(node.unknown(
                    "there are: rfc, peer, within, end, deflate, request, response, checks, \
                     answer, for, and in a family or group: group, case; in a case: title, why, \
                     send, expect",
                ));
            }
        }
        Ok(())
    }
}

fn read_case(node: Node<'_>, group: &str, inherited: &Inherited) -> Result<Case, VectorsError> {
    node.only(&[])?;
    let mut inherited = inherited.clone();
    let (mut title, mut why) = (String::new(), String::new());
    let (mut steps, mut expected) = (Vec::new(), Vec::new());
    for child in node.children() {
        match child.name() {
            "for" => {}
            "title" => child.only_text()?.clone_into(&mut title),
            "why" => child.only_text()?.clone_into(&mut why),
            "send" => steps.extend(step::steps(child)?),
            "expect" => expected.push(expectation::expected(child)?),
            _ => inherited.read(child)?,
        }
    }
    if title.is_empty() {
        return Err(node.error("a case without a title", "add: title \"…\""));
    }
    if inherited.rfc.is_empty() {
        let help = "add: rfc \"RFC 6455 §…\", to the case or to its group";
        return Err(node.error("a case without a section", help));
    }
    if expected.is_empty() {
        let echoes = inherited.ending.by != Party::Peer;
        expected.push(expectation::default(echoes));
    }
    if !inherited.opening.answer.opens() && !steps.is_empty() {
        let what = "a case whose connection does not open has nothing to send";
        return Err(node.error(what, "take out the send, or the answer"));
    }
    Ok(Case {
        id: node.only_text()?.to_owned(),
        title,
        rfc: inherited.rfc,
        why,
        group: group.to_owned(),
        peer: inherited.peer,
        opening: inherited.opening,
        steps,
        expected,
        ending: inherited.ending,
        within: inherited.within,
    })
}
