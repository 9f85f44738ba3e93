//! A JSON document with its members in their original order, as indented JSON or as YAML.

/// A document.
#[derive(Clone, Debug)]
pub struct Document(serde_yaml::Value);

impl Document {
    /// Reads JSON. This map, unlike that of the JSON package, keeps its order.
    ///
    /// # Errors
    ///
    /// The text is not JSON.
    pub fn of_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json).map(Self)
    }

    /// Indented JSON, without a line's end.
    #[must_use]
    pub fn json(&self) -> String {
        // A value that was read from JSON can always be written as JSON.
        serde_json::to_string_pretty(&self.0).unwrap_or_default()
    }

    /// YAML, without a line's end.
    #[must_use]
    pub fn yaml(&self) -> String {
        let text = serde_yaml::to_string(&self.0).unwrap_or_default();
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays_and_so_does_every_value() {
        let text = r#"[{"name":"yes","b":1,"a":null,"rate":0.25,"list":["x: y"],"none":{}}]"#;
        let document = Document::of_json(text.as_bytes()).unwrap();
        let expected =
            "- name: yes\n  b: 1\n  a: null\n  rate: 0.25\n  list:\n  - 'x: y'\n  none: {}";
        assert_eq!(document.yaml(), expected);
        let again: serde_json::Value = serde_json::from_str(&document.json()).unwrap();
        assert_eq!(
            again,
            serde_json::from_str::<serde_json::Value>(text).unwrap()
        );
        assert!(
            document
                .json()
                .starts_with("[\n  {\n    \"name\": \"yes\",\n    \"b\": 1")
        );
        assert!(Document::of_json(b"<html>").is_err());
    }
}
