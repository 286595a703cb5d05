//! A status other than 101: what it means from a server that was asked for WebSocket.

use openline::proto::Url;

use crate::cli::diagnose::cause::{Cause, Culprit};
use crate::cli::diagnose::finding::{Finding, shorten};
use crate::cli::diagnose::http::{self, Asker, Other};
use crate::cli::diagnose::response::Response;

/// The verdict on this answer.
pub(super) fn explain(asker: &Asker<'_>, response: &Response) -> Finding {
    let mut compared = Compared::default();
    if let Some(finding) = credentials_harm(asker, response, &mut compared) {
        return compared.tell(finding, response);
    }
    let finding = match response.status {
        200..=299 => page(asker, response, &mut compared),
        300..=399 => redirect(asker, response),
        400 => bad_request(asker, response, &mut compared),
        401 => unauthorized(asker, response),
        403 => forbidden(asker, response, &mut compared),
        404 | 410 => not_found(asker, response, &mut compared),
        407 => proxy_authentication(),
        426 => upgrade_required(response),
        429 => too_many(response),
        402..=499 => client_error(response),
        505 => lost(response, true),
        502 | 520..=523 | 525..=527 => bad_gateway(response),
        503 => unavailable(response),
        504 | 524 => gateway_timeout(response),
        500..=599 => server_error(response),
        _ => Finding::failed(
            Cause::HttpStatus,
            format!("{} is no status of HTTP", response.status),
        )
        .means("The server program makes its own statuses up.")
        .todo("Look into its documentation, or its log."),
    };
    compared.tell(finding, response)
}

/// What was seen when the question was put in another way.
#[derive(Debug, Default)]
struct Compared(Vec<String>);

impl Compared {
    fn note(&mut self, way: &str, reply: &Other) {
        let answer = match reply {
            Other::LetIn => "101: it is let in".to_owned(),
            Other::Refused(response) => format!("{} {}", response.status, response.reason),
            Other::Nothing => "no answer".to_owned(),
        };
        self.0
            .push(format!("{way} the answer is {}", answer.trim_end()));
    }

    fn tell(self, finding: Finding, response: &Response) -> Finding {
        let told = std::iter::once(response.line()).chain(response.telling_lines());
        finding.seen_all(told).seen_all(self.0)
    }
}

/// Where credentials were given: whether it is they that are refused.
fn credentials_harm(
    asker: &Asker<'_>,
    response: &Response,
    compared: &mut Compared,
) -> Option<Finding> {
    let bare = asker.questions.bare.as_ref()?;
    if !(400..=499).contains(&response.status) {
        return None;
    }
    let reply = asker.ask(bare)?;
    compared.note("without the credentials", &reply);
    matches!(reply, Other::LetIn).then(|| {
        Finding::failed(
            Cause::HttpCredentialsHarm,
            "the credentials are what is refused: without them it is let in",
        )
        .means(
            "They are wrong, expired, or of a kind that something on the way does not accept; \
             anonymous clients are welcome.",
        )
        .todo("Use fresh credentials, or none.")
        .todo("Is a cookie too long, or of another host?")
    })
}

fn unauthorized(asker: &Asker<'_>, response: &Response) -> Finding {
    let demand = response.header("WWW-Authenticate");
    let scheme = demand.and_then(|demand| demand.split_whitespace().next());
    let how = match scheme.map(str::to_ascii_lowercase).as_deref() {
        Some("bearer") => "--bearer TOKEN (or OPENLINE_BEARER)",
        Some("basic") => "user information in the URL: ws://USER:PASSWORD@HOST/",
        Some(_) => "--header 'Authorization: …' in the scheme that WWW-Authenticate names",
        None => "--bearer, --cookie or --header, whichever the server reads",
    };
    if asker.questions.bare.is_none() {
        return Finding::failed(Cause::HttpUnauthorized, "the server wants credentials")
            .means("It knows the path and does not know who asks.")
            .todo(format!("Give them by {how}"))
            .todo(
                "Browsers cannot set header fields on a WebSocket: there it is a cookie, a token \
                 in the query, or the first message.",
            );
    }
    let finding = Finding::failed(
        Cause::HttpCredentialsRefused,
        "the server does not accept these credentials",
    )
    .means("They are wrong or expired, or sent in a way in which this server does not read them.");
    let reason = demand.and_then(|demand| {
        let start = demand.find("error=")?;
        Some(shorten(&demand[start..], 120))
    });
    let finding = match reason {
        // RFC 6750 §3.1.
        Some(reason) => finding.todo(format!("The server says why: {reason}")),
        None => finding,
    };
    finding
        .todo("Is the token expired, or for another audience?")
        .todo(format!(
            "Does the server read them there? By what it demands: {how}"
        ))
}

