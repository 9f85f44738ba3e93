//! How a configuration is to be read: where variables come from, and whether doubts are faults.

/// How a text is to be read.
pub struct Options<'a> {
    /// Where variables come from.
    pub environment: Environment<'a>,
    /// Whether doubts are faults.
    pub strict: Strictness,
}

/// Where variables and the contents of files come from.
pub enum Environment<'a> {
    /// A look-up gives them.
    Lookup(Lookup<'a>),
    /// Nothing is looked up: references stay as they are written, and checks that need their values
    /// are left out.
    Unresolved,
}

/// The look-up of what a value refers to.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// The value of the variable with this name; `None` where it is not set.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The content of the file at this path; `None` where there is no such file. The error is the
    /// end of a sentence that names the file.
    pub file: &'a dyn Fn(&str) -> Result<Option<String>, String>,
}

/// Whether unknown fields and unset variables are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// They are warnings.
    Lenient,
    /// They are faults.
    Strict,
}
