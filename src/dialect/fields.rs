//! Reads an object of the caller's: known members, each at most once.

use std::borrow::Cow;

use crate::dialect::unsupported::Unsupported;
use crate::wire::json::{self, Kind, Value};

/// The values of the members called `names`; a `null` counts as absent.
pub(super) fn read<'a, const N: usize>(
    object: &Value<'a>,
    names: [&str; N],
) -> Result<[Option<Value<'a>>; N], Unsupported> {
    read_all(object, names, |_, _| {})
}

/// As [`read`]; `other` is called with all other members.
pub(super) fn read_all<'a, const N: usize>(
    object: &Value<'a>,
    names: [&str; N],
    other: impl FnMut(&[u8], &Value<'a>),
) -> Result<[Option<Value<'a>>; N], Unsupported> {
    let mut found = [None; N];
    read_into(object, &names, &mut found, other)?;
    Ok(found)
}

/// As [`read_all`]; the values are put into `found`, which is empty before.
pub(super) fn read_into<'a, const N: usize>(
    object: &Value<'a>,
    names: &[&str; N],
    found: &mut [Option<Value<'a>>; N],
    mut other: impl FnMut(&[u8], &Value<'a>),
) -> Result<(), Unsupported> {
    if object.kind != Kind::Object {
        return Err(Unsupported::new("", "is not an object"));
    }
    let (mut seen, mut room) = ([false; N], Vec::new());
    for member in json::members(object.text) {
        let Ok(member) = member else {
            return Err(Unsupported::new("", "is not valid JSON"));
        };
        let name = member.name.read(&mut room);
        let known = names.iter().position(|known| known.as_bytes() == name);
        let Some(index) = known else {
            other(name, &member.value);
            continue;
        };
        // Of two members with one name, readers would differ in which one counts.
        if std::mem::replace(&mut seen[index], true) {
            return Err(Unsupported::new(
                &format!(".{}", names[index]),
                "is given twice",
            ));
        }
        found[index] = (member.value.kind != Kind::Null).then_some(member.value);
    }
    Ok(())
}

/// The elements of an array.
pub(super) fn list<'a>(value: &Value<'a>) -> Result<Vec<Value<'a>>, Unsupported> {
    elements(value)?.collect()
}

/// The elements of an array, one after the other.
pub(super) fn elements<'a>(
    value: &Value<'a>,
) -> Result<impl Iterator<Item = Result<Value<'a>, Unsupported>> + use<'a>, Unsupported> {
    if value.kind != Kind::Array {
        return Err(Unsupported::new("", "is not a list"));
    }
    let fault = |_| Unsupported::new("", "is not valid JSON");
    Ok(json::elements(value.text).map(move |element| element.map_err(fault)))
}

/// The text with its quotes of a member that must be a string.
pub(super) fn required<'a>(
    value: Option<Value<'a>>,
    place: &str,
) -> Result<Value<'a>, Unsupported> {
    match value {
        Some(value) if value.kind == Kind::String => Ok(value),
        Some(_) => Err(Unsupported::new(place, "is not a string")),
        None => Err(Unsupported::new(place, "is missing")),
    }
}

/// Whether `value` is the string `text`.
pub(super) fn says(value: &Value<'_>, text: &str) -> bool {
    value.says(text)
}

/// The text of a string; where it cannot be decoded (half a surrogate pair), its bytes as written.
pub(super) fn text_of<'a>(value: &Value<'a>) -> Cow<'a, str> {
    value
        .string()
        .unwrap_or_else(|| String::from_utf8_lossy(value.text))
}

/// Whether a string is empty or white space only, which the API refuses as text.
pub(super) fn is_blank_string(value: &Value<'_>) -> bool {
    let first = value.text.get(1..).unwrap_or_default().trim_ascii_start();
    match first.first() {
        Some(byte) if byte.is_ascii() && *byte != b'\\' && *byte != b'"' => false,
        Some(_) | None => value.string().is_some_and(|text| text.trim().is_empty()),
    }
}

/// The text of a `cache_control`.
pub(super) fn cache_control<'a>(value: Option<Value<'a>>) -> Result<Option<&'a [u8]>, Unsupported> {
    match value {
        Some(value) if value.kind != Kind::Object => {
            Err(Unsupported::new(".cache_control", "is not an object"))
        }
        value => Ok(value.map(|value| value.text)),
    }
}