fn forbidden(asker: &Asker<'_>, response: &Response, compared: &mut Compared) -> Finding {
    let questions = asker.questions;
    let origin = &questions.origin;
    if let Some(reply) = asker.ask(&questions.other_origin) {
        let (way, verdict) = match questions.has_origin {
            true => (
                "without an Origin".to_owned(),
                "the server does not let this Origin in",
            ),
            false => (
                format!("with Origin: {origin}"),
                "the server lets in only who names an Origin",
            ),
        };
        compared.note(&way, &reply);
        if matches!(reply, Other::LetIn) {
            let finding = Finding::failed(Cause::HttpOrigin, verdict).means(
                "The server has a list of pages that may open connections; it guards against \
                 pages of others, which browsers tell by this field.",
            );
            return match questions.has_origin {
                true => finding.todo(format!(
                    "Add {origin} to the server's list of origins: scheme, host and port count."
                )),
                false => finding.todo(format!("Name one: --origin {origin}")),
            };
        }
    }
    let finding = Finding::failed(Cause::HttpForbidden, "the server refuses (403)").means(
        "It understood, and does not want: these credentials may not, the address or country is \
         blocked, or a firewall for web applications took it for an attack.",
    );
    let finding = match &questions.bare {
        None => finding.todo("Does it want credentials? --bearer, --cookie, --header"),
        Some(_) => finding.todo("May this user open this path?"),
    };
    let finding = match questions.has_origin {
        true => finding,
        false => finding.todo("Does it want a certain Origin? --origin https://…"),
    };
    match response.intermediary() {
        Some(name) => finding.todo(format!(
            "Who said it? If {name} did, look at its rules (WAF, allow lists), not at the server."
        )),
        None => finding,
    }
}

fn not_found(asker: &Asker<'_>, response: &Response, compared: &mut Compared) -> Finding {
    let path = path(asker.questions.full.url());
    if let Some(reply) = asker.ask_plainly() {
        compared.note("asked as for a page", &reply);
    }
    let finding = Finding::failed(
        Cause::HttpNotFound,
        format!("there is nothing at {path} ({})", response.status),
    )
    .means("A server of HTTP is there, and it has no WebSocket at this path.")
    .todo("Check the path: /ws, /socket, /cable, /socket.io/?EIO=4&transport=websocket?")
    .todo("Does the server choose by host name? Then the Host of the URL counts as well.");
    match response.intermediary() {
        Some(name) => finding.todo(format!(
            "{name} may have no route for this path, or one without WebSocket (some servers say \
             404 when the Upgrade was lost on the way)."
        )),
        None => finding,
    }
}

fn page(asker: &Asker<'_>, response: &Response, compared: &mut Compared) -> Finding {
    if let Some(reply) = asker.ask_plainly() {
        compared.note("asked as for a page", &reply);
    }
    // Via is set by what passes requests on, so somebody stands in between for certain.
    if response.header("Via").is_some() {
        return lost(response, asker.is_secure());
    }
    let what = match response.is_html() {
        true => "a page",
        false => "an ordinary answer",
    };
    let finding = Finding::failed(
        Cause::HttpNotWebSocket,
        format!(
            "the server gave {what} ({}) instead of WebSocket",
            response.status
        ),
    );
    let finding = match response.intermediary() {
        Some(name) => finding.blames(Culprit::Proxy).means(format!(
            "{name} answered as to a browser that asks for a page. Either this path is not the \
             one of the WebSocket (an application that answers every path with its page looks so), \
             or {name} does not pass the Upgrade on."
        )),
        None => finding.means(
            "It answered as to a browser that asks for a page: this path is not the one of the \
             WebSocket, or something that leaves no trace took the Upgrade away.",
        ),
    };
    finding
        .todo(format!(
            "Is {} the path of the WebSocket?",
            path(asker.questions.full.url())
        ))
        .todo(pass_on(response))
}

