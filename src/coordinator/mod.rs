//! The threads beside the shards: name look-up and other blocking work (chores).
