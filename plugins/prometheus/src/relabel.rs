//! Relabelling: rules that keep, drop and rewrite targets and samples by their labels.
//!
//! Rules are those of Prometheus, matched from the first to the last character of the value. The regular expressions are
//! `regex-lite`'s: linear in time and without `\p{…}`; `\w`, `\d` and `(?i)` know ASCII only.

use std::borrow::Cow;

use md5::{Digest as _, Md5};
use regex_lite::Regex;

use crate::labels::Labels;

/// One rule, valid in itself.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) sources: Vec<String>,
    pub(crate) separator: String,
    pub(crate) pattern: Pattern,
    pub(crate) action: Action,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing that does not match stays.
    Keep,
    /// Nothing that matches stays.
    Drop,
    /// Nothing whose joined sources differ from this label stays.
    KeepEqual(String),
    /// Nothing whose joined sources equal this label stays.
    DropEqual(String),
    /// Sets a label, which may itself be a template, to what a template makes of the match.
    Replace { target: String, replacement: String },
    /// Sets a label to the joined sources in lower case.
    Lowercase(String),
    /// Sets a label to the joined sources in upper case.
    Uppercase(String),
    /// Sets a label to a hash of the joined sources modulo a number above 0.
    HashMod { target: String, modulus: u64 },
    /// Copies labels whose names match to the names a template makes of the match.
    LabelMap(String),
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
}

/// An anchored regular expression.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    shape: Shape,
}

/// Most patterns are lists of words, or the default; those need no engine to match.
#[derive(Clone, Debug)]
enum Shape {
    /// `(.*)`
    Everything,
    /// Separated by `|`.
    Words(Vec<String>),
    Other,
}

impl Pattern {
    /// # Errors
    /// Not a regular expression; says where.
    pub(crate) fn parse(text: &str) -> Result<Self, regex_lite::Error> {
        // Compiled alone first, so that `)(` cannot leave the group around it.
        Regex::new(text)?;
        let regex = Regex::new(&format!("^(?s:{text})$"))?;
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '/' | '|' | ' ');
        let shape = match text {
            "(.*)" => Shape::Everything,
            _ if text.chars().all(is_plain) => Shape::Words(text.split('|').map(str::to_owned).collect()),
            _ => Shape::Other,
        };
        Ok(Self { regex, shape })
    }

    fn is_match(&self, value: &str) -> bool {
        match &self.shape {
            Shape::Everything => true,
            Shape::Words(words) => words.iter().any(|word| word == value),
            Shape::Other => self.regex.is_match(value),
        }
    }

    /// What each template makes of the match; `None` if there is none.
    fn expand<const N: usize>(&self, value: &str, templates: [&str; N]) -> Option<[String; N]> {
        if !self.is_match(value) {
            return None;
        }
        let is_whole = |template: &str| template == "$1" && matches!(self.shape, Shape::Everything);
        if templates.iter().all(|template| !template.contains('$') || is_whole(template)) {
            return Some(templates.map(|template| if is_whole(template) { value } else { template }.to_owned()));
        }
        let captures = self.regex.captures(value)?;
        Some(templates.map(|template| {
            let mut text = String::new();
            captures.expand(template, &mut text);
            text
        }))
    }
}

/// Applies the rules in their order. `false` says that one of them drops what the labels belong to.
pub(crate) fn apply(rules: &[Rule], labels: &mut Labels<'_>) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Rule {
    fn apply(&self, labels: &mut Labels<'_>) -> bool {
        match &self.action {
            Action::Keep => self.pattern.is_match(&self.value(labels)),
            Action::Drop => !self.pattern.is_match(&self.value(labels)),
            Action::KeepEqual(label) => self.value(labels) == labels.get(label).unwrap_or(""),
            Action::DropEqual(label) => self.value(labels) != labels.get(label).unwrap_or(""),
            Action::Replace { target, replacement } => {
                if let Some([target, value]) = self.pattern.expand(&self.value(labels), [target, replacement])
                    && !target.is_empty()
                {
                    labels.set(target, value);
                }
                true
            }
            Action::Lowercase(target) => {
                let value = self.value(labels).to_lowercase();
                labels.set(target.clone(), value);
                true
            }
            Action::Uppercase(target) => {
                let value = self.value(labels).to_uppercase();
                labels.set(target.clone(), value);
                true
            }
            Action::HashMod { target, modulus } => {
                let value = hash(&self.value(labels)).checked_rem(*modulus).unwrap_or(0).to_string();
                labels.set(target.clone(), value);
                true
            }
            Action::LabelMap(replacement) => {
                let mapped: Vec<_> = labels
                    .iter()
                    .filter_map(|(name, value)| {
                        let [name] = self.pattern.expand(name, [replacement])?;
                        (!name.is_empty()).then(|| (name, value.to_owned()))
                    })
                    .collect();
                mapped.into_iter().for_each(|(name, value)| labels.set(name, value));
                true
            }
            Action::LabelDrop => {
                labels.retain(|name| !self.pattern.is_match(name));
                true
            }
            Action::LabelKeep => {
                labels.retain(|name| self.pattern.is_match(name));
                true
            }
        }
    }

    fn value<'l>(&self, labels: &'l Labels<'_>) -> Cow<'l, str> {
        match self.sources.as_slice() {
            [] => Cow::Borrowed(""),
            [only] => Cow::Borrowed(labels.get(only).unwrap_or("")),
            several => {
                let values: Vec<&str> = several.iter().map(|name| labels.get(name).unwrap_or("")).collect();
                Cow::Owned(values.join(&self.separator))
            }
        }
    }
}

