//! Which RPC a verb and a path mean: the `google.api.http` rules of a descriptor pool, compiled.
//!
//! Source of the rules: <https://google.aip.dev/127>. Knows nothing of bodies or transports.

mod event_fields;
pub(crate) mod field_path;
mod rule;
mod segment_hash;
#[cfg(feature = "service-config")]
mod service_config;
mod template;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use http::Method as Verb;
use prost_reflect::{DescriptorPool, MethodDescriptor};

pub(crate) use self::event_fields::EventFields;
use self::field_path::FieldPath;
use self::rule::Rule;
#[cfg(feature = "service-config")]
pub use self::service_config::ServiceConfig;
use self::template::Template;
pub(crate) use self::template::{Piece, check_escapes};
use self::tree::Tree;
use crate::admission::Gauge;
use crate::json::{MessageId, Plans};
use crate::limits::Limits;
use crate::options::{self, ErrorShape};

/// The message that is carried over HTTP as its bytes alone.
pub(crate) const HTTP_BODY: &str = "google.api.HttpBody";

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

/// The event that marks the normal end of a stream of server-sent events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// One called `end`.
    Named,
    /// One with this text for data.
    Text(String),
    /// The last message says so itself.
    None,
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
    pub(crate) end: StreamEnd,
    /// Whether the body may be a form too, where that differs from the server's policy.
    pub(crate) accept_forms: Option<bool>,
    /// What its events carry beside their data.
    pub(crate) event_fields: EventFields,
    /// Whether the answer is a `google.api.HttpBody`.
    pub(crate) http_body: bool,
    pub(crate) error_shape: ErrorShape,
    /// The scopes that a caller must have been granted.
    scopes: Vec<String>,
    /// Whether nobody has to say who they are.
    public: bool,
    pub(crate) limits: Limits,
    /// The calls that are open, where their number is limited.
    pub(crate) open: Option<Gauge>,
}

impl Method {
    /// `package.Service/Method`.
    pub(crate) fn full_name(&self) -> &str {
        &self.full_name
    }
}

/// Who may call an RPC, as its options declare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access<'a> {
    /// The path of the RPC as a gRPC request, `/package.Service/Method`: what layers behind the edge see, whatever the
    /// protocol.
    pub path: &'a str,
    /// The scopes that a caller must have been granted, all of them. Neither these nor `public`: nothing is declared.
    pub scopes: &'a [String],
    /// Whether nobody has to say who they are.
    pub public: bool,
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
    /// The number of that field where it is a `google.api.HttpBody`.
    pub(crate) http_body_field: Option<u32>,
    /// The HTTP verb; any without.
    pub(crate) verb: Option<Verb>,
    /// The path template as it was written.
    pub(crate) path: Box<str>,
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

    /// The pieces of the template, and its `:verb`.
    pub(crate) fn template(&self) -> (&[Piece], Option<&str>) {
        (&self.template.pieces, self.template.verb.as_deref())
    }

    /// The variables: the field each fills, and which pieces of the template it spans.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&FieldPath, Range<usize>)> {
        self.variables.iter().zip(self.template.spans())
    }

    /// Whether one of the template's variables fills exactly this field.
    pub(crate) fn binds(&self, path: &FieldPath) -> bool {
        self.variables.iter().any(|variable| variable.overlaps(path))
    }
}

/// One HTTP route, for lists of what is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo<'a> {
    /// The HTTP verb; any without.
    pub verb: Option<&'a Verb>,
    /// The path template, as `google.api.http` writes it.
    pub path: &'a str,
    /// `package.Service/Method`.
    pub method: &'a str,
}

impl Route {
    pub(crate) fn info(&self) -> RouteInfo<'_> {
        RouteInfo { verb: self.verb.as_ref(), path: &self.path, method: self.method.full_name() }
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

/// Where rules come from besides the annotations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// Rules that take the place of annotations.
    #[cfg(feature = "service-config")]
    pub(crate) service_config: ServiceConfig,
    /// Whether a method without a rule is served at `POST /package.Service/Method`.
    pub(crate) default_routes: bool,
    /// The limits of every method.
    pub(crate) limits: Limits,
    /// The limits of single methods, `package.Service/Method`.
    pub(crate) overrides: HashMap<String, Limits>,
}

impl Sources {
    /// The rules of a method; none where it is not served over HTTP.
    fn rules(&self, descriptor: &MethodDescriptor, name: &str) -> Result<Vec<Rule>, RouteError> {
        #[cfg(feature = "service-config")]
        if let Some(rules) = self.service_config.rules(name) {
            return Ok(rules.to_vec());
        }
        match options::http_rule(descriptor) {
            Some(rule) => Rule::all(&rule).map_err(|problem| RouteError::new(name, problem)),
            None if self.default_routes => Ok(vec![Rule::default_of(&format!("/{name}"))]),
            None => Ok(Vec::new()),
        }
    }

    /// A rule or a limit for a method that is not there is a misspelling.
    fn check(&self, methods: &HashMap<String, Arc<Method>>) -> Result<(), RouteError> {
        let names = self.overrides.keys().map(|name| (name.as_str(), "limits are given for"));
        #[cfg(feature = "service-config")]
        let names = names.chain(self.service_config.methods().map(|name| (name, "the service config has a rule for")));
        for (name, what) in names {
            if !methods.contains_key(&format!("/{name}")) {
                return Err(RouteError::new(name, format!("{what} this method, which is not there")));
            }
        }
        Ok(())
    }
}

