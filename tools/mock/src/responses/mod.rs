//! OpenAI's Responses: its paths, what a body asks for, and the responses that are stored.

mod paths;
mod read;
mod stored;

pub(crate) use paths::endpoint;
pub(crate) use stored::{Shelf, Stored};
