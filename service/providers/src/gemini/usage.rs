//! Token counts. Google counts thoughts and the results of its own tools beside the rest, we count them within.
//! Source: <https://ai.google.dev/api/generate-content#UsageMetadata>.

use sabir_proto::v1::{CompletionTokensDetails, CompletionUsage, PromptTokensDetails};
use serde::Deserialize;

/// The counts in the protocol's words, each a total so far.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usage {
    prompt_token_count: Option<u32>,
    cached_content_token_count: Option<u32>,
    candidates_token_count: Option<u32>,
    tool_use_prompt_token_count: Option<u32>,
    thoughts_token_count: Option<u32>,
    service_tier: Option<String>,
    /// Vertex AI's word for the tier.
    traffic_type: Option<String>,
    #[serde(default)]
    prompt_tokens_details: Vec<Count>,
    #[serde(default)]
    candidates_tokens_details: Vec<Count>,
}

/// The tokens of one kind of content.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    modality: Option<String>,
    token_count: Option<u32>,
}

impl Usage {
    /// The class of speed and price that served the request, if that is said.
    pub(super) fn tier(&self) -> Option<String> {
        let traffic = self.traffic_type.as_deref().and_then(|traffic| match traffic {
            "ON_DEMAND" => Some("standard"),
            "ON_DEMAND_FLEX" => Some("flex"),
            "ON_DEMAND_PRIORITY" => Some("priority"),
            _ => None,
        });
        let tier = self.service_tier.as_deref().or(traffic);
        tier.filter(|tier| *tier != "SERVICE_TIER_UNSPECIFIED").map(str::to_ascii_lowercase)
    }

    /// The counts in our words; `None` if there are none, as in the first events of a stream.
    pub(super) fn translate(&self) -> Option<CompletionUsage> {
        if self.prompt_token_count.is_none() && self.candidates_token_count.is_none() {
            return None;
        }
        let sum = |parts: [Option<u32>; 2]| parts.into_iter().flatten().fold(0, u32::saturating_add);
        let prompt_tokens = sum([self.prompt_token_count, self.tool_use_prompt_token_count]);
        let completion_tokens = sum([self.candidates_token_count, self.thoughts_token_count]);
        let asked = |modality| of(&self.prompt_tokens_details, modality);
        let prompt = PromptTokensDetails {
            cached_tokens: self.cached_content_token_count,
            audio_tokens: asked("AUDIO"),
            image_tokens: asked("IMAGE"),
            text_tokens: asked("TEXT"),
            ..PromptTokensDetails::default()
        };
        let answered = |modality| of(&self.candidates_tokens_details, modality);
        let completion = CompletionTokensDetails {
            reasoning_tokens: self.thoughts_token_count,
            audio_tokens: answered("AUDIO"),
            text_tokens: answered("TEXT"),
            ..CompletionTokensDetails::default()
        };
        Some(CompletionUsage {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: Some(prompt).filter(|details| *details != PromptTokensDetails::default()),
            completion_tokens_details: Some(completion)
                .filter(|details| *details != CompletionTokensDetails::default()),
            ..CompletionUsage::default()
        })
    }
}

fn of(counts: &[Count], modality: &str) -> Option<u32> {
    counts.iter().find(|count| count.modality.as_deref() == Some(modality))?.token_count
}
