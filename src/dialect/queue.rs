//! The parts of an answer that its dialect has one after another, while those of other dialects may
//! grow side by side (rules MS1 of reference/messages-inbound.md, V3 of
//! reference/responses-inbound.md).
//!
//! They stand in a queue: the first is told as it grows, and the others wait for its end.

use std::collections::VecDeque;

/// The parts that have begun and not ended, in the order in which they began.
#[derive(Debug)]
pub(super) struct Queue<B> {
    blocks: VecDeque<B>,
    /// Room that all but the first take, in bytes.
    waiting: usize,
}

/// A part of an answer.
pub(super) trait Block {
    /// How much room it takes, in bytes.
    fn room(&self) -> usize;

    /// Whether nothing more may come of it once another part has begun.
    fn is_finished(&self) -> bool;

    /// The number of the call that it is.
    fn call(&self) -> Option<u32>;
}

impl<B> Default for Queue<B> {
    fn default() -> Self {
        Self {
            blocks: VecDeque::new(),
            waiting: 0,
        }
    }
}

impl<B: Block> Queue<B> {
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.waiting = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether the first one is the only one.
    pub(super) fn is_one(&self) -> bool {
        self.blocks.len() == 1
    }

    /// Room that all but the first take, in bytes.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Room that all take, in bytes.
    pub(super) fn room(&self) -> usize {
        self.waiting + self.blocks.front().map_or(0, Block::room)
    }

    /// The first one, which is being told.
    pub(super) fn head(&mut self) -> Option<&mut B> {
        self.blocks.front_mut()
    }

    /// The one that began last.
    pub(super) fn last(&mut self) -> Option<&mut B> {
        self.blocks.back_mut()
    }

    /// The call with this number.
    pub(super) fn call(&mut self, call: u32) -> Option<&mut B> {
        let mut blocks = self.blocks.iter_mut();
        blocks.find(|block| block.call() == Some(call))
    }

    /// Whether the call with this number is the first one.
    pub(super) fn is_head(&self, call: u32) -> bool {
        let head = self.blocks.front();
        head.is_some_and(|head| head.call() == Some(call))
    }

    /// Puts `block` behind the others.
    pub(super) fn push(&mut self, block: B) {
        if !self.is_empty() {
            self.waiting += block.room();
        }
        self.blocks.push_back(block);
    }

    /// One that waits has become longer.
    pub(super) const fn grow(&mut self, bytes: usize) {
        self.waiting += bytes;
    }

    /// Takes the first one out; the next one is told from here on.
    pub(super) fn pop(&mut self) -> Option<B> {
        let head = self.blocks.pop_front();
        self.waiting -= self.blocks.front().map_or(0, Block::room);
        head
    }

    /// Whether the first one is finished and another one waits for that.
    pub(super) fn is_head_due(&self) -> bool {
        self.blocks.len() > 1 && self.blocks.front().is_some_and(Block::is_finished)
    }
}
