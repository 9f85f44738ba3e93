//! Where a member stands in an object: its name, or names of nested objects with dots between them.

use std::fmt;

use super::json;

/// A path of at least one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Box<[Step]>);

/// One name of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name as JSON reads it.
    pub name: Box<[u8]>,
    /// The name as a JSON string.
    pub quoted: Box<[u8]>,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the end of a sentence that starts with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("is longer than {BYTES_MAX} bytes"));
        }
        if text.contains(char::is_control) || text.trim() != text {
            return Err(String::from("has control characters, or blanks around it"));
        }
        let steps: Box<[Step]> = text.split('.').map(Step::new).collect();
        if steps.iter().any(|step| step.name.is_empty()) {
            return Err(String::from("has an empty name beside a dot"));
        }
        if steps.len() > STEPS_MAX {
            return Err(format!("leads through more than {STEPS_MAX} names"));
        }
        Ok(Self(steps))
    }

    /// The path of these names.
    #[must_use]
    pub fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Step::new(name)).collect())
    }

    /// The steps.
    #[must_use]
    pub const fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The first name.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        self.0.first().map_or(&[], |step| &step.name)
    }

    /// Whether it leads to the same member as `other`, or into it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl Step {
    fn new(name: &str) -> Self {
        Self {
            name: name.as_bytes().into(),
            quoted: json::quoted(name).into(),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            f.write_str(&String::from_utf8_lossy(&step.name))?;
        }
        Ok(())
    }
}

/// The longest path, in bytes.
const BYTES_MAX: usize = 256;
/// The longest path, in names: edits recurse as deep.
const STEPS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_separated_by_dots() {
        let path = Path::parse("a.b c.\u{e9}\"").unwrap();
        let names: Vec<&[u8]> = path.steps().iter().map(|step| &*step.name).collect();
        assert_eq!(names, [b"a".as_slice(), b"b c", "\u{e9}\"".as_bytes()]);
        assert_eq!(&*path.steps()[2].quoted, "\"\u{e9}\\\"\"".as_bytes());
        assert_eq!(path.to_string(), "a.b c.\u{e9}\"");
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a\n",
            " a",
            "1.2.3.4.5.6.7.8.9",
        ] {
            assert!(Path::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Path::parse(&"x".repeat(257)).is_err());
    }

    #[test]
    fn a_path_is_within_itself_and_what_leads_to_it() {
        let path = |text| Path::parse(text).unwrap();
        assert!(path("a.b").is_within(&path("a")));
        assert!(path("a").is_within(&path("a")));
        assert!(!path("a").is_within(&path("a.b")));
        assert!(!path("ab").is_within(&path("a")));
    }
}
