//! What the OpenAPI documents say of Sabir as a whole. What they say of each call comes from the contract.

use transcode::openapi::{About, ExternalDocs, Header, Licence, SecurityScheme};

use crate::auth::Scope;
use crate::chat::{MODEL_USED, REQUEST_ID};

const DESCRIPTION: &str = "\
One typed API for language models, in front of any of them: OpenAI, Anthropic, Gemini and Vertex AI, Amazon Bedrock, Cohere, \
Ollama, Azure, Groq, Mistral, vLLM, every other server that speaks OpenAI's protocol, and a small model inside the server.

The HTTP forms are those that OpenAI and Anthropic document, so that their SDKs work by setting `base_url`. The same calls are \
served as gRPC and gRPC-Web on the same port; `x-grpc-method` names the RPC of each operation. A member that this document does not name is \
passed on to the model's server.";

const KEYS: &str = "\
An API key of this server, which `sabir keys create` or `POST /v1/admin/keys` makes. The headers `x-api-key` and `api-key` are \
read too. Where the server runs in open mode, calls need none.";

const TOKENS: &str = "\
A user signs in with name and password and gets a token of this server. The fields for a client may stay empty.";

const CLIENTS: &str = "\
A program gets a token of this server by the id and secret that `POST /v1/admin/clients` gave it.";

/// Where tokens are given out.
const TOKEN_URL: &str = "/v1/auth/token";

/// The ways to prove who one is; one of them is enough.
fn security() -> Vec<(String, SecurityScheme)> {
    let scopes = || Scope::ALL.iter().map(|scope| (scope.name().to_owned(), scope.about().to_owned())).collect();
    let key = SecurityScheme::Bearer { format: Some("sk-sabir-...".to_owned()), description: Some(KEYS.to_owned()) };
    let header = SecurityScheme::ApiKey {
        header: "x-api-key".to_owned(),
        description: Some("The same API key, bare.".to_owned()),
    };
    let user = SecurityScheme::OAuth2Password {
        token_url: TOKEN_URL.to_owned(),
        refresh_url: Some(TOKEN_URL.to_owned()),
        scopes: scopes(),
        description: Some(TOKENS.to_owned()),
    };
    let client = SecurityScheme::OAuth2ClientCredentials {
        token_url: TOKEN_URL.to_owned(),
        scopes: scopes(),
        description: Some(CLIENTS.to_owned()),
    };
    [("key", key), ("key-header", header), ("password", user), ("client", client)]
        .map(|(name, scheme)| (name.to_owned(), scheme))
        .to_vec()
}

/// Sabir, in the words of its documents.
pub(crate) fn about() -> About {
    let header = |name: &str, description: &str, example: &str| Header {
        name: name.to_owned(),
        description: description.to_owned(),
        example: Some(example.to_owned()),
    };
    About {
        title: "Sabir".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        summary: Some("One typed API for language models over gRPC, gRPC-Web and OpenAI-compatible HTTP".to_owned()),
        description: Some(DESCRIPTION.to_owned()),
        licence: Some(Licence { name: "Apache License 2.0".to_owned(), identifier: Some("Apache-2.0".to_owned()) }),
        external_docs: Some(ExternalDocs {
            url: "https://platform.openai.com/docs/api-reference/chat".to_owned(),
            description: Some("The API that the HTTP form is compatible with".to_owned()),
        }),
        security: security(),
        response_headers: vec![
            header(
                REQUEST_ID,
                "A name for the call, the same in the server's log.",
                "01a20401b2a4743dbbe5d8e3ff1350cb",
            ),
            header(
                MODEL_USED,
                "The model that answers, as `provider/model`; on chat completions.",
                "local/smollm2-135m-instruct",
            ),
        ],
        ..About::default()
    }
}
