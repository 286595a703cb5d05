//! What a terminal is shown: nothing that it would obey but our own colours, and these only where
//! they are wanted.

pub(crate) use openline::inspect::{neutralise, neutralise_json, neutralise_lines};
