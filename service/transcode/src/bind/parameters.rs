//! Parameters: texts that name a field and give it a value, from a query, a form or the path.
//!
//! Names are field paths (`a.b`), of proto or JSON names; a list is said by repeating its name, an entry of a map by
//! `name[key]`, a `google.protobuf.Struct`, `Value` or `ListValue` by its JSON. The order is body, query, path, and
//! nothing is ever overridden: a second value for a field, or a second member of a oneof, is refused wherever the first
//! one came from. Where the body is the whole message (`body: "*"`), google/api/http.proto leaves nothing for the query:
//! any parameter is unknown then. Unknown ones are refused or ignored as [`Config`](crate::Config) says.

use std::collections::HashSet;

use http::Uri;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::merge::{coalesce, rival};
use crate::json::MessageId;
use crate::json::ReadError;
use crate::route::field_path::{FieldPath, Shape};
use crate::route::{BodyPart, Route};
use crate::transcoder::{Shared, UnknownQuery};

/// How many violations are listed before the rest is no longer looked at.
const MAX_VIOLATIONS: usize = 16;

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Query,
    /// The body; names are relative to what the body is.
    Form,
}

/// What is set once: a field, or an entry of a map.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Target {
    steps: Box<[(MessageId, u16)]>,
    key: Option<Box<str>>,
}

/// What the parameters of one request have said so far.
#[derive(Debug, Default)]
pub(super) struct Given {
    targets: HashSet<Target>,
    count: usize,
    /// Whether something was put into a message within the message.
    nested: bool,
}

/// Binds the parameters of one request.
pub(super) struct Parameters<'a> {
    shared: &'a Shared,
    route: &'a Route,
    /// Where the message begins in its buffer.
    start: usize,
    given: Given,
    violations: Vec<FieldViolation>,
}

impl<'a> Parameters<'a> {
    pub(super) fn new(shared: &'a Shared, route: &'a Route, start: usize) -> Self {
        Self::resume(shared, route, start, Given::default())
    }

    /// Goes on where [`Self::pause`] left off.
    pub(super) fn resume(shared: &'a Shared, route: &'a Route, start: usize, given: Given) -> Self {
        Self { shared, route, start, given, violations: Vec::new() }
    }

    /// Binds the query of a URI, then the variables of its path.
    pub(super) fn uri(&mut self, uri: &Uri, message: &mut Vec<u8>) -> Result<(), Status> {
        if let Some(query) = uri.query() {
            self.pairs(Source::Query, query, message)?;
        }
        let captures = self
            .route
            .captures(uri.path(), self.shared.config.fully_decode_reserved_expansion)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        for (path, text) in captures {
            self.variable(path, &text, message)?;
        }
        Ok(())
    }

    /// Binds the pairs of a query or a form: `name=value&name=value`.
    pub(super) fn pairs(&mut self, source: Source, pairs: &str, message: &mut Vec<u8>) -> Result<(), Status> {
        for pair in pairs.split('&').filter(|pair| !pair.is_empty()) {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            self.text(source, &decode(name)?, &decode(text)?, message)?;
        }
        Ok(())
    }

    /// Binds one text. What is wrong with it is kept for [`Self::finish`], unless it is too much.
    pub(super) fn text(&mut self, source: Source, name: &str, text: &str, message: &mut Vec<u8>) -> Result<(), Status> {
        match self.locate(source, name) {
            Ok(Some((path, key))) => self.located(path, key, text, message),
            Ok(None) => Ok(()),
            Err(problem) => self.refuse(name, problem),
        }
    }

    /// Binds one text to the field that its name was found to mean.
    pub(super) fn located(
        &mut self,
        path: FieldPath,
        key: Option<&str>,
        text: &str,
        message: &mut Vec<u8>,
    ) -> Result<(), Status> {
        match self.set(path, key, text, message) {
            Ok(()) => Ok(()),
            Err((field, problem)) => self.refuse(&field, problem),
        }
    }

