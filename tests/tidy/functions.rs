//! Functions: how long they are, and how many parameters they have.

use crate::source::Source;
use crate::tokens::{self, Token};

/// A function with a body.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of its name, from 1.
    pub(crate) line: usize,
    /// Its lines, from its name to its last brace.
    pub(crate) lines: usize,
    /// Its parameters, the members of a tuple counted each; without `self`.
    pub(crate) parameters: usize,
}

/// The functions of `source` that are not tests.
pub(crate) fn read(source: &Source) -> Vec<Function> {
    let tokens = tokens::read(source.shipped());
    let begins = tokens.iter().enumerate().filter(|(_, t)| t.text == "fn");
    begins
        .filter_map(|(at, _)| function(&tokens[at + 1..]))
        .collect()
}

/// The function whose name the `tokens` begin with; `None` for a mere type, `fn(u8)`.
fn function(tokens: &[Token<'_>]) -> Option<Function> {
    let (name, mut rest) = tokens.split_first()?;
    if !name.is_name() {
        return None;
    }
    if rest.first()?.text == "<" {
        rest = rest.get(tokens::inside(&rest[1..]) + 2..)?;
    }
    let inside = tokens::inside(rest.get(1..)?);
    let parameters = tokens::parts(&rest[1..=inside]);
    let body = body(&rest[inside + 2..]);
    let end = body.map_or(name.line, |end| end.line);
    Some(Function {
        name: name.text.to_owned(),
        line: name.line,
        lines: end + 1 - name.line,
        parameters: parameters.into_iter().map(weight).sum(),
    })
}

/// The brace that ends the body behind the parameters; `None` where a `;` follows instead.
fn body<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t Token<'a>> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            ";" if depth == 0 => return None,
            "{" => {
                let mut open = 0_usize;
                return tokens[at..].iter().find(|token| {
                    match token.text {
                        "{" => open += 1,
                        "}" => open -= 1,
                        _ => {}
                    }
                    open == 0
                });
            }
            _ => {}
        }
    }
    None
}

/// The number of parameters that one counts for.
fn weight(parameter: &[Token<'_>]) -> usize {
    let Some(colon) = parameter.iter().position(|token| token.text == ":") else {
        return 0;
    };
    if parameter[..colon].iter().any(|token| token.text == "self") {
        return 0;
    }
    match &parameter[colon + 1..] {
        [open, members @ .., close] if open.text == "(" && close.text == ")" => {
            tokens::parts(members).len()
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, lines: usize, parameters: usize) {
        let found = read(&Source::new("src/base/a.rs", text));
        let one = found.iter().find(|one| one.name == name).expect(text);
        assert_eq!((one.lines, one.parameters), (lines, parameters), "{text}");
    }

    #[test]
    fn a_function_ends_with_its_last_brace() {
        check("fn a() {\n  if b {\n  }\n}\nfn c() {}", "a", 4, 0);
        check("fn a()\nwhere\n  B: C<[u8; 2]>,\n{\n}", "a", 5, 0);
        check("trait A {\n  fn a();\n  fn b() {\n  }\n}", "a", 1, 0);
        check("trait A {\n  fn a();\n  fn b() {\n  }\n}", "b", 2, 0);
        check("type A = fn(u8);\nfn b() {}", "b", 1, 0);
    }

    #[test]
    fn members_of_a_tuple_count_one_by_one() {
        check("fn a(b: u8, c: D<E, F>, g: fn(H, I) -> J,) {}", "a", 1, 3);
        check("fn a<B: Fn(C) -> D>(b: B, (c, d): (C, D)) {}", "a", 1, 3);
        check(
            "fn a(&mut self, b: (), c: &(D, E), f: [u8; 3]) {}",
            "a",
            1,
            2,
        );
        check("fn a(self: Rc<Self>, b: C) {}", "a", 1, 1);
        check("fn a(A { b, c }: A, #[d] e: F) {}", "a", 1, 2);
    }
}
