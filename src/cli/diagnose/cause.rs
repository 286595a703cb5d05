//! The steps, what may fail in each, and whose business that is.
//!
//! Names and exit codes are for scripts and stay as they are. Every cause has a test in
//! `tests/diagnose` that brings it about; one of those tests looks that none is missing.

/// What is looked at, in the order in which one would check by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// What was asked for.
    Url,
    /// From the name to addresses.
    Names,
    /// From an address to a TCP connection.
    Reach,
    /// Through a proxy.
    Proxy,
    /// TLS, and the certificate.
    Tls,
    /// The answer to the request for WebSocket.
    Http,
    /// Whether a 101 keeps its promises.
    Handshake,
    /// What the server says first.
    Messages,
    /// Round trips.
    Pings,
    /// Whether the connection outlives silence.
    Idle,
    /// The closing handshake.
    Close,
}

impl Step {
    pub(super) const ALL: [Self; 11] = [
        Self::Url,
        Self::Names,
        Self::Reach,
        Self::Proxy,
        Self::Tls,
        Self::Http,
        Self::Handshake,
        Self::Messages,
        Self::Pings,
        Self::Idle,
        Self::Close,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Names => "names",
            Self::Reach => "reach",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Handshake => "handshake",
            Self::Messages => "messages",
            Self::Pings => "pings",
            Self::Idle => "idle",
            Self::Close => "close",
        }
    }

    /// The exit code when this step is the first to fail.
    pub(super) const fn exit(self) -> u8 {
        match self {
            Self::Url => 10,
            Self::Names => 11,
            Self::Reach => 12,
            Self::Proxy => 13,
            Self::Tls => 14,
            Self::Http => 15,
            Self::Handshake => 16,
            Self::Messages => 17,
            Self::Pings => 18,
            Self::Idle => 19,
            Self::Close => 20,
        }
    }
}

/// Whose business it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Culprit {
    /// The URL or another argument.
    Arguments,
    /// The machine that this runs on: its firewall, its certificates.
    ThisMachine,
    /// DNS.
    NameService,
    /// Routers in between.
    Network,
    /// A firewall in between.
    Firewall,
    /// A proxy in between: one that we go through, or one before the server.
    Proxy,
    /// A load balancer or gateway before the server.
    LoadBalancer,
    /// The certificate or the TLS settings of the server.
    Tls,
    /// Credentials, or who is let in.
    Authentication,
    /// Too much to do.
    Overload,
    /// The server program itself.
    Endpoint,
}

impl Culprit {
    /// For scripts.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::ThisMachine => "this-machine",
            Self::NameService => "name-service",
            Self::Network => "network",
            Self::Firewall => "firewall",
            Self::Proxy => "proxy",
            Self::LoadBalancer => "load-balancer",
            Self::Tls => "tls",
            Self::Authentication => "authentication",
            Self::Overload => "overload",
            Self::Endpoint => "endpoint",
        }
    }

    /// For people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Arguments => "what was asked for",
            Self::ThisMachine => "this machine",
            Self::NameService => "name service (DNS)",
            Self::Network => "the network on the way",
            Self::Firewall => "a firewall",
            Self::Proxy => "a proxy",
            Self::LoadBalancer => "a load balancer or gateway before the server",
            Self::Tls => "TLS",
            Self::Authentication => "authentication",
            Self::Overload => "overload",
            Self::Endpoint => "the server itself",
        }
    }
}

macro_rules! causes {
    ($($step:ident { $($cause:ident $name:literal $culprit:ident,)+ })+) => {
        /// What was found: of a step that failed, or that deserves a warning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Cause {
            $($($cause,)+)+
        }

        impl Cause {
            /// For scripts, and for searching.
            pub(super) const fn name(self) -> &'static str {
                match self { $($(Self::$cause => $name,)+)+ }
            }

            pub(super) const fn step(self) -> Step {
                match self { $($(Self::$cause => Step::$step,)+)+ }
            }

            /// The one to suspect first; a step that saw more names another.
            pub(super) const fn culprit(self) -> Culprit {
                match self { $($(Self::$cause => Culprit::$culprit,)+)+ }
            }
        }
    };
}

