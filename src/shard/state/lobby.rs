//! Callers' requests that wait for a place.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::link::gate::{Audience, Phase, Process};
use crate::shard::net::sleep::sleep;

/// Callers' requests on one shard that wait for a place, in the order in which they came.
#[derive(Default)]
pub struct Lobby {
    waiting: RefCell<VecDeque<u64>>,
    joined: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
}

/// A waiting request.
pub struct Waiting<'l> {
    lobby: &'l Lobby,
    number: u64,
    /// Where it is counted, if it waits on an operators' connection.
    counted: Option<&'l Process>,
}

impl Lobby {
    /// Joins the queue at its end; `counted`: on an operators' connection of that process.
    pub fn join<'l>(&'l self, counted: Option<&'l Process>) -> Waiting<'l> {
        let number = self.joined.get();
        self.joined.set(number + 1);
        self.waiting.borrow_mut().push_back(number);
        Waiting {
            lobby: self,
            number,
            counted,
        }
    }
}

impl Waiting<'_> {
    /// Takes a caller's place once there is one and it is this request's turn; returns false where
    /// the process stops before.
    /// `make_place` is called before each look for one.
    pub async fn until_admitted(&self, process: &Process, make_place: impl Fn()) -> bool {
        let lobby = self.lobby;
        poll_fn(|context| {
            if lobby.waiting.borrow().front() == Some(&self.number) {
                return Poll::Ready(());
            }
            lobby.wakers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
        while !process.acquire(Audience::Callers) {
            if process.phase() == Phase::Stopping {
                return false;
            }
            make_place();
            sleep(LOOK_EVERY).await;
        }
        true
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let number = self.number;
        self.lobby.waiting.borrow_mut().retain(|one| *one != number);
        self.counted
            .iter()
            .for_each(|process| process.end_waiting());
        self.lobby.wakers.take().into_iter().for_each(Waker::wake);
    }
}

/// Pause between two looks for a place: another shard may have freed one.
pub const LOOK_EVERY: Duration = Duration::from_millis(5);
