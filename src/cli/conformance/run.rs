//! The subcommands' course: cases chosen, played, told and reported.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use openline::conformance::{Case, Vectors};
use openline::proto::Role;
use serde_json::json;

use crate::cli::conformance::client::{self, News};
use crate::cli::conformance::describe::describe;
use crate::cli::conformance::exceptions::{Exceptions, write_baseline};
use crate::cli::conformance::path::clip;
use crate::cli::conformance::record::Record;
use crate::cli::conformance::report;
use crate::cli::conformance::selection::Selection;
use crate::cli::conformance::server::{Pace, Server, Unfound};
use crate::cli::conformance::tally::{Rules, Tally};
use crate::cli::conformance::{ClientArgs, ListArgs, ServerArgs, ShowArgs, What};
use crate::cli::signal;
use crate::cli::terminal::neutralise;
use crate::cli::tls::SelfSigned;

/// Why nothing was judged.
#[derive(Debug)]
pub(super) enum Failure {
    /// An argument cannot be.
    Argument(String),
    /// What was asked for could not be done, and a hint if there is one.
    Undone(String, Option<&'static str>),
}

impl Failure {
    pub(super) fn tell(self) -> ExitCode {
        let (code, what, tip) = match self {
            Self::Argument(what) => (2, what, Some("'openline conformance list' lists the cases")),
            Self::Undone(what, tip) => (1, what, tip),
        };
        let _ = writeln!(io::stderr(), "error: {}", neutralise(&what));
        if let Some(tip) = tip {
            let _ = writeln!(io::stderr(), "  tip: {tip}");
        }
        ExitCode::from(code)
    }
}

impl From<String> for Failure {
    fn from(what: String) -> Self {
        Self::Undone(what, None)
    }
}

/// What counts against a peer.
const COMPLAINT: u8 = 3;

pub(super) fn server(args: ServerArgs) -> Result<ExitCode, Failure> {
    let cases = choose(&args.what, Role::Server)?;
    let tls = args.tls.connector(&args.url)?.map(|tls| tls.config());
    let mut tally = Tally::new(cases.len(), rules(&args.what)?);
    let server = Server::find(&args.url, tls)
        .map_err(|Unfound { what, tip }| Failure::Undone(what, Some(tip)))?;
    let agent = args.agent.unwrap_or_else(|| args.url.authority());
    let agent = clip(&agent);
    let pace = Pace {
        jobs: usize::from(args.jobs),
        retries_max: args.retry,
    };
    let began = Instant::now();
    let mut records = Vec::new();
    let played = server.play_all(&cases, pace, |record| {
        tally.add(&record, None);
        records.push(record);
    });
    let wrong = tally.finish(began.elapsed());
    write(&args.what, Role::Server, &agent, &records)?;
    match played {
        Err(error) => Err(Failure::Undone(
            format!("the server is gone: {error}"),
            Some("look at what it says of itself: a case may have felled it"),
        )),
        Ok(()) if wrong > 0 => Ok(ExitCode::from(COMPLAINT)),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

pub(super) fn client(args: ClientArgs) -> Result<ExitCode, Failure> {
    let cases = choose(&args.what, Role::Client)?;
    let total = cases.len();
    let mut tally = Tally::new(total, rules(&args.what)?);
    let (send, news) = mpsc::channel();
    let interrupted = send.clone();
    signal::on_first(move || {
        let _ = interrupted.send(News::Stop);
    })
    .map_err(|error| error.to_string())?;
    let tls = args.tls.server(args.address.host());
    let tls = tls.map_err(|error| error.to_string())?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let (tls, self_signed) = tls.map_or((None, None), |(tls, made)| (Some(tls), made));
    let address = client::listen(&args.address, cases, tls, send.clone())
        .map_err(|error| format!("cannot listen at {}: {error}", args.address))?;
    let url = format!("{scheme}://{address}");
    if let Some(made) = &self_signed {
        let _ = writeln!(
            io::stderr(),
            "note: the certificate is self-signed, and in {} until we end",
            made.path.display()
        );
    }
    let _ = writeln!(io::stdout(), "listening on {url}/").and_then(|()| io::stdout().flush());
    let mut ran = None;
    if !args.command.is_empty() {
        ran = Some(start(&args.command, &url, self_signed.as_ref(), send)?);
    }
    let began = Instant::now();
    let mut unmet = 0;
    let mut agents = BTreeMap::<String, Vec<Record>>::new();
    for news in news {
        match news {
            News::Played(agent, record) => {
                tally.add(&record, Some(&agent));
                if agents.len() < AGENTS_MAX || agents.contains_key(&agent) {
                    let records = agents.entry(agent).or_default();
                    // A case that is played again counts as it went last.
                    records.retain(|before| before.case.id != record.case.id);
                    records.push(*record);
                }
            }
            News::Reports(written) => {
                for (agent, records) in &agents {
                    write(&args.what, Role::Client, agent, records)?;
                }
                let _ = written.send(());
                if args.once && args.command.is_empty() {
                    break;
                }
            }
            News::Unmet(error) => {
                unmet += 1;
                if unmet <= UNMET_TOLD_MAX {
                    tally.note(&format!("a client did not come through TLS: {error}"));
                }
            }
            News::Stop => break,
        }
    }
    let played = agents.values().map(Vec::len).sum::<usize>();
    let wrong = tally.finish(began.elapsed());
    for (agent, records) in &agents {
        write(&args.what, Role::Client, agent, records)?;
    }
    let code = match ran {
        None => Some(0),
        Some(child) => child.lock().map_or(None, |mut child| {
            // It has ended, or we were told to.
            let _ = child.kill();
            child.wait().ok().and_then(|status| status.code())
        }),
    };
    match (played, code) {
        (_, Some(1..) | None) if wrong == 0 => {
            let what = match code {
                Some(code) => format!("the command ended with {code}"),
                None => "the command was ended by a signal".to_owned(),
            };
            Err(what.into())
        }
        (0, _) if !args.command.is_empty() => Err("the command played no case".to_owned().into()),
        _ if wrong > 0 => Ok(ExitCode::from(COMPLAINT)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

type Running = std::sync::Arc<std::sync::Mutex<Child>>;

/// Starts a client, whose end is ours.
fn start(
    command: &[String],
    url: &str,
    self_signed: Option<&SelfSigned>,
    news: mpsc::Sender<News>,
) -> Result<Running, Failure> {
    let mut words = command.iter().map(|word| word.replace("{url}", url));
    let program = words.next().unwrap_or_default();
    let mut client = Command::new(&program);
    client
        .args(words)
        .env("OPENLINE_URL", url)
        .stdout(io::stderr());
    if let Some(made) = self_signed {
        client.env("OPENLINE_CA", &made.path);
    }
    let child = client
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let child = Running::new(child.into());
    let watched = Running::clone(&child);
    thread::spawn(move || {
        let is_over = || match watched.lock() {
            Ok(mut child) => !matches!(child.try_wait(), Ok(None)),
            Err(_) => true,
        };
        while !is_over() {
            thread::sleep(WATCH_INTERVAL);
        }
        // What it did last may still be on its way.
        thread::sleep(WATCH_INTERVAL);
        let _ = news.send(News::Stop);
    });
    Ok(child)
}

pub(super) fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let vectors = vectors(args.vectors.as_deref())?;
    let cases = args
        .selection
        .choose(vectors, None)
        .map_err(Failure::Argument)?;
    let mut out = io::stdout().lock();
    for case in cases {
        let line = match args.json {
            true => {
                let peer = case.peer.map(|role| format!("{role:?}").to_lowercase());
                let line = json!({
                    "id": case.id,
                    "title": case.title,
                    "rfc": case.rfc,
                    "why": case.why,
                    "peer": peer,
                });
                line.to_string()
            }
            false => format!("{}  {} ({})", case.id, case.title, case.rfc),
        };
        // A pager that was left has seen enough.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let vectors = vectors(args.vectors.as_deref())?;
    let selection = Selection {
        cases: args.ids.clone(),
        exclude: Vec::new(),
    };
    let cases = selection.choose(vectors, None).map_err(Failure::Argument)?;
    let texts: Vec<_> = cases.iter().map(|case| describe(case)).collect();
    let _ = write!(io::stdout(), "{}", texts.join("\n\n"));
    Ok(ExitCode::SUCCESS)
}

fn vectors(folder: Option<&Path>) -> Result<&'static Vectors, Failure> {
    match folder {
        None => Ok(Vectors::embedded()),
        Some(folder) => {
            let read = Vectors::read_folder(folder).map_err(|error| error.to_string())?;
            // Read once, and needed to the end of the process.
            Ok(Box::leak(Box::new(read)))
        }
    }
}

fn choose(what: &What, peer: Role) -> Result<Vec<&'static Case>, Failure> {
    let vectors = vectors(what.vectors.as_deref())?;
    what.selection
        .choose(vectors, Some(peer))
        .map_err(Failure::Argument)
}

fn rules(what: &What) -> Result<Rules, Failure> {
    let read =
        |path: &Option<std::path::PathBuf>| path.as_deref().map(Exceptions::read).transpose();
    Ok(Rules {
        json: what.json,
        strict: what.strict,
        expect: read(&what.expect)?,
        baseline: read(&what.baseline)?,
    })
}

/// Writes the files that were asked for.
fn write(what: &What, peer: Role, agent: &str, records: &[Record]) -> Result<(), Failure> {
    let mut ordered: Vec<_> = records.iter().collect();
    let vectors = vectors(what.vectors.as_deref())?;
    let place = |record: &Record| vectors.cases().iter().position(|c| c.id == record.case.id);
    ordered.sort_by_cached_key(|record| place(record));
    if let Some(path) = &what.write_baseline {
        write_baseline(path, agent, &ordered)?;
    }
    if let Some(folder) = &what.report {
        let at = |error: io::Error| format!("the report in {}: {error}", folder.display());
        report::write(folder, peer, agent, &ordered, vectors).map_err(at)?;
    }
    Ok(())
}

/// The agents whose results are kept.
const AGENTS_MAX: usize = 64;
/// The clients that do not come through TLS of which we tell: whoever comes first is the one to
/// be helped.
const UNMET_TOLD_MAX: usize = 20;
/// How often we look whether the command has ended.
const WATCH_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);
