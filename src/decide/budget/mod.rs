//! Monthly budgets: whether a request may be sent, and the books of one budget.

mod admission;
mod books;
mod word;

pub use admission::{Admission, Ask, Standing, admit};
pub use books::{Books, Level, MONTHS_KEPT};
pub use word::{BALANCE_MAX, Word};
