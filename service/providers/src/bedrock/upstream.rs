//! The two hosts of a region: one that is asked, and one that knows what can be asked.
//!
//! Source: <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>.

use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};

use super::Bedrock;
use crate::endpoint::Endpoint;
use crate::error::SetupError;
use crate::http_upstream::HttpUpstream;
use crate::transport::Transport;
use crate::upstream::{ChatCall, ChatFuture, ChunkStream, EmbedCall, ModelInfo, Reply, Upstream};

/// How the host begins that is asked.
const RUNTIME: &str = "bedrock-runtime";

/// How the one begins that knows.
const CONTROL: &str = "bedrock";

/// Bedrock in one region.
pub(super) struct TwoHosts {
    runtime: HttpUpstream<Bedrock>,
    control: HttpUpstream<Bedrock>,
}

impl TwoHosts {
    /// No connection is opened. A host of another name, such as a stand-in, is asked for everything.
    pub(super) fn new(endpoint: Endpoint, transport: Transport) -> Result<Self, SetupError> {
        let control = match endpoint.host().strip_prefix(RUNTIME) {
            Some(rest) => endpoint.clone().at_host(&format!("{CONTROL}{rest}"))?,
            None => endpoint.clone(),
        };
        let runtime = HttpUpstream::new(Bedrock, endpoint, transport.clone())?;
        Ok(Self { runtime, control: HttpUpstream::new(Bedrock, control, transport)? })
    }
}

impl Upstream for TwoHosts {
    fn chat(&self, call: ChatCall) -> ChatFuture<Reply<ChatCompletion>> {
        self.runtime.chat(call)
    }

    fn stream_chat(&self, call: ChatCall) -> ChatFuture<Reply<ChunkStream>> {
        self.runtime.stream_chat(call)
    }

    fn embed(&self, call: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>> {
        self.runtime.embed(call)
    }

    fn models(&self) -> ChatFuture<Vec<ModelInfo>> {
        self.control.models()
    }
}

#[cfg(test)]
mod tests {
    use crate::credentials::Authentication;
    use crate::endpoint::Endpoint;

    #[test]
    fn the_host_that_knows_stands_beside_the_one_that_is_asked() {
        let control = |base_url: &str| {
            let endpoint = Endpoint::new(base_url, Authentication::Bearer, None).unwrap();
            let host = endpoint.host().replacen(super::RUNTIME, super::CONTROL, 1);
            endpoint.at_host(&host).unwrap().uri("/foundation-models").unwrap().to_string()
        };
        let expected = "https://bedrock.eu-west-1.amazonaws.com/foundation-models";
        assert_eq!(control("https://bedrock-runtime.eu-west-1.amazonaws.com"), expected);
        let expected = "https://bedrock-fips.us-east-1.amazonaws.com:8443/x/foundation-models";
        assert_eq!(control("https://bedrock-runtime-fips.us-east-1.amazonaws.com:8443/x"), expected);
    }
}
