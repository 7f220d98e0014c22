//! How the answer is made: limits, sampling, form. Source: <https://ai.google.dev/api/generate-content#GenerationConfig>.

use sabir_proto::v1::response_format::Format;
use sabir_proto::v1::{AudioOptions, ResponseFormat, audio_options};
use serde::Serialize;
use serde_json::value::RawValue;

use super::request::{beside, put};
use super::thinking::Thinking;
use crate::error::UpstreamError;
use crate::unsupported::{Unsupported, foreign_members};
use crate::verbatim::{Members, raw};

/// Members of this object that callers give as members of the request, where other vendors have them.
const OWN: [(&str, &str); 8] = [
    ("top_k", "topK"),
    ("topK", "topK"),
    ("media_resolution", "mediaResolution"),
    ("mediaResolution", "mediaResolution"),
    ("image_config", "imageConfig"),
    ("imageConfig", "imageConfig"),
    ("thinking_config", "thinkingConfig"),
    ("thinkingConfig", "thinkingConfig"),
];

/// What of a request says how the answer is made.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) candidate_count: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stop_sequences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_output_tokens: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_json_schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) response_modalities: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) speech_config: Option<Speech>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking_config: Option<Thinking>,
}

impl GenerationConfig {
    /// As an object, with what a caller says of it in the vendor's own words.
    pub(super) fn written(&self, members: &mut Members) -> Result<Members, UpstreamError> {
        let mut object = beside(self, members, ["generationConfig", "generation_config"])?;
        for (spelling, name) in OWN {
            if let Some(value) = members.take(spelling) {
                put(&mut object, name.to_owned(), value, spelling.to_owned())?;
            }
        }
        Ok(object)
    }

    /// Says the form of the answer's text.
    pub(super) fn format(
        &mut self,
        format: Option<ResponseFormat>,
        unsupported: &mut Unsupported,
    ) -> Result<(), UpstreamError> {
        let Some(ResponseFormat { format, additional_members }) = format else { return Ok(()) };
        for (name, _) in foreign_members(additional_members) {
            unsupported.unless(false, format!("response_format.{name}"))?;
        }
        match format {
            None | Some(Format::Text(_)) => return Ok(()),
            Some(Format::JsonObject(_)) => {}
            Some(Format::JsonSchema(schema)) => {
                unsupported.leave_out("response_format.json_schema.description", &schema.description)?;
                if !schema.schema.is_empty() {
                    let path = || "response_format.json_schema.schema".to_owned();
                    self.response_json_schema = Some(raw(schema.schema, path)?);
                }
            }
        }
        self.response_mime_type = Some("application/json");
        Ok(())
    }

    /// Says what the answer may consist of.
    pub(super) fn modalities(
        &mut self,
        modalities: Vec<String>,
        audio: Option<AudioOptions>,
        unsupported: &mut Unsupported,
    ) -> Result<(), UpstreamError> {
        let mut words = Vec::with_capacity(modalities.len());
        for modality in &modalities {
            match modality.as_str() {
                "text" => words.push("TEXT"),
                "image" => words.push("IMAGE"),
                "audio" => words.push("AUDIO"),
                _ => unsupported.unless(false, "modalities")?,
            }
        }
        // Text alone is what is answered anyway.
        if words != ["TEXT"] {
            self.response_modalities = words;
        }
        let Some(AudioOptions { voice, format, additional_members }) = audio else { return Ok(()) };
        for (name, _) in foreign_members(additional_members) {
            unsupported.unless(false, format!("audio.{name}"))?;
        }
        unsupported.unless(matches!(format.as_str(), "" | "pcm16"), "audio.format")?;
        match voice {
            None => {}
            Some(audio_options::Voice::VoiceName(voice_name)) => {
                let prebuilt_voice_config = Voice { voice_name };
                self.speech_config = Some(Speech { voice_config: VoiceConfig { prebuilt_voice_config } });
            }
            Some(audio_options::Voice::CustomVoice(_)) => unsupported.unless(false, "audio.voice")?,
        }
        Ok(())
    }
}

/// How speech sounds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Speech {
    voice_config: VoiceConfig,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VoiceConfig {
    prebuilt_voice_config: Voice,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Voice {
    voice_name: String,
}
