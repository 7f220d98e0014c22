//! A JSON object whose members keep the order in which they were added, and a JSON value that is written as it was given.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Names to values, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ordered<T>(Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Vec<(String, T)>> for Ordered<T> {
    fn from(members: Vec<(String, T)>) -> Self {
        Self(members)
    }
}

impl<T> FromIterator<(String, T)> for Ordered<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl<T> Ordered<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, name: impl Into<String>, value: T) {
        self.0.push((name.into(), value));
    }

    pub(super) fn push_front(&mut self, name: impl Into<String>, value: T) {
        self.0.insert(0, (name.into(), value));
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// The value of this name, added at the end if it is not there.
    pub(super) fn entry(&mut self, name: &str, value: impl FnOnce() -> T) -> &mut T {
        let at = self.0.iter().position(|(member, _)| member == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), value()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Leaves out the members whose names `wanted` does not want.
    pub(super) fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| wanted(name));
    }

    pub(super) fn sort(&mut self) {
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A JSON value, verbatim.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(super) struct Json(Box<RawValue>);

impl Json {
    /// The value of this text; `None` where it is not JSON.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    pub(super) fn string(text: &str) -> Self {
        Self::of(&text)
    }

    pub(super) fn of<T: Serialize>(value: &T) -> Self {
        Self(serde_json::value::to_raw_value(value).unwrap_or_default())
    }

    pub(super) fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}
