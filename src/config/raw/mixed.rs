//! The published form of `budgets`, which is not YAML: `state_file:` and `- caller:` on one level.
//!
//! ```yaml
//! budgets:
//!   state_file: "/var/lib/infermux/budgets.json"
//!   - caller: "batch-pipeline"
//!     monthly_usd: 200.00
//! ```
//!
//! Each key of that level is turned into a list item in its own line, which makes the text YAML and
//! keeps line numbers in messages right; after parsing, keys and items are separated again.

use std::collections::HashSet;

use crate::config::raw::Node;

/// Which items of the rewritten list were keys.
pub struct Mixed {
    /// For each item, whether it was a key.
    keys: Vec<bool>,
}

/// What a line of the block is, at the indentation of the block's children.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Child {
    Item,
    Key,
}

/// Rewrites the text, line by line, where it has a top-level `budgets:` that mixes keys and list
/// items.
pub fn rewrite(text: &str) -> Option<(String, Mixed)> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let start = lines.iter().position(|line| is_head(line))? + 1;
    let length = lines[start..]
        .iter()
        .take_while(|line| is_blank(line) || indent(line) > 0)
        .count();
    let block = &lines[start..start + length];
    let level = block
        .iter()
        .find(|line| !is_blank(line))
        .map(|line| indent(line))?;
    let children = children(block, level);
    let found: Vec<Child> = children.iter().copied().flatten().collect();
    if !found.contains(&Child::Item) || !found.contains(&Child::Key) {
        return None;
    }
    let mut text = lines[..start].concat();
    let mut within = Child::Item;
    for (line, child) in block.iter().zip(children) {
        within = child.unwrap_or(within);
        match (child, within) {
            (Some(Child::Key), _) => {
                text.push_str(&line[..level]);
                text.push_str("- ");
                text.push_str(&line[level..]);
            }
            // Lines below a key are indented with it.
            (None, Child::Key) if !is_blank(line) => {
                text.push_str("  ");
                text.push_str(line);
            }
            (Some(Child::Item) | None, Child::Key | Child::Item) => text.push_str(line),
        }
    }
    text.push_str(&lines[start + length..].concat());
    let keys = found.iter().map(|child| *child == Child::Key).collect();
    Some((text, Mixed { keys }))
}

impl Mixed {
    /// The paths in the rewritten text at which the value at `path` may stand.
    #[must_use]
    pub fn places(&self, path: &str) -> Vec<String> {
        let Some(rest) = path.strip_prefix("budgets.") else {
            return vec![path.to_owned()];
        };
        let numbered = || self.keys.iter().enumerate();
        let caller = rest.strip_prefix("callers[");
        if let Some((number, rest)) = caller.and_then(|rest| rest.split_once(']')) {
            let mut items = numbered().filter(|(_, is_key)| !**is_key);
            let item = number.parse().ok().and_then(|number| items.nth(number));
            return item
                .map(|(at, _)| format!("budgets[{at}]{rest}"))
                .into_iter()
                .collect();
        }
        let keys = numbered().filter(|(_, is_key)| **is_key);
        keys.map(|(at, _)| format!("budgets[{at}].{rest}"))
            .collect()
    }

    /// Turns the list back into the mapping that was meant, with the items as its `callers`.
    ///
    /// # Errors
    ///
    /// A key that is there twice.
    pub fn gather(&self, root: &mut [(String, Node)]) -> Result<(), String> {
        let Some((_, budgets)) = root.iter_mut().find(|(key, _)| key == "budgets") else {
            return Ok(());
        };
        let Node::List(items) = budgets else {
            return Ok(());
        };
        if items.len() != self.keys.len() {
            return Err(String::from(
                "budgets: keys and list items are mixed in an unclear way",
            ));
        }
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut callers = Vec::new();
        for (item, is_key) in std::mem::take(items).into_iter().zip(&self.keys) {
            match item {
                Node::Map(fields) if *is_key => entries.extend(fields),
                Node::Map(_) | Node::Null | Node::Scalar(_) | Node::List(_) => callers.push(item),
            }
        }
        entries.push((String::from("callers"), Node::List(callers)));
        let mut seen = HashSet::new();
        for (key, _) in &entries {
            if !seen.insert(key) {
                return Err(format!("budgets: the mapping has the key `{key}` twice"));
            }
        }
        *budgets = Node::Map(entries);
        Ok(())
    }
}

