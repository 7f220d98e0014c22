//! Routes as operations: one for each binding of each method.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use super::about::About;
use super::answers;
use super::bodies;
use super::document::{Operation, OrReference, Parameter, PathItem, Requirement, ResponseHeader, Tag};
use super::failures::{Failures, When};
use super::messages::Messages;
use super::names::Direction;
use super::ordered::Ordered;
use super::paths::Paths;
use super::{Version, query};
use crate::deadline::TIMEOUT_HEADER;
use crate::options::{self, OpenApi};
use crate::route::{BodyPart, Route};
use crate::transcoder::Shared;

/// The verbs that a path item has a member for, as OpenAPI spells them.
const VERBS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Since 3.2.
const QUERY: &str = "query";

pub(super) const LAST_EVENT_ID: &str = "last-event-id";

/// Makes operations.
pub(super) struct Operations<'a> {
    pub(super) about: &'a About,
    pub(super) shared: &'a Shared,
    pub(super) messages: Messages<'a>,
    pub(super) failures: Failures,
    /// The headers of every answer.
    pub(super) headers: Ordered<OrReference<ResponseHeader>>,
    paths: Paths,
    services: HashMap<String, String>,
    bindings: HashMap<String, usize>,
    /// Full names of services, in the order in which they are met.
    tagged: Vec<(String, Option<ServiceDescriptor>)>,
}

/// A route that is described, with the descriptors of its methods.
pub(super) struct Described<'a> {
    pub(super) route: &'a Arc<Route>,
    pub(super) method: MethodDescriptor,
    pub(super) openapi: OpenApi,
    /// The method that streams on the same route.
    pub(super) twin: Option<(MethodDescriptor, OpenApi)>,
}

impl<'a> Described<'a> {
    /// Of all routes, those that the documents describe.
    pub(super) fn all(shared: &'a Shared, about: &About) -> Vec<Self> {
        let described = |route: &'a Arc<Route>| {
            let method = descriptor(shared, route.method.full_name())?;
            let openapi = options::method(&method).openapi;
            let hidden = about.hidden_services.iter().any(|name| name == method.parent_service().full_name());
            if hidden || openapi.hidden {
                return None;
            }
            let twin = route.twin.as_ref().and_then(|(_, twin)| descriptor(shared, twin.full_name()));
            let twin = twin.map(|twin| (twin.clone(), options::method(&twin).openapi));
            Some(Self { route, method, openapi, twin })
        };
        shared.routes.all().iter().filter_map(described).collect()
    }

    /// The media types of a `google.api.HttpBody`.
    pub(super) fn content_types(&self) -> Vec<String> {
        let given = &self.openapi.content_types;
        if given.is_empty() { vec!["*/*".to_owned()] } else { given.clone() }
    }
}

fn descriptor(shared: &Shared, full_name: &str) -> Option<MethodDescriptor> {
    let (service, method) = full_name.split_once('/')?;
    shared.pool.get_service_by_name(service)?.methods().find(|descriptor| descriptor.name() == method)
}

