//! What is offered, answered and agreed to ([RFC 7692 §7.1]).
//!
//! ```text
//! Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, permessage-deflate
//! ```
//!
//! The client makes offers, the most preferred first; the server agrees to one, with the
//! parameters that then hold, or to none. An offer with anything wrong in it is declined, and so
//! is one that asks for what we do not know (§7: a MUST); an answer with anything wrong in it
//! fails the connection.
//!
//! [RFC 7692 §7.1]: https://www.rfc-editor.org/rfc/rfc7692#section-7.1

use std::fmt;

use crate::proto::deflate::settings::Deflate;
use crate::proto::extension::Extension;

/// The name that the extension is registered by (§7).
pub(crate) const NAME: &str = "permessage-deflate";

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// How far back compressed data may refer: 2 to the power of this number, 8 to 15, in bytes
/// (§7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 256 bytes.
    pub const MIN: Self = Self(8);
    /// 32 KiB, all that DEFLATE can do.
    pub const MAX: Self = Self(15);

    /// This many bits, if that is 8 to 15.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            8..=15 => Some(Self(bits)),
            _ => None,
        }
    }

    /// The number of bits.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The bytes of such a window.
    #[must_use]
    pub const fn size(self) -> usize {
        1 << self.0
    }

    /// §7.1.2.1: a decimal integer from 8 to 15, without leading zeros.
    fn parse(text: &str) -> Option<Self> {
        let bits = match text.as_bytes() {
            [digit @ b'8'..=b'9'] => digit - b'0',
            [b'1', digit @ b'0'..=b'5'] => 10 + digit - b'0',
            _ => return None,
        };
        Some(Self(bits))
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The parameters of permessage-deflate that two ends agreed to (§7.1).
///
/// [Displayed](fmt::Display), they are a server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeflateParams {
    /// The server compresses each message by itself (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The server refers no further back than this (§7.1.2.1).
    pub server_max_window_bits: WindowBits,
    /// The client refers no further back than this (§7.1.2.2).
    pub client_max_window_bits: WindowBits,
}

/// What a server agrees to, and says so by its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) params: DeflateParams,
    /// The offer had `server_max_window_bits`.
    says_server_window: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.params.write(f, self.says_server_window)
    }
}

impl fmt::Display for DeflateParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl DeflateParams {
    fn write(&self, f: &mut fmt::Formatter<'_>, says_server_window: bool) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_NO_CONTEXT_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_NO_CONTEXT_TAKEOVER}")?;
        }
        // Without the parameter the window is the largest. §7.1.2.1: an offer that has it is
        // accepted by an answer that has it, whatever the number.
        if says_server_window || self.server_max_window_bits < WindowBits::MAX {
            write!(
                f,
                "; {SERVER_MAX_WINDOW_BITS}={}",
                self.server_max_window_bits
            )?;
        }
        if self.client_max_window_bits < WindowBits::MAX {
            write!(
                f,
                "; {CLIENT_MAX_WINDOW_BITS}={}",
                self.client_max_window_bits
            )?;
        }
        Ok(())
    }
}

/// What a server would have to do and cannot, or may not: its answer fails the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParamsError {
    /// It is not permessage-deflate.
    NotOffered,
    /// A parameter is unknown, illegal, or repeated, or a demand of ours is not met.
    Illegal,
}

/// The offers of a client that would have it so, as they stand in the header field.
pub(crate) fn offers(settings: &Deflate) -> String {
    let mut plain = String::from(NAME);
    if settings.client_no_context_takeover {
        plain += "; ";
        plain += CLIENT_NO_CONTEXT_TAKEOVER;
    }
    // §7.1.2.2: without this parameter a server could not limit our window.
    plain += "; ";
    plain += CLIENT_MAX_WINDOW_BITS;
    if settings.client_max_window_bits < WindowBits::MAX {
        plain += &format!("={}", settings.client_max_window_bits);
    }
    let mut demanding = plain.clone();
    if settings.server_no_context_takeover {
        demanding += "; ";
        demanding += SERVER_NO_CONTEXT_TAKEOVER;
    }
    if settings.server_max_window_bits < WindowBits::MAX {
        demanding += &format!(
            "; {SERVER_MAX_WINDOW_BITS}={}",
            settings.server_max_window_bits
        );
    }
    match settings.fallback && demanding != plain {
        true => format!("{demanding}, {plain}"),
        false => demanding,
    }
}