fn is_head(line: &str) -> bool {
    line.strip_prefix("budgets:").is_some_and(|rest| {
        let rest = rest.trim();
        rest.is_empty() || rest.starts_with('#')
    })
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn indent(line: &str) -> usize {
    line.bytes().take_while(|byte| *byte == b' ').count()
}

/// Which kind of child each line of the block starts. Items right below a key without a value are
/// the key's own: YAML lets them stand where the key stands.
fn children(block: &[&str], level: usize) -> Vec<Option<Child>> {
    let mut value = Value::There;
    let lines = block.iter().map(|line| match child(line, level) {
        Some(Child::Key) => {
            value = match line.split_once(':') {
                Some((_, rest)) if is_blank(rest) => Value::Awaited,
                Some(_) | None => Value::There,
            };
            Some(Child::Key)
        }
        Some(Child::Item) if value != Value::There => {
            value = Value::List;
            None
        }
        None if value == Value::Awaited && !is_blank(line) => {
            value = Value::There;
            None
        }
        found => found,
    });
    lines.collect()
}

/// What is known of the value of the key above a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// It has begun.
    There,
    /// It has not.
    Awaited,
    /// It is a list whose items stand where the key stands.
    List,
}

/// Which kind of child a line starts, if it stands at `level` and starts one.
fn child(line: &str, level: usize) -> Option<Child> {
    if is_blank(line) || indent(line) != level {
        return None;
    }
    let content = line.trim();
    if content == "-" || content.starts_with("- ") {
        return Some(Child::Item);
    }
    content.contains(':').then_some(Child::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_items_in_their_own_line() {
        let text = "\
listen: \":1\"
budgets: # monthly

  # where it is kept
  state_file:
    \"/var/x\"
  - caller: a
    monthly_usd: 1
  other: 2
  -
    caller: b
log:
  level: info
";
        let expected = "\
listen: \":1\"
budgets: # monthly

  # where it is kept
  - state_file:
      \"/var/x\"
  - caller: a
    monthly_usd: 1
  - other: 2
  -
    caller: b
log:
  level: info
";
        let (rewritten, mixed) = rewrite(text).unwrap();
        assert_eq!(rewritten, expected);
        assert_eq!(mixed.keys, [true, false, true, false]);
    }

    #[test]
    fn leaves_alone_what_is_yaml() {
        for text in [
            "",
            "budgets:",
            "budgets:\n",
            "budgets:\n  - caller: a\n    model_override: b\n",
            "budgets:\n- caller: a\n",
            "budgets:\n  state_file: x\n  callers:\n    - caller: a\n",
            "budgets:\n  callers: # all\n\n  - caller: a\n    b: 1\n  - caller: b\n  c: x\n",
            "budgets: [{caller: a}]\n",
            "other:\n  state_file: x\n  - caller: a\n",
            "other:\n  budgets:\n    state_file: x\n    - caller: a\n",
        ] {
            assert!(rewrite(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_list_below_its_key_stays_there() {
        let text = "\
budgets:
  callers:
  - caller: a
    monthly_usd: 1
  - caller: b
  state_file: x
  - caller: c
";
        let expected = "\
budgets:
  - callers:
    - caller: a
      monthly_usd: 1
    - caller: b
  - state_file: x
  - caller: c
";
        let (text, mixed) = rewrite(text).unwrap();
        assert_eq!(text, expected);
        assert_eq!(mixed.keys, [true, true, false]);
    }

    #[test]
    fn windows_line_ends_stay() {
        let (text, _) = rewrite("budgets:\r\n  state_file: x\r\n  - caller: a\r\n").unwrap();
        assert_eq!(text, "budgets:\r\n  - state_file: x\r\n  - caller: a\r\n");
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_keeps_every_line(block in "(( {0,3}(- )?[a-zé:#\"]{0,4})\r?\n){0,8}") {
            let text = format!("budgets:\n{block}");
            if let Some((rewritten, _)) = rewrite(&text) {
                proptest::prop_assert_eq!(rewritten.lines().count(), text.lines().count());
            }
        }
    }
}
