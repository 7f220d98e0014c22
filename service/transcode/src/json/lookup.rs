//! What binding and routing ask of a plan, beside reading and writing.

use super::plan::{Kind, Label, MessageId};
use super::{Plans, plan};

impl Plans {
    /// The JSON name of a field.
    pub(crate) fn field_name(&self, message: MessageId, field: u16) -> &str {
        &self.plan(message).fields[usize::from(field)].name
    }

    /// Whether the JSON form of a message is an object of its fields.
    pub(crate) fn has_members(&self, message: MessageId) -> bool {
        self.plan(message).well_known.is_none()
    }

    /// Every field of a message.
    pub(crate) fn fields(&self, message: MessageId) -> std::ops::Range<u16> {
        0..u16::try_from(self.plan(message).fields.len()).unwrap_or(u16::MAX)
    }

    /// Whether a field holds bytes that are not JSON text.
    pub(crate) fn is_bytes(&self, message: MessageId, field: u16) -> bool {
        let field = &self.plan(message).fields[usize::from(field)];
        field.kind == Kind::Bytes && !field.raw
    }

    /// The fields of the oneof that a field belongs to, itself among them.
    pub(crate) fn oneof_of(&self, message: MessageId, field: u16) -> Option<&[u16]> {
        let plan = self.plan(message);
        let oneof = plan.fields[usize::from(field)].oneof?;
        Some(&plan.oneofs[usize::from(oneof)].fields)
    }

    /// The message type of the field of this number, where it holds one message.
    pub(crate) fn single_message(&self, message: MessageId, number: u32) -> Option<MessageId> {
        let plan = self.plan(message);
        let field: &plan::Field = &plan.fields[plan.field_index(number)?];
        match (field.label, field.kind) {
            (Label::Singular { .. }, Kind::Message(child)) => Some(child),
            _ => None,
        }
    }

    /// The one field of a message that holds a `google.protobuf.FieldMask`; none where there are several.
    pub(crate) fn only_field_mask(&self, message: MessageId) -> Option<u16> {
        let mut masks = (0..).zip(&self.plan(message).fields).filter(|(_, field)| match (field.label, field.kind) {
            (Label::Singular { .. }, Kind::Message(child)) => {
                self.plan(child).well_known == Some(plan::WellKnown::FieldMask)
            }
            _ => false,
        });
        match (masks.next(), masks.next()) {
            (Some((index, _)), None) => Some(index),
            _ => None,
        }
    }
}
