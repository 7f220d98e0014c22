//! A service that judges, asked by gRPC: `sabir.guard.v1.Guardrail`.

use std::time::Duration;

use http::Uri;
use sabir_proto::guard::v1::guardrail_client::GuardrailClient;
use sabir_proto::guard::v1::{Action, JudgeRequest, JudgeResponse, Message, Stage};
use tonic::Request;
use tonic::body::Body;

use super::judge::{Judgement, Said, Told};
use crate::outgoing::{HttpsClient, grpc_client};

/// The largest judgement, in bytes.
const LARGEST: usize = 64 << 10;

/// Where to ask.
#[derive(Clone, Debug)]
pub(super) struct Service(GuardrailClient<HttpsClient<Body>>);

impl Service {
    /// One at this address.
    ///
    /// # Errors
    /// When the machine has no certificates to verify others by.
    pub(super) fn new(uri: Uri) -> Result<Self, String> {
        let client = GuardrailClient::with_origin(grpc_client()?, uri);
        Ok(Self(client.max_decoding_message_size(LARGEST)))
    }

    /// Asks.
    ///
    /// # Errors
    /// Why there is no judgement.
    pub(super) async fn ask(
        &self,
        stage: &'static str,
        caller: &str,
        messages: &[Told],
        timeout: Duration,
    ) -> Result<Judgement, String> {
        let message = |told: &Told| Message { role: told.role.to_owned(), text: told.text.clone() };
        let stage = if stage == "input" { Stage::Input } else { Stage::Output };
        let mut question = Request::new(JudgeRequest {
            stage: stage.into(),
            caller: caller.to_owned(),
            messages: messages.iter().map(message).collect(),
        });
        question.set_timeout(timeout);
        let answer = self.0.clone().judge(question).await;
        let answer =
            answer.map_err(|status| format!("the service answers with {:?}: {}", status.code(), status.message()));
        let JudgeResponse { action, reason } = answer?.into_inner();
        let action = match Action::try_from(action) {
            Ok(Action::Allow) => Said::Allow,
            Ok(Action::Annotate) => Said::Annotate,
            Ok(Action::Block) => Said::Block,
            Ok(Action::Unspecified) | Err(_) => return Err(format!("the service's action {action} is none")),
        };
        Ok(Judgement { action, reason })
    }
}
