//! Files, read whole and bounded.

use std::io::Read;
use std::path::Path;

/// The text of the file at `path`.
///
/// # Errors
///
/// It cannot be opened or read, is larger than `limit` bytes (`FileTooLarge`), or is not UTF-8
/// (`InvalidData`).
pub fn read_text(path: &Path, limit: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let taken = std::fs::File::open(path)?
        .take(limit + 1)
        .read_to_end(&mut bytes)?;
    // Checked before the encoding: the limit may cut a character in two.
    if taken as u64 > limit {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    String::from_utf8(bytes).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

/// Whether there is something at `path`; if that cannot be found out, it counts as there.
#[must_use]
pub fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(read_text(&path, 1 << 20).is_ok());
        let fault = read_text(&path, 10).map_err(|error| error.kind());
        assert_eq!(fault, Err(std::io::ErrorKind::FileTooLarge));
        assert!(read_text(Path::new("/nowhere"), 10).is_err());
        assert!(exists(&path) && !exists(Path::new("/nowhere")));
    }
}
