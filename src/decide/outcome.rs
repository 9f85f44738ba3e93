//! What an attempt's end means: for the next provider, the breaker, the average and the caller.

use crate::decide::policy::BreakerPolicy;

/// How an attempt at a provider ended; one variant per row of the contract's table of outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The whole answer was relayed.
    Answered,
    /// A reused connection died before the first byte of the answer.
    StaleConnection,
    /// No connection came about.
    ConnectFailed(ConnectFault),
    /// The provider was silent for too long, before anything was relayed.
    TimedOut(Waiting),
    /// The provider failed, before anything was relayed.
    Failed(Failure),
    /// The provider answered 429.
    RateLimited,
    /// The provider refuses infermux's own key with this status, or says its account has no credit.
    OwnKeyRefused(u16),
    /// The provider answers 403 to infermux's own key: another provider may accept the request.
    AccessRefused,
    /// The provider does not know what the request refers to: it belongs to another provider.
    NotMine,
    /// The provider's dialect cannot express what the request holds; nothing was sent.
    Untranslatable,
    /// The prompt is longer than the window of the provider's model.
    Overflowed,
    /// The provider refuses the key that the caller sent, with this status.
    CallerKeyRefused(u16),
    /// The provider finds fault with the request itself, with this status.
    RequestRefused(u16),
    /// infermux cannot hold an event of the provider's stream: it is too large.
    TooLarge,
    /// A committed stream was cut.
    StreamCut,
    /// A committed stream fell silent.
    StreamStalled,
    /// The caller went away.
    CallerGone,
}

/// Why no connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectFault {
    /// The name has no address.
    Name,
    /// No address accepts connections.
    Refused,
    /// The TLS handshake failed.
    Tls(TlsFault),
    /// It took longer than `connect_timeout`.
    Timeout,
    /// The proxy on the way is in the way.
    Proxy(ProxyFault),
    /// infermux itself has no descriptor or port left.
    NoSocket,
}

/// Why a TLS handshake fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsFault {
    /// The certificate is of an authority that is not trusted.
    Authority,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for another name.
    Name,
    /// The provider does not accept infermux's certificate, or wants one.
    Own,
    /// Anything else.
    Other,
}

/// Why a proxy does not lead to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyFault {
    /// Its name has no address.
    Name,
    /// None of its addresses accepts connections.
    Refused,
    /// It did not accept a connection in time.
    Timeout,
    /// It did not say in time whether it opens a tunnel.
    Silent,
    /// It answered with this status instead of opening a tunnel.
    Status(u16),
    /// What it answered is not HTTP, or it closed the connection.
    Malformed,
}

/// What did not arrive in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// The answer's head.
    Head,
    /// The rest of an answer that is not streamed.
    Body,
    /// A stream's first content.
    Content,
}

/// How a provider failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// With this status.
    Status(u16),
    /// It answered 200 with an `error` object.
    ErrorObject,
    /// It answered 200 without choices.
    NoChoices,
    /// Its answer is not what it should be: malformed or too large.
    Malformed,
    /// It closed the connection before its answer was complete.
    Cut,
}

/// Whose key an attempt was sent with, and thus who must act on faults of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyOwner {
    /// infermux's own key: the operator must act.
    #[default]
    Infermux,
    /// The caller's key: the caller must act.
    Caller,
}

/// What an error's text is about, beyond its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Nothing that infermux knows.
    Unknown,
    /// The account: its key is bad, it has no credit, or is at its limit of usage.
    Account,
    /// The request's content, which the provider does not take.
    Content,
    /// The prompt's length, beyond the model's window.
    Length,
}

/// Who may be tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// The same provider once more, on a fresh connection; then another.
    SameProviderFresh,
    /// Another provider.
    Another,
    /// Another provider, if its model's window is known to be larger.
    Larger,
    /// Nobody.
    Stop,
}

/// What an outcome means to the provider's circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The provider works.
    Success,
    /// The provider does not work.
    Failure,
    /// Nothing about the provider; a probe's permit goes back.
    Neutral,
}

