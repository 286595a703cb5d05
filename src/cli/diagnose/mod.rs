//! `openline diagnose`: why a connection fails, in the order in which one would check by hand.
//!
//! Each step is a file and says what was seen, what that means and what to do; this one has their
//! order. The first step that fails is the verdict.

mod arguments;
mod ask;
mod cause;
mod certificate;
mod close;
mod display;
mod finding;
mod handshake;
mod http;
mod idle;
mod messages;
mod names;
mod open;
mod pings;
mod reach;
mod refusal;
mod response;
mod route;
mod tls;
mod trust;
mod tunnel;
mod url;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use openline::proto::{Config, Url};
use rustls::pki_types::ServerName;

pub(crate) use crate::cli::diagnose::arguments::Args;
use crate::cli::diagnose::cause::{Cause, Step};
use crate::cli::diagnose::display::Display;
use crate::cli::diagnose::finding::{Finding, time};
use crate::cli::diagnose::http::{Asker, Questions};
use crate::cli::diagnose::open::Open;
use crate::cli::diagnose::route::{Hop, Route};
use crate::cli::diagnose::tls::Tls;
use crate::cli::diagnose::wire::Wire;
use crate::cli::failure::refuse;
use crate::cli::proxy::BadSetting;

/// Looks at every step until one fails; its exit code.
pub(crate) fn run(args: &Args) -> ExitCode {
    let (finding, url) = url::check(&args.url);
    let mut report = Report {
        display: Display::stdout(args.json, args.color),
        findings: Vec::new(),
    };
    let plan = match &url {
        Some(url) => match Plan::new(args, url) {
            Ok(plan) => Some(plan),
            Err(error) => {
                refuse("diagnose", &error);
                return ExitCode::from(2);
            }
        },
        None => None,
    };
    let shown = url.as_ref().map(url::shown);
    if let Some(url) = &shown {
        report.display.title(url);
    }
    report.add(finding);
    if let Some(plan) = plan {
        // What it stopped at is in the report.
        let _ = plan.examine(&mut report);
    }
    let failed = report.findings.iter().find(|finding| finding.is_failed());
    let exit = failed.map_or(0, |failed| failed.step.exit());
    report.display.end(shown.as_deref(), &report.findings, exit);
    ExitCode::from(exit)
}

/// The findings, shown as they come.
struct Report {
    display: Display,
    findings: Vec<Finding>,
}

/// A step failed.
struct Stop;

impl Report {
    fn add(&mut self, finding: Finding) {
        self.display.finding(&finding);
        self.findings.push(finding);
    }

    /// Adds a finding that may be the end.
    fn judged(&mut self, finding: Finding) -> Result<(), Stop> {
        let next = (!finding.is_failed()).then_some(());
        self.step((finding, next))
    }

    /// Adds the finding of a step that gives something to go on with.
    fn step<T>(&mut self, (finding, next): (Finding, Option<T>)) -> Result<T, Stop> {
        self.add(finding);
        next.ok_or(Stop)
    }
}

/// What there is to do.
struct Plan<'a> {
    args: &'a Args,
    url: &'a Url,
    questions: Questions,
    tls: Option<Tls>,
    config: Arc<Config>,
}

impl<'a> Plan<'a> {
    fn new(args: &'a Args, url: &'a Url) -> Result<Self, String> {
        let tls = match url.is_secure() {
            true => {
                let name = ServerName::try_from(url.host().to_owned())
                    .map_err(|_| format!("no certificate can name the host {}", url.host()))?;
                Some(Tls::new(name, &args.files, args.insecure)?)
            }
            false => None,
        };
        let config = Config {
            handshake_timeout: args.timeout,
            close_timeout: args.timeout,
            // Silence is what is looked at.
            ping_interval: None,
            ..Config::default()
        };
        Ok(Self {
            args,
            url,
            questions: args.questions(url)?,
            tls,
            config: Arc::new(config),
        })
    }

