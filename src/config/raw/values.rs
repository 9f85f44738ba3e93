//! Reads single fields that are more than texts: numbers, money, durations, words.

use std::time::Duration;

use crate::base::money::NanoUsd;
use crate::config::decimal::Decimal;
use crate::config::duration;
use crate::config::faults::printable;
use crate::config::raw::fields::Block;
use crate::config::raw::keys::Kind;

impl Block<'_> {
    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.read(name, |_, text| match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(String::from("is neither true nor false")),
        })
    }

    /// A whole number.
    pub fn whole<T: TryFrom<u64>>(&self, name: &str) -> Option<T> {
        let number = self.read(name, |kind, text| {
            let Kind::Whole(least, most) = kind else {
                return Err(mismatch());
            };
            let number = Decimal::parse(text)?
                .exactly(0)
                .ok_or("is not a whole number")?;
            match u64::try_from(number) {
                Ok(number) if (least..=most).contains(&number) => Ok(number),
                _ => Err(format!("is not between {least} and {most}")),
            }
        })?;
        T::try_from(number).ok()
    }

    /// A fraction, in thousandths.
    pub fn permille(&self, name: &str) -> Option<u32> {
        self.read(name, |kind, text| {
            let (least, most) = if let Kind::Ratio(least, most) = kind {
                (least, most)
            } else {
                (0, 1_000)
            };
            let number = Decimal::parse(text)?;
            if !number.within_thousandths(least, most) {
                return Err(format!(
                    "is not between {} and {}",
                    least / 1_000,
                    most / 1_000
                ));
            }
            if matches!(kind, Kind::Share) && number.is_zero() {
                return Err(String::from("is not above 0"));
            }
            u32::try_from(number.nearest(3)).map_err(|_| mismatch())
        })
    }

    /// US dollars.
    pub fn usd(&self, name: &str) -> Option<NanoUsd> {
        self.read(name, |kind, text| {
            let Kind::Usd(most) = kind else {
                return Err(mismatch());
            };
            let number = Decimal::parse(text)?;
            let nano = number.exactly(9).ok_or("has more than 9 decimals")?;
            if nano > u128::from(most) * 1_000_000_000 {
                return Err(format!("is more than {most}"));
            }
            Ok(NanoUsd::saturating(nano))
        })
    }

    /// A duration.
    pub fn span(&self, name: &str) -> Option<Duration> {
        self.read(name, |kind, text| {
            let Kind::Span(least, most) = kind else {
                return Err(mismatch());
            };
            let span = duration::parse(text)?;
            if (least..=most).contains(&span) {
                return Ok(span);
            }
            let (least, most) = (duration::text(least), duration::text(most));
            Err(format!("is not between {least} and {most}"))
        })
    }

    /// One of a few words, each with what it stands for.
    pub fn word<T: Copy>(&self, name: &str, meanings: &[(&str, T)]) -> Option<T> {
        self.read(name, |kind, text| {
            let Kind::Word(words) = kind else {
                return Err(mismatch());
            };
            debug_assert!(
                words.iter().eq(meanings.iter().map(|(word, _)| word)),
                "{name}"
            );
            match meanings.iter().find(|(word, _)| *word == text) {
                Some((_, meaning)) => Ok(*meaning),
                None => {
                    let hint = self.hint(text, words.iter().copied());
                    Err(format!("is not one of {}{hint}", words.join(", ")))
                }
            }
        })
    }

    /// Some of a few words, each with what it stands for, in the order of the file and without
    /// repetitions.
    pub fn words<T: Copy + PartialEq>(&self, name: &str, meanings: &[(&str, T)]) -> Vec<T> {
        let mut found = Vec::new();
        for (place, text) in self.texts(name) {
            match meanings.iter().find(|(word, _)| *word == text) {
                Some((_, meaning)) if found.contains(meaning) => {}
                Some((_, meaning)) => found.push(*meaning),
                None => {
                    let known = meanings.iter().map(|(word, _)| *word);
                    let hint = self.hint(text, known.clone());
                    let words: Vec<&str> = known.collect();
                    let text = printable(text);
                    let problem = format!("`{text}` is not one of {}{hint}", words.join(", "));
                    self.fault(&format!("{name}[{place}]"), problem);
                }
            }
        }
        found
    }
}

/// The message for a key whose type in the list differs from its reader's: tests find that, users
/// cannot meet it.
fn mismatch() -> String {
    debug_assert!(
        false,
        "a key is read as another type than it is listed with"
    );
    String::from("cannot be read")
}