/// The last eight bytes of the MD5, most significant first, so that shards agree with those Prometheus makes.
fn hash(value: &str) -> u64 {
    Md5::digest(value).iter().skip(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(sources: &[&str], regex: &str, action: Action) -> Rule {
        let sources = sources.iter().map(|&source| source.to_owned()).collect();
        Rule { sources, separator: ";".to_owned(), pattern: Pattern::parse(regex).unwrap(), action }
    }

    fn replace(target: &str, replacement: &str) -> Action {
        Action::Replace { target: target.to_owned(), replacement: replacement.to_owned() }
    }

    fn labels() -> Labels<'static> {
        [("__name__", "http_requests_total"), ("path", "/api"), ("zone", "A1")].into_iter().collect()
    }

    fn kept(rule: Rule) -> bool {
        apply(&[rule], &mut labels())
    }

    fn relabelled(rule: Rule, label: &str) -> Option<String> {
        let mut labels = labels();
        assert!(apply(&[rule], &mut labels));
        labels.get(label).map(str::to_owned)
    }

    #[test]
    fn keep_and_drop_match_the_whole_value() {
        assert!(kept(rule(&["path"], "/api", Action::Keep)));
        assert!(!kept(rule(&["path"], "/ap", Action::Keep)));
        assert!(!kept(rule(&["path"], "api", Action::Keep)));
        assert!(!kept(rule(&["__name__"], "http_.+", Action::Drop)));
        assert!(kept(rule(&["__name__"], "requests", Action::Drop)));
        assert!(!kept(rule(&["path"], "/other|/api", Action::Drop)));
        assert!(kept(rule(&["path"], "/other|/apis", Action::Drop)));
    }

    #[test]
    fn an_alternative_is_anchored_on_both_sides() {
        assert!(!kept(rule(&["path"], "/a.|x", Action::Keep)));
        assert!(kept(rule(&["path"], "/a.*|x", Action::Keep)));
    }

    #[test]
    fn sources_are_joined_by_the_separator() {
        assert_eq!(relabelled(rule(&["path", "zone"], "(.*);(.*)", replace("x", "$2$1")), "x").unwrap(), "A1/api");
        assert_eq!(relabelled(rule(&["absent", "zone"], "(.*)", replace("x", "$1")), "x").unwrap(), ";A1");
    }

    #[test]
    fn replace_sets_overwrites_and_removes() {
        assert_eq!(relabelled(rule(&["zone"], "A(.)", replace("zone", "z-${1}")), "zone").unwrap(), "z-1");
        assert_eq!(relabelled(rule(&["zone"], "B(.)", replace("zone", "z-${1}")), "zone").unwrap(), "A1");
        assert_eq!(relabelled(rule(&["zone"], "A(.)", replace("zone", "")), "zone"), None);
        assert_eq!(relabelled(rule(&[], "(.*)", replace("env", "prod")), "env").unwrap(), "prod");
        assert_eq!(relabelled(rule(&["zone"], "(A).", replace("zone_$1", "x")), "zone_A").unwrap(), "x");
    }

    #[test]
    fn a_reference_without_a_group_is_empty_and_two_dollars_are_one() {
        for regex in ["(.*)", "(.+)"] {
            assert_eq!(relabelled(rule(&["zone"], regex, replace("x", "<$1$2$$${1}>")), "x").unwrap(), "<A1$A1>");
            assert_eq!(relabelled(rule(&["zone"], regex, replace("x", "<$1x>")), "x").unwrap(), "<>");
        }
        assert_eq!(relabelled(rule(&["zone"], "A1", replace("x", "<$0$1>")), "x").unwrap(), "<A1>");
    }

    #[test]
    fn equality_of_labels_keeps_and_drops() {
        assert!(!kept(rule(&["path"], "(.*)", Action::KeepEqual("zone".to_owned()))));
        assert!(kept(rule(&["path"], "(.*)", Action::KeepEqual("path".to_owned()))));
        assert!(kept(rule(&["path"], "(.*)", Action::DropEqual("zone".to_owned()))));
        assert!(!kept(rule(&["path"], "(.*)", Action::DropEqual("path".to_owned()))));
    }

    #[test]
    fn case_is_changed_on_demand() {
        assert_eq!(relabelled(rule(&["zone"], "(.*)", Action::Lowercase("z".to_owned())), "z").unwrap(), "a1");
        assert_eq!(relabelled(rule(&["path"], "(.*)", Action::Uppercase("z".to_owned())), "z").unwrap(), "/API");
    }

    /// The remainders are those of MD5's last eight bytes: `echo -n A1 | md5sum`.
    #[test]
    fn hashmod_shards_as_prometheus_does() {
        let hashed = |modulus| rule(&["zone"], "(.*)", Action::HashMod { target: "shard".to_owned(), modulus });
        assert_eq!(relabelled(hashed(1), "shard").unwrap(), "0");
        assert_eq!(relabelled(hashed(u64::MAX), "shard").unwrap(), hash("A1").to_string());
        assert_eq!(hash(""), 0xe980_0998_ecf8_427e);
    }

    #[test]
    fn labels_are_mapped_dropped_and_kept_by_name() {
        assert_eq!(relabelled(rule(&[], "zo(.*)", Action::LabelMap("meta_$1".to_owned())), "meta_ne").unwrap(), "A1");
        assert_eq!(relabelled(rule(&[], "zo.*", Action::LabelDrop), "zone"), None);
        assert_eq!(relabelled(rule(&[], "zo", Action::LabelDrop), "zone").unwrap(), "A1");
        assert_eq!(relabelled(rule(&[], "__name__|zone", Action::LabelKeep), "path"), None);
        assert_eq!(relabelled(rule(&[], "__name__|zone", Action::LabelKeep), "zone").unwrap(), "A1");
    }

    #[test]
    fn what_is_no_regular_expression_is_refused() {
        for wrong in ["(", "a)(b", "[", "*"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn action() -> impl Strategy<Value = Action> {
        let text = "[a-z$1{}]{0,6}";
        prop_oneof![
            Just(Action::Keep),
            Just(Action::Drop),
            Just(Action::LabelDrop),
            Just(Action::LabelKeep),
            (text, text).prop_map(|(target, replacement)| Action::Replace { target, replacement }),
            text.prop_map(Action::LabelMap),
            "[a-z]{1,3}".prop_map(Action::Uppercase),
            ("[a-z]{1,3}", any::<u64>()).prop_map(|(target, modulus)| Action::HashMod { target, modulus }),
        ]
    }

    proptest! {
        #[test]
        fn relabelling_never_panics_and_leaves_no_empty_label(
            regexes in prop::collection::vec("[a-z().*|+?\\[\\]$^]{0,8}", 1..4),
            actions in prop::collection::vec(action(), 1..4),
            values in prop::collection::vec(("[a-z]{1,3}", ".{0,6}"), 0..5),
        ) {
            let mut labels: Labels<'_> = values.into_iter().collect();
            let rules: Vec<Rule> = regexes
                .iter()
                .zip(actions)
                .filter_map(|(regex, action)| {
                    let pattern = Pattern::parse(regex).ok()?;
                    Some(Rule { sources: vec!["a".to_owned(), "b".to_owned()], separator: ";".to_owned(), pattern, action })
                })
                .collect();
            apply(&rules, &mut labels);
            prop_assert!(labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
        }

        /// The paths that need no engine answer as the engine does.
        #[test]
        fn words_and_everything_match_as_the_regular_expression_does(
            words in prop::collection::vec("[a-z]{0,2}", 1..4),
            value in "[a-z|]{0,3}",
            template in "[a-z0-9$_{}]{0,8}",
        ) {
            for text in [words.join("|"), "(.*)".to_owned()] {
                let pattern = Pattern::parse(&text).unwrap();
                let engine = Pattern { shape: Shape::Other, ..pattern.clone() };
                prop_assert_eq!(pattern.is_match(&value), engine.is_match(&value));
                prop_assert_eq!(pattern.expand(&value, [&template]), engine.expand(&value, [&template]));
            }
        }
    }
}
