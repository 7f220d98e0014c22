//! Validation: the `buf.validate` rules in the protos, held for every message that passes the gate.
//!
//! The standard rules are compiled at start-up onto the plans of the messages and checked in one walk over the wire
//! bytes, without decoding them. A message type with a rule that is an expression (CEL, or a predefined rule) is left to
//! an [`Engine`], together with everything below it. A rule that nobody here can enforce is an error at start-up.
//!
//! Semantics, rule ids and the order of violations are those of protovalidate (<https://protovalidate.com>). The texts
//! are this crate's own. Knows nothing of HTTP or gRPC but the [`Status`] in which it says no.

mod canonical;
mod compile;
mod form;
mod number;
mod octets;
mod path;
mod pattern;
mod rules;
mod text;
mod walk;
mod well_known;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::sync::Arc;

use prost_reflect::DescriptorPool;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use self::path::OneofNames;
use self::rules::Rules;
use self::walk::{Stop, Walk};
use crate::json::{MessageId, PlanError, Plans};

/// How many violations of one message are reported; a walk ends there.
const VIOLATION_LIMIT: usize = 100;

/// A validation rule does not fit its element, or cannot be enforced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{element}: {problem}")]
pub struct RuleError {
    element: String,
    problem: String,
}

impl RuleError {
    pub(crate) fn new(element: &str, problem: &str) -> Self {
        Self { element: element.to_owned(), problem: problem.to_owned() }
    }
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where, as a caller sees the message: `items[2].name`, `labels["k"]`; empty where the message as a whole is meant.
    /// Names are those of the proto file. A union that is one member in JSON is called by the oneof's name.
    pub field: String,
    /// Where, as protovalidate spells it: every field on the way. The same as `field`, where no `transcode.v1` option
    /// makes a document of another shape than its message.
    pub path: String,
    /// Which rule: `string.min_len`, or the id of an expression.
    pub rule: String,
    /// What is wrong, without the path.
    pub description: String,
}

/// Enforces rules that are expressions; see [`Violation::path`] for how it spells paths.
pub trait Engine: fmt::Debug + Send + Sync {
    /// Makes the rules of a message type ready, so that a wrong expression is found at start-up.
    ///
    /// # Errors
    /// When a rule cannot be compiled: what is wrong with it.
    fn prepare(&self, message: &str) -> Result<(), String>;

    /// Everything that is wrong with the message of the type `message` (a full name) in `wire`.
    ///
    /// # Errors
    /// When a rule cannot be evaluated: why.
    fn violations(&self, message: &str, wire: &[u8]) -> Result<Vec<Violation>, String>;
}

/// Validates messages of a descriptor set.
#[derive(Debug)]
pub struct Validator {
    plans: Arc<Plans>,
    rules: Rules,
    oneof_names: OneofNames,
    engine: Option<Arc<dyn Engine>>,
}

impl Validator {
    /// Compiles the rules in an encoded `google.protobuf.FileDescriptorSet`, imports included, for the messages named in
    /// `messages`, and what they lead to.
    ///
    /// # Errors
    /// When the set is not readable, a rule does not fit its field, or a rule needs an engine and there is none.
    pub fn new(
        descriptor_set: &[u8],
        messages: &[&str],
        engine: Option<Arc<dyn Engine>>,
    ) -> Result<Self, crate::BuildError> {
        let pool = DescriptorPool::decode(descriptor_set)
            .map_err(|error| PlanError::new("descriptor set", &error.to_string()))?;
        let plans = Arc::new(Plans::from_pool(&pool, false)?);
        let ids = messages.iter().filter_map(|name| plans.message(name)).collect::<Vec<_>>();
        Ok(Self::compile(&pool, plans, ids.into_iter(), engine)?)
    }

