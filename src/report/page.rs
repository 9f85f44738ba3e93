//! The page for browsers at `/_infermux/`: one file, which shows answers of the management API.
//!
//! The page holds no data and no key. It asks the management API like any other client, with the
//! management token where one is set.

/// The page, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its text.
    pub html: String,
    /// Fields of the answer's head, each with its line end.
    pub fields: String,
}

/// The page, with a nonce made of `random`.
///
/// The nonce marks the page's own script and style; browsers run no others, so that the name of a
/// provider or caller cannot become code.
#[must_use]
pub fn page(random: [u64; 2]) -> Page {
    let nonce = format!("{:016x}{:016x}", random[0], random[1]);
    Page {
        html: HTML.replace("{nonce}", &nonce),
        fields: FIELDS.replace("{nonce}", &nonce),
    }
}

const HTML: &str = include_str!("page.html");

/// The page loads nothing from elsewhere, stands in no frame, runs no injected markup, and leaves
/// no traces.
const FIELDS: &str = concat!(
    "Content-Security-Policy: default-src 'none'; script-src 'nonce-{nonce}'; ",
    "style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; base-uri 'none'; ",
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; ",
    "trusted-types 'none'\r\n",
    "X-Frame-Options: DENY\r\n",
    "X-Content-Type-Options: nosniff\r\n",
    "Referrer-Policy: no-referrer\r\n",
    "Cross-Origin-Opener-Policy: same-origin\r\n",
    "Cache-Control: no-store\r\n",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_and_style_have_the_nonce_of_the_head() {
        let page = page([1, 0xff]);
        let nonce = "000000000000000100000000000000ff";
        for tag in ["<style", "<script"] {
            let own = format!("{tag} nonce=\"{nonce}\">");
            assert_eq!(page.html.matches(&own).count(), 1, "{own}");
            assert_eq!(page.html.matches(tag).count(), 1, "{tag}");
        }
        assert_eq!(page.fields.matches(nonce).count(), 2);
        assert!(!format!("{page:?}").contains("{nonce}"));
        let lines: Vec<&str> = page.fields.split("\r\n").collect();
        assert!(lines.iter().all(|line| !line.contains(['\r', '\n'])));
    }

    #[test]
    fn the_page_is_small_and_needs_nothing_from_elsewhere() {
        assert!(HTML.len() < 56 << 10, "{} bytes", HTML.len());
        // The name of the SVG namespace looks like an address, but is never fetched.
        let text = HTML.replace("http://www.w3.org/2000/svg", "");
        for word in [
            "http:",
            "https:",
            "//cdn",
            "src=",
            "@import",
            "url(",
            "innerHTML",
        ] {
            assert!(!text.contains(word), "{word}");
        }
    }
}
