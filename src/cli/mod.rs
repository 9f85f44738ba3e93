//! Flags, environment, and the commands.
