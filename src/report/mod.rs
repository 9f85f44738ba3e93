//! Numbers to text: the access line and, on top of it, the log format.