impl Routes {
    /// Compiles the rules of every service in `pool`.
    pub(crate) fn compile(pool: &DescriptorPool, plans: &Plans, sources: &Sources) -> Result<Self, RouteError> {
        let descriptors: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
        let mut methods = HashMap::new();
        for descriptor in &descriptors {
            let method = method(descriptor, plans, sources)?;
            methods.insert(method.path.as_str().to_owned(), Arc::new(method));
        }
        sources.check(&methods)?;
        let mut tree = Tree::default();
        for descriptor in &descriptors {
            for route in bindings(descriptor, &methods, plans, sources)? {
                tree.insert(route)?;
            }
        }
        Ok(Self { methods, tree })
    }

    /// Who may call what, in no order.
    pub(crate) fn access(&self) -> impl Iterator<Item = Access<'_>> {
        let methods = self.methods.values();
        methods.map(|method| Access { path: method.path.as_str(), scopes: &method.scopes, public: method.public })
    }

    /// Every route, in the order of the descriptors.
    pub(crate) fn all(&self) -> &[Arc<Route>] {
        self.tree.all()
    }

    /// The route of a streaming RPC on this raw path, under whatever verb: what a WebSocket is for.
    ///
    /// Where the path is a unary method's with a streaming twin, it is the unary method's route.
    pub(crate) fn socket(&self, path: &str) -> Option<&Arc<Route>> {
        self.tree.find_any(path, |route| {
            route.method.client_streaming || route.method.server_streaming || route.twin.is_some()
        })
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
        let mut shapes = self.tree.all().iter().map(|route| route.method.error_shape);
        // OAuth 2.0's is for its own endpoints alone.
        shapes.find(|shape| *shape != ErrorShape::OAuth2).unwrap_or_default()
    }
}

fn method(descriptor: &MethodDescriptor, plans: &Plans, sources: &Sources) -> Result<Method, RouteError> {
    let service = descriptor.parent_service();
    let full_name = format!("{}/{}", service.full_name(), descriptor.name());
    let message = |name: &str| {
        plans.message(name).ok_or_else(|| RouteError::new(&full_name, format!("the message {name} is not known")))
    };
    let path = format!("/{full_name}");
    let limits = sources.overrides.get(&full_name).cloned().unwrap_or_else(|| sources.limits.of(descriptor));
    let output = message(descriptor.output().full_name())?;
    let options = options::method(descriptor);
    if options.openapi.public && !options.openapi.scopes.is_empty() {
        return Err(RouteError::new(&full_name, "openapi: a method that is public asks for no scopes"));
    }
    let event_fields =
        EventFields::resolve(plans, output, &options.stream).map_err(|problem| RouteError::new(&full_name, problem))?;
    Ok(Method {
        open: limits.max_open.map(Gauge::new),
        limits,
        input: message(descriptor.input().full_name())?,
        output,
        path: path.parse().map_err(|_| RouteError::new(&full_name, "the name is not a path"))?,
        client_streaming: descriptor.is_client_streaming(),
        server_streaming: descriptor.is_server_streaming(),
        end: match options.terminator {
            Some(text) => StreamEnd::Text(text),
            None if options.stream.no_end_event => StreamEnd::None,
            None => StreamEnd::Named,
        },
        accept_forms: options.accept_forms,
        event_fields,
        http_body: plans.name(output) == HTTP_BODY,
        error_shape: options::service_error_shape(service),
        scopes: options.openapi.scopes,
        public: options.openapi.public,
        full_name,
    })
}

/// The routes of one method, one for each binding of its rule.
fn bindings(
    descriptor: &MethodDescriptor,
    methods: &HashMap<String, Arc<Method>>,
    plans: &Plans,
    sources: &Sources,
) -> Result<Vec<Route>, RouteError> {
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
            // Layers see the unary method's path: the body that tells the two apart has not been read then.
            if (&twin.scopes, twin.public) != (&method.scopes, method.public) {
                return Err(fail(format!("stream_twin: {} must be open to the same callers", twin.full_name)));
            }
            let index = plans
                .field(method.input, &field)
                .ok_or_else(|| fail(format!("stream_twin names the field {field}, which is not there")))?;
            Some((index, twin))
        }
    };
    let rules = sources.rules(descriptor, &name)?;
    let mut routes = Vec::with_capacity(rules.len());
    for Rule { verb, path, body, response_body } in rules {
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
        let body = match body.as_str() {
            "" => BodyPart::None,
            "*" => BodyPart::Whole,
            field => BodyPart::Field(
                plans.field(method.input, field).ok_or_else(|| fail(format!("body: {field} is not a field")))?,
            ),
        };
        let response_body = match response_body.as_str() {
            "" => None,
            field => Some(
                plans
                    .field(method.output, field)
                    .ok_or_else(|| fail(format!("response_body: {field} is not a field")))?,
            ),
        };
        let http_body_field = response_body
            .filter(|&field| !plans.is_repeated(method.output, field))
            .filter(|&field| plans.child(method.output, field).is_some_and(|child| plans.name(child) == HTTP_BODY))
            .map(|field| plans.field_number(method.output, field));
        if method.client_streaming && body == BodyPart::None {
            return Err(fail(format!("{path}: a client-streaming RPC takes its messages from the body: set `body`")));
        }
        let (method, twin, path) = (method.clone(), twin.clone(), path.into());
        routes.push(Route { method, twin, body, response_body, http_body_field, verb, path, template, variables });
    }
    Ok(routes)
}
