//! What is said to the store as calls of its scripts, and what its answers mean.

use std::time::Duration;

use crate::ledger::shares::message::{
    AskAnswer, Batch, HelloAnswer, Member, Reply, namespace_key, quota_key,
};
use crate::ledger::shares::quota::{Identity, Kept};
use crate::ledger::shares::scripts;
use crate::link::store::{Call, Said};
use crate::sys::entropy;

/// A name that no other process has, and that no state file keeps.
#[must_use]
pub fn random_identity() -> Identity {
    let id = format!("{:016x}", entropy::seed());
    Identity {
        id: id.into(),
        kept: Kept::No,
        nonce: nonce(),
    }
}

/// A random number that the store counts exactly.
#[must_use]
pub fn nonce() -> u64 {
    entropy::seed() >> 12 | 1
}

/// The last call of a process that stops.
#[must_use]
pub fn leaving(member: &Member, namespace: &str) -> Call {
    Call {
        script: scripts::LEAVE,
        keys: vec![namespace_key(namespace)],
        args: vec![member.id.to_string(), member.generation.to_string()],
    }
}

/// The calls of a batch.
#[must_use]
pub fn calls(batch: &Batch, namespace: &str) -> Vec<Call> {
    let hello = batch.hello.as_ref().map(|hello| Call {
        script: scripts::HELLO,
        keys: vec![namespace_key(namespace)],
        args: hello.arguments(&batch.member),
    });
    let asks = batch.asks.iter().map(|ask| Call {
        script: scripts::ASK,
        keys: vec![namespace_key(namespace), quota_key(namespace, &ask.name)],
        args: ask.arguments(&batch.member),
    });
    hello.into_iter().chain(asks).collect()
}

/// What the store's answers say, but for how long it took; `None`: they are none of the scripts'.
#[must_use]
pub fn read(number: u64, said: &[Said], (has_hello, asks): (bool, usize)) -> Option<Reply> {
    let (hellos, rest) = said.split_at_checked(usize::from(has_hello))?;
    let hello = match hellos.first() {
        Some(hello) => Some(HelloAnswer::read(&texts(hello)?)?),
        None => None,
    };
    let asks: Option<Vec<AskAnswer>> = rest
        .get(..asks)?
        .iter()
        .map(|one| AskAnswer::read(&numbers(one)?))
        .collect();
    Some(Reply {
        number,
        hello,
        asks: asks?,
        took: Duration::ZERO,
    })
}

fn texts(said: &Said) -> Option<Vec<&str>> {
    let Said::List(list) = said else { return None };
    list.iter().map(text).collect()
}

fn text(said: &Said) -> Option<&str> {
    match said {
        Said::Text(text) => Some(text),
        Said::Nothing | Said::Number(_) | Said::List(_) | Said::Fault(_) => None,
    }
}

fn numbers(said: &Said) -> Option<Vec<i64>> {
    let Said::List(list) = said else { return None };
    let number = |one: &Said| match one {
        Said::Number(number) => Some(*number),
        Said::Text(text) => text.parse().ok(),
        Said::Nothing | Said::List(_) | Said::Fault(_) => None,
    };
    list.iter().map(number).collect()
}
