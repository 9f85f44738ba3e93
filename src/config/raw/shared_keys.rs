//! The keys of the store over which several instances share their limits and budgets.

use std::time::Duration;

use crate::config::raw::kinds::{Fallback, Key, Kind, TextKind, key};
use crate::config::raw::words::{DAY, ON_LOSS, SECOND};

use Fallback::{Nothing, Required, Rule, Value};
use Kind::{Block, Text, Texts};
use TextKind::{Name, Path, Secret};

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("shared", "url", Text(Secret), Rule("required without `urls`"),
        "A Valkey (from 7 on) or Redis (from 6 on): `redis://host:6379/0`, or `rediss://` for TLS, \
            with `user:password@` before the host where it asks for them."),
    key("shared", "urls", Texts(Secret), Nothing,
        "Several nodes of one cluster, in place of `url`: the first that answers is asked."),
    key("shared", "namespace", Text(Name), Required,
        "What the instances that share have in common: others on the same store have another one."),
    key("shared", "sync", Kind::Span(Duration::from_millis(10), SECOND), Value("100ms"),
        "How often an instance that has something to say to the store says it."),
    key("shared", "wait", Kind::Span(Duration::ZERO, SECOND), Value("50ms"),
        "How long a request waits at most for a part of a limit or budget that this instance does \
            not have yet."),
    key("shared", "member_ttl", Kind::Span(Duration::from_secs(5), DAY), Value("120s"),
        "How long what an instance holds stays reserved for it once it is not heard of any more. \
            An instance that does not reach the store goes on for nine tenths of this."),
    key("shared", "on_loss", Block("shared.on_loss"), Nothing,
        "What happens when the store is out of reach for longer."),
    key("shared", "tls", Block("shared.tls"), Nothing,
        "TLS to a store whose URL begins with `rediss://`."),
    key("shared.on_loss", "rate_limits", ON_LOSS, Value("share"),
        "With limits per minute and requests at once. `share`: go on with the last share. \
            `closed`: refuse. `open`: go on, and count."),
    key("shared.on_loss", "budgets", ON_LOSS, Value("closed"),
        "With budgets and limits per day. `share`: go on with the last share. `closed`: refuse. \
            `open`: go on, and count."),
    key("shared.tls", "ca_file", Text(Path), Rule("the host's own roots"),
        "A PEM file with the certificates that the store's certificate is verified with."),
    key("shared.tls", "cert_file", Text(Path), Nothing,
        "A PEM file with the certificate that is presented to the store, and its chain."),
    key("shared.tls", "key_file", Text(Path), Nothing,
        "A PEM file with that certificate's private key."),
    key("shared.tls", "server_name", Text(Name), Rule("the host of the URL"),
        "The name that the store's certificate is verified for."),
];
