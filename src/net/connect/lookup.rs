//! Looking a host name up, off the loop's thread: the system's resolver blocks.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;

use crate::net::mailbox::{Content, Letter};
use crate::net::peer::ConnectionId;
use crate::net::remote::Remote;

/// What a lookup comes to.
pub(in crate::net) type Found = io::Result<Vec<SocketAddr>>;

/// Looks `host` up in a thread of its own; what is found goes to the connection `id`.
///
/// A thread a lookup costs less than any lookup, and what one name server is slow at holds up no
/// other. The resolver gives up by itself, and by then nobody may be waiting any more.
pub(super) fn begin(host: String, port: u16, id: ConnectionId, remote: Remote) -> io::Result<()> {
    let look = move || {
        let found = (host.as_str(), port).to_socket_addrs();
        let found = found.map(|addresses| addresses.collect());
        let content = Content::Found(Box::new(found));
        // If the loop is gone, so is whoever asked.
        let _ = remote.post_always(Letter { id, content });
    };
    let looking = thread::Builder::new().name("lookup".to_owned()).spawn(look);
    looking.map(|_| ())
}
