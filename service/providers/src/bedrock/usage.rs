//! Token counts. The API counts what came from its cache or went into it beside the input, we count it within.
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>.

use sabir_proto::v1::{CompletionUsage, PromptTokensDetails};
use serde::Deserialize;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usage {
    input_tokens: Option<u32>,
    output_tokens: Option<u32>,
    cache_read_input_tokens: Option<u32>,
    cache_write_input_tokens: Option<u32>,
}

/// The counts in our words. Thoughts are among the output, and are not counted apart.
pub(super) fn translate(usage: Usage) -> CompletionUsage {
    let Usage { input_tokens, output_tokens, cache_read_input_tokens: cached, cache_write_input_tokens: written } =
        usage;
    let prompt_tokens = [input_tokens, cached, written].into_iter().flatten().fold(0, u32::saturating_add);
    let completion_tokens = output_tokens.unwrap_or(0);
    let details = PromptTokensDetails { cached_tokens: cached, cache_write_tokens: written, ..Default::default() };
    CompletionUsage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens.saturating_add(completion_tokens),
        prompt_tokens_details: (cached.is_some() || written.is_some()).then_some(details),
        ..CompletionUsage::default()
    }
}
