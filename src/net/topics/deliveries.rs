//! Who is to have which publications of a turn: each connection once, with a list.

use crate::net::topics::{Publication, key};
use crate::proto::Prepared;

/// Who is to have which publications of a turn.
#[derive(Debug, Default)]
pub(in crate::net) struct Deliveries {
    each: Vec<Delivery>,
    /// The lists, one behind the other.
    runs: Vec<Run>,
    /// What the lists are made of, before they are.
    assigned: Vec<(u32, Run)>,
}

/// What one connection is to have.
#[derive(Clone, Copy, Debug)]
pub(in crate::net) struct Delivery {
    pub(in crate::net) connection: u32,
    pub(in crate::net) list: List,
}

/// Which publications those are, in their order: the same for neighbours who are to have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) struct List {
    first: u32,
    end: u32,
}

/// Publications in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) first: u32,
    pub(super) end: u32,
}

impl Deliveries {
    /// Each of them.
    pub(in crate::net) fn each(&self) -> &[Delivery] {
        &self.each
    }

    /// Has the last be the first.
    pub(in crate::net) fn reverse(&mut self) {
        self.each.reverse();
    }

    /// The publications of a list, in order.
    pub(in crate::net) fn of<'a>(
        &'a self,
        list: List,
        publications: &'a [Publication],
    ) -> impl Iterator<Item = &'a Prepared> + Clone {
        let runs = &self.runs[list.first as usize..list.end as usize];
        let of_run = |run: &Run| &publications[run.first as usize..run.end as usize];
        let publications = runs.iter().flat_map(of_run);
        publications.map(|publication| &publication.message)
    }

    pub(super) fn clear(&mut self) {
        self.each.clear();
        self.runs.clear();
    }

    /// Has all of these have the first `count` publications.
    pub(super) fn all_to(&mut self, connections: impl Iterator<Item = u32>, count: u32) {
        self.runs.push(Run {
            first: 0,
            end: count,
        });
        let list = List { first: 0, end: 1 };
        self.each
            .extend(connections.map(|connection| Delivery { connection, list }));
    }

    /// Assigns a run to a connection, if there is anything in it.
    pub(super) fn assign(&mut self, connection: u32, run: Run) {
        if run.first < run.end {
            self.assigned.push((connection, run));
        }
    }

    /// The same, but for each publication that is not meant for it.
    pub(super) fn assign_parts(
        &mut self,
        connection: u32,
        mut run: Run,
        publications: &[Publication],
    ) {
        for at in run.first..run.end {
            if publications[at as usize].except == Some(connection) {
                self.assign(connection, Run { end: at, ..run });
                run.first = at + 1;
            }
        }
        self.assign(connection, run);
    }

    /// Makes lists of what was assigned.
    pub(super) fn collect(&mut self, is_mixed: bool) {
        let mut assigned = std::mem::take(&mut self.assigned);
        if is_mixed {
            assigned.sort_unstable();
        }
        let mut last = 0..0;
        for group in assigned.chunk_by(|(a, _), (b, _)| a == b) {
            let runs = group.iter().map(|(_, run)| *run);
            if !self.runs[last.clone()].iter().copied().eq(runs.clone()) {
                last = self.runs.len()..self.runs.len() + group.len();
                self.runs.extend(runs);
            }
            self.each.push(Delivery {
                connection: group[0].0,
                list: List {
                    first: key(last.start),
                    end: key(last.end),
                },
            });
        }
        assigned.clear();
        self.assigned = assigned;
    }
}
