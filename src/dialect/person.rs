//! Names of end users that say who they are: those go to no provider.

/// Whether `user` is like an e-mail address or a phone number.
pub(super) fn is_personal(user: &str) -> bool {
    is_email(user) || is_phone_number(user)
}

fn is_email(user: &str) -> bool {
    let parts = user.trim().split_once('@');
    parts.is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && !user.trim().contains(char::is_whitespace)
    })
}

/// International numbers have up to 15 digits; a longer run of digits is an id.
fn is_phone_number(user: &str) -> bool {
    let user = user.trim();
    let number = user.strip_prefix('+').unwrap_or(user);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let is_written_so =
        |c: char| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')' | '.' | '/');
    (7..=15).contains(&digits) && number.chars().all(is_written_so)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_numbers_are_personal() {
        for (user, expected) in [
            ("a@b", true),
            (" a@b.example ", true),
            ("@handle", false),
            ("a b@c", false),
            ("+49 (30) 123-4567", true),
            ("5551234567", true),
            ("12345678901234567890", false),
            ("123456", false),
            ("user-1234567", false),
            ("", false),
        ] {
            assert_eq!(is_personal(user), expected, "{user}");
        }
    }
}
