//! The fields of a request that are not in its path or body, as query parameters.

use super::document::{OrReference, Parameter, Place};
use super::messages::Messages;
use super::names::Direction;
use super::ordered::Json;
use super::schema::Schema;
use crate::json::MessageId;
use crate::route::field_path::{FieldPath, Shape};
use crate::route::{BodyPart, Route};

/// Messages within messages are followed this far: `a.b.c.d`.
const DEEPEST: usize = 4;

/// The query parameters of a route: one for each field that a query can fill.
pub(super) fn parameters(messages: &Messages<'_>, route: &Route) -> Vec<OrReference<Parameter>> {
    if route.body == BodyPart::Whole {
        return Vec::new();
    }
    let mut walk = Walk { messages, route, found: Vec::new(), steps: Vec::new(), names: Vec::new() };
    walk.message(route.method.input, true);
    walk.found.into_iter().map(OrReference::Here).collect()
}

struct Walk<'a, 'm> {
    messages: &'a Messages<'m>,
    route: &'a Route,
    found: Vec<Parameter>,
    steps: Vec<(MessageId, u16)>,
    names: Vec<String>,
}

impl Walk<'_, '_> {
    fn message(&mut self, id: MessageId, required: bool) {
        let plans = self.messages.plans;
        let plan = plans.plan(id);
        for (index, field) in (0u16..).zip(&plan.fields) {
            let of_body = self.steps.is_empty() && self.route.body == BodyPart::Field(index);
            if of_body || plan.additional == Some(index) {
                continue;
            }
            self.steps.push((id, index));
            self.names.push(field.name.to_string());
            let path = FieldPath { steps: self.steps.clone().into(), text: self.names.join(".").into() };
            let is_bound = self.route.variables().any(|(variable, _)| variable.steps == path.steps);
            if is_bound {
                // The path says it.
            } else if matches!(path.shape(plans), Shape::Single | Shape::List | Shape::Map) {
                self.parameter(&path, required);
            } else if let Some(child) = plans.child(id, index)
                && path.shape(plans) == Shape::Message
                && self.steps.len() < DEEPEST
                && !self.steps.iter().any(|(open, _)| *open == child)
            {
                let required = required && self.is_required(&path);
                self.message(child, required);
            }
            self.steps.pop();
            self.names.pop();
        }
    }

    fn is_required(&self, path: &FieldPath) -> bool {
        self.messages.field_at(path).is_some_and(|(field, _)| self.messages.is_required(&field))
    }

    fn parameter(&mut self, path: &FieldPath, required: bool) {
        let Some((descriptor, plan)) = self.messages.field_at(path) else {
            return;
        };
        let mut schema = self.messages.field(&descriptor, plan, Direction::Text);
        let deprecated = std::mem::take(&mut schema.deprecated);
        let (description, example) = outside(&mut schema);
        // A list is `a=1&a=2`, a map `a[key]=1`.
        let (style, explode) = match path.shape(self.messages.plans) {
            Shape::List => (Some("form"), Some(true)),
            Shape::Map => (Some("deepObject"), Some(true)),
            _ => (None, None),
        };
        self.found.push(Parameter {
            name: path.text.to_string(),
            place: Place::Query,
            description,
            required: required && self.messages.is_required(&descriptor),
            deprecated,
            style,
            explode,
            allow_reserved: false,
            schema,
            example,
        });
    }
}

/// Takes out of a schema what a parameter says itself: its description and an example.
pub(super) fn outside(schema: &mut Schema) -> (Option<String>, Option<Json>) {
    let example = (!schema.examples.is_empty()).then(|| schema.examples.remove(0));
    schema.examples.clear();
    (schema.description.take(), example)
}
