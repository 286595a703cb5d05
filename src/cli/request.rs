//! What goes into a client's request: the options of the subcommands that make one of their own.

use openline::proto::{ClientRequest, RequestError, Url};

use crate::cli::values::parse_header;

/// What the server is asked for, and by whom.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Handshake")]
pub(crate) struct RequestArgs {
    /// Add a header field to the request (repeatable)
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,

    /// Authenticate with a bearer token; others on this machine see arguments, not variables
    #[arg(
        long,
        value_name = "TOKEN",
        env = "OPENLINE_BEARER",
        hide_env_values = true
    )]
    bearer: Option<String>,

    /// Offer a subprotocol (repeatable; the first is preferred)
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,

    /// Say which page the request comes from, as browsers do: https://example.com
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
}

impl RequestArgs {
    /// Where the request is said to come from.
    pub(crate) fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whether there is something in it that says who asks: a header field may.
    pub(crate) fn has_credentials(&self) -> bool {
        self.bearer.is_some() || !self.header.is_empty()
    }

    /// All that was asked for.
    pub(crate) fn whole(&self, url: &Url) -> Result<ClientRequest, String> {
        self.authenticate(self.anonymous(url, self.origin())?)
    }

    /// Without what says who asks, and from this origin.
    pub(crate) fn anonymous(
        &self,
        url: &Url,
        origin: Option<&str>,
    ) -> Result<ClientRequest, String> {
        let mut request = ClientRequest::new(url.clone());
        for name in &self.subprotocol {
            request = request
                .subprotocol(name)
                .map_err(explain("--subprotocol"))?;
        }
        match origin {
            Some(origin) => request.origin(origin).map_err(explain("--origin")),
            None => Ok(request),
        }
    }

    /// Adds what says who asks.
    pub(crate) fn authenticate(&self, mut request: ClientRequest) -> Result<ClientRequest, String> {
        if let Some(token) = &self.bearer {
            request = request
                .bearer(token)
                .map_err(explain("--bearer or OPENLINE_BEARER"))?;
        }
        for (name, value) in &self.header {
            let option = format!("--header {name}");
            request = request.header(name, value).map_err(explain(&option))?;
        }
        Ok(request)
    }
}

/// Says which option is at fault.
pub(crate) fn explain(option: &str) -> impl FnOnce(RequestError) -> String {
    let option = option.to_owned();
    move |error| format!("{option}: {error}")
}
