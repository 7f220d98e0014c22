//! The names of components: those of the messages and enums, as short as they can be told apart.

use std::collections::{HashMap, HashSet};

/// Whether a schema says what is read or what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Direction {
    /// What the body of a request may hold.
    Input,
    /// The same as text in a path or a query, where 64-bit numbers need no quotes.
    Text,
    /// What an answer holds.
    Output,
}

impl Direction {
    pub(super) fn is_input(self) -> bool {
        self != Self::Output
    }
}

/// The names of the components of errors.
const RESERVED: [&str; 3] = ["Status", "Error", "ErrorResponse"];

/// Full names to component names.
#[derive(Debug, Default)]
pub(super) struct Names {
    short: HashMap<String, String>,
    /// Messages that look different in requests and in answers, and occur in both.
    split: HashSet<String>,
}

impl Names {
    /// Names for all of `full_names`, each with its package.
    pub(super) fn new<'a>(full_names: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let named: Vec<(&str, &str)> = full_names.collect();
        let mut uses: HashMap<&str, usize> = RESERVED.iter().map(|name| (*name, 1)).collect();
        for (full, package) in &named {
            *uses.entry(within(full, package)).or_default() += 1;
        }
        let short = named.iter().map(|(full, package)| {
            let short = within(full, package);
            (full.to_string(), if uses.get(short) == Some(&1) { short.to_owned() } else { full.to_string() })
        });
        Self { short: short.collect(), split: HashSet::new() }
    }

    /// Gives a message two names, one for each direction.
    pub(super) fn split(&mut self, full_name: &str) {
        self.split.insert(full_name.to_owned());
    }

    pub(super) fn is_split(&self, full_name: &str) -> bool {
        self.split.contains(full_name)
    }

    /// The component that describes `full_name`, or, where `part` is given, that part of it.
    ///
    /// A hyphen cannot be part of a protobuf name, so that these names are nobody else's.
    pub(super) fn of(&self, full_name: &str, part: Option<&str>, direction: Direction) -> String {
        let mut name = self.short.get(full_name).map_or(full_name, String::as_str).to_owned();
        if let Some(part) = part {
            name.push('-');
            name.push_str(part);
        }
        if self.is_split(full_name) {
            name.push_str(match direction {
                Direction::Input | Direction::Text => "-Input",
                Direction::Output => "-Output",
            });
        }
        name
    }
}

fn within<'a>(full_name: &'a str, package: &str) -> &'a str {
    full_name.strip_prefix(package).and_then(|rest| rest.strip_prefix('.')).unwrap_or(full_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_where_it_tells_two_apart() {
        let mut names =
            Names::new([("a.v1.Thing", "a.v1"), ("b.v1.Thing", "b.v1"), ("a.v1.Other.Part", "a.v1")].into_iter());
        assert_eq!(names.of("a.v1.Thing", None, Direction::Input), "a.v1.Thing");
        assert_eq!(names.of("a.v1.Other.Part", None, Direction::Input), "Other.Part");
        names.split("a.v1.Other.Part");
        assert_eq!(names.of("a.v1.Other.Part", Some("x"), Direction::Output), "Other.Part-x-Output");
    }
}