    /// The same from what a transcoder has already; `roots` are the requests.
    pub(crate) fn compile(
        pool: &DescriptorPool,
        plans: Arc<Plans>,
        roots: impl Iterator<Item = MessageId>,
        engine: Option<Arc<dyn Engine>>,
    ) -> Result<Self, RuleError> {
        let compiled = compile::compile(pool, &plans)?;
        for (message, element) in compiled.left_to_engine(roots) {
            let Some(engine) = &engine else {
                let problem =
                    "its validation rule is an expression; expressions need the crate feature `protovalidate`";
                return Err(RuleError::new(element, problem));
            };
            engine.prepare(plans.name(message)).map_err(|problem| RuleError::new(element, &problem))?;
        }
        let compile::Compiled { rules, oneof_names, .. } = compiled;
        Ok(Self { plans, rules, oneof_names, engine })
    }

    /// The plans whose messages are validated.
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// Everything that is wrong with the message in `wire`, up to 100 violations.
    ///
    /// # Errors
    /// When the bytes are not such a message, or an expression cannot be evaluated: INVALID_ARGUMENT, INTERNAL.
    pub fn violations(&self, message: MessageId, wire: &[u8]) -> Result<Vec<Violation>, Status> {
        if self.rules.of(message).is_none() {
            return Ok(Vec::new());
        }
        match self.walk(message, wire) {
            Err(Stop::Twice) => {
                let merged = canonical::canonical(&self.plans, message, wire, 0);
                merged.and_then(|wire| self.walk(message, &wire))
            }
            walked => walked,
        }
        .map_err(|stop| match stop {
            Stop::Engine(problem) => Status::internal(format!("the request cannot be validated: {problem}")),
            Stop::Malformed | Stop::Twice | Stop::Full => {
                Status::invalid_argument("the bytes are not a well-formed protobuf message")
            }
        })
    }

    fn walk(&self, message: MessageId, wire: &[u8]) -> Result<Vec<Violation>, Stop> {
        let mut walk = Walk::new(&self.plans, &self.rules, self.engine.as_deref());
        match walk.message(message, wire, 0) {
            Ok(()) | Err(Stop::Full) => {}
            Err(stop) => return Err(stop),
        }
        let mut found = walk.found;
        found.sort_by(|one, other| one.steps.cmp(&other.steps));
        found.truncate(VIOLATION_LIMIT);
        let violations = found.into_iter().map(|found| {
            let (mut field, mut path) = path::spell(&self.plans, &self.oneof_names, &found.steps);
            for path in [&mut field, &mut path].into_iter().filter(|_| !found.rest.is_empty()) {
                if !path.is_empty() && !found.rest.starts_with('[') {
                    path.push('.');
                }
                path.push_str(&found.rest);
            }
            Violation { field, path, rule: found.rule, description: found.problem }
        });
        Ok(violations.collect())
    }

    /// Refuses a message that breaks rules: INVALID_ARGUMENT, with each violation in a `google.rpc.BadRequest`.
    ///
    /// # Errors
    /// Also as [`Validator::violations`].
    pub fn validate(&self, message: MessageId, wire: &[u8]) -> Result<(), Status> {
        let violations = self.violations(message, wire)?;
        if violations.is_empty() { Ok(()) } else { Err(status(violations)) }
    }

    /// The same for one message of a stream, whose index stands before each path: `[3].name`.
    pub(crate) fn validate_item(&self, message: MessageId, wire: &[u8], index: u64) -> Result<(), Status> {
        let mut violations = self.violations(message, wire)?;
        for violation in &mut violations {
            let dot = if violation.field.is_empty() || violation.field.starts_with('[') { "" } else { "." };
            violation.field = format!("[{index}]{dot}{}", violation.field);
        }
        if violations.is_empty() { Ok(()) } else { Err(status(violations)) }
    }
}

/// The message names the first violation; the details name all, each with its rule as the reason.
fn status(violations: Vec<Violation>) -> Status {
    let mut message = match violations.first() {
        Some(first) if first.field.is_empty() => first.description.clone(),
        Some(first) => format!("{}: {}", first.field, first.description),
        None => String::new(),
    };
    if violations.len() > 1 {
        message.push_str(&format!(" (and {} more)", violations.len() - 1));
    }
    let fields = violations.into_iter().map(|violation| FieldViolation {
        field: violation.field,
        description: violation.description,
        reason: violation.rule,
        localized_message: None,
    });
    Status::with_error_details(
        Code::InvalidArgument,
        message,
        ErrorDetails::with_bad_request(fields.collect::<Vec<_>>()),
    )
}