/// What an outcome adds to the provider's average response time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sample {
    /// The response time.
    Measured,
    /// The timeout that was exceeded.
    TheTimeout,
    /// Nothing: a fast error must not look fast.
    Nothing,
}

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The provider's answer.
    Answer,
    /// The provider's error, with its status.
    PassThrough,
    /// 502 `upstream_error`.
    UpstreamError,
    /// 504 `upstream_timeout`.
    UpstreamTimeout,
    /// 429 `rate_limit`.
    RateLimit,
    /// 400 `invalid_request`.
    InvalidRequest,
    /// An error frame with `upstream_error`, then the end of the connection.
    StreamCut,
    /// An error frame with `upstream_timeout`, then the end of the connection.
    StreamStalled,
    /// Nothing: nobody listens. Logged as 499.
    Nothing,
}

/// What an answer's status means, before its body has been read.
///
/// A 2xx is `Answered` unless its body says otherwise. A redirect is not followed: it could carry a
/// key to another host, and a provider that redirects is set up wrongly.
#[must_use]
pub fn classify_status(status: u16, key: KeyOwner, topic: Topic) -> Outcome {
    match (status, key, topic) {
        (200..=299, _, _) => Outcome::Answered,
        (401 | 402, KeyOwner::Infermux, _) | (400 | 429, KeyOwner::Infermux, Topic::Account) => {
            Outcome::OwnKeyRefused(status)
        }
        // Waiting does not restore credit, so the account's owner is told.
        (429, KeyOwner::Caller, Topic::Account) => Outcome::RequestRefused(status),
        // No provider asks for the credentials of proxies.
        (407, _, _) => Outcome::ConnectFailed(ConnectFault::Proxy(ProxyFault::Status(status))),
        (429, _, _) => Outcome::RateLimited,
        (400..=599, _, Topic::Length) => Outcome::Overflowed,
        (403, KeyOwner::Infermux, Topic::Content) => Outcome::RequestRefused(status),
        (403, KeyOwner::Infermux, _) => Outcome::AccessRefused,
        (401 | 403, KeyOwner::Caller, _) => Outcome::CallerKeyRefused(status),
        // 498 is one compatible provider's status for a flexible tier that is out of capacity.
        (408 | 498, _, _) => Outcome::Failed(Failure::Status(status)),
        (400..=499, _, _) => Outcome::RequestRefused(status),
        (_, _, _) => Outcome::Failed(Failure::Status(status)),
    }
}

impl Outcome {
    /// Names of outcomes, for metrics; the last one stands for attempts without an outcome.
    pub const LABELS: [&'static str; 18] = [
        "answered",
        "stale_connection",
        "connect_failed",
        "timed_out",
        "server_error",
        "bad_answer",
        "rate_limited",
        "own_key_refused",
        "access_refused",
        "not_mine",
        "untranslatable",
        "context_window",
        "caller_key_refused",
        "request_refused",
        "stream_cut",
        "stream_stalled",
        "caller_gone",
        "abandoned",
    ];

    /// The place in [`Self::LABELS`] of attempts without an outcome: infermux itself ended them.
    pub const NONE: usize = Self::LABELS.len() - 1;

    /// The outcome's place in [`Self::LABELS`].
    #[must_use]
    pub const fn place(self) -> usize {
        match self {
            Self::Answered => 0,
            Self::StaleConnection => 1,
            Self::ConnectFailed(_) => 2,
            Self::TimedOut(_) => 3,
            Self::Failed(Failure::Status(_)) => 4,
            Self::Failed(
                Failure::ErrorObject | Failure::NoChoices | Failure::Malformed | Failure::Cut,
            )
            | Self::TooLarge => 5,
            Self::RateLimited => 6,
            Self::OwnKeyRefused(_) => 7,
            Self::AccessRefused => 8,
            Self::NotMine => 9,
            Self::Untranslatable => 10,
            Self::Overflowed => 11,
            Self::CallerKeyRefused(_) => 12,
            Self::RequestRefused(_) => 13,
            Self::StreamCut => 14,
            Self::StreamStalled => 15,
            Self::CallerGone => 16,
        }
    }

