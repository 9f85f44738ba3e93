//! The inputs that are kept, one file for each target: a line for each input, in which every byte
//! that is no visible ASCII character is escaped as in Rust's byte strings.

use std::path::PathBuf;

/// The inputs kept for the target with this name.
#[must_use]
pub fn read(target: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path(target)).unwrap_or_default();
    text.lines().map(unescaped).collect()
}

/// Keeps these inputs, and no others.
pub fn write(target: &str, inputs: &[Vec<u8>]) {
    let lines = inputs.iter().map(|bytes| format!("{}\n", escaped(bytes)));
    std::fs::write(path(target), lines.collect::<String>()).expect("the corpus can be written");
}

/// An input as one line of text.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    // Quotes need no escape here, and JSON has many.
    let plain = |byte: &u8| match byte {
        b'"' => "\"".to_owned(),
        b'\'' => "'".to_owned(),
        byte => byte.escape_ascii().to_string(),
    };
    bytes.iter().map(plain).collect()
}

/// The input that a line stands for.
#[must_use]
pub fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = line.bytes();
    let mut out = Vec::with_capacity(line.len());
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit().unwrap_or(0), digit().unwrap_or(0));
                u8::try_from(high << 4 | low).unwrap_or_default()
            }
            Some(other) => other,
            None => b'\\',
        });
    }
    out
}

/// The folder of this package.
#[must_use]
pub fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn path(target: &str) -> PathBuf {
    home().join("corpus").join(format!("{target}.txt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescaped(&escaped(&all)), all);
    }
}