/// What a server that would have it so agrees to, of a client's offers: the first that it can.
pub(crate) fn accept_offer<'a>(
    settings: &Deflate,
    mut offers: impl Iterator<Item = Extension<'a>>,
) -> Option<Answer> {
    offers.find_map(|offer| {
        let offer = Params::read(&offer, Side::Client).ok()?;
        let client_max_window_bits = match offer.client_max_window_bits {
            Some(hint) => hint
                .unwrap_or(WindowBits::MAX)
                .min(settings.client_max_window_bits),
            // §7.1.2.2: the answer must not have the parameter if the offer does not.
            None => WindowBits::MAX,
        };
        let params = DeflateParams {
            server_no_context_takeover: offer.server_no_context_takeover
                || settings.server_no_context_takeover,
            // What a client that cannot limit its window costs us is limited so.
            client_no_context_takeover: offer.client_no_context_takeover
                || settings.client_no_context_takeover
                || client_max_window_bits > settings.client_max_window_bits,
            server_max_window_bits: offer
                .server_max_window_bits
                .unwrap_or(WindowBits::MAX)
                .min(settings.server_max_window_bits),
            client_max_window_bits,
        };
        Some(Answer {
            params,
            says_server_window: offer.server_max_window_bits.is_some(),
        })
    })
}

/// Holds a server's answer against what a client that would have it so [offered](offers); gives
/// what is agreed to.
pub(crate) fn verify_answer(
    settings: &Deflate,
    answer: &Extension<'_>,
) -> Result<DeflateParams, ParamsError> {
    let answer = Params::read(answer, Side::Server)?;
    let server_max_window_bits = answer.server_max_window_bits.unwrap_or(WindowBits::MAX);
    // §7.1.1.1, §7.1.2.1: a server accepts these two by having them in its answer.
    let demands_are_met = (answer.server_no_context_takeover
        || !settings.server_no_context_takeover)
        && server_max_window_bits <= settings.server_max_window_bits;
    if !demands_are_met && !settings.fallback {
        return Err(ParamsError::Illegal);
    }
    Ok(DeflateParams {
        server_no_context_takeover: answer.server_no_context_takeover,
        // §7.1.1.2, §7.1.2.2: what we offered for ourselves we do, whatever the answer.
        client_no_context_takeover: answer.client_no_context_takeover
            || settings.client_no_context_takeover,
        server_max_window_bits,
        client_max_window_bits: answer
            .client_max_window_bits
            .flatten()
            .unwrap_or(WindowBits::MAX)
            .min(settings.client_max_window_bits),
    })
}

/// What a server's answer says, whatever it was that the client offered.
pub(crate) fn read_answer(answer: &Extension<'_>) -> Result<DeflateParams, ParamsError> {
    let answer = Params::read(answer, Side::Server)?;
    let client_max_window_bits = answer.client_max_window_bits.flatten();
    Ok(DeflateParams {
        server_no_context_takeover: answer.server_no_context_takeover,
        client_no_context_takeover: answer.client_no_context_takeover,
        server_max_window_bits: answer.server_max_window_bits.unwrap_or(WindowBits::MAX),
        client_max_window_bits: client_max_window_bits.unwrap_or(WindowBits::MAX),
    })
}

/// Who sent the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// The parameters as they were sent: each legal, and there once.
#[derive(Debug, Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<WindowBits>,
    /// A client may leave out the value.
    client_max_window_bits: Option<Option<WindowBits>>,
}

