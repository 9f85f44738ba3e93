//! The content blocks of a message that are open, and its tool calls.

use crate::base::limits::{KEPT_BUFFER_BYTES_MAX, OPEN_BLOCKS_MAX};
use crate::wire::stream_fault::StreamFault;

/// The open blocks. Anthropic has one at a time; compatible servers may have several.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    open: Vec<Block>,
    /// How many tool calls have begun. Callers put calls into a list by their number, so numbers
    /// must have no gap.
    tools: u32,
    /// Arguments that came whole with the start of `held_for`: the inside of a JSON string.
    held: Vec<u8>,
    held_for: Option<u32>,
}

/// An open block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    index: u64,
    pub(super) kind: BlockKind,
    /// Whether the caller has been sent arguments of the call.
    pub(super) has_arguments: bool,
}

/// What a block is translated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// Text or reasoning, as each delta says.
    Text,
    /// The call with this number.
    Tool(u32),
    /// Nothing.
    Other,
}

impl Blocks {
    pub(super) fn reset(&mut self) {
        self.open.clear();
        self.tools = 0;
        self.held.clear();
        self.held.shrink_to(KEPT_BUFFER_BYTES_MAX);
        self.held_for = None;
    }

    pub(super) fn open(&mut self, index: u64, kind: BlockKind) -> Result<(), StreamFault> {
        if self.open.len() >= OPEN_BLOCKS_MAX {
            return Err(StreamFault::Malformed);
        }
        self.open.push(Block {
            index,
            kind,
            has_arguments: false,
        });
        Ok(())
    }

    pub(super) fn at(&self, index: u64) -> Option<&Block> {
        self.open.iter().rfind(|block| block.index == index)
    }

    pub(super) fn close(&mut self, index: u64) -> Option<Block> {
        let place = self.open.iter().position(|block| block.index == index)?;
        Some(self.open.remove(place))
    }

    pub(super) fn close_first(&mut self) -> Option<Block> {
        (!self.open.is_empty()).then(|| self.open.remove(0))
    }

    /// Whether every block that began has ended.
    pub(super) const fn is_none_open(&self) -> bool {
        self.open.is_empty()
    }

    /// Numbers a call that begins.
    pub(super) const fn next_tool(&mut self) -> u32 {
        let tool = self.tools;
        self.tools = self.tools.saturating_add(1);
        tool
    }

    /// Notes that the caller is sent arguments of this call; arguments held for it are dropped.
    pub(super) fn note_arguments(&mut self, tool: u32) {
        self.held_for = self.held_for.filter(|held_for| *held_for != tool);
        let mut open = self.open.iter_mut();
        if let Some(block) = open.find(|block| block.kind == BlockKind::Tool(tool)) {
            block.has_arguments = true;
        }
    }

    /// Holds arguments for a call until it ends.
    pub(super) fn hold(&mut self, tool: u32, arguments: Vec<u8>) {
        self.held = arguments;
        self.held_for = Some(tool);
    }

    /// The call for which arguments are held.
    pub(super) const fn held_for(&self) -> Option<u32> {
        self.held_for
    }

    /// Takes the buffer of held arguments, to be [given back](Self::hold) or dropped.
    pub(super) fn take_held(&mut self) -> Vec<u8> {
        self.held_for = None;
        std::mem::take(&mut self.held)
    }
}
