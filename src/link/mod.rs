//! What threads say to each other; the only room that holds atomics and channels.
