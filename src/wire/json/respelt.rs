//! The same JSON written in another way, for tests.

/// `text` with some characters of its strings, names included, written as escapes. `seed` decides
/// which.
#[must_use]
pub fn respelt(text: &str, mut seed: u64) -> String {
    let mut out = String::new();
    let (mut is_inside, mut is_escape) = (false, false);
    for letter in text.chars() {
        // Numbers as Knuth's generator gives them.
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let is_mark = is_escape || matches!(letter, '"' | '\\');
        is_inside ^= letter == '"' && !is_escape;
        is_escape = letter == '\\' && !is_escape;
        match seed >> 62 {
            0 if is_inside && !is_mark => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            1 if is_inside && !is_mark => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
            _ => out.push(letter),
        }
    }
    out
}
