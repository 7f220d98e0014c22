//! Which RPC a verb and a path mean: the `google.api.http` rules of a descriptor pool, compiled.
//!
//! Source of the rules: <https://google.aip.dev/127>. Knows nothing of bodies or transports.

pub(crate) mod field_path;
mod template;
mod tree;

use std::collections::HashMap;
use std::sync::Arc;

use http::Method as Verb;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

use self::field_path::FieldPath;
use self::template::Template;
pub(crate) use self::template::check_escapes;
use self::tree::Tree;
use crate::json::{MessageId, Plans};
use crate::options::{self, ErrorShape};

/// A route table cannot be built: a rule is not well-formed, names a field that is not there, or two rules clash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{method}: {problem}")]
pub struct RouteError {
    method: String,
    problem: String,
}

impl RouteError {
    pub(crate) fn new(method: &str, problem: impl Into<String>) -> Self {
        Self { method: method.to_owned(), problem: problem.into() }
    }
}

/// An RPC, as far as serving it needs to know.
#[derive(Debug)]
pub(crate) struct Method {
    /// `package.Service/Method`.
    full_name: String,
    /// `/package.Service/Method`.
    pub(crate) path: http::uri::PathAndQuery,
    pub(crate) input: MessageId,
    pub(crate) output: MessageId,
    pub(crate) client_streaming: bool,
    pub(crate) server_streaming: bool,
    /// The text of a last event that marks the normal end of a stream.
    pub(crate) terminator: Option<String>,
    pub(crate) error_shape: ErrorShape,
}

impl Method {
    /// `package.Service/Method`.
    pub(crate) fn full_name(&self) -> &str {
        &self.full_name
    }
}

/// Which part of the request message the HTTP body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyPart {
    /// The body is not used.
    None,
    /// The whole message.
    Whole,
    /// One field.
    Field(u16),
}

/// One HTTP binding of an RPC.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Arc<Method>,
    /// The boolean field that selects the streaming method, and that method.
    pub(crate) twin: Option<(u16, Arc<Method>)>,
    pub(crate) body: BodyPart,
    /// Which field of the answer becomes the body; the whole message without.
    pub(crate) response_body: Option<u16>,
    template: Template,
    /// The field each variable of the template fills, in its order.
    variables: Vec<FieldPath>,
}

impl Route {
    /// The variables of `path` (raw, as it came), decoded once: the field and its text.
    ///
    /// `fully` tells whether `%2F` is decoded in a variable of several segments too.
    pub(crate) fn captures(&self, path: &str, fully: bool) -> Result<Vec<(&FieldPath, String)>, template::BadEncoding> {
        let values = self.template.captures(path, fully)?;
        Ok(self.variables.iter().zip(values).collect())
    }

    /// Whether `other` is a route of the streaming twin of this route's method.
    fn has_twin(&self, other: &Route) -> bool {
        self.twin.as_ref().is_some_and(|(_, twin)| Arc::ptr_eq(twin, &other.method))
    }

    /// Whether one of the template's variables fills exactly this field.
    pub(crate) fn binds(&self, path: &FieldPath) -> bool {
        self.variables.iter().any(|variable| variable.overlaps(path))
    }
}

/// What a verb and a path turned out to be.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Route(&'a Arc<Route>),
    /// The path is known, under these verbs.
    WrongVerb(Vec<Verb>),
    Nothing,
}

/// Every RPC and every route of a descriptor pool.
#[derive(Debug)]
pub(crate) struct Routes {
    methods: HashMap<String, Arc<Method>>,
    tree: Tree,
}

impl Routes {
    /// Compiles the rules of every service in `pool`.
    pub(crate) fn compile(pool: &DescriptorPool, plans: &Plans) -> Result<Self, RouteError> {
        let mut methods = HashMap::new();
        for descriptor in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let method = method(&descriptor, plans)?;
            methods.insert(method.path.as_str().to_owned(), Arc::new(method));
        }
        let mut tree = Tree::default();
        for descriptor in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            if let Some(rule) = options::http_rule(&descriptor) {
                for route in bindings(&descriptor, &rule, &methods, plans)? {
                    tree.insert(route)?;
                }
            }
        }
        Ok(Self { methods, tree })
    }

    /// The RPC of this path, such as `/package.Service/Method`.
    pub(crate) fn method(&self, path: &str) -> Option<&Arc<Method>> {
        self.methods.get(path)
    }

    /// The route of a verb and a raw path.
    pub(crate) fn find(&self, verb: &Verb, path: &str) -> Found<'_> {
        self.tree.find(verb, path)
    }

    /// The error shape of the first service with routes: what a request that matches nothing is answered in.
    pub(crate) fn error_shape(&self) -> ErrorShape {
        self.tree.first().map(|route| route.method.error_shape).unwrap_or_default()
    }
}

