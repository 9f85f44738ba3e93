//! The doors to the world: clock, cores, signals, files, name look-up, entropy.
