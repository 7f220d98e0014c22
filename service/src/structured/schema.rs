//! A JSON Schema that texts are checked against, and the schemas that were seen of late.
//!
//! Schemas come from strangers: they are bounded in size and depth, and nothing outside of them is looked at, so that a
//! `$ref` to another document is refused. Source: <https://json-schema.org/draft/2020-12>.

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use super::problem::Problem;
use super::repair::repair;

/// The largest schema, in bytes.
const LARGEST: usize = 128 << 10;

/// How deep a schema may nest.
const DEEPEST: usize = 64;

/// How many bytes of schemas are remembered, as text. Compiled, they take several times as much.
const REMEMBERED: u64 = 4 << 20;

/// A schema, ready to be used.
pub(crate) struct Schema {
    validator: Validator,
}

/// What a text turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Checked {
    /// A document that follows the schema.
    Valid,
    /// One that does once its form is put right, which is this text.
    Repaired(String),
}

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Schema")
    }
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// What is not JSON, no schema, too large or too deep, or refers to another document.
    pub(crate) fn compile(text: &str) -> Result<Self, Problem> {
        if text.len() > LARGEST {
            return Err(Problem::whole(format!("the schema is larger than {LARGEST} bytes")));
        }
        let schema: Value =
            serde_json::from_str(text).map_err(|error| Problem::whole(format!("the schema is not JSON: {error}")))?;
        if depth(&schema) > DEEPEST {
            return Err(Problem::whole(format!("the schema nests deeper than {DEEPEST} levels")));
        }
        if let Some(reference) = foreign_reference(&schema) {
            return Err(Problem::whole(format!("$ref to another document is not followed: {reference}")));
        }
        let validator = jsonschema::options().build(&schema);
        let validator = validator.map_err(|error| Problem::whole(format!("this is not a JSON Schema: {error}")))?;
        Ok(Self { validator })
    }

    /// Checks a text, putting its form right if need be.
    ///
    /// # Errors
    /// Where the text departs from the schema.
    pub(crate) fn check(&self, text: &str) -> Result<Checked, Problem> {
        let first = match serde_json::from_str::<Value>(text) {
            Ok(document) => return self.follows(&document).map(|()| Checked::Valid),
            Err(error) => error,
        };
        let repaired = repair(text).ok_or_else(|| Problem::whole(format!("the answer is not JSON: {first}")))?;
        let document: Value =
            serde_json::from_str(&repaired).map_err(|_| Problem::whole(format!("the answer is not JSON: {first}")))?;
        self.follows(&document).map(|()| Checked::Repaired(repaired))
    }

    fn follows(&self, document: &Value) -> Result<(), Problem> {
        let problem = Problem::of(
            self.validator.iter_errors(document).map(|error| (error.instance_path().to_string(), error.to_string())),
        );
        if problem.faults.is_empty() { Ok(()) } else { Err(problem) }
    }
}

/// How deep a document nests. Documents as deep as the parser lets them be do not overflow the stack.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The first reference that leads out of the schema.
fn foreign_reference(value: &Value) -> Option<&str> {
    match value {
        Value::Array(items) => items.iter().find_map(foreign_reference),
        Value::Object(members) => {
            let own = ["$ref", "$dynamicRef"].iter().filter_map(|name| members.get(*name)?.as_str());
            own.into_iter()
                .find(|reference| !reference.starts_with('#'))
                .or_else(|| members.values().find_map(foreign_reference))
        }
        _ => None,
    }
}

/// The schemas that were seen of late, compiled once. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Schemas(moka::sync::Cache<Arc<str>, Arc<Schema>>);

impl Default for Schemas {
    fn default() -> Self {
        let weight = |text: &Arc<str>, _: &Arc<Schema>| u32::try_from(text.len()).unwrap_or(u32::MAX);
        Self(moka::sync::Cache::builder().max_capacity(REMEMBERED).weigher(weight).build())
    }
}

impl Schemas {
    /// The schema of this text.
    ///
    /// # Errors
    /// As [`Schema::compile`].
    pub(crate) fn get(&self, text: &str) -> Result<Arc<Schema>, Problem> {
        if let Some(schema) = self.0.get(text) {
            return Ok(schema);
        }
        let schema = Arc::new(Schema::compile(text)?);
        self.0.insert(Arc::from(text), Arc::clone(&schema));
        Ok(schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = r#"{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},
        "required":["name"],"additionalProperties":false}"#;

    #[test]
    fn a_text_is_valid_repaired_or_refused_with_the_places_of_its_faults() {
        let schema = Schema::compile(PERSON).unwrap();
        assert_eq!(schema.check(r#"{"name":"Ada","age":36}"#), Ok(Checked::Valid));
        let repaired = schema.check("Here you are:\n```json\n{\"name\": \"Ada\",}\n```");
        assert_eq!(repaired, Ok(Checked::Repaired(r#"{"name": "Ada"}"#.to_owned())));
        let problem = schema.check(r#"{"name":1,"age":"x"}"#).unwrap_err();
        let places: Vec<&str> = problem.faults.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["/age", "/name"], "{problem}");
        assert!(schema.check("I cannot do that.").unwrap_err().to_string().contains("not JSON"));
    }

    #[test]
    fn schemas_of_strangers_are_bounded_and_look_at_nothing_outside() {
        let deep = "{\"items\":".repeat(70) + "{}" + &"}".repeat(70);
        let large = format!("{{\"description\":\"{}\"}}", "x".repeat(LARGEST));
        for (text, part) in [
            ("{", "not JSON"),
            ("[]", "not a JSON Schema"),
            (r#"{"type":"nothing"}"#, "not a JSON Schema"),
            (r#"{"$ref":"https://example.com/s.json"}"#, "https://example.com/s.json"),
            (r#"{"properties":{"a":{"$ref":"file:///etc/passwd"}}}"#, "file:///etc/passwd"),
            (deep.as_str(), "deeper"),
            (large.as_str(), "larger"),
        ] {
            let problem = Schema::compile(text).unwrap_err();
            assert!(problem.to_string().contains(part), "{problem}");
        }
        let own = r##"{"$defs":{"a":{"type":"string"}},"properties":{"x":{"$ref":"#/$defs/a"}}}"##;
        assert!(Schema::compile(own).unwrap().check(r#"{"x":1}"#).is_err());
    }

    #[test]
    fn a_schema_is_compiled_once() {
        let schemas = Schemas::default();
        let (one, two) = (schemas.get(PERSON).unwrap(), schemas.get(PERSON).unwrap());
        assert!(Arc::ptr_eq(&one, &two));
    }
}
