//! A `google.api.HttpRule`, wherever it was written: as an annotation of the method, or in a service configuration.

use http::Method as Verb;
use prost_reflect::{DynamicMessage, Value};

/// One binding of a rule: a verb, a path, and which parts of the messages are the bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The HTTP verb; any without.
    pub(super) verb: Option<Verb>,
    pub(super) path: String,
    pub(super) body: String,
    pub(super) response_body: String,
}

impl Rule {
    /// A rule from its parts as they are spelled: `kind` is a verb, or `*` for any.
    pub(super) fn new(kind: &str, path: String, body: String, response_body: String) -> Result<Self, String> {
        let verb = match kind {
            "*" => None,
            kind => Some(Verb::from_bytes(kind.as_bytes()).map_err(|_| format!("{kind:?} is not an HTTP verb"))?),
        };
        Ok(Self { verb, path, body, response_body })
    }

    /// The rule of a method that has none: `POST` on the path of its gRPC call, the whole message as body.
    pub(super) fn default_of(path: &str) -> Self {
        Self { verb: Some(Verb::POST), path: path.to_owned(), body: "*".to_owned(), response_body: String::new() }
    }

    /// The bindings of an annotation: its own, then the additional ones.
    pub(super) fn all(message: &DynamicMessage) -> Result<Vec<Self>, String> {
        let mut rules = vec![Self::one(message)?];
        if let Some(Value::List(more)) = message.get_field_by_name("additional_bindings").as_deref() {
            for rule in more.iter().filter_map(Value::as_message) {
                if rule.has_field_by_name("additional_bindings") {
                    return Err("an additional binding cannot have additional bindings of its own".to_owned());
                }
                rules.push(Self::one(rule)?);
            }
        }
        Ok(rules)
    }

    fn one(message: &DynamicMessage) -> Result<Self, String> {
        let (kind, path) = pattern(message).ok_or("the HTTP rule has no verb and path")?;
        Self::new(&kind, path, text(message, "body"), text(message, "response_body"))
    }
}

/// The verb (`*` for any) and the path template of a rule.
fn pattern(rule: &DynamicMessage) -> Option<(String, String)> {
    for field in ["get", "put", "post", "delete", "patch"] {
        if rule.has_field_by_name(field) {
            return Some((field.to_ascii_uppercase(), text(rule, field)));
        }
    }
    if !rule.has_field_by_name("custom") {
        return None;
    }
    let custom = rule.get_field_by_name("custom")?;
    let custom = custom.as_message()?;
    Some((text(custom, "kind"), text(custom, "path")))
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