fn method(descriptor: &MethodDescriptor, plans: &Plans) -> Result<Method, RouteError> {
    let service = descriptor.parent_service();
    let full_name = format!("{}/{}", service.full_name(), descriptor.name());
    let message = |name: &str| {
        plans.message(name).ok_or_else(|| RouteError::new(&full_name, format!("the message {name} is not known")))
    };
    let path = format!("/{full_name}");
    Ok(Method {
        input: message(descriptor.input().full_name())?,
        output: message(descriptor.output().full_name())?,
        path: path.parse().map_err(|_| RouteError::new(&full_name, "the name is not a path"))?,
        client_streaming: descriptor.is_client_streaming(),
        server_streaming: descriptor.is_server_streaming(),
        terminator: options::method(descriptor).terminator,
        error_shape: options::service_error_shape(service),
        full_name,
    })
}

/// The routes of one rule: its own and its additional bindings.
fn bindings(
    descriptor: &MethodDescriptor,
    rule: &DynamicMessage,
    methods: &HashMap<String, Arc<Method>>,
    plans: &Plans,
) -> Result<Vec<(Option<Verb>, Route)>, RouteError> {
    let service = descriptor.parent_service();
    let name = format!("{}/{}", service.full_name(), descriptor.name());
    let fail = |problem: String| RouteError::new(&name, problem);
    let lookup = |method: &str| methods.get(&format!("/{}/{method}", service.full_name())).cloned();
    let Some(method) = lookup(descriptor.name()) else {
        return Err(fail("the RPC is not known".into()));
    };
    let twin = match options::method(descriptor).stream_twin {
        None => None,
        Some((field, twin)) => {
            let twin = lookup(&twin).ok_or_else(|| fail(format!("stream_twin names {twin}, which is not there")))?;
            if twin.input != method.input || !twin.server_streaming || method.server_streaming {
                return Err(fail(format!(
                    "stream_twin: {} must take the same request and stream its answer",
                    twin.full_name
                )));
            }
            let index = plans
                .field(method.input, &field)
                .ok_or_else(|| fail(format!("stream_twin names the field {field}, which is not there")))?;
            Some((index, twin))
        }
    };
    let mut rules = vec![rule.clone()];
    if let Some(Value::List(more)) = rule.get_field_by_name("additional_bindings").as_deref() {
        rules.extend(more.iter().filter_map(|rule| rule.as_message().cloned()));
    }
    let mut routes = Vec::with_capacity(rules.len());
    for rule in &rules {
        let (verb, path) = pattern(rule).ok_or_else(|| fail("the HTTP rule has no verb and path".into()))?;
        let template = Template::parse(&path).map_err(|problem| fail(format!("{path}: {problem}")))?;
        let mut variables = Vec::new();
        for variable in template.variables() {
            let field = FieldPath::resolve(plans, method.input, variable)
                .map_err(|problem| fail(format!("{path}: {problem}")))?;
            if !field.is_scalar(plans) {
                return Err(fail(format!("{path}: {variable} is not a single scalar")));
            }
            variables.push(field);
        }
        let body = match text(rule, "body").as_str() {
            "" => BodyPart::None,
            "*" => BodyPart::Whole,
            field => BodyPart::Field(
                plans.field(method.input, field).ok_or_else(|| fail(format!("body: {field} is not a field")))?,
            ),
        };
        let response_body = match text(rule, "response_body").as_str() {
            "" => None,
            field => Some(
                plans
                    .field(method.output, field)
                    .ok_or_else(|| fail(format!("response_body: {field} is not a field")))?,
            ),
        };
        if method.client_streaming {
            return Err(fail("a client-streaming RPC cannot have an HTTP rule".into()));
        }
        routes.push((
            verb,
            Route { method: method.clone(), twin: twin.clone(), body, response_body, template, variables },
        ));
    }
    Ok(routes)
}

/// The verb (`None` for any) and the path template of a rule.
fn pattern(rule: &DynamicMessage) -> Option<(Option<Verb>, String)> {
    for (field, verb) in
        [("get", Verb::GET), ("put", Verb::PUT), ("post", Verb::POST), ("delete", Verb::DELETE), ("patch", Verb::PATCH)]
    {
        if rule.has_field_by_name(field) {
            return Some((Some(verb), text(rule, field)));
        }
    }
    if !rule.has_field_by_name("custom") {
        return None;
    }
    let custom = rule.get_field_by_name("custom")?;
    let custom = custom.as_message()?;
    let kind = text(custom, "kind");
    let verb = if kind == "*" { None } else { Some(Verb::from_bytes(kind.as_bytes()).ok()?) };
    Some((verb, text(custom, "path")))
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
