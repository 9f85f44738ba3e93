//! The store's server, and what is on its way to it and from it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use infermux::testing::base::time::Instant;
use infermux::testing::ledger::shares::{Batch, Reply};

use crate::fleet::setting::{Clock, PLACES, share};
use crate::fleet::store::Store;

/// A batch on its way.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) process: usize,
    pub(crate) incarnation: u64,
    pub(crate) sent: Instant,
    /// The server at the connection's other end.
    pub(crate) run: Arc<str>,
    pub(crate) batch: Batch,
    /// Commands that arrive before the connection breaks.
    pub(crate) arrive: usize,
}

/// An answer on its way.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) process: usize,
    pub(crate) incarnation: u64,
    pub(crate) sent: Instant,
    /// Whether it is about requests in flight, too.
    pub(crate) of_places: bool,
    pub(crate) reply: Reply,
}

/// The server.
pub(crate) struct Server {
    store: Store,
    /// Data of earlier moments, the earliest first.
    copies: VecDeque<Store>,
    clock: Clock,
    pub(crate) run: Arc<str>,
    runs: u64,
    pub(crate) down_until: Instant,
    pub(crate) hung_until: Instant,
}

impl Server {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            store: Store::default(),
            copies: VecDeque::new(),
            clock,
            run: "run 0".into(),
            runs: 0,
            down_until: Instant::ZERO,
            hung_until: Instant::ZERO,
        }
    }

    /// Carries a message out; `None`: it is not answered.
    pub(crate) fn serve(&mut self, now: Instant, message: &Message) -> Option<Answer> {
        if now < self.down_until || message.run != self.run {
            return None;
        }
        let millis = self.clock.millis(now);
        let member = &message.batch.member;
        let hello = message.batch.hello.as_ref();
        let hello = hello.map(|hello| self.store.hello(millis, member, hello));
        let asks = message.batch.asks.iter().take(message.arrive);
        let asks = asks
            .map(|ask| self.store.ask(millis, member, ask))
            .collect();
        if message.arrive < message.batch.asks.len() {
            return None;
        }
        Some(Answer {
            process: message.process,
            incarnation: message.incarnation,
            sent: message.sent,
            of_places: message
                .batch
                .asks
                .iter()
                .any(|ask| ask.share == share(PLACES)),
            reply: Reply {
                number: message.batch.number,
                hello,
                asks,
                took: Duration::ZERO,
            },
        })
    }

    /// A process that stops says its last.
    pub(crate) fn leave(&mut self, now: Instant, batch: &Batch) {
        let millis = self.clock.millis(now);
        for ask in &batch.asks {
            self.store.ask(millis, &batch.member, ask);
        }
        self.store.leave(&batch.member);
    }

    pub(crate) fn keep_copy(&mut self) {
        self.copies.push_back(self.store.clone());
        if self.copies.len() > COPIES {
            self.copies.pop_front();
        }
    }

    /// It restarts, and is back after `span`.
    pub(crate) fn restart(&mut self, now: Instant, span: Duration) {
        self.runs += 1;
        self.run = format!("run {}", self.runs).into();
        self.down_until = now + span;
        self.hung_until = Instant::ZERO;
    }

    /// All data is gone.
    pub(crate) fn lose_all(&mut self) {
        self.store = Store::default();
    }

    /// The data is that of an earlier moment.
    pub(crate) fn turn_back(&mut self) {
        self.store = self.copies.front().cloned().unwrap_or_default();
    }
}

const COPIES: usize = 4;
