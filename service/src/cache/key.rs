//! When two questions are the same.

use aws_lc_rs::digest::{Context, SHA256};
use prost::Message as _;
use sabir_proto::v1::CreateChatCompletionRequest;
use sabir_providers::{OnUnsupported, Origin};

use super::Scope;
use crate::auth::{Identity, Principal};
use crate::upstream::Plan;

/// The digest of a question and of those who share its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Of a question, as it is asked of these targets. What does not change the answer is left out: whether it is
    /// streamed, who the end user is, what the vendor's own prompt cache is told.
    ///
    /// Maps of the contract are sorted, so equal messages have equal bytes.
    pub(crate) fn of(
        scope: Scope,
        principal: &Principal,
        plan: &Plan,
        on_unsupported: OnUnsupported,
        origin: Origin,
        request: &mut CreateChatCompletionRequest,
    ) -> Self {
        let mut digest = Context::new(&SHA256);
        let mut part = |bytes: &[u8]| {
            digest.update(&bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        match scope {
            Scope::Everyone => part(b"everyone"),
            Scope::Team if principal.team_id.is_some() => {
                part(b"team");
                part(principal.team_id.unwrap_or_default().as_bytes());
            }
            Scope::Team | Scope::Key => match &principal.identity {
                // One key that is rotated stays one caller.
                Identity::Key { lineage_id, .. } => {
                    part(b"key");
                    part(lineage_id.as_bytes());
                }
                _ => {
                    part(b"actor");
                    part(principal.actor.as_bytes());
                }
            },
        }
        // A strategy may order targets anew for each call: the answer is as good from any of them.
        let mut targets: Vec<&str> = plan.targets.iter().map(|target| &*target.full_name).collect();
        targets.sort_unstable();
        part(&targets.len().to_le_bytes());
        targets.iter().for_each(|name| part(name.as_bytes()));
        part(&[u8::from(on_unsupported == OnUnsupported::Drop), u8::from(origin == Origin::Translated)]);
        part(&words(request));
        let mut key = [0; 32];
        key.copy_from_slice(digest.finish().as_ref());
        Self(key)
    }
}

/// A question's bytes without what does not change its answer, which is put aside meanwhile: a copy would cost more.
fn words(request: &mut CreateChatCompletionRequest) -> Vec<u8> {
    let stream = request.stream.take();
    let stream_options = request.stream_options.take();
    let user = request.user.take();
    let safety_identifier = request.safety_identifier.take();
    let prompt_cache_key = request.prompt_cache_key.take();
    let prompt_cache_retention = request.prompt_cache_retention.take();
    let prompt_cache_options = request.prompt_cache_options.take();
    let metadata = std::mem::take(&mut request.metadata);
    let words = request.encode_to_vec();
    request.stream = stream;
    request.stream_options = stream_options;
    request.user = user;
    request.safety_identifier = safety_identifier;
    request.prompt_cache_key = prompt_cache_key;
    request.prompt_cache_retention = prompt_cache_retention;
    request.prompt_cache_options = prompt_cache_options;
    request.metadata = metadata;
    words
}
