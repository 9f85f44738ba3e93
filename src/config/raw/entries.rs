//! Reads a list whose entries are either names, or mappings with a `name` among their fields.

use crate::config::raw::Node;
use crate::config::raw::fields::Block;
use crate::config::raw::keys::Kind;

/// An entry of such a list.
pub struct Entry<'a> {
    /// Its place in the list.
    pub place: usize,
    /// The name; `None` where it is missing, faulty or not known yet.
    pub name: Option<&'a str>,
    /// The other fields, where the entry is a mapping.
    pub block: Option<Block<'a>>,
}

impl<'a> Block<'a> {
    /// The entries of the list below `name`.
    pub fn entries(&self, name: &str) -> Vec<Entry<'a>> {
        let Some(key) = self.key(name) else {
            return Vec::new();
        };
        let Kind::Entries(of, section) = key.kind else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (place, item) in self.items(name).iter().enumerate() {
            let path = format!("{}[{place}]", self.at(name));
            let entry = if let Node::Map(fields) = item {
                let block = self.sibling(fields, path, section);
                let name = block.text("name");
                Entry {
                    place,
                    name: name.filter(|_| !block.is_unresolved("name")),
                    block: Some(block),
                }
            } else {
                Entry {
                    place,
                    name: self.text_of(Kind::Text(of), item, &path),
                    block: None,
                }
            };
            entries.push(entry);
        }
        entries
    }
}