fn bad_request(asker: &Asker<'_>, response: &Response, compared: &mut Compared) -> Finding {
    let body = response.body.to_ascii_lowercase();
    if body.contains("plain http request was sent to https port")
        || body.contains("http request to an https server")
    {
        return http::tls_port(asker);
    }
    if body.contains("ssl certificate") {
        return Finding::failed(
            Cause::HttpClientCertificate,
            "the server wants a certificate of the client",
        )
        .means("It let the TLS handshake pass and refuses the request without one (mutual TLS).")
        .todo("Show one: --cert FILE --key FILE");
    }
    let reply = asker.ask_plainly();
    if let Some(reply) = &reply {
        compared.note("asked as for a page", reply);
    }
    let is_same = matches!(&reply, Some(Other::Refused(plain)) if plain.status == 400);
    let names_it = ["upgrade", "websocket", "handshake"];
    let names_it = names_it.iter().any(|word| body.contains(word));
    if is_same && (names_it || response.header("Via").is_some()) {
        return lost(response, asker.is_secure());
    }
    Finding::failed(
        Cause::HttpBadRequest,
        "the server calls the request bad (400)",
    )
    .means(match is_same {
        true => {
            "It says the same to a request for a page, so it is not about WebSocket: the Host, \
             the path or the query is not as it wants."
        }
        false => {
            "A request for a page fares otherwise, so it is about the WebSocket part: a query \
             or subprotocol that the server demands, or a proxy that changed the header fields."
        }
    })
    .todo("What the body says counts; look into the server's log.")
    .todo("Does it demand a --subprotocol, or parameters in the query?")
    .todo(pass_on(response))
}

fn upgrade_required(response: &Response) -> Finding {
    let versions = response.header("Sec-WebSocket-Version").unwrap_or("13");
    let knows_13 = versions.split(',').any(|version| version.trim() == "13");
    if knows_13 {
        return lost(response, true);
    }
    // RFC 6455 §4.4: the answer names the versions that the server speaks.
    Finding::failed(
        Cause::HttpVersion,
        format!(
            "the server does not speak version 13 of WebSocket but {}",
            shorten(versions, 40)
        ),
    )
    .means("13 is the version of RFC 6455, of 2011, and the only one that clients speak.")
    .todo("Bring the server program up to date.")
}

/// The request had an Upgrade when it left; what answered has not seen it.
fn lost(response: &Response, is_secure: bool) -> Finding {
    let who = response.intermediary();
    let name = who.as_deref().unwrap_or("something before the server");
    let how = match response.status {
        505 => "The server was asked in HTTP/1.0, which has no Upgrade, while we asked in HTTP/1.1",
        426 => "The server wants an Upgrade, and there was one when the request left",
        _ => {
            "The server answered as to a request without an Upgrade, and there was one when it left"
        }
    };
    let finding = Finding::failed(
        Cause::HttpUpgradeLost,
        format!("the Upgrade was lost on the way ({})", response.status),
    )
    .means(format!(
        "{how}: {name} did not pass it on. Upgrade and Connection count from hop to hop, so a \
         proxy drops them unless it is told to pass WebSocket on."
    ))
    .todo(pass_on(response));
    match is_secure {
        true => finding,
        false => finding.todo("If the proxy is one of the network here: wss:// passes it unseen."),
    }
}

/// How what stands before the server is told to pass WebSocket on.
fn pass_on(response: &Response) -> String {
    let name = response
        .intermediary()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let how = match () {
        () if name.contains("nginx") || name.contains("openresty") => {
            "nginx passes WebSocket on with these in its location: proxy_http_version 1.1; \
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";"
        }
        () if name.contains("apache") => {
            "Apache passes WebSocket on with: ProxyPass /ws http://SERVER/ws upgrade=websocket"
        }
        () if name.contains("envoy") => {
            "Envoy passes WebSocket on with: upgrade_configs: [{upgrade_type: websocket}]"
        }
        () if name.contains("cloudflare") => {
            "Cloudflare passes WebSocket on when Network > WebSockets is switched on."
        }
        () => {
            "Have every proxy and load balancer before the server pass Upgrade and Connection on \
             (nginx: proxy_http_version 1.1 and proxy_set_header for both)."
        }
    };
    how.to_owned()
}

