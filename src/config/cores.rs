//! Lists of cores: `2-5,8`.

use crate::base::limits::CORES_MAX;

/// Reads a list of core numbers and ranges, in the order in which it is written.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence that starts with it.
pub fn parse(text: &str) -> Result<Box<[usize]>, String> {
    let mut cores = Vec::new();
    let mut seen = vec![false; CORES_MAX];
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (core(first)?, core(last)?);
        if first > last {
            return Err(format!("has the range `{part}`, which runs backwards"));
        }
        for core in first..=last {
            if seen
                .get_mut(core)
                .is_some_and(|seen| std::mem::replace(seen, true))
            {
                return Err(format!("names core {core} twice"));
            }
            cores.push(core);
        }
    }
    Ok(cores.into())
}

fn core(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits_only {
        return Err(String::from("is not a list of cores such as `2-5,8`"));
    }
    match text.parse() {
        Ok(core) if core < CORES_MAX => Ok(core),
        _ => Err(format!("names a core beyond {}", CORES_MAX - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_of_the_text() {
        assert_eq!(*parse("2-5,8").unwrap(), [2, 3, 4, 5, 8]);
        assert_eq!(*parse(" 8 , 0 - 1 ").unwrap(), [8, 0, 1]);
    }

    #[test]
    fn refuses_what_cannot_be_pinned_to() {
        for (text, problem) in [
            ("", "is not a list of cores such as `2-5,8`"),
            ("1,,2", "is not a list of cores such as `2-5,8`"),
            ("a", "is not a list of cores such as `2-5,8`"),
            ("-3", "is not a list of cores such as `2-5,8`"),
            ("1-2-3", "is not a list of cores such as `2-5,8`"),
            ("5-2", "has the range `5-2`, which runs backwards"),
            ("1-3,2", "names core 2 twice"),
            ("0-4096", "names a core beyond 4095"),
            ("99999999999999999999", "names a core beyond 4095"),
        ] {
            assert_eq!(parse(text).unwrap_err(), problem, "{text}");
        }
    }
}