    fn examine(&self, report: &mut Report) -> Result<(), Stop> {
        let (args, timeout) = (self.args, self.args.timeout);
        let choice = match args.proxy.choose(self.url) {
            Ok(choice) => choice,
            Err(bad) => {
                report.add(bad_setting(&bad));
                return Err(Stop);
            }
        };
        let hop = Hop::new(self.url, choice.proxy.clone());
        let display = &mut report.display;
        display.working(Step::Names, &format!("looking {} up", hop.host));
        let (finding, addresses) = names::check(&hop, timeout * 2);
        report.step((finding, (!addresses.is_empty()).then_some(())))?;

        report
            .display
            .working(Step::Reach, &format!("connecting to {}", hop.who()));
        let reached = report.step(reach::check(&hop, &addresses, timeout))?;
        let route = Route {
            address: reached.address,
            proxy: choice.proxy.clone(),
            url: self.url.clone(),
            tls: self.tls.clone(),
            timeout,
        };
        let stream = match &choice.proxy {
            None => {
                report.add(tunnel::none(&choice));
                reached.stream
            }
            Some(named) => {
                let (host, target) = (named.proxy.host(), route.target());
                let what = format!("asking {host} for a way to {target}");
                report.display.working(Step::Proxy, &what);
                report.step(tunnel::check(reached.stream, named, &choice, &route))?
            }
        };
        let wire = match &self.tls {
            None => {
                report.add(Finding::skipped(Step::Tls, "ws:// goes without"));
                Wire::Plain(stream)
            }
            Some(settings) => {
                report.display.working(Step::Tls, "shaking hands");
                report.step(trust::check(self.url, &route, settings, stream))?
            }
        };
        let asker = Asker {
            questions: &self.questions,
            route: &route,
            config: &self.config,
        };
        report.display.working(Step::Http, "asking for WebSocket");
        let (findings, accepted) = http::check(&asker, wire);
        findings.into_iter().for_each(|finding| report.add(finding));
        let accepted = accepted.ok_or(Stop)?;
        report.add(handshake::check(&asker, &accepted, args.deflate));
        let open = Open::new(*accepted, timeout);
        self.examine_open(report, &asker, open, reached.took)
    }

    /// What can be seen of a connection that is open.
    fn examine_open(
        &self,
        report: &mut Report,
        asker: &Asker<'_>,
        mut open: Open,
        network: Duration,
    ) -> Result<(), Stop> {
        let (args, timeout) = (self.args, self.args.timeout);
        report.display.working(Step::Messages, "listening");
        let finding = messages::check(&mut open, &args.send, args.listen);
        report.judged(finding)?;

        match args.pings {
            0 => report.add(Finding::skipped(Step::Pings, "not looked at (--pings 0)")),
            n => {
                report.display.working(Step::Pings, "measuring round trips");
                let finding = pings::check(&mut open, n, network, timeout);
                report.judged(finding)?;
            }
        }
        match args.hold {
            None => report.add(Finding::skipped(
                Step::Idle,
                "not looked at: --hold 5m finds out whether the connection outlives silence",
            )),
            Some(hold) => {
                let what = format!("silent for {}:", time(hold));
                report.display.working(Step::Idle, &what);
                let more = || Some(Open::new(*asker.connect()?, timeout));
                let finding = idle::check(&mut open, hold, timeout, more);
                report.judged(finding)?;
            }
        }
        report.display.working(Step::Close, "closing");
        report.add(close::check(open, timeout));
        Ok(())
    }
}

fn bad_setting(bad: &BadSetting) -> Finding {
    Finding::failed(
        Cause::ProxySetting,
        format!(
            "{} names no proxy that can be used: {}",
            bad.setting, bad.fault
        ),
    )
    .means(
        "A proxy is in force that cannot be used, so nothing was tried. Other programs here may \
         fail of it too.",
    )
    .todo("Correct it: http://[USER:PASSWORD@]HOST[:PORT], or socks5://…")
    .todo("Or go without: --no-proxy")
}