impl<'a> Operations<'a> {
    pub(super) fn new(
        about: &'a About,
        shared: &'a Shared,
        messages: Messages<'a>,
        described: &[Described<'_>],
    ) -> Self {
        let headers = about.response_headers.iter().map(|header| {
            let name = header.name.to_ascii_lowercase();
            (name.clone(), OrReference::to("headers", &name))
        });
        Self {
            about,
            shared,
            messages,
            failures: Failures::new(described.iter().map(|described| described.route.method.error_shape)),
            headers: headers.collect(),
            paths: Paths::default(),
            services: service_names(described),
            bindings: HashMap::new(),
            tagged: Vec::new(),
        }
    }

    /// Adds the operation of a route, unless this version of OpenAPI has no word for its verb.
    pub(super) fn add(&mut self, described: &Described<'_>, paths: &mut Ordered<PathItem>) {
        let route = described.route;
        let verb = match &route.verb {
            Some(verb) => verb.as_str().to_ascii_lowercase(),
            None => if route.body == BodyPart::None { "get" } else { "post" }.to_owned(),
        };
        let is_plain = VERBS.contains(&verb.as_str());
        let of_3_2 = self.messages.version == Version::V3_2;
        if !is_plain && !of_3_2 {
            return;
        }
        let path = self.paths.add(&self.messages, route, self.shared.config.fully_decode_reserved_expansion);
        if paths.get(&path.text).is_some_and(|item| item.operations.get(&verb).is_some()) {
            return;
        }
        let operation = self.operation(described, path.parameters);
        let item = paths.entry(&path.text, PathItem::default);
        if is_plain || verb == QUERY {
            item.operations.push(verb, operation);
        } else {
            item.additional_operations.push(verb.to_ascii_uppercase(), operation);
        }
    }

    fn operation(&mut self, described: &Described<'_>, mut parameters: Vec<OrReference<Parameter>>) -> Operation {
        let (route, method) = (described.route, &described.method);
        let service = method.parent_service();
        let service_name = self.services.get(service.full_name()).cloned().unwrap_or_default();
        let operation_id = self.operation_id(&service_name, method.name(), route.method.full_name());
        parameters.extend(query::parameters(&self.messages, route));
        parameters.push(OrReference::to("parameters", TIMEOUT_HEADER.as_str()));
        if answers::resumes(described) {
            parameters.push(OrReference::to("parameters", LAST_EVENT_ID));
        }
        let more = self.about.request_headers.iter().map(|header| header.name.to_ascii_lowercase());
        parameters.extend(more.map(|name| OrReference::to("parameters", &name)));
        let request_body = bodies::request(self.shared, &self.messages, described);
        let secured = !self.about.security.is_empty() && !described.openapi.public;
        let refuses = secured || described.openapi.checks_credentials;
        let has_body = request_body.is_some();
        let mut responses = Ordered::default();
        let (code, answer) = answers::success(self, described);
        responses.push(code, OrReference::Here(answer));
        let failures = self.failures.responses(route.method.error_shape, |when| match when {
            When::Always => true,
            When::Body => has_body,
            When::Secured => refuses,
        });
        for (code, failure) in failures {
            responses.push(code, failure);
        }
        let (summary, description) = self.prose(described);
        Operation {
            tags: self.tags(described, service, &service_name),
            summary,
            description,
            operation_id,
            parameters,
            request_body,
            responses,
            deprecated: is_deprecated(method),
            security: self.security(&described.openapi),
            grpc_method: route.method.full_name().to_owned(),
        }
    }

    /// Unique over all bindings of all methods.
    fn operation_id(&mut self, service: &str, method: &str, full_name: &str) -> String {
        let count = self.bindings.entry(full_name.to_owned()).or_default();
        *count += 1;
        let name = format!("{}_{method}", service.replace('.', "_"));
        if *count == 1 { name } else { format!("{name}_{count}") }
    }

    fn tags(&mut self, described: &Described<'_>, service: &ServiceDescriptor, name: &str) -> Vec<String> {
        let own = &described.openapi.tags;
        let tags = if own.is_empty() { vec![name.to_owned()] } else { own.clone() };
        for tag in &tags {
            if !self.tagged.iter().any(|(known, _)| known == tag) {
                self.tagged.push((tag.clone(), (tag == name).then(|| service.clone())));
            }
        }
        tags
    }

    /// The tags that operations have, in the order in which they were met.
    pub(super) fn all_tags(&self) -> Vec<Tag> {
        let tag = |(name, service): &(String, Option<ServiceDescriptor>)| {
            let described = service
                .as_ref()
                .and_then(|service| self.messages.comments.text(&service.parent_file(), service.path()));
            Tag { name: name.clone(), description: described }
        };
        self.tagged.iter().map(tag).collect()
    }

    /// The summary and the description: the comments of the method and of its streaming twin.
    fn prose(&self, described: &Described<'_>) -> (Option<String>, Option<String>) {
        let comment = |method: &MethodDescriptor| {
            self.messages.comments.parts(&method.parent_service().parent_file(), method.path())
        };
        let own = comment(&described.method);
        let summary = described.openapi.summary.clone().or(own.summary);
        let mut description = own.rest;
        let field = described.route.twin.as_ref().map(|(field, _)| {
            &*self.messages.plans.plan(described.route.method.input).fields[usize::from(*field)].name
        });
        if let (Some((twin, openapi)), Some(field)) = (&described.twin, field) {
            let prose = comment(twin);
            let said: Vec<String> =
                [openapi.summary.clone().or(prose.summary).map(|summary| format!("{summary}.")), prose.rest]
                    .into_iter()
                    .flatten()
                    .collect();
            let said = format!("With `\"{field}\": true`: {}", said.join(" "));
            description = Some(description.map_or(said.clone(), |text| format!("{text}\n\n{said}")));
        }
        (summary, description)
    }

    fn security(&self, openapi: &OpenApi) -> Option<Vec<Requirement>> {
        if self.about.security.is_empty() {
            return None;
        }
        if openapi.public {
            return Some(Vec::new());
        }
        (!openapi.scopes.is_empty()).then(|| requirements(self.about, &openapi.scopes))
    }

    /// The messages that requests hold, and those that answers hold.
    pub(super) fn schema_of(&self, message: &str, direction: Direction) -> Option<super::schema::Schema> {
        self.messages.pool.get_message_by_name(message).map(|message| self.messages.message(&message, direction))
    }
}

/// One requirement for each scheme: any of them is enough.
pub(super) fn requirements(about: &About, scopes: &[String]) -> Vec<Requirement> {
    about.security.iter().map(|(name, scheme)| Ordered::from(vec![(name.clone(), scheme.granted(scopes))])).collect()
}

fn is_deprecated(method: &MethodDescriptor) -> bool {
    let own = method.method_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated());
    let service = method.parent_service().service_descriptor_proto().options.clone();
    own || service.is_some_and(|options| options.deprecated())
}

/// The names of services without their packages, where these tell no two apart.
fn service_names(described: &[Described<'_>]) -> HashMap<String, String> {
    let full: HashSet<String> =
        described.iter().map(|described| described.method.parent_service().full_name().to_owned()).collect();
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let alone = |name: &str| full.iter().filter(|other| last(other) == last(name)).count() == 1;
    full.iter().map(|name| (name.clone(), if alone(name) { last(name) } else { name.clone() })).collect()
}
