//! The parts of an OpenAPI document, in the order in which they are written.
//!
//! Source: <https://spec.openapis.org/oas/v3.1.1.html> and <https://spec.openapis.org/oas/v3.2.0.html>. Knows nothing of
//! descriptors.

use serde::Serialize;

use super::about::{Contact, ExternalDocs, Licence, Server};
use super::ordered::{Json, Ordered};
use super::schema::Schema;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) openapi: &'static str,
    pub(super) info: Info,
    pub(super) servers: Vec<Server>,
    /// One of these is enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) security: Vec<Requirement>,
    pub(super) tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) external_docs: Option<ExternalDocs>,
    pub(super) paths: Ordered<PathItem>,
    pub(super) components: Components,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info {
    pub(super) title: String,
    pub(super) version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) terms_of_service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) contact: Option<Contact>,
    #[serde(rename = "license", skip_serializing_if = "Option::is_none")]
    pub(super) licence: Option<Licence>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tag {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
}

/// A scheme's name to the scopes it must give.
pub(super) type Requirement = Ordered<Vec<String>>;

/// The operations of a path, by verb in lower case.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PathItem {
    #[serde(flatten)]
    pub(super) operations: Ordered<Operation>,
    /// Verbs that have no member of their own, since 3.2.
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) additional_operations: Ordered<Operation>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    pub(super) tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) operation_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parameters: Vec<OrReference<Parameter>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_body: Option<RequestBody>,
    pub(super) responses: Ordered<OrReference<Response>>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) deprecated: bool,
    /// What is said of all operations holds where this is `None`; an empty list is for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) security: Option<Vec<Requirement>>,
    #[serde(rename = "x-grpc-method")]
    pub(super) grpc_method: String,
}

/// A part in place, or the name of one among the components.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum OrReference<T> {
    Reference {
        #[serde(rename = "$ref")]
        reference: String,
    },
    Here(T),
}

impl<T> OrReference<T> {
    /// The component `name` of this kind, such as `parameters`.
    pub(super) fn to(kind: &str, name: &str) -> Self {
        Self::Reference { reference: format!("#/components/{kind}/{name}") }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameter {
    pub(super) name: String,
    #[serde(rename = "in")]
    pub(super) place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) required: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) style: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) explode: Option<bool>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) allow_reserved: bool,
    pub(super) schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) example: Option<Json>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) content: Ordered<MediaType>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) required: bool,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MediaType {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<Schema>,
    /// Of each item of a sequence, since 3.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_schema: Option<Schema>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) example: Option<Json>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) examples: Ordered<Example>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Example {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<Json>,
    /// The value as it looks on the wire, since 3.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serialized_value: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    pub(super) description: String,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) headers: Ordered<OrReference<ResponseHeader>>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) content: Ordered<MediaType>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct ResponseHeader {
    pub(super) description: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) required: bool,
    pub(super) schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) example: Option<Json>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Components {
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) schemas: Ordered<Schema>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) responses: Ordered<Response>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) parameters: Ordered<Parameter>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) headers: Ordered<ResponseHeader>,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) security_schemes: Ordered<Scheme>,
}

impl Components {
    /// How many components there are that could be referred to.
    pub(super) fn count(&self) -> usize {
        self.schemas.len() + self.responses.len() + self.parameters.len() + self.headers.len()
    }
}

/// How a caller proves who they are.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum Scheme {
    #[serde(rename = "apiKey")]
    ApiKey {
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        name: String,
        #[serde(rename = "in")]
        place: ApiKeyPlace,
    },
    #[serde(rename = "http")]
    Http {
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        scheme: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        bearer_format: Option<String>,
    },
    #[serde(rename = "oauth2")]
    OAuth2 {
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        flows: Flows,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ApiKeyPlace {
    Header,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flows {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<TokenFlow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_credentials: Option<TokenFlow>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenFlow {
    pub(super) token_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_url: Option<String>,
    pub(super) scopes: Ordered<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_false(value: &bool) -> bool {
    !value
}
