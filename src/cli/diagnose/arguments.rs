//! What `openline diagnose` is told.

use std::time::Duration;

use openline::proto::{ClientRequest, Url};

use crate::cli::diagnose::http::Questions;
use crate::cli::proxy::ProxyArgs;
use crate::cli::request::{RequestArgs, explain};
use crate::cli::terminal::Colour;
use crate::cli::tls::ClientFiles;
use crate::cli::values::Time;

const AFTER_HELP: &str = "\
The steps, in the order in which one would check by hand. The first that fails is the verdict, and \
the exit code says which it is:
   0  none failed (there may be warnings)
   2  an argument that cannot be
  10  url        what was asked for
  11  names      from the name to addresses
  12  reach      from an address to a TCP connection: refused, filtered, unreachable
  13  proxy      through the proxy in force, if one is
  14  tls        TLS, and the certificate
  15  http       the answer to the request, with the credentials and without them
  16  handshake  accept key, subprotocol, extensions
  17  messages   what the server says first, or why it hangs up
  18  pings      round trips: percentiles and jitter
  19  idle       whether the connection outlives silence (with --hold)
  20  close      the closing handshake

Where an answer could mean several things the question is put again over a connection of its own: \
without the credentials (--bearer, --cookie, every --header and the user information of the URL), \
without the Upgrade, or with an Origin. Over wss:// nothing is sent, and \
so no credentials, before the certificate was found good, unless --insecure is given.

Without --proxy and --no-proxy it is the environment that names one, as for curl: for wss:// by \
wss_proxy, https_proxy or all_proxy, for ws:// by ws_proxy, http_proxy or all_proxy, or the same in \
capitals, but for HTTP_PROXY. no_proxy lists exceptions, with commas between: names and all below \
them, HOST:PORT, addresses, networks such as 10.0.0.0/8, or *; this machine is one only if listed. \
The proxy looks the server's name up, and TLS goes from end to end.

--json writes one object: url, exit, verdict (null, or step, cause, culprit, summary, means, do) \
and steps, a list of objects with step, outcome (ok, warning, failed, skipped), cause, culprit, \
summary, seen, means, do, milliseconds and facts. Names of steps, causes and culprits stay as they \
are; words are for people and may change.

Examples:
  openline diagnose wss://example.com/chat
  OPENLINE_BEARER=secret openline diagnose wss://example.com/chat --subprotocol chat.v1
  openline diagnose wss://example.com/chat --hold 5m
  openline diagnose wss://192.0.2.7/ --ca ca.pem --no-proxy
  openline diagnose ws://127.0.0.1:9001/ --json | jq -r .verdict.cause";

/// Find out why a WebSocket connection fails, step by step, and what to do about it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "See 'openline diagnose --help' for the steps, exit codes and examples.",
    after_long_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// What to connect to: ws://HOST[:PORT]/PATH?QUERY, or wss:// for TLS. User information becomes
    /// Basic authentication
    #[arg(value_name = "URL")]
    pub(super) url: String,

    #[command(flatten)]
    request: RequestArgs,

    /// Send a cookie, as browsers do (repeatable)
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Handshake")]
    cookie: Vec<String>,

    /// Offer permessage-deflate as well, over a connection of its own, and see what the server
    /// agrees to
    #[arg(long, help_heading = "Handshake")]
    pub(super) deflate: bool,

    #[command(flatten)]
    pub(super) files: ClientFiles,

    /// Go on with a certificate that is refused; credentials may then go to anybody
    #[arg(long, help_heading = "TLS")]
    pub(super) insecure: bool,

    #[command(flatten)]
    pub(super) proxy: ProxyArgs,

    /// How long to wait for each answer
    #[arg(
        long,
        value_name = "TIME",
        default_value = "5s",
        value_parser = parse_span,
        help_heading = "Looking"
    )]
    pub(super) timeout: Duration,

    /// Send a text message when the connection is open (repeatable)
    #[arg(long, value_name = "TEXT", help_heading = "Looking")]
    pub(super) send: Vec<String>,

    /// How long to listen for the first messages
    #[arg(
        long,
        value_name = "TIME",
        default_value = "500ms",
        value_parser = parse_span,
        help_heading = "Looking"
    )]
    pub(super) listen: Duration,

    /// How many round trips to measure; 0 for none
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(..=1000),
        help_heading = "Looking"
    )]
    pub(super) pings: u32,

    /// Find out whether the connection outlives this much silence, and how often to ping; a few
    /// connections wait side by side
    #[arg(long, value_name = "TIME", value_parser = parse_span, help_heading = "Looking")]
    pub(super) hold: Option<Duration>,

    /// Write the report as one object of JSON
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,

    /// Whether there are colours
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Output"
    )]
    pub(super) color: Colour,
}

impl Args {
    /// The request that is asked for, and its variants.
    pub(super) fn questions(&self, url: &Url) -> Result<Questions, String> {
        let scheme = if url.is_secure() { "https" } else { "http" };
        let own_origin = format!("{scheme}://{}", url.authority());
        let origin = self.request.origin();
        // User information makes a field of its own, so a URL without it makes a bare request.
        let bare_url: Url = url
            .to_string()
            .parse()
            .map_err(|_| "the URL cannot be written")?;
        let has_userinfo = *url != bare_url;
        let has_credentials =
            has_userinfo || self.request.has_credentials() || !self.cookie.is_empty();
        let full = self.authenticated(url, origin)?;
        let bare = match has_credentials {
            true => Some(self.request.anonymous(&bare_url, origin)?),
            false => None,
        };
        let other_origin = match origin {
            Some(_) => self.authenticated(url, None)?,
            // A header field given by hand may be an Origin already.
            None => self
                .authenticated(url, Some(&own_origin))
                .or_else(|_| self.authenticated(url, None))?,
        };
        Ok(Questions {
            full,
            bare,
            other_origin,
            origin: origin.unwrap_or(&own_origin).to_owned(),
            has_origin: origin.is_some(),
        })
    }

    fn authenticated(&self, url: &Url, origin: Option<&str>) -> Result<ClientRequest, String> {
        let request = self.request.anonymous(url, origin)?;
        let request = self.request.authenticate(request)?;
        if self.cookie.is_empty() {
            return Ok(request);
        }
        // RFC 6265 §5.4: a client sends one field.
        let cookies = self.cookie.join("; ");
        request
            .header("Cookie", cookies)
            .map_err(explain("--cookie"))
    }
}

/// A time that ends and is not zero.
fn parse_span(text: &str) -> Result<Duration, &'static str> {
    let time: Time = text.parse()?;
    time.timer()
        .ok_or("this time has to end, and to be more than 0")
}
