//! A protocol, an endpoint and a transport together: a model that answers over HTTP.
//!
//! It knows neither the words of a protocol nor the name of a vendor.

mod chunks;
mod embed;

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::{Response, Uri};
use hyper::body::Incoming;
use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};

use self::chunks::Chunks;
use crate::endpoint::Endpoint;
use crate::error::{SetupError, UpstreamError, UpstreamErrorKind};
use crate::protocol::{Protocol, WireRequest, Worded};
use crate::signer::Signer;
use crate::transport::{self, Outgoing, Transport, Watchdog};
use crate::upstream::{ChatCall, ChatFuture, ChunkStream, EmbedCall, ModelInfo, Reply, TraceHeaders, Upstream};

/// How much of an error's body is read, in bytes.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// How long an error's body may take once its head is there.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

/// A model that is asked over HTTP in protocol `P`. Clones share everything.
pub struct HttpUpstream<P>(Arc<Inner<P>>);

struct Inner<P> {
    protocol: P,
    endpoint: Endpoint,
    transport: Transport,
    /// The addresses that do not depend on the call.
    uris: Vec<(&'static str, Uri)>,
    /// The headers of every request, credentials among them.
    headers: HeaderMap,
    /// Shows credentials that depend on the request or on time.
    signer: Option<Arc<dyn Signer>>,
}

impl<P> Clone for HttpUpstream<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Protocol> HttpUpstream<P> {
    /// Puts the three together, with the endpoint's own signer if it has one. No connection is opened.
    ///
    /// # Errors
    /// A base URL to which the protocol's paths cannot be appended.
    pub fn new(protocol: P, endpoint: Endpoint, transport: Transport) -> Result<Self, SetupError> {
        let signer = endpoint.signer();
        Self::signed(protocol, endpoint, transport, signer)
    }

    /// The same with a signer, which sees every request before it is sent.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn signed(
        protocol: P,
        endpoint: Endpoint,
        transport: Transport,
        signer: Option<Arc<dyn Signer>>,
    ) -> Result<Self, SetupError> {
        let uris = protocol.paths().iter().map(|path| Ok((*path, endpoint.uri(path)?)));
        let uris = uris.collect::<Result<_, SetupError>>()?;
        let mut headers = protocol.headers();
        headers.extend(endpoint.headers().clone());
        if endpoint.is_https() {
            transport.prepare_tls();
        } else if let Ok(host) = HeaderValue::from_str(endpoint.authority()) {
            // Over plain text it is always HTTP/1.1, which needs the header; made here, the client need not per call.
            headers.insert(HOST, host);
        }
        Ok(Self(Arc::new(Inner { protocol, endpoint, transport, uris, headers, signer })))
    }
}

impl<P: Protocol> Upstream for HttpUpstream<P> {
    fn chat(&self, call: ChatCall) -> ChatFuture<Reply<ChatCompletion>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.chat(call).await.map_err(|error| inner.redacted(error)) })
    }

    fn stream_chat(&self, call: ChatCall) -> ChatFuture<Reply<ChunkStream>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.stream_chat(call).await.map_err(|error| inner.redacted(error)) })
    }

    fn embed(&self, call: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.embed(call).await.map_err(|error| inner.redacted(error)) })
    }

    fn models(&self) -> ChatFuture<Vec<ModelInfo>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.models().await.map_err(|error| inner.redacted(error)) })
    }
}

impl<P: Protocol> Inner<P> {
    async fn chat(&self, mut call: ChatCall) -> Result<Reply<ChatCompletion>, UpstreamError> {
        let (deadline, trace) = (call.deadline, call.trace.take());
        let Worded { request, reading, dropped } = self.protocol.chat_request(call, false)?;
        let body = self.ask(request, trace, deadline).await?;
        Ok(Reply { body: self.protocol.read_completion(reading, &body)?, dropped })
    }

    async fn models(&self) -> Result<Vec<ModelInfo>, UpstreamError> {
        let body = self.ask(self.protocol.models_request(), None, None).await?;
        self.protocol.read_models(&body)
    }

    async fn stream_chat(self: &Arc<Self>, mut call: ChatCall) -> Result<Reply<ChunkStream>, UpstreamError> {
        let (deadline, trace) = (call.deadline, call.trace.take());
        let Worded { request, reading, dropped } = self.protocol.chat_request(call, true)?;
        let mut watchdog = pin!(self.watchdog(deadline)?);
        let answer = self.send(request, trace, watchdog.as_mut()).await?;
        // Servers that do not say what they answer with are taken to have understood the question.
        if let Some(media_type) = media_type(answer.headers()).filter(|given| given != self.protocol.stream_type()) {
            return Err(self.no_stream(reading, &media_type, answer, watchdog).await);
        }
        let mut chunks = Box::pin(Chunks::new(Arc::clone(self), reading, answer.into_body(), deadline));
        match poll_fn(|context| chunks.as_mut().poll_next(context)).await {
            Some(Ok(first)) => chunks.as_mut().put_back(first),
            Some(Err(error)) => return Err(error),
            None => {}
        }
        Ok(Reply { body: chunks, dropped })
    }

