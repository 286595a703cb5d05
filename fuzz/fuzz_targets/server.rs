//! A server under any limits and operations: every split gives the same events and bytes, an error
//! is final, memory stays within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openline::proto::Role;
use openline_fuzz::script::Script;

fuzz_target!(|script: Script| script.obeys_the_laws(Role::Server));
