//! `openline replay`: the client's side of a recording, played against a server.

mod player;
mod script;

use std::fs::File;
use std::io::{self, Stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use openline::inspect::{hex, quote};
use openline::proto::{Kind, Url};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use serde_json::json;

use crate::cli::failure::fail;
use crate::cli::form::FormArgs;
use crate::cli::replay::player::{Played, Player};
use crate::cli::replay::script::{Said, Script};
use crate::cli::show::{Place, Show, count};
use crate::cli::tls::ClientArgs;
use crate::cli::values::{Time, parse_url};
use crate::cli::wire::{Wire, connect};

const AFTER_HELP: &str = "\
Plays what one client said in a recording by 'openline tap': its request, with the target's host \
and a new key, and then its frames, bit by bit as they were but masked anew. A frame is sent when \
its time has come and when as many frames of the server's have come as had come then, or --patience \
has passed.

Then what the server said is held against what it had said: the status, the messages, the close \
code. Pings and pongs come when they come, and are not compared.

Exit codes: 0 the same, 1 an error, 2 an argument that cannot be, 3 something differs.

Examples:
  openline replay chat.jsonl ws://localhost:9001/
  openline replay chat.jsonl wss://staging.example.com/chat --connection 3 --speed 10
  openline replay chat.jsonl ws://localhost:9001/ --speed max --json | tail -1 | jq .differences";

/// Play the client's side of a recording against a server, and compare what comes back
#[derive(Debug, clap::Args)]
#[command(
    after_help = "See 'openline replay --help' for what is compared, exit codes and examples.",
    after_long_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The server: ws://HOST[:PORT]/ or wss://…; a path of its own replaces the recorded one
    #[arg(value_name = "TARGET", value_parser = parse_url)]
    target: Url,

    /// Which connection of the recording [default: the first]
    #[arg(short, long, value_name = "NUMBER")]
    connection: Option<usize>,

    /// How much faster than recorded, or `max`: as fast as the answers come
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = parse_speed)]
    speed: Speed,

    /// How long to wait for an answer that had come in the recording
    #[arg(long, value_name = "TIME", default_value = "5s")]
    patience: Time,

    #[command(flatten)]
    form: FormArgs,

    #[command(flatten)]
    tls: ClientArgs,
}

/// How fast.
#[derive(Clone, Copy, Debug)]
struct Speed(Option<f64>);

/// Plays, compares and tells.
pub(crate) fn run(args: &Args) -> ExitCode {
    match replay(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

fn replay(args: &Args) -> Result<u8, String> {
    let path = args.file.display();
    let file = File::open(&args.file).map_err(|error| format!("cannot read {path}: {error}"))?;
    let script = script::read(file, args.connection)?;
    let target = &args.target;
    let unreachable = |error: io::Error| format!("cannot connect to {target}: {error}");
    let socket = connect(target.host(), target.port()).map_err(unreachable)?;
    let wire = match args.tls.connector(target)? {
        Some(tls) => Wire::tls_client(socket, tls.config(), target.host()),
        None => Wire::plain(socket),
    };
    let wire = wire.map_err(unreachable)?;
    let mut entropy = SysRng;
    let keys = StdRng::try_from_rng(&mut entropy).map_err(|_| "there is no entropy for keys")?;
    let show = Show::new(io::stdout(), args.form.form());
    let mut player = Player::new(&script, target, wire, keys, show);
    player.speed = args.speed.0;
    player.patience = match args.patience {
        Time::Span(span) => span,
        Time::Never => Time::MAX,
    };
    let (played, mut show) = player
        .play()
        .map_err(|error| format!("{target}: {error}"))?;
    let differences = compare(&script, &played);
    tell(&script, &played, &differences, &mut show)
        .map_err(|error| format!("cannot write: {error}"))?;
    Ok(match differences.is_empty() {
        true => 0,
        false => 3,
    })
}

/// What is not as it was.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    what: String,
    recorded: String,
    now: String,
}

fn compare(script: &Script, played: &Played) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut differ = |what: String, recorded: String, now: String| {
        if recorded != now {
            let difference = Difference {
                what,
                recorded,
                now,
            };
            differences.push(difference);
        }
    };
    let status =
        |status: Option<u16>| status.map_or("none".to_owned(), |status| status.to_string());
    let (then, now) = (&script.answers, &played.answers);
    differ(
        "the status".to_owned(),
        status(then.status),
        status(now.status),
    );
    let (agreed_then, agreed_now) = (script.agreement.as_ref(), played.conversation.agreement());
    if let (Some(then), Some(now)) = (agreed_then, agreed_now) {
        let subprotocol = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
        differ(
            "the subprotocol".to_owned(),
            subprotocol(&then.subprotocol),
            subprotocol(&now.subprotocol),
        );
        differ(
            "the extensions".to_owned(),
            then.extensions.join(", "),
            now.extensions.join(", "),
        );
    }
    for at in 0..then.said.len().max(now.said.len()) {
        let said = |said: &[Said]| said.get(at).map_or("nothing".to_owned(), show_said);
        let what = format!("answer {}", at + 1);
        match (then.said.get(at), now.said.get(at)) {
            (then, now) if then == now => {}
            _ => differ(what, said(&then.said), said(&now.said)),
        }
    }
    let unsent = script.steps.len() - played.sent;
    if unsent > 0 {
        let (all, sent) = (script.steps.len(), played.sent);
        differ(
            "the frames that could be sent".to_owned(),
            all.to_string(),
            sent.to_string(),
        );
    }
    differences
}

fn show_said(said: &Said) -> String {
    match said {
        Said::Message(Kind::Text, payload) => {
            format!(
                "text of {} {}",
                count(payload.len() as u64, "byte"),
                quote(payload, 80)
            )
        }
        Said::Message(Kind::Binary, payload) => {
            format!(
                "binary of {} {}",
                count(payload.len() as u64, "byte"),
                hex(payload, 40)
            )
        }
        Said::Close(Some(code)) => format!("close {code}"),
        Said::Close(None) => "close without a code".to_owned(),
    }
}

fn tell(
    script: &Script,
    played: &Played,
    differences: &[Difference],
    show: &mut Show<Stdout>,
) -> io::Result<()> {
    for difference in differences {
        let Difference {
            what,
            recorded,
            now,
        } = difference;
        let text = format!("{what} differs: recorded {recorded}, now {now}");
        let value = json!({"event": "difference", "what": what, "recorded": recorded, "now": now});
        show.fault(Place::default(), &text, value)?;
    }
    let sent = count(played.sent as u64, "frame");
    let answers = count(script.answers.said.len() as u64, "answer");
    let text = match differences.len() as u64 {
        0 => format!("{sent} sent, {answers}: the same as recorded"),
        n => format!(
            "{sent} sent, {answers} recorded: {}",
            count(n, "difference")
        ),
    };
    let value = json!({
        "event": "replayed",
        "sent": played.sent,
        "answers": played.answers.said.len(),
        "differences": differences.len(),
    });
    show.remark(Place::default(), &text, value)?;
    show.flush()
}

fn parse_speed(text: &str) -> Result<Speed, &'static str> {
    if text == "max" {
        return Ok(Speed(None));
    }
    let factor: Option<f64> = text.parse().ok();
    let factor = factor.filter(|factor| (0.001..=1_000_000.0).contains(factor));
    factor
        .map(|factor| Speed(Some(factor)))
        .ok_or("a speed is a factor from 0.001 on, such as 10, or `max`")
}
