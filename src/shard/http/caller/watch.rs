//! The watch for a caller's hang-up while something is waited for, and the signs of life meanwhile.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll};

use crate::base::limits::READ_AHEAD_BYTES_MAX;
use crate::shard::http::caller::{Ahead, Caller};
use crate::shard::net::part::Part;
use crate::shard::net::timers::Deadline;
use crate::sys::clock;

impl Caller {
    /// Whether the caller has hung up, whatever it has sent before that was not read yet. This asks
    /// the system.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.socket.deadline.peer_has_left()
    }

    /// Whether more of the request, or bytes behind it, have come while it is being answered.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Waits until more has come, or the caller has hung up, or was cut off.
    pub fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.behind.is_empty() && !self.is_gone() {
            self.read_ahead();
        }
        self.look_ahead(context);
        if self.has_more() || self.is_gone() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Waits for `work` on a provider's connection, whose deadline is `upstream`. When the caller
    /// hangs up meanwhile, that connection is shut down at once, and `work` ends by it.
    pub async fn watch<T>(&mut self, upstream: &Deadline, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut cut = false;
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            self.look_ahead(context);
            if self.is_gone() && !std::mem::replace(&mut cut, true) {
                upstream.cut();
            }
            self.show_life(context);
            Poll::Pending
        })
        .await
    }

    /// As [`Caller::unless_gone`], before the request's body is read.
    pub async fn unless_gone_before_body<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        self.read_ahead();
        let done = self.unless_gone(work).await;
        self.take_in_ahead();
        done
    }

    /// Waits for `work`; returns `None`, and drops `work`, when the caller hangs up meanwhile. Only
    /// for work whose bytes may get lost, such as opening a connection.
    pub async fn unless_gone<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            self.look_ahead(context);
            self.show_life(context);
            if self.is_gone() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// While something is waited for: sends a sign of life when one is due, and makes sure that the
    /// next one is thought of. An alarm from before may come too early; it is set anew then.
    #[inline]
    fn show_life(&mut self, context: &Context<'_>) {
        if self.signs.is_on() && !self.socket.deadline.has_alarm() {
            self.show_life_if_due(context);
        }
    }

    fn show_life_if_due(&mut self, context: &Context<'_>) {
        let now = clock::now();
        if self.signs.due() <= now {
            // Where bytes are still on their way, the caller does not wait for any.
            if self.socket.writer.is_idle() {
                let sign = Part::own(self.signs.framed());
                // A session that takes no more fails the next send, too.
                let _ = self.socket.writer.send_unattended(sign);
            }
            self.signs.note_sent(now);
        }
        let due = self.signs.due();
        self.socket.deadline.set_alarm(due, context.waker());
    }

    fn look_ahead(&mut self, context: &mut Context<'_>) {
        while self.ahead == Ahead::Posted
            && let Poll::Ready((result, arrived)) = self.socket.reader.poll(context)
        {
            if self.behind.is_empty() {
                self.behind = arrived;
            } else {
                self.behind.extend_from_slice(&arrived);
                self.buffers.give(arrived);
            }
            self.ahead = match result {
                Ok(count) if count > 0 => Ahead::Idle,
                Ok(_) | Err(_) if self.socket.deadline.is_stopped() => Ahead::Stopped,
                Ok(_) | Err(_) => Ahead::Gone,
            };
            // A caller that has sent more may still hang up.
            if self.behind.len() < READ_AHEAD_BYTES_MAX {
                self.read_ahead();
            }
        }
    }
}