impl Params {
    fn read(extension: &Extension<'_>, sender: Side) -> Result<Self, ParamsError> {
        if extension.name() != NAME {
            return Err(ParamsError::NotOffered);
        }
        let mut params = Self::default();
        for param in extension.params() {
            // §7.1.2.1: 1*DIGIT, which a quoted string is not.
            if param.quoted {
                return Err(ParamsError::Illegal);
            }
            let bits = || param.value.as_deref().and_then(WindowBits::parse);
            // §7: the same name twice is not to be accepted.
            let is_new_and_legal = match (param.name, &param.value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => {
                    !std::mem::replace(&mut params.server_no_context_takeover, true)
                }
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => {
                    !std::mem::replace(&mut params.client_no_context_takeover, true)
                }
                (SERVER_MAX_WINDOW_BITS, Some(_)) => {
                    let before = std::mem::replace(&mut params.server_max_window_bits, bits());
                    before.is_none() && params.server_max_window_bits.is_some()
                }
                (CLIENT_MAX_WINDOW_BITS, Some(_)) => {
                    let bits = bits();
                    let before = params.client_max_window_bits.replace(bits);
                    before.is_none() && bits.is_some()
                }
                (CLIENT_MAX_WINDOW_BITS, None) if sender == Side::Client => {
                    params.client_max_window_bits.replace(None).is_none()
                }
                _ => false,
            };
            if !is_new_and_legal {
                return Err(ParamsError::Illegal);
            }
        }
        Ok(params)
    }
}

#[cfg(test)]
#[cfg(feature = "deflate")]
mod tests {
    use super::{DeflateParams, ParamsError, WindowBits, accept_offer, offers, verify_answer};
    use crate::proto::deflate::Deflate;
    use crate::proto::extension::extensions;

    /// No wishes but what the other end asks for.
    fn willing() -> Deflate {
        Deflate {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            ..Deflate::default()
        }
    }

    fn bits(bits: u8) -> WindowBits {
        WindowBits::new(bits).unwrap()
    }

    fn answer_to(settings: &Deflate, offer: &str) -> Option<String> {
        let offers = extensions(offer.as_bytes()).map(Result::unwrap);
        accept_offer(settings, offers).map(|params| params.to_string())
    }

    fn verdict_on(settings: &Deflate, answer: &str) -> Result<DeflateParams, ParamsError> {
        let answer = extensions(answer.as_bytes()).next().unwrap().unwrap();
        verify_answer(settings, &answer)
    }

    /// Values that no window bits have, and parameters that are no parameters.
    const ILLEGAL: [&str; 27] = [
        "server_max_window_bits",
        "server_max_window_bits=0",
        "server_max_window_bits=1",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=010",
        "server_max_window_bits=+9",
        "server_max_window_bits=9.0",
        "server_max_window_bits=0x9",
        "server_max_window_bits=\"10\"",
        "server_max_window_bits=\"1\\0\"",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=265",
        "client_max_window_bits=\"8\"",
        "client_max_window_bits=8; client_max_window_bits=8",
        "client_max_window_bits=8; client_max_window_bits=9",
        "server_no_context_takeover=1",
        "server_no_context_takeover=\"true\"",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover=true",
        "client_no_context_takeover; client_no_context_takeover",
        "mode=fast",
        "Server_No_Context_Takeover",
        "server_max_window_bits=10; x",
    ];

    #[test]
    fn offers_are_answered() {
        for (offer, answer) in [
            ("", ""),
            ("client_max_window_bits", ""),
            ("server_no_context_takeover", "server_no_context_takeover"),
            ("client_no_context_takeover", "client_no_context_takeover"),
            ("server_max_window_bits=8", "server_max_window_bits=8"),
            ("server_max_window_bits=15", "server_max_window_bits=15"),
            ("client_max_window_bits=9", "client_max_window_bits=9"),
            (
                "client_max_window_bits=12; server_max_window_bits=11; \
                 client_no_context_takeover; server_no_context_takeover",
                "server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=11; client_max_window_bits=12",
            ),
        ] {
            let join = |params: &str| match params {
                "" => super::NAME.to_owned(),
                params => format!("{}; {params}", super::NAME),
            };
            assert_eq!(answer_to(&willing(), &join(offer)), Some(join(answer)));
        }
    }

    #[test]
    fn the_server_adds_its_own_wishes() {
        let settings = Deflate {
            server_max_window_bits: bits(10),
            client_max_window_bits: bits(11),
            ..willing()
        };
        let answer = |offer: &str| answer_to(&settings, offer).unwrap();
        assert_eq!(
            answer("permessage-deflate; client_max_window_bits"),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"
        );
        assert_eq!(
            answer("permessage-deflate; client_max_window_bits=9; server_max_window_bits=9"),
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"
        );
        // §7.1.2.2: this client may not be told a window.
        assert_eq!(
            answer("permessage-deflate"),
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=10"
        );
        assert_eq!(
            answer_to(&Deflate::default(), "permessage-deflate").as_deref(),
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
        );
    }

