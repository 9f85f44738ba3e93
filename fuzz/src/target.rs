//! What an attack is.

use crate::meter;

/// One attack.
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Reads the bytes as the product would, and panics where a promise is broken.
    pub run: fn(&[u8]),
    /// The most memory that one run may take, as a multiple of its input, beside [`FREE_BYTES`].
    pub times: usize,
    /// The folders of `tests/golden` whose texts it begins with.
    pub folders: &'static [&'static str],
    /// What stands before each of these texts: the bytes that choose the target's variants.
    pub fronts: &'static [&'static str],
}

/// What each run may allocate whatever its input is.
pub const FREE_BYTES: usize = 1 << 20;

impl Target {
    /// Runs once, and checks how much memory that took.
    pub fn check(&self, bytes: &[u8]) {
        let peak = meter::peak_of(|| (self.run)(bytes));
        let most = FREE_BYTES + self.times * bytes.len();
        assert!(
            peak <= most,
            "{}: {peak} bytes for an input of {}",
            self.name,
            bytes.len()
        );
    }
}
