//! What is wrong with a schema, or with an answer that should follow one.

use std::fmt;

use tonic::Status;

use crate::chat::{Failure, Violation};
use crate::error::unstructured;

/// How many faults are told.
const TOLD: usize = 5;

/// How many faults are looked at; an answer can have as many as it has values.
const LOOKED_AT: usize = 1000;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where, as a JSON pointer (RFC 6901), and what; the first few.
    pub(crate) faults: Vec<(String, String)>,
}

impl Problem {
    /// Something about the document as a whole.
    pub(super) fn whole(what: impl Into<String>) -> Self {
        Self { faults: vec![(String::new(), what.into())] }
    }

    /// The first few of these, by their places.
    pub(super) fn of(faults: impl Iterator<Item = (String, String)>) -> Self {
        // Validators follow the order of the schema's members, which need not be that of its text.
        let mut faults: Vec<_> = faults.take(LOOKED_AT).collect();
        faults.sort();
        faults.truncate(TOLD);
        Self { faults }
    }

    /// The status of a request whose field holds such a schema.
    pub(crate) fn of_field(&self, field: &str) -> Status {
        let violation = Violation { field: field.to_owned(), message: self.to_string() };
        (&Failure::Invalid(vec![violation])).into()
    }

    /// The status of a call whose answer is like that.
    pub(crate) fn of_answer(&self) -> Status {
        unstructured(&self.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (place, what)) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
            write!(formatter, "{separator}{place}{what}")?;
        }
        Ok(())
    }
}
