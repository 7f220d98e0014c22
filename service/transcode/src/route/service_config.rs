//! HTTP rules from a service configuration in YAML, for protos that cannot be annotated or that belong to somebody else.
//!
//! The format is the `http` section of `google.api.Service`
//! (<https://github.com/googleapis/googleapis/blob/master/google/api/service.proto>):
//!
//! ```yaml
//! http:
//!   rules:
//!     - selector: library.v1.Library.GetBook
//!       get: /v1/{name=shelves/*/books/*}
//!       additional_bindings:
//!         - get: /v1/books/{name}
//! ```
//!
//! A rule here takes the place of the annotations of its method. Other sections are left alone; a member of a rule that is
//! not known is an error, since it is a misspelling more often than not.

use std::collections::HashMap;

use serde::Deserialize;

use super::RouteError;
use super::rule::Rule;

/// The rules of a service configuration, by method: `package.Service/Method`.
#[derive(Debug, Clone, Default)]
pub struct ServiceConfig {
    rules: HashMap<String, Vec<Rule>>,
    fully_decode_reserved_expansion: Option<bool>,
}

impl ServiceConfig {
    /// Reads a service configuration.
    ///
    /// # Errors
    /// When the text is not YAML, or a rule is not one: the error names the selector.
    pub fn parse(yaml: &str) -> Result<Self, RouteError> {
        let document: Document =
            serde_saphyr::from_str(yaml).map_err(|error| RouteError::new("service config", error.to_string()))?;
        let http = document.http.unwrap_or_default();
        let mut rules = HashMap::new();
        for rule in http.rules {
            let fail = |problem: String| RouteError::new(&rule.selector, problem);
            let (service, method) = rule
                .selector
                .rsplit_once('.')
                .ok_or_else(|| fail("the selector must be package.Service.Method".to_owned()))?;
            let mut bindings = vec![rule.rule().map_err(fail)?];
            for binding in &rule.additional_bindings {
                if !binding.selector.is_empty() || !binding.additional_bindings.is_empty() {
                    return Err(fail("an additional binding has no selector and no bindings of its own".to_owned()));
                }
                bindings.push(binding.rule().map_err(fail)?);
            }
            if rules.insert(format!("{service}/{method}"), bindings).is_some() {
                return Err(fail("there are two rules for this selector; use additional_bindings".to_owned()));
            }
        }
        Ok(Self { rules, fully_decode_reserved_expansion: http.fully_decode_reserved_expansion })
    }

    /// What the configuration says on decoding `%2F` in a variable of several segments, if anything.
    pub(crate) fn fully_decode_reserved_expansion(&self) -> Option<bool> {
        self.fully_decode_reserved_expansion
    }

    /// The rules of a method, `package.Service/Method`.
    pub(super) fn rules(&self, method: &str) -> Option<&[Rule]> {
        self.rules.get(method).map(Vec::as_slice)
    }

    /// The methods that have rules.
    pub(super) fn methods(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(String::as_str)
    }
}

#[derive(Deserialize)]
struct Document {
    http: Option<Http>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Http {
    #[serde(default)]
    rules: Vec<Binding>,
    fully_decode_reserved_expansion: Option<bool>,
}

/// A rule, or one of its additional bindings, which has neither of the first two members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    #[serde(default)]
    selector: String,
    #[serde(default)]
    additional_bindings: Vec<Binding>,
    get: Option<String>,
    put: Option<String>,
    post: Option<String>,
    delete: Option<String>,
    patch: Option<String>,
    custom: Option<Custom>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    response_body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Custom {
    kind: String,
    path: String,
}

impl Binding {
    fn rule(&self) -> Result<Rule, String> {
        let custom = self.custom.as_ref();
        let mut patterns = [
            ("GET", &self.get),
            ("PUT", &self.put),
            ("POST", &self.post),
            ("DELETE", &self.delete),
            ("PATCH", &self.patch),
        ]
        .into_iter()
        .filter_map(|(verb, path)| Some((verb, path.as_deref()?)))
        .chain(custom.map(|custom| (custom.kind.as_str(), custom.path.as_str())));
        match (patterns.next(), patterns.next()) {
            (Some((kind, path)), None) => {
                Rule::new(kind, path.to_owned(), self.body.clone(), self.response_body.clone())
            }
            (None, _) => Err("the HTTP rule has no verb and path".to_owned()),
            _ => Err("the HTTP rule has more than one verb; use additional_bindings".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_misspellings_are_refused() {
        let config = ServiceConfig::parse(
            "type: google.api.Service\nhttp:\n  rules:\n  - selector: a.B.C\n    get: /v1/x\n    additional_bindings:\n    - post: /v1/y\n      body: '*'\n",
        )
        .unwrap();
        assert_eq!(config.rules("a.B/C").unwrap().len(), 2);
        for (yaml, problem) in [
            ("http: {rules: [{selector: a.B.C, gett: /v1/x}]}", "gett"),
            ("http: {rules: [{selector: a.B.C}]}", "no verb"),
            ("http: {rules: [{selector: a.B.C, get: /a, put: /b}]}", "more than one verb"),
            ("http: {rules: [{selector: C, get: /a}]}", "package.Service.Method"),
            ("http: {rules: [{selector: a.B.C, get: /a}, {selector: a.B.C, get: /b}]}", "two rules"),
            ("http: [", "service config"),
        ] {
            let error = ServiceConfig::parse(yaml).unwrap_err().to_string();
            assert!(error.contains(problem), "{yaml}: {error}");
        }
    }
}
