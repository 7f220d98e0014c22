//! A field reached through messages: `book.author.name`, resolved against plans.

use crate::json::{MessageId, Plans};

/// Field indices from the request message down to the field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FieldPath {
    pub(crate) steps: Box<[(MessageId, u16)]>,
    /// As it was written, for error texts.
    pub(crate) text: Box<str>,
}

impl FieldPath {
    /// Resolves a dotted path of proto or JSON names.
    pub(crate) fn resolve(plans: &Plans, root: MessageId, path: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut message = Some(root);
        for name in path.split('.') {
            let owner = message.ok_or_else(|| format!("{path}: {name} is not a field of a scalar"))?;
            let index = plans
                .field(owner, name)
                .ok_or_else(|| format!("{path}: {name} is not a field of {}", plans.name(owner)))?;
            steps.push((owner, index));
            message = plans.child(owner, index);
        }
        Ok(Self { steps: steps.into(), text: path.into() })
    }

    /// Whether the last field is one scalar (or a message whose JSON form is one).
    pub(crate) fn is_scalar(&self, plans: &Plans) -> bool {
        let Some((last, through)) = self.steps.split_last() else {
            return false;
        };
        through.iter().all(|&(message, field)| !plans.is_repeated(message, field))
            && !plans.is_repeated(last.0, last.1)
            && plans.is_text(last.0, last.1)
    }

    /// Whether the last field can be repeated in a query.
    pub(crate) fn is_repeated(&self, plans: &Plans) -> bool {
        self.steps.last().is_some_and(|&(message, field)| plans.is_repeated(message, field))
    }

    /// Whether one of the two leads through the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.steps.iter().zip(&other.steps).all(|(own, other)| own == other)
    }
}