    /// Binds the JSON of a field.
    pub(super) fn json(&mut self, path: &FieldPath, json: &[u8], message: &mut Vec<u8>) -> Result<(), Status> {
        let Some((&(owner, field), through)) = path.steps.split_last() else {
            return Ok(());
        };
        if let Err((field, problem)) = self.claim(path, None, false, message) {
            return self.refuse(&field, problem);
        }
        let mut value = Vec::new();
        match self.shared.plans.read_field(owner, field, json, self.route.method.limits.json, &mut value) {
            Ok(()) => self.append(through, value, message),
            Err(error) => {
                let parent = path.text.rsplit_once('.').map_or(String::new(), |(parent, _)| format!("{parent}."));
                self.refuse(&format!("{parent}{}", error.field_path()), error.message().to_owned())?;
            }
        }
        Ok(())
    }

    /// The field that a name means, and the key in a map; `None` where the name is to be ignored.
    pub(super) fn locate<'n>(
        &mut self,
        source: Source,
        name: &'n str,
    ) -> Result<Option<(FieldPath, Option<&'n str>)>, String> {
        self.given.count += 1;
        if self.given.count > self.shared.config.max_parameters {
            return Err(format!("is one parameter too many: {} are accepted", self.shared.config.max_parameters));
        }
        let plans = &self.shared.plans;
        let input = self.route.method.input;
        let (field, key) = match name.split_once('[') {
            Some((field, key)) => (field, Some(key)),
            None => (name, None),
        };
        let resolved = match (source, self.route.body) {
            (Source::Query, BodyPart::Whole) => Err(String::new()),
            (Source::Form, BodyPart::Field(body)) => {
                FieldPath::resolve(plans, input, &format!("{}.{field}", plans.field_name(input, body)))
            }
            _ => FieldPath::resolve(plans, input, field),
        };
        let Ok(path) = resolved else {
            let config = &self.shared.config;
            if config.unknown_query == UnknownQuery::Ignore || config.ignored_query.iter().any(|known| known == name) {
                return Ok(None);
            }
            return Err(match source {
                Source::Query => "is not a query parameter of this method".to_owned(),
                Source::Form => "is not a field of this form".to_owned(),
            });
        };
        if source == Source::Query {
            if self.route.binds(&path) {
                return Err("is given by the path".to_owned());
            }
            if matches!((self.route.body, path.steps.first()), (BodyPart::Field(body), Some(&(_, first))) if body == first)
            {
                return Err("is given by the body".to_owned());
            }
        }
        match key.map(|key| key.strip_suffix(']')) {
            None => Ok(Some((path, None))),
            Some(Some(key)) => Ok(Some((path, Some(key)))),
            Some(None) => Err("has a `[` without a `]` at its end".to_owned()),
        }
    }

    /// Sets a field to what a text says. An error is the field and the problem.
    fn set(
        &mut self,
        path: FieldPath,
        key: Option<&str>,
        text: &str,
        message: &mut Vec<u8>,
    ) -> Result<(), (String, String)> {
        let plans = &self.shared.plans;
        let fail = |problem: &str| Err((path.text.to_string(), problem.to_owned()));
        let shape = path.shape(plans);
        match (shape, key) {
            (Shape::Single | Shape::List, None) | (Shape::Map, Some(_)) => {}
            (Shape::Map, None) => return fail("is a map: name an entry, as in `map[key]=value`"),
            (Shape::Message, _) => return fail("is a message: name its fields, as in `message.field=value`"),
            (Shape::Messages, _) => return fail("holds messages, which a parameter cannot say"),
            (Shape::Single | Shape::List, Some(_)) => return fail("is not a map"),
        }
        self.claim(&path, key, shape == Shape::List, message)?;
        let Some((&(owner, field), through)) = path.steps.split_last() else {
            return Ok(());
        };
        let mut value = Vec::new();
        match key {
            None => plans.read_text(owner, field, text, &mut value),
            Some(key) => plans.read_entry(owner, field, key, text, &mut value),
        }
        .map_err(|error: ReadError| (named(&path, key), error.message().to_owned()))?;
        self.append(through, value, message);
        Ok(())
    }

    /// Notes that a field is set; it must not be set already, nor another member of its oneof.
    pub(super) fn claim(
        &mut self,
        path: &FieldPath,
        key: Option<&str>,
        list: bool,
        message: &[u8],
    ) -> Result<(), (String, String)> {
        let plans = &self.shared.plans;
        if let Some(rival) = rival(plans, &path.steps, &message[self.start..]) {
            return Err((named(path, key), format!("cannot be set beside `{rival}`: only one of them may be")));
        }
        if !list && !self.given.targets.insert(Target { steps: path.steps.clone(), key: key.map(Into::into) }) {
            return Err((named(path, key), "is given twice".to_owned()));
        }
        Ok(())
    }

    /// Appends a field in the messages that lead to it.
    pub(super) fn append(&mut self, through: &[(MessageId, u16)], mut field: Vec<u8>, message: &mut Vec<u8>) {
        self.given.nested |= !through.is_empty();
        for &(owner, index) in through.iter().rev() {
            field = self.shared.plans.nested(owner, index, &field);
        }
        message.extend_from_slice(&field);
    }

    /// Binds a variable of the path. Where the message has the field already with another value, it is a conflict.
    pub(super) fn variable(&mut self, path: &FieldPath, text: &str, message: &mut Vec<u8>) -> Result<(), Status> {
        let plans = &self.shared.plans;
        let Some((&(owner, field), through)) = path.steps.split_last() else {
            return Ok(());
        };
        let mut own = Vec::new();
        if let Err(error) = plans.read_text(owner, field, text, &mut own) {
            return self.refuse(&path.text, error.message().to_owned());
        }
        if let Some(rival) = rival(plans, &path.steps, &message[self.start..]) {
            return self.refuse(&path.text, format!("is given by the path, and cannot be set beside `{rival}`"));
        }
        if let Some(present) = plans.value_at(&path.steps, &message[self.start..])
            && plans.value_at(&path.steps[path.steps.len() - 1..], &own) != Some(present)
        {
            return self.refuse(&path.text, "the body gives another value than the path".to_owned());
        }
        self.append(through, own, message);
        Ok(())
    }

    /// Keeps a violation; an error once there are too many of them.
    pub(super) fn refuse(&mut self, field: &str, problem: String) -> Result<(), Status> {
        // A name is a stranger's text: as much of it as tells them what is meant.
        let field: String = if field.is_empty() { "\"\"".to_owned() } else { field.chars().take(200).collect() };
        self.violations.push(FieldViolation::new(field, problem));
        let too_many = self.given.count > self.shared.config.max_parameters || self.violations.len() >= MAX_VIOLATIONS;
        if too_many { Err(self.status()) } else { Ok(()) }
    }

    /// INVALID_ARGUMENT with every violation as a detail, if there was one; leaves the message in one piece.
    pub(super) fn finish(self, message: &mut Vec<u8>) -> Result<Given, Status> {
        let (shared, route, start) = (self.shared, self.route, self.start);
        let mut given = self.pause()?;
        if std::mem::take(&mut given.nested) {
            let mut whole = Vec::with_capacity(message.len() - start);
            coalesce(&shared.plans, route.method.input, &message[start..], &mut whole);
            message.truncate(start);
            message.extend_from_slice(&whole);
        }
        Ok(given)
    }

    /// The same, but leaves the message as it is, for more to come.
    pub(super) fn pause(mut self) -> Result<Given, Status> {
        if self.violations.is_empty() { Ok(self.given) } else { Err(self.status()) }
    }

    fn status(&mut self) -> Status {
        let violations = std::mem::take(&mut self.violations);
        let mut text = String::new();
        if let Some(first) = violations.first() {
            text = format!("{}: {}", first.field, first.description);
        }
        if violations.len() > 1 {
            text.push_str(&format!(" (and {} more)", violations.len() - 1));
        }
        Status::with_error_details(Code::InvalidArgument, text, ErrorDetails::with_bad_request(violations))
    }
}

/// The field path of a parameter, for an error.
fn named(path: &FieldPath, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("{}[{key:?}]", path.text),
        None => path.text.to_string(),
    }
}

/// A name or a value of a query: `+` is a space, and each escape is decoded once.
fn decode(text: &str) -> Result<String, Status> {
    let bad = || Status::invalid_argument("a parameter is not percent-encoded UTF-8");
    crate::route::check_escapes(text).map_err(|_| bad())?;
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().map(Into::into).map_err(|_| bad())
}