fn redirect(asker: &Asker<'_>, response: &Response) -> Finding {
    let url = asker.questions.full.url();
    let Some(location) = response.header("Location") else {
        return Finding::failed(
            Cause::HttpRedirect,
            format!(
                "the server redirects ({}) and does not say where",
                response.status
            ),
        )
        .means("Clients of WebSocket do not follow redirects, and this one leads nowhere.")
        .todo("Look into the configuration of what answers at this path.");
    };
    let shown = shorten(location, 200);
    let finding = Finding::failed(
        Cause::HttpRedirect,
        format!("the server redirects to {shown}"),
    )
    .means("Browsers and most other clients do not follow redirects for WebSocket.");
    let lower = location.to_ascii_lowercase();
    if ["login", "signin", "sign-in", "oauth", "/auth", "sso"]
        .iter()
        .any(|word| lower.contains(word))
    {
        return finding
            .blames(Culprit::Authentication)
            .todo("It leads to a login: give credentials by --cookie, --bearer or --header.");
    }
    let target = location
        .strip_prefix("https://")
        .map(|rest| format!("wss://{rest}"))
        .or_else(|| {
            location
                .strip_prefix("http://")
                .map(|rest| format!("ws://{rest}"))
        })
        .or_else(|| {
            let scheme = if url.is_secure() { "wss" } else { "ws" };
            location
                .starts_with('/')
                .then(|| format!("{scheme}://{}{location}", url.authority()))
        })
        .unwrap_or_else(|| location.to_owned());
    let is_elsewhere = target
        .parse::<Url>()
        .map_or(true, |target| target.host() != url.host());
    let finding = finding.todo(format!("Use {} instead.", shorten(&target, 200)));
    match is_elsewhere {
        true => finding.todo("That is another host: send credentials there only if you trust it."),
        false => finding,
    }
}

fn proxy_authentication() -> Finding {
    Finding::failed(
        Cause::HttpProxyAuthentication,
        "a proxy on the way wants credentials (407)",
    )
    .means(
        "No proxy is set here, so one intercepts: the answer is its own, and the server was never \
         asked.",
    )
    .todo("Set the proxy with its credentials: --proxy http://USER:PASSWORD@HOST:PORT")
    .todo("wss:// may pass it unseen.")
}

fn too_many(response: &Response) -> Finding {
    Finding::failed(Cause::HttpTooManyRequests, "too many requests (429)")
        .means(
            "The server limits how often one may connect; clients that retry at once make it \
             worse.",
        )
        .todo(retry_after(response))
        .todo("Have clients wait longer from try to try, with some chance in it.")
}

fn client_error(response: &Response) -> Finding {
    Finding::failed(
        Cause::HttpClientError,
        format!(
            "the server refuses: {} {}",
            response.status, response.reason
        )
        .trim_end()
        .to_owned(),
    )
    .means(match response.status {
        405 => "It does not take GET at this path, so this is not the path of a WebSocket.",
        431 => "The header fields are too large for it: cookies, mostly.",
        _ => "It blames the request; the status and the body say in which way.",
    })
    .todo("Look into the log of the server, or of what answered before it.")
}

fn server_error(response: &Response) -> Finding {
    Finding::failed(
        Cause::HttpServerError,
        format!("the server failed: {} {}", response.status, response.reason)
            .trim_end()
            .to_owned(),
    )
    .means("The request arrived, and the program that handles it met an error of its own.")
    .todo("Look into the log of the server at this very time.")
}

fn bad_gateway(response: &Response) -> Finding {
    Finding::failed(
        Cause::HttpBadGateway,
        format!(
            "{} has no working server behind it ({})",
            gateway(response),
            response.status
        ),
    )
    .means(
        "The gateway is up; the server behind it refused the connection, closed it, or answered \
         nonsense (as one does that speaks TLS, or HTTP/2 only, when it is not expected).",
    )
    .todo("Is the server behind it running, at the address and port that the gateway has?")
    .todo("Look into the gateway's log: it says what it met.")
}

fn unavailable(response: &Response) -> Finding {
    Finding::failed(
        Cause::HttpUnavailable,
        format!("{} takes no more at present (503)", gateway(response)),
    )
    .means(
        "Overload, a limit on connections, maintenance, or a load balancer that has not one \
         healthy server.",
    )
    .todo(retry_after(response))
    .todo("Look at the health checks of the load balancer and at the load of the servers.")
}

fn gateway_timeout(response: &Response) -> Finding {
    Finding::failed(
        Cause::HttpGatewayTimeout,
        format!(
            "{} waited in vain for the server behind it ({})",
            gateway(response),
            response.status
        ),
    )
    .means(
        "The gateway is up; the server behind it did not answer in time, so it hangs, is \
         overloaded, or a firewall between the two drops packets.",
    )
    .todo("Can the server be reached from the gateway? Run this there.")
}

fn gateway(response: &Response) -> String {
    response
        .intermediary()
        .unwrap_or_else(|| "the server".to_owned())
}

fn retry_after(response: &Response) -> String {
    match response.header("Retry-After") {
        Some(when) => format!("It asks to wait: Retry-After: {}", shorten(when, 40)),
        None => "Try again in a while.".to_owned(),
    }
}

fn path(url: &Url) -> String {
    let path = url.resource_name().split('?').next();
    path.unwrap_or_default().to_owned()
}