    /// Sends a request and reads the whole answer.
    async fn ask(
        &self,
        request: WireRequest,
        trace: Option<TraceHeaders>,
        deadline: Option<Instant>,
    ) -> Result<Bytes, UpstreamError> {
        let mut watchdog = pin!(self.watchdog(deadline)?);
        let answer = self.send(request, trace, watchdog.as_mut()).await?;
        let config = self.transport.config();
        watchdog.as_mut().expect_within(config.idle_timeout);
        transport::read_whole(answer.into_body(), config.max_body_bytes, watchdog).await
    }

    /// Sends a request. An answer that is not a success is an error.
    async fn send(
        &self,
        request: WireRequest,
        trace: Option<TraceHeaders>,
        mut watchdog: Pin<&mut Watchdog>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut outgoing = Outgoing { trace, ..self.outgoing(request)? };
        if let Some(signer) = &self.signer {
            let Outgoing { method, uri, headers, body, .. } = &mut outgoing;
            signer.sign(&self.transport, method, uri, headers.to_mut(), body).await?;
        }
        let answer = self.transport.send(&outgoing, watchdog.as_mut()).await?;
        let (status, headers) = (answer.status(), answer.headers());
        if status.is_success() {
            return Ok(answer);
        }
        let retry_after = transport::retry_after(headers);
        watchdog.as_mut().expect_within(ERROR_PATIENCE);
        let body = transport::read_beginning(answer.into_body(), MAX_ERROR_BYTES, watchdog).await;
        let error = self.protocol.read_error(status.as_u16(), &body);
        Err(UpstreamError { retry_after: error.retry_after.or(retry_after), ..error })
    }

    fn outgoing(&self, request: WireRequest) -> Result<Outgoing<'_>, UpstreamError> {
        let known = self.uris.iter().find(|(path, _)| *path == request.path);
        let uri = match known {
            Some((_, uri)) => uri.clone(),
            None => self.endpoint.uri(&request.path).map_err(|error| {
                UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the model has no address: {error}"))
            })?,
        };
        let mut headers = Cow::Borrowed(&self.headers);
        if !request.headers.is_empty() {
            headers.to_mut().extend(request.headers);
        }
        Ok(Outgoing { method: request.method, uri, headers, body: request.body, trace: None })
    }

    /// Watches a call from now on, unless its time is already up.
    fn watchdog(&self, deadline: Option<Instant>) -> Result<Watchdog, UpstreamError> {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            let message = "the deadline passed before the upstream was asked";
            return Err(UpstreamError::new(UpstreamErrorKind::Timeout, message));
        }
        Ok(Watchdog::new(self.transport.config().header_timeout, deadline))
    }

    /// The error of a success that is something else where a stream was asked for. A document may tell what is wrong:
    /// some servers report errors like that. Of the rest nothing is read; it may have no end.
    async fn no_stream(
        &self,
        reading: P::Reading,
        media_type: &str,
        answer: Response<Incoming>,
        mut watchdog: Pin<&mut Watchdog>,
    ) -> UpstreamError {
        if media_type != "application/json" && !media_type.ends_with("+json") {
            let message = format!("the upstream was asked for a stream and answered with {media_type}");
            return UpstreamError::new(UpstreamErrorKind::Protocol, message);
        }
        let config = self.transport.config();
        watchdog.as_mut().expect_within(config.idle_timeout);
        let body = transport::read_whole(answer.into_body(), config.max_body_bytes, watchdog).await;
        match body.and_then(|body| self.protocol.read_completion(reading, &body)) {
            Ok(_) => UpstreamError::new(
                UpstreamErrorKind::Protocol,
                "the upstream was asked for a stream and answered with a whole document",
            ),
            Err(error) => error,
        }
    }

    /// Removes our key from what the upstream said.
    fn redacted(&self, mut error: UpstreamError) -> UpstreamError {
        let texts = [Some(&mut error.message), error.param.as_mut(), error.code.as_mut()];
        texts.into_iter().flatten().for_each(|text| self.endpoint.redact(text));
        error
    }
}

/// The media type of an answer, in lower case and without parameters; `None` if it is not said in words.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let essence = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
    (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
