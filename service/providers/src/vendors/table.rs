//! The rows.

use super::{FoundBy, Vendor};
use crate::anthropic;
use crate::bedrock;
use crate::cohere;
use crate::credentials::Authentication;
use crate::gemini;
use crate::ollama;
use crate::openai::{self, DoneMarker, OutputLimit, Quirks, StreamUsage};
use crate::responses;
use crate::schemas::Schemas;

/// A vendor in the cloud that follows OpenAI in everything that matters here.
const HOSTED: Vendor = Vendor {
    name: "",
    dialect: &openai::DIALECT,
    base_url: None,
    path_of_bare_host: "",
    key_variables: &[],
    base_url_variables: &[],
    found_by: FoundBy::Key,
    authentication: Authentication::Bearer,
    aws_service: None,
    quirks: Quirks::NONE,
    schemas: Schemas::Native,
    docs: "",
};

/// A server that one runs oneself. Those that speak OpenAI's protocol put the API under `/v1`.
const SELF_HOSTED: Vendor = Vendor { path_of_bare_host: "/v1", found_by: FoundBy::BaseUrl, ..HOSTED };

/// Knows `max_tokens` and not its successor: refuses `max_completion_tokens`, or ignores it in silence.
const MAX_TOKENS: Quirks = Quirks { output_limit: OutputLimit::MaxTokens, ..Quirks::NONE };

