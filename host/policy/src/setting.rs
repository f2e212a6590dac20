//! What an instance is configured with, as far as a policy may know.

use serde_json::Value;

use crate::config_line::ConfigLine;

/// What the configuration holds for a field: never a secret's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// The value, where it is a text and no secret.
    pub text: Option<&'a str>,
    /// The texts, where the field leads through lists or is one.
    pub elements: Vec<Element<'a>>,
    /// Whether the schema keeps the value from the plugin.
    pub is_secret: bool,
    /// Whether the schema gives a default, so that a value says nothing about what the operator wants.
    pub has_default: bool,
    /// Where `text` is written; `None` if it is the schema's default, or in no file.
    pub written: Option<ConfigLine>,
}

/// A text in a list of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Where it stands: `scrape_configs[0].targets[2]`.
    pub place: String,
    /// The text.
    pub text: &'a str,
    /// Where it is written, as for [`Setting::written`].
    pub written: Option<ConfigLine>,
}

impl<'a> Setting<'a> {
    /// A text the operator has written.
    #[must_use]
    pub const fn text(text: &'a str) -> Self {
        Self { text: Some(text), elements: Vec::new(), is_secret: false, has_default: false, written: None }
    }

    /// A secret the operator has written.
    #[must_use]
    pub const fn secret() -> Self {
        Self { text: None, elements: Vec::new(), is_secret: true, has_default: false, written: None }
    }

    /// Whether the operator wrote it. What only a schema says is the plugin's own wish and grants nothing.
    #[must_use]
    pub const fn is_typed(&self) -> bool {
        !self.has_default || self.written.is_some()
    }

    /// What `settings`, from which secrets have been taken, hold for a field that is no secret, by its dotted path.
    ///
    /// A path leads through every item of a list, unless it names one by its index; at its end, a list is its texts.
    #[must_use]
    pub fn find(settings: &'a Value, field: &str) -> Option<Self> {
        let mut found = vec![(String::new(), settings)];
        let mut through_lists = false;
        for key in field.split('.') {
            let mut below = Vec::new();
            for (place, value) in found {
                let index = key.parse::<usize>().ok();
                match (value, index) {
                    (Value::Array(items), Some(index)) => {
                        below.extend(items.get(index).map(|item| (format!("{place}[{index}]"), item)));
                    }
                    (Value::Array(_), None) => {
                        through_lists = true;
                        let items = items(place, value).into_iter();
                        below.extend(items.filter_map(|(place, item)| Some((join(&place, key), item.get(key)?))));
                    }
                    _ => below.extend(value.get(key).map(|value| (join(&place, key), value))),
                }
            }
            found = below;
        }
        if !through_lists
            && let [(_, value)] = found.as_slice()
            && !value.is_array()
        {
            return value.as_str().map(Self::text);
        }
        let texts = found.into_iter().flat_map(|(place, value)| items(place, value));
        let elements: Vec<_> =
            texts.filter_map(|(place, value)| Some(Element { place, text: value.as_str()?, written: None })).collect();
        (!elements.is_empty()).then_some(Self {
            text: None,
            elements,
            is_secret: false,
            has_default: false,
            written: None,
        })
    }
}

/// The items of a list, or of lists in it; anything else is itself.
fn items(place: String, value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Array(list) => {
            let list = list.iter().enumerate();
            list.flat_map(|(index, item)| items(format!("{place}[{index}]"), item)).collect()
        }
        _ => vec![(place, value)],
    }
}

fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn elements(settings: &Value, field: &str) -> Vec<(String, String)> {
        let elements = Setting::find(settings, field).map(|setting| setting.elements).unwrap_or_default();
        elements.into_iter().map(|element| (element.place, element.text.to_owned())).collect()
    }

    #[test]
    fn a_path_leads_through_lists_at_any_level() {
        let settings = json!({ "scrape_configs": [
            { "static_configs": [{ "targets": ["a:1", "b:2"] }, { "labels": {} }] },
            { "static_configs": [{ "targets": [] }, { "targets": "c:3" }] },
        ] });
        let expected = [
            ("scrape_configs[0].static_configs[0].targets[0]", "a:1"),
            ("scrape_configs[0].static_configs[0].targets[1]", "b:2"),
            ("scrape_configs[1].static_configs[1].targets", "c:3"),
        ];
        let expected = expected.map(|(place, text)| (place.to_owned(), text.to_owned()));
        assert_eq!(elements(&settings, "scrape_configs.static_configs.targets"), expected);
        assert_eq!(elements(&settings, "scrape_configs.0.static_configs.targets"), expected[..2]);
        assert_eq!(elements(&settings, "scrape_configs.labels"), []);
        assert_eq!(elements(&json!({ "a": [["x"], ["y"]] }), "a").len(), 2);
    }

    #[test]
    fn a_text_outside_of_lists_is_a_text_and_what_is_none_is_nothing() {
        let settings = json!({ "host": "h", "nested": { "host": "n" }, "number": 1, "list": [1, {}] });
        assert_eq!(Setting::find(&settings, "host"), Some(Setting::text("h")));
        assert_eq!(Setting::find(&settings, "nested.host"), Some(Setting::text("n")));
        for nothing in ["nested", "number", "list", "list.host", "other", "host.deeper", ""] {
            assert_eq!(Setting::find(&settings, nothing), None, "{nothing}");
        }
    }
}
