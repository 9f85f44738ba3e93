//! A page for browsers that loads nothing from elsewhere, in light and dark.

/// The page `title` with `body` below it, which is HTML already.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// A table; cells of a row after the first are figures.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |tag: &str, row: &mut dyn Iterator<Item = &str>| -> String {
        row.map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)))
            .collect()
    };
    let head = cells("th", &mut head.iter().copied());
    let rows: String = rows
        .iter()
        .map(|row| {
            let row = cells("td", &mut row.iter().map(String::as_str));
            format!("<tr>{row}</tr>\n")
        })
        .collect();
    format!("<div class=\"wide\"><table><tr>{head}</tr>\n{rows}</table></div>\n")
}

/// `text` escaped for HTML, attributes included.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2128; --soft: #59636e; --paper: #ffffff;
  --grid: #d8dee4; --c0: #0066a6; --c1: #c2500a; --c2: #00805c; --c3: #a8437c; --c4: #7a6200;
  --c5: #59636e; --good: #2f7d4f; --bad: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --paper: #0f1318;
  --grid: #2a313a; --c0: #5cb3f0; --c1: #ff9d57; --c2: #3fcf9f; --c3: #eb9bc6; --c4: #e0c84a;
  --c5: #9aa5b1; --good: #4fb477; --bad: #f0766a; } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
pre, .wide { overflow-x: auto; } figure { margin: 1.5rem 0; }
figcaption { font-weight: 600; margin-bottom: .4rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
.mid { text-anchor: middle; } .end { text-anchor: end; }
.grid { stroke: var(--grid); } .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.aim { stroke: var(--ink); stroke-width: 2; }
.good { fill: var(--good); } .bad { fill: var(--bad); }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); }
.line.c3 { stroke: var(--c3); } .line.c4 { stroke: var(--c4); } .line.c5 { stroke: var(--c5); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; color: var(--soft); }
.legend i { display: inline-block; width: 1rem; height: .25rem; margin: 0 .4rem .2rem 0; }
i.c0 { background: var(--c0); } i.c1 { background: var(--c1); } i.c2 { background: var(--c2); }
i.c3 { background: var(--c3); } i.c4 { background: var(--c4); } i.c5 { background: var(--c5); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--grid); text-align: right; }
th:first-child, td:first-child { text-align: left; }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let text = page("A & B", &table(&["x", "y"], &[vec!["<1>".to_owned()]]));
        assert!(text.contains("<title>A &amp; B</title>") && text.contains("&lt;1&gt;"));
        for outside in ["http:", "https:", "src=", "href=", "url(", "@import"] {
            assert!(!text.contains(outside), "{outside}");
        }
    }
}