    /// Its name, for metrics and the log.
    #[must_use]
    pub fn label(self) -> &'static str {
        Self::LABELS.get(self.place()).copied().unwrap_or_default()
    }

    /// Who may be tried next.
    #[must_use]
    pub const fn next(self) -> Next {
        match self {
            Self::StaleConnection => Next::SameProviderFresh,
            Self::ConnectFailed(_)
            | Self::TimedOut(_)
            | Self::Failed(_)
            | Self::RateLimited
            | Self::OwnKeyRefused(_)
            | Self::TooLarge
            | Self::AccessRefused
            | Self::NotMine
            | Self::Untranslatable => Next::Another,
            Self::Overflowed => Next::Larger,
            Self::Answered
            | Self::CallerKeyRefused(_)
            | Self::RequestRefused(_)
            | Self::StreamCut
            | Self::StreamStalled
            | Self::CallerGone => Next::Stop,
        }
    }

    /// What the provider's breaker is told.
    #[must_use]
    pub const fn for_breaker(self, policy: &BreakerPolicy) -> Signal {
        match self {
            Self::Answered => Signal::Success,
            Self::RateLimited if policy.rate_limit_is_error => Signal::Failure,
            Self::ConnectFailed(
                ConnectFault::Name
                | ConnectFault::Refused
                | ConnectFault::Tls(_)
                | ConnectFault::Timeout
                | ConnectFault::Proxy(_),
            )
            | Self::TimedOut(_)
            | Self::Failed(_)
            | Self::OwnKeyRefused(_)
            | Self::StreamCut
            | Self::StreamStalled => Signal::Failure,
            Self::RateLimited
            | Self::ConnectFailed(ConnectFault::NoSocket)
            | Self::StaleConnection
            | Self::TooLarge
            | Self::AccessRefused
            | Self::NotMine
            | Self::Untranslatable
            | Self::Overflowed
            | Self::CallerKeyRefused(_)
            | Self::RequestRefused(_)
            | Self::CallerGone => Signal::Neutral,
        }
    }

    /// What the provider's average response time is told.
    #[must_use]
    pub const fn sample(self) -> Sample {
        match self {
            Self::Answered => Sample::Measured,
            Self::TimedOut(_) => Sample::TheTimeout,
            Self::StaleConnection
            | Self::ConnectFailed(_)
            | Self::Failed(_)
            | Self::RateLimited
            | Self::OwnKeyRefused(_)
            | Self::AccessRefused
            | Self::NotMine
            | Self::Untranslatable
            | Self::Overflowed
            | Self::TooLarge
            | Self::CallerKeyRefused(_)
            | Self::RequestRefused(_)
            | Self::StreamCut
            | Self::StreamStalled
            | Self::CallerGone => Sample::Nothing,
        }
    }

    /// What the caller gets when this was the last attempt.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Answered => Verdict::Answer,
            Self::StaleConnection
            | Self::ConnectFailed(_)
            | Self::Failed(_)
            | Self::TooLarge
            | Self::OwnKeyRefused(_) => Verdict::UpstreamError,
            Self::TimedOut(_) => Verdict::UpstreamTimeout,
            Self::RateLimited => Verdict::RateLimit,
            Self::Untranslatable => Verdict::InvalidRequest,
            Self::AccessRefused
            | Self::NotMine
            | Self::Overflowed
            | Self::CallerKeyRefused(_)
            | Self::RequestRefused(_) => Verdict::PassThrough,
            Self::StreamCut => Verdict::StreamCut,
            Self::StreamStalled => Verdict::StreamStalled,
            Self::CallerGone => Verdict::Nothing,
        }
    }
}

/// Completes "the provider …".
impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match *self {
            Self::Answered => "answered",
            Self::StaleConnection => "closed its connection",
            Self::ConnectFailed(ConnectFault::Name) => "is not found: its host name has no address",
            Self::ConnectFailed(ConnectFault::Refused) => "does not accept connections",
            Self::ConnectFailed(ConnectFault::Tls(fault)) => return write!(f, "{fault}"),
            Self::ConnectFailed(ConnectFault::Proxy(fault)) => return write!(f, "{fault}"),
            Self::ConnectFailed(ConnectFault::NoSocket) => "cannot be reached: no socket is left",
            Self::ConnectFailed(ConnectFault::Timeout) => "did not accept a connection in time",
            Self::TimedOut(Waiting::Head) => "did not answer in time",
            Self::TimedOut(Waiting::Body) => "did not finish its answer in time",
            Self::TimedOut(Waiting::Content) => "sent no content in time",
            Self::Failed(Failure::Status(status)) => return write!(f, "answered {status}"),
            Self::Failed(Failure::ErrorObject) => "answered 200 with an error",
            Self::Failed(Failure::NoChoices) => "answered without choices",
            Self::Failed(Failure::Malformed) => "sent a malformed answer",
            Self::Failed(Failure::Cut) => "closed the connection before its answer was complete",
            Self::RateLimited => "is at its rate limit",
            Self::OwnKeyRefused(_) => "refuses the configured key or account",
            Self::AccessRefused => "refuses access with the configured key",
            Self::NotMine => "does not know what the request refers to",
            Self::Untranslatable => "cannot express this request",
            Self::Overflowed => "has a model whose window is smaller than the prompt",
            Self::CallerKeyRefused(_) => "refuses the caller's key",
            Self::RequestRefused(status) => return write!(f, "refused the request with {status}"),
            Self::TooLarge => "sent an event that is larger than infermux holds",
            Self::StreamCut => "cut its stream",
            Self::StreamStalled => "stalled in its stream",
            Self::CallerGone => "was left by the caller",
        };
        f.write_str(text)
    }
}

