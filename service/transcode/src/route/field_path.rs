//! A field reached through messages: `book.author.name`, resolved against plans.

use crate::json::{MessageId, Plans};

/// How deep a path may lead; a path variable or parameter that needs more is a mistake or an attack.
const MAX_STEPS: usize = 32;

/// Field indices from the request message down to the field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FieldPath {
    pub(crate) steps: Box<[(MessageId, u16)]>,
    /// As it was written, for error texts.
    pub(crate) text: Box<str>,
}

/// What can be said at the end of a path by texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value, as one text.
    Single,
    /// Any number of values, each as one text.
    List,
    /// Entries, each a key and a text.
    Map,
    /// A message, whose fields have paths of their own.
    Message,
    /// Messages in a list or a map, which texts cannot tell apart.
    Messages,
}

impl FieldPath {
    /// Resolves a dotted path of proto or JSON names.
    pub(crate) fn resolve(plans: &Plans, root: MessageId, path: &str) -> Result<Self, String> {
        let mut steps: Vec<(MessageId, u16)> = Vec::new();
        let mut message = Some(root);
        for name in path.split('.') {
            let owner = message.ok_or_else(|| format!("{path}: {name} is not a field of a scalar"))?;
            let index = plans
                .field(owner, name)
                .ok_or_else(|| format!("{path}: {name} is not a field of {}", plans.name(owner)))?;
            if steps.len() == MAX_STEPS {
                return Err(format!("{path}: the path leads deeper than {MAX_STEPS} messages"));
            }
            if let Some(&(through, field)) = steps.last()
                && plans.is_repeated(through, field)
            {
                return Err(format!("{path}: {name} is a field of messages in a list or a map"));
            }
            steps.push((owner, index));
            message = plans.child(owner, index);
        }
        Ok(Self { steps: steps.into(), text: path.into() })
    }

    /// What can be said of the last field.
    pub(crate) fn shape(&self, plans: &Plans) -> Shape {
        let Some(&(message, field)) = self.steps.last() else {
            return Shape::Message;
        };
        match (plans.is_query_text(message, field), plans.is_map(message, field), plans.is_repeated(message, field)) {
            (true, true, _) => Shape::Map,
            (true, false, true) => Shape::List,
            (true, false, false) => Shape::Single,
            (false, _, true) => Shape::Messages,
            (false, _, false) => Shape::Message,
        }
    }

    /// Whether the last field is one scalar (or a message whose JSON form is one): what a path variable may fill.
    pub(crate) fn is_scalar(&self, plans: &Plans) -> bool {
        let Some(&(message, field)) = self.steps.last() else {
            return false;
        };
        !plans.is_repeated(message, field) && plans.is_text(message, field)
    }

    /// Whether one of the two leads through the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.steps.iter().zip(&other.steps).all(|(own, other)| own == other)
    }
}
