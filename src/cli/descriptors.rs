//! The limit of open descriptors.
//!
//! Each connection takes a descriptor, and the usual limit of 1024 is there for programs that use
//! `select`: we may have as many as the system administrator allows.

#[cfg(unix)]
use tracing::warn;

/// Allows as many as the system administrator does.
#[cfg(unix)]
pub(crate) fn raise() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        warn!(target: "openline", %error, "the limit of open descriptors stays as it was");
    }
}

/// There is no such limit.
#[cfg(not(unix))]
pub(crate) fn raise() {}