    #[test]
    fn every_number_of_window_bits() {
        for number in 0..=300 {
            let legal = (8..=15).contains(&number);
            let offer = format!("permessage-deflate; server_max_window_bits={number}");
            assert_eq!(answer_to(&willing(), &offer).is_some(), legal, "{number}");
            assert_eq!(verdict_on(&willing(), &offer).is_ok(), legal, "{number}");
        }
    }

    #[test]
    fn illegal_offers_are_declined_and_the_next_one_counts() {
        for illegal in ILLEGAL {
            let offer = format!("permessage-deflate; {illegal}");
            assert_eq!(answer_to(&willing(), &offer), None, "{illegal}");
            let offer = format!("{offer}, x-webkit-deflate-frame, permessage-deflate");
            let answer = answer_to(&willing(), &offer);
            assert_eq!(answer.as_deref(), Some("permessage-deflate"), "{illegal}");
        }
        assert_eq!(answer_to(&willing(), "deflate-frame, mux"), None);
        assert_eq!(answer_to(&willing(), ""), None);
    }

    #[test]
    fn illegal_answers_are_refused() {
        for illegal in ILLEGAL.into_iter().chain(["client_max_window_bits"]) {
            let answer = format!("permessage-deflate; {illegal}");
            assert_eq!(
                verdict_on(&willing(), &answer),
                Err(ParamsError::Illegal),
                "{illegal}"
            );
        }
        assert_eq!(
            verdict_on(&willing(), "deflate-frame"),
            Err(ParamsError::NotOffered)
        );
    }

    #[test]
    fn offers_say_what_is_wished_for_and_what_is_demanded() {
        assert_eq!(
            offers(&Deflate::default()),
            "permessage-deflate; client_no_context_takeover; client_max_window_bits; \
             server_no_context_takeover"
        );
        assert_eq!(
            offers(&willing()),
            "permessage-deflate; client_max_window_bits"
        );
        let modest = Deflate {
            server_max_window_bits: bits(9),
            client_max_window_bits: bits(8),
            fallback: true,
            ..willing()
        };
        assert_eq!(
            offers(&modest),
            "permessage-deflate; client_max_window_bits=8; server_max_window_bits=9, \
             permessage-deflate; client_max_window_bits=8"
        );
        // Every server of ours can accept what every client of ours offers.
        for settings in [willing(), modest, Deflate::default()] {
            let answer = answer_to(&settings, &offers(&settings)).unwrap();
            assert!(verdict_on(&settings, &answer).is_ok());
        }
    }

    #[test]
    fn a_demand_that_is_not_met_is_refused_unless_there_was_an_offer_without() {
        let forgetful = Deflate::default();
        let small = Deflate {
            server_max_window_bits: bits(10),
            ..willing()
        };
        for (settings, answer) in [
            (&forgetful, "permessage-deflate"),
            (&small, "permessage-deflate"),
            (&small, "permessage-deflate; server_max_window_bits=11"),
        ] {
            assert_eq!(verdict_on(settings, answer), Err(ParamsError::Illegal));
            let fallback = Deflate {
                fallback: true,
                ..settings.clone()
            };
            assert!(verdict_on(&fallback, answer).is_ok());
        }
    }

    #[test]
    fn what_a_client_said_of_itself_holds_whatever_the_answer() {
        let settings = Deflate {
            client_no_context_takeover: true,
            client_max_window_bits: bits(10),
            ..willing()
        };
        for (answer, expected) in [
            ("permessage-deflate", 10),
            ("permessage-deflate; client_max_window_bits=15", 10),
            ("permessage-deflate; client_max_window_bits=8", 8),
        ] {
            let params = verdict_on(&settings, answer).unwrap();
            assert_eq!(params.client_max_window_bits, bits(expected));
            assert!(params.client_no_context_takeover);
        }
    }
}
