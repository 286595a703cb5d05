//! A server and a client in one event loop, which lends them its receive buffer in turn: each sees
//! and sends what it does with a buffer of its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openline::proto::Role;
use openline_fuzz::script::Script;

fuzz_target!(|input: (Script, Script, Vec<bool>)| {
    let (server, client, turns) = input;
    Script::share([(&server, Role::Server), (&client, Role::Client)], &turns);
});