/// Completes "the provider …".
impl std::fmt::Display for TlsFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed the TLS handshake")?;
        f.write_str(match *self {
            Self::Authority => ": the authority of its certificate is not trusted (`tls.ca_file`)",
            Self::Expired => ": its certificate has expired",
            Self::NotYetValid => ": by this machine's clock its certificate is not valid yet",
            Self::Name => ": its certificate is for another name (`tls.server_name`)",
            Self::Own => ": it wants another certificate of infermux (`tls.cert_file`)",
            Self::Other => "",
        })
    }
}

/// Completes "the provider …".
impl std::fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cannot be reached: its proxy ")?;
        f.write_str(match *self {
            Self::Name => "is not found: its host name has no address",
            Self::Refused => "does not accept connections",
            Self::Timeout => "did not accept a connection in time",
            Self::Silent => "did not open a tunnel in time",
            // 401 is what tinyproxy answers to CONNECT.
            Self::Status(status @ (401 | 407)) => {
                return write!(
                    f,
                    "wants other credentials than those in `proxy` ({status})"
                );
            }
            Self::Status(status @ (403 | 405)) => {
                return write!(f, "does not allow a tunnel to its host and port ({status})");
            }
            Self::Status(status @ (502..=504)) => {
                return write!(f, "does not reach its host and port ({status})");
            }
            Self::Status(status) => return write!(f, "opened no tunnel, it answered {status}"),
            Self::Malformed => "did not answer in HTTP",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcome, next, breaker, average, verdict.
    const ROWS: &str = "
        StaleConnection         SameProviderFresh  Neutral  Nothing     UpstreamError
        ConnectFailed(Name)     Another            Failure  Nothing     UpstreamError
        ConnectFailed(Refused)  Another            Failure  Nothing     UpstreamError
        ConnectFailed(Tls(Name)) Another           Failure  Nothing     UpstreamError
        ConnectFailed(Timeout)  Another            Failure  Nothing     UpstreamError
        ConnectFailed(Proxy(Silent)) Another       Failure  Nothing     UpstreamError
        ConnectFailed(Proxy(Status(407))) Another  Failure  Nothing     UpstreamError
        TimedOut(Head)          Another            Failure  TheTimeout  UpstreamTimeout
        TimedOut(Body)          Another            Failure  TheTimeout  UpstreamTimeout
        TimedOut(Content)       Another            Failure  TheTimeout  UpstreamTimeout
        Failed(Status(500))     Another            Failure  Nothing     UpstreamError
        Failed(ErrorObject)     Another            Failure  Nothing     UpstreamError
        Failed(NoChoices)       Another            Failure  Nothing     UpstreamError
        Failed(Malformed)       Another            Failure  Nothing     UpstreamError
        RateLimited             Another            Neutral  Nothing     RateLimit
        OwnKeyRefused(401)      Another            Failure  Nothing     UpstreamError
        AccessRefused           Another            Neutral  Nothing     PassThrough
        NotMine                 Another            Neutral  Nothing     PassThrough
        Untranslatable          Another            Neutral  Nothing     InvalidRequest
        Overflowed              Larger             Neutral  Nothing     PassThrough
        TooLarge                Another            Neutral  Nothing     UpstreamError
        CallerKeyRefused(401)   Stop               Neutral  Nothing     PassThrough
        RequestRefused(422)     Stop               Neutral  Nothing     PassThrough
        StreamCut               Stop               Failure  Nothing     StreamCut
        StreamStalled           Stop               Failure  Nothing     StreamStalled
        CallerGone              Stop               Neutral  Nothing     Nothing
        Answered                Stop               Success  Measured    Answer
    ";

    #[test]
    fn each_row_of_the_contract_means_what_it_says() {
        use Outcome::*;
        let connect = [
            ConnectFault::Name,
            ConnectFault::Refused,
            ConnectFault::Tls(TlsFault::Name),
            ConnectFault::Timeout,
            ConnectFault::Proxy(ProxyFault::Silent),
            ConnectFault::Proxy(ProxyFault::Status(407)),
        ];
        let waiting = [Waiting::Head, Waiting::Body, Waiting::Content];
        let failures = [
            Failure::Status(500),
            Failure::ErrorObject,
            Failure::NoChoices,
            Failure::Malformed,
        ];
        let outcomes = [StaleConnection]
            .into_iter()
            .chain(connect.map(ConnectFailed))
            .chain(waiting.map(TimedOut))
            .chain(failures.map(Failed))
            .chain([
                RateLimited,
                OwnKeyRefused(401),
                AccessRefused,
                NotMine,
                Untranslatable,
                Overflowed,
                TooLarge,
            ])
            .chain([CallerKeyRefused(401), RequestRefused(422)])
            .chain([StreamCut, StreamStalled, CallerGone, Answered]);
        let policy = BreakerPolicy::default();
        let mut rows = ROWS.lines().filter(|line| !line.trim().is_empty());
        for outcome in outcomes {
            let (next, signal) = (outcome.next(), outcome.for_breaker(&policy));
            let (sample, verdict) = (outcome.sample(), outcome.verdict());
            let row = format!("{outcome:?} {next:?} {signal:?} {sample:?} {verdict:?}");
            let expected: Vec<_> = rows.next().unwrap().split_whitespace().collect();
            assert_eq!(row, expected.join(" "));
            assert!(!outcome.to_string().is_empty());
        }
        assert_eq!(rows.next(), None);
    }

    #[test]
    fn a_rate_limit_is_a_failure_where_the_file_says_so() {
        let policy = BreakerPolicy {
            rate_limit_is_error: true,
            ..BreakerPolicy::default()
        };
        assert_eq!(Outcome::RateLimited.for_breaker(&policy), Signal::Failure);
        assert_eq!(Outcome::CallerGone.for_breaker(&policy), Signal::Neutral);
    }

    #[test]
    fn statuses_mean_different_things_for_different_keys_and_topics() {
        use KeyOwner::*;
        use Outcome::*;
        use Topic::*;
        let failed = |status| Failed(Failure::Status(status));
        let all = [Unknown, Account, Content, Length];
        type Meaning = fn(u16) -> Outcome;
        type Row<'a> = (&'a [u16], &'a [KeyOwner], &'a [Topic], Meaning);
        let rows: [Row<'_>; 14] = [
            (&[200, 201, 204], &[Infermux, Caller], &all, |_| Answered),
            (&[429], &[Infermux, Caller], &[Unknown], |_| RateLimited),
            (&[429], &[Infermux], &[Account], OwnKeyRefused),
            (&[429], &[Caller], &[Account], RequestRefused),
            (&[401, 402], &[Infermux], &all, OwnKeyRefused),
            (&[400], &[Infermux], &[Account], OwnKeyRefused),
            (&[403], &[Infermux], &[Unknown, Account], |_| AccessRefused),
            (&[403], &[Infermux], &[Content], RequestRefused),
            (
                &[400, 403, 413, 422, 500, 503],
                &[Infermux, Caller],
                &[Length],
                |_| Overflowed,
            ),
            (
                &[401, 403],
                &[Caller],
                &[Unknown, Account, Content],
                CallerKeyRefused,
            ),
            (
                &[400, 402],
                &[Caller],
                &[Unknown, Account, Content],
                RequestRefused,
            ),
            (
                &[400, 404, 409, 413, 422, 451],
                &[Infermux, Caller],
                &[Unknown, Content],
                RequestRefused,
            ),
            (
                &[408, 498, 500, 501, 502, 503, 504, 520, 529],
                &[Infermux, Caller],
                &[Unknown],
                failed,
            ),
            (
                &[100, 101, 301, 302, 307, 600, 999, 0],
                &[Infermux, Caller],
                &[Unknown],
                failed,
            ),
        ];
        for (statuses, keys, topics, outcome) in rows {
            for (&status, &key) in statuses
                .iter()
                .flat_map(|s| keys.iter().map(move |k| (s, k)))
            {
                for &topic in topics {
                    let found = classify_status(status, key, topic);
                    assert_eq!(found, outcome(status), "{status} {key:?} {topic:?}");
                }
            }
        }
    }
}
