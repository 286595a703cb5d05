//! `openline serve --metrics`: a page for Prometheus, on the server's own port or on another.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::thread::{self, JoinHandle};

use openline::net::metrics::{CONTENT_TYPE, Metrics};
use openline::net::{Asking, EventLoop, Handler, LoopConfig, Message, Peer, Remote};
use openline::proto::{self, Refusal, Request, SendError, Status};

use crate::cli::address::Address;

/// Where the page is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// At this path of the server.
    Path(String),
    /// At [`PATH`] of another address.
    Address(Address),
}

/// Where Prometheus looks unless it is told otherwise.
const PATH: &str = "/metrics";

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.starts_with('/') {
            true if text.bytes().all(|c| c.is_ascii_graphic() && c != b'?') => {
                Ok(Self::Path(text.to_owned()))
            }
            true => Err("a path has no blanks and no query"),
            false => text.parse().map(Self::Address),
        }
    }
}

/// The page, and the path that it is at.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    path: String,
    metrics: Metrics,
}

impl Page {
    pub(crate) fn new(path: &str, metrics: Metrics) -> Self {
        Self {
            path: path.to_owned(),
            metrics,
        }
    }

    /// The answer, if the request is for this page.
    pub(crate) fn answer(&self, request: &Request<'_>) -> Option<proto::Page> {
        let text = (request.path() == self.path).then(|| self.metrics.snapshot().to_string())?;
        let page = proto::Page::new(CONTENT_TYPE, text);
        Some(page.expect("the media type is a legal value of a field"))
    }
}

/// A server for the page alone, in a thread of its own.
pub(crate) struct Server {
    address: SocketAddr,
    remote: Remote,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(address: &Address, metrics: Metrics) -> io::Result<Self> {
        let page = Page::new(PATH, metrics);
        let config = LoopConfig {
            // Those who read metrics are few.
            connections_max: 64,
            ..LoopConfig::default()
        };
        let mut server = EventLoop::new(Pages(page), config)?;
        let address = server.listen(address)?;
        let remote = server.remote();
        let thread = thread::Builder::new().name("openline-metrics".to_owned());
        let thread = thread.spawn(move || {
            // Nobody else depends on it: the server goes on without.
            if let Err(error) = server.run() {
                tracing::error!(target: "openline", %error, "metrics are not served any more");
            }
        })?;
        Ok(Self {
            address,
            remote,
            thread: Some(thread),
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{PATH}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The second time it waits for nobody.
        let _ = self.remote.shutdown().and_then(|()| self.remote.shutdown());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers with the page, and whatever else is asked with 404.
struct Pages(Page);

impl Handler for Pages {
    type Connection = ();

    fn page(&mut self, request: &Request<'_>, _: &Asking<'_>) -> Option<proto::Page> {
        let elsewhere = || Refusal::new(Status::NOT_FOUND).with_text("the page is /metrics\n");
        Some(self.0.answer(request).unwrap_or_else(|| elsewhere().into()))
    }

    fn message(&mut self, (): &mut (), _: &mut Peer<'_>, _: Message<'_>) -> Result<(), SendError> {
        Ok(())
    }
}