/// Every vendor, the best known first.
pub const VENDORS: &[Vendor] = &[
    Vendor {
        name: "openai",
        base_url: Some("https://api.openai.com/v1"),
        key_variables: &["OPENAI_API_KEY"],
        base_url_variables: &["OPENAI_BASE_URL"],
        found_by: FoundBy::KeyOrBaseUrl,
        docs: "https://platform.openai.com/docs/api-reference/chat",
        ..HOSTED
    },
    Vendor {
        name: "responses",
        dialect: &responses::DIALECT,
        base_url: Some("https://api.openai.com/v1"),
        base_url_variables: &["RESPONSES_BASE_URL"],
        key_variables: &["OPENAI_API_KEY"],
        // The key alone means `openai`, which has the same models.
        found_by: FoundBy::BaseUrl,
        docs: "https://platform.openai.com/docs/api-reference/responses",
        ..HOSTED
    },
    Vendor {
        name: "anthropic",
        dialect: &anthropic::DIALECT,
        base_url: Some("https://api.anthropic.com"),
        key_variables: &["ANTHROPIC_API_KEY"],
        base_url_variables: &["ANTHROPIC_BASE_URL"],
        found_by: FoundBy::KeyOrBaseUrl,
        authentication: Authentication::Header("x-api-key"),
        docs: "https://docs.claude.com/en/api/messages",
        ..HOSTED
    },
    Vendor {
        name: "gemini",
        dialect: &gemini::DIALECT,
        base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        path_of_bare_host: "/v1beta",
        key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        base_url_variables: &["GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"],
        found_by: FoundBy::KeyOrBaseUrl,
        authentication: Authentication::Header("x-goog-api-key"),
        docs: "https://ai.google.dev/api",
        ..HOSTED
    },
    // One address per project and region:
    // https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION/publishers/google. The key is an access
    // token, such as `gcloud auth print-access-token` prints, and is valid for an hour. There is no list of models.
    Vendor {
        name: "vertex",
        dialect: &gemini::VERTEX,
        key_variables: &["VERTEX_ACCESS_TOKEN"],
        base_url_variables: &["VERTEX_BASE_URL"],
        docs: "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        ..HOSTED
    },
    // One address per region. Without a key of its own, requests are signed with the keys of an account.
    Vendor {
        name: "bedrock",
        dialect: &bedrock::DIALECT,
        base_url: Some("https://bedrock-runtime.{region}.amazonaws.com"),
        key_variables: &["AWS_BEARER_TOKEN_BEDROCK"],
        base_url_variables: &["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"],
        found_by: FoundBy::KeyOrBaseUrl,
        aws_service: Some("bedrock"),
        docs: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        ..HOSTED
    },
    // One address per resource. A bare host means the v1 API, where the model is the name of a deployment. A base URL
    // that ends in /openai/deployments/<name>?api-version=<date> reaches the dated API.
    Vendor {
        name: "azure",
        path_of_bare_host: "/openai/v1",
        key_variables: &["AZURE_OPENAI_API_KEY"],
        base_url_variables: &["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"],
        authentication: Authentication::Header("api-key"),
        docs: "https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle",
        ..HOSTED
    },
    Vendor {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        key_variables: &["GROQ_API_KEY"],
        base_url_variables: &["GROQ_BASE_URL"],
        docs: "https://console.groq.com/docs/openai",
        ..HOSTED
    },
    Vendor {
        name: "together",
        base_url: Some("https://api.together.xyz/v1"),
        key_variables: &["TOGETHER_API_KEY"],
        base_url_variables: &["TOGETHER_BASE_URL"],
        quirks: MAX_TOKENS,
        docs: "https://docs.together.ai/docs/openai-api-compatibility",
        ..HOSTED
    },
    // Refuses members that it does not know (422, extra_forbidden), stream_options among them, and reports usage in the
    // last chunk of every stream without being asked.
    Vendor {
        name: "mistral",
        base_url: Some("https://api.mistral.ai/v1"),
        key_variables: &["MISTRAL_API_KEY"],
        base_url_variables: &["MISTRAL_BASE_URL"],
        quirks: Quirks { stream_usage: StreamUsage::Unasked, ..MAX_TOKENS },
        docs: "https://docs.mistral.ai/api/",
        ..HOSTED
    },
    Vendor {
        name: "cohere",
        dialect: &cohere::DIALECT,
        base_url: Some("https://api.cohere.com"),
        key_variables: &["COHERE_API_KEY", "CO_API_KEY"],
        base_url_variables: &["COHERE_BASE_URL", "CO_API_URL"],
        docs: "https://docs.cohere.com/v2/reference/chat",
        ..HOSTED
    },
    Vendor {
        name: "deepseek",
        base_url: Some("https://api.deepseek.com/v1"),
        key_variables: &["DEEPSEEK_API_KEY"],
        base_url_variables: &["DEEPSEEK_BASE_URL"],
        quirks: MAX_TOKENS,
        // Knows `json_object` only: https://api-docs.deepseek.com/guides/json_mode.
        schemas: Schemas::JsonObject,
        docs: "https://api-docs.deepseek.com/",
        ..HOSTED
    },
    Vendor {
        name: "xai",
        base_url: Some("https://api.x.ai/v1"),
        key_variables: &["XAI_API_KEY"],
        base_url_variables: &["XAI_BASE_URL"],
        docs: "https://docs.x.ai/docs/api-reference",
        ..HOSTED
    },
    Vendor {
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        key_variables: &["OPENROUTER_API_KEY"],
        base_url_variables: &["OPENROUTER_BASE_URL"],
        docs: "https://openrouter.ai/docs/api-reference/overview",
        ..HOSTED
    },
    Vendor {
        name: "fireworks",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        key_variables: &["FIREWORKS_API_KEY"],
        base_url_variables: &["FIREWORKS_BASE_URL"],
        docs: "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        ..HOSTED
    },
    // Reports usage in every chunk without being asked; its API description names no end marker.
    Vendor {
        name: "perplexity",
        base_url: Some("https://api.perplexity.ai"),
        key_variables: &["PERPLEXITY_API_KEY", "PPLX_API_KEY"],
        base_url_variables: &["PERPLEXITY_BASE_URL"],
        quirks: Quirks {
            stream_usage: StreamUsage::Unasked,
            done_marker: DoneMarker::FinishReasonSuffices,
            ..MAX_TOKENS
        },
        docs: "https://docs.perplexity.ai/api-reference/chat-completions-post",
        ..HOSTED
    },
    Vendor {
        name: "cerebras",
        base_url: Some("https://api.cerebras.ai/v1"),
        key_variables: &["CEREBRAS_API_KEY"],
        base_url_variables: &["CEREBRAS_BASE_URL"],
        docs: "https://inference-docs.cerebras.ai/resources/openai",
        ..HOSTED
    },
    Vendor {
        name: "nvidia",
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        key_variables: &["NVIDIA_API_KEY"],
        base_url_variables: &["NVIDIA_BASE_URL"],
        quirks: MAX_TOKENS,
        docs: "https://docs.api.nvidia.com/nim/reference/llm-apis",
        ..HOSTED
    },
    Vendor {
        name: "sambanova",
        base_url: Some("https://api.sambanova.ai/v1"),
        key_variables: &["SAMBANOVA_API_KEY"],
        base_url_variables: &["SAMBANOVA_BASE_URL"],
        docs: "https://docs.sambanova.ai/docs/en/api-reference/overview",
        ..HOSTED
    },
    Vendor {
        name: "deepinfra",
        base_url: Some("https://api.deepinfra.com/v1/openai"),
        key_variables: &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
        base_url_variables: &["DEEPINFRA_BASE_URL"],
        quirks: MAX_TOKENS,
        docs: "https://deepinfra.com/docs/openai_api",
        ..HOSTED
    },
    Vendor {
        name: "moonshot",
        base_url: Some("https://api.moonshot.ai/v1"),
        key_variables: &["MOONSHOT_API_KEY"],
        base_url_variables: &["MOONSHOT_BASE_URL"],
        quirks: MAX_TOKENS,
        docs: "https://platform.moonshot.ai/docs/api/chat",
        ..HOSTED
    },
    Vendor {
        name: "dashscope",
        base_url: Some("https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        key_variables: &["DASHSCOPE_API_KEY"],
        base_url_variables: &["DASHSCOPE_BASE_URL"],
        quirks: MAX_TOKENS,
        docs: "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        ..HOSTED
    },
    Vendor {
        name: "vllm",
        base_url: Some("http://localhost:8000/v1"),
        key_variables: &["VLLM_API_KEY"],
        base_url_variables: &["VLLM_BASE_URL"],
        docs: "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        ..SELF_HOSTED
    },
    Vendor {
        name: "ollama",
        dialect: &ollama::DIALECT,
        base_url: Some("http://localhost:11434"),
        path_of_bare_host: "",
        base_url_variables: &["OLLAMA_BASE_URL"],
        key_variables: &["OLLAMA_API_KEY"],
        docs: "https://docs.ollama.com/api/introduction",
        ..SELF_HOSTED
    },
    Vendor {
        name: "lmstudio",
        base_url: Some("http://localhost:1234/v1"),
        key_variables: &["LMSTUDIO_API_KEY"],
        base_url_variables: &["LMSTUDIO_BASE_URL"],
        quirks: MAX_TOKENS,
        docs: "https://lmstudio.ai/docs/developer/openai-compat",
        ..SELF_HOSTED
    },
    Vendor {
        name: "llamacpp",
        base_url: Some("http://localhost:8080/v1"),
        key_variables: &["LLAMACPP_API_KEY"],
        base_url_variables: &["LLAMACPP_BASE_URL"],
        quirks: MAX_TOKENS,
        docs: "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        ..SELF_HOSTED
    },
    Vendor {
        name: "sglang",
        base_url: Some("http://localhost:30000/v1"),
        key_variables: &["SGLANG_API_KEY"],
        base_url_variables: &["SGLANG_BASE_URL"],
        docs: "https://docs.sglang.ai/basic_usage/openai_api.html",
        ..SELF_HOSTED
    },
    Vendor {
        name: "tgi",
        base_url: Some("http://localhost:3000/v1"),
        key_variables: &["TGI_API_KEY"],
        base_url_variables: &["TGI_BASE_URL"],
        quirks: MAX_TOKENS,
        docs: "https://huggingface.co/docs/text-generation-inference/messages_api",
        ..SELF_HOSTED
    },
];
