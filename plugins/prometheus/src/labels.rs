//! The labels of a target or of a sample, as relabelling sees them.

use std::borrow::Cow;

/// The label that holds the name of a sample.
pub(crate) const NAME: &str = "__name__";

/// Names and values, each name once. An empty value is no label, as in Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Labels<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_ref())
    }

    /// Sets a label; an empty value removes it.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            self.remove(&name);
        } else if let Some((_, place)) = self.0.iter_mut().find(|(found, _)| *found == name) {
            *place = value;
        } else {
            self.0.push((name, value));
        }
    }

    /// Takes a label out.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let place = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.remove(place).1)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for Labels<'a> {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(labels: T) -> Self {
        let mut set = Self::default();
        labels.into_iter().for_each(|(name, value)| set.set(name, value));
        set
    }
}
