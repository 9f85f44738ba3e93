//! Budgets: whether a request may be sent, and the books of one budget.

mod admission;
mod books;
mod word;

pub use admission::{Admission, Ask, Capped, Share, Standing, admit, share_of_unstoppable};
pub use books::{Books, Level};
pub use word::{SpentWord, Word};
