//! Token counts. Anthropic counts what came from its cache or went into it beside the input, we count it within.

use sabir_proto::v1::{CompletionTokensDetails, CompletionUsage, MessageUsage, PromptTokensDetails};

/// The counts in our words.
pub(super) fn translate(usage: &MessageUsage) -> CompletionUsage {
    let cached = usage.cache_read_input_tokens;
    let written = usage.cache_creation_input_tokens;
    let parts = [usage.input_tokens, cached, written];
    let prompt_tokens = parts.into_iter().flatten().fold(0, u32::saturating_add);
    let completion_tokens = usage.output_tokens.unwrap_or(0);
    let thought = usage.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens);
    let details = PromptTokensDetails { cached_tokens: cached, cache_write_tokens: written, ..Default::default() };
    CompletionUsage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens.saturating_add(completion_tokens),
        prompt_tokens_details: (cached.is_some() || written.is_some()).then_some(details),
        completion_tokens_details: thought.map(|thought| CompletionTokensDetails {
            reasoning_tokens: Some(thought),
            ..CompletionTokensDetails::default()
        }),
        ..CompletionUsage::default()
    }
}

/// Takes in a later report, which may leave out what has not changed.
pub(super) fn update(usage: &mut MessageUsage, later: MessageUsage) {
    let MessageUsage {
        input_tokens,
        cache_creation_input_tokens,
        cache_read_input_tokens,
        output_tokens,
        service_tier,
        output_tokens_details,
        additional_members,
    } = later;
    usage.input_tokens = input_tokens.or(usage.input_tokens);
    usage.cache_creation_input_tokens = cache_creation_input_tokens.or(usage.cache_creation_input_tokens);
    usage.cache_read_input_tokens = cache_read_input_tokens.or(usage.cache_read_input_tokens);
    usage.output_tokens = output_tokens.or(usage.output_tokens);
    usage.output_tokens_details = output_tokens_details.or(usage.output_tokens_details.take());
    usage.service_tier = service_tier.or(usage.service_tier.take());
    usage.additional_members.extend(additional_members);
}