causes! {
    Url {
        UrlScheme "url-scheme" Arguments,
        UrlInvalid "url-invalid" Arguments,
    }
    Names {
        NameUnknown "name-unknown" NameService,
        NameLookupFailed "name-lookup-failed" NameService,
    }
    Reach {
        Refused "refused" Endpoint,
        Filtered "filtered" Firewall,
        Unreachable "unreachable" Network,
        Prohibited "prohibited" ThisMachine,
        // Warnings.
        SomeUnreachable "some-unreachable" Endpoint,
    }
    Proxy {
        ProxySetting "proxy-setting" Arguments,
        ProxyAuthentication "proxy-authentication" Authentication,
        ProxyForbids "proxy-forbids" Proxy,
        ProxyGateway "proxy-gateway" Proxy,
        ProxySilent "proxy-silent" Proxy,
        ProxyNotHttp "proxy-not-http" Proxy,
        ProxyNotSocks "proxy-not-socks" Proxy,
    }
    Tls {
        TlsNotSpoken "tls-not-spoken" Arguments,
        TlsClosed "tls-closed" Endpoint,
        TlsSilent "tls-silent" Overload,
        TlsVersion "tls-version" Tls,
        TlsAlert "tls-alert" Tls,
        TlsClientCertificate "tls-client-certificate" Authentication,
        TlsNoRoots "tls-no-roots" ThisMachine,
        TlsExpired "tls-expired" Tls,
        TlsNotYetValid "tls-not-yet-valid" Tls,
        TlsWrongName "tls-wrong-name" Tls,
        TlsSelfSigned "tls-self-signed" Tls,
        TlsUnknownIssuer "tls-unknown-issuer" Tls,
        TlsInvalid "tls-invalid" Tls,
        // Warnings.
        TlsExpiresSoon "tls-expires-soon" Tls,
        TlsUnverified "tls-unverified" Arguments,
    }
    Http {
        HttpSilent "http-silent" Overload,
        HttpClosed "http-closed" Endpoint,
        HttpNotSpoken "http-not-spoken" Endpoint,
        HttpTlsPort "http-tls-port" Arguments,
        HttpUpgradeLost "http-upgrade-lost" Proxy,
        HttpNotWebSocket "http-not-websocket" Endpoint,
        HttpRedirect "http-redirect" Arguments,
        HttpBadRequest "http-bad-request" Endpoint,
        HttpUnauthorized "http-unauthorized" Authentication,
        HttpCredentialsRefused "http-credentials-refused" Authentication,
        HttpCredentialsHarm "http-credentials-harm" Authentication,
        HttpForbidden "http-forbidden" Authentication,
        HttpOrigin "http-origin" Authentication,
        HttpNotFound "http-not-found" Arguments,
        HttpProxyAuthentication "http-proxy-authentication" Proxy,
        HttpVersion "http-version" Endpoint,
        HttpTooManyRequests "http-too-many-requests" Overload,
        HttpClientCertificate "http-client-certificate" Authentication,
        HttpClientError "http-client-error" Endpoint,
        HttpServerError "http-server-error" Endpoint,
        HttpBadGateway "http-bad-gateway" LoadBalancer,
        HttpUnavailable "http-unavailable" Overload,
        HttpGatewayTimeout "http-gateway-timeout" LoadBalancer,
        HttpStatus "http-status" Endpoint,
    }
    Handshake {
        AcceptWrong "accept-wrong" Endpoint,
        UpgradeHeaders "upgrade-headers" Proxy,
        SubprotocolNotOffered "subprotocol-not-offered" Endpoint,
        ExtensionNotOffered "extension-not-offered" Endpoint,
        HandshakeInvalid "handshake-invalid" Endpoint,
        // Warnings.
        SubprotocolNone "subprotocol-none" Endpoint,
    }
    Messages {
        ClosedNormally "closed-normally" Endpoint,
        ClosedGoingAway "closed-going-away" Endpoint,
        ClosedProtocol "closed-protocol" Endpoint,
        ClosedPolicy "closed-policy" Authentication,
        ClosedTooBig "closed-too-big" Endpoint,
        ClosedInternalError "closed-internal-error" Endpoint,
        ClosedOverload "closed-overload" Overload,
        ClosedApplication "closed-application" Endpoint,
        ClosedWithoutCode "closed-without-code" Endpoint,
        Dropped "dropped" Endpoint,
        ProtocolBroken "protocol-broken" Endpoint,
    }
    Pings {
        PingUnanswered "ping-unanswered" Endpoint,
        PongWrong "pong-wrong" Endpoint,
        PingClosed "ping-closed" Endpoint,
        // Warnings.
        PingSlow "ping-slow" Overload,
        PingUneven "ping-uneven" Overload,
    }
    Idle {
        IdleClosed "idle-closed" Endpoint,
        IdleDropped "idle-dropped" LoadBalancer,
        IdleForgotten "idle-forgotten" Firewall,
        AgeLimit "age-limit" Endpoint,
    }
    Close {
        CloseUnanswered "close-unanswered" Endpoint,
        CloseDropped "close-dropped" Endpoint,
        CloseBroken "close-broken" Endpoint,
        // Warnings.
        CloseLingers "close-lingers" Endpoint,
    }
}
