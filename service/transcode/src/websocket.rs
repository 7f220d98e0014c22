//! WebSocket (RFC 6455; over HTTP/2, RFC 8441): one socket is one call of a streaming RPC.
//!
//! A socket is opened on the path of any HTTP rule of a streaming RPC, whatever the rule's verb, or on its default route.
//! What the path and the query say is bound into the first message, as it is over HTTP.
//!
//! | frame | meaning |
//! |---|---|
//! | text, from the client | one request message in JSON, or the field of it that the rule names as the body |
//! | empty text, from the client | the request stream has ended; the answers go on |
//! | text, from the server | one answer in JSON, and nothing else, but for the last text |
//! | last text, from the server | `{"@end":{}}`, or `{"@error":{...}}` with the error in the API's shape; then the close frame |
//! | binary | not understood: closed with 1003 |
//! | ping | answered; the server sends them too, every [`Config::keep_alive`](crate::Config::keep_alive) |
//!
//! These last texts are those of newline-delimited JSON, so that a client has one rule for both. An RPC that does not
//! stream its requests takes one text, or an empty one for a message of path and query alone; where its rule has no body
//! it takes none and begins at once. Whatever the client says after the end of its requests is an error.
//!
//! The close frame's reason is the name of the status; its code says it as well as a code can ([`close`]). The client
//! may close at any time: that cancels the call, as does a connection that is lost or does not answer pings for a whole
//! period. A socket on which no message goes either way for
//! [`Config::socket_idle_timeout`](crate::Config::socket_idle_timeout) ends with DEADLINE_EXCEEDED.
//!
//! What refuses the call before the handler is reached (layers, limits) refuses the handshake, with the HTTP status it
//! would have without a socket: the handshake is answered when the handler asks for the first message, or answers. The
//! call passes through the same layers as any other, as a gRPC request.
//!
//! A web page may open sockets to any server, with the cookies of that server, and no preflight is asked: pages whose
//! origin is neither the server's own nor among [`Config::socket_origins`](crate::Config::socket_origins) get 403.
//!
//! A page cannot set headers either. It may offer its credential as a second subprotocol, `bearer.` in front, which
//! layers then see as `authorization: Bearer`: `new WebSocket(url, ["transcode.json", "bearer." + credential])`. It is
//! never chosen, so that the answer does not repeat it.
//!
//! A server that shuts down ends its sockets through [`Sockets`]: their calls end with UNAVAILABLE, and the close frame
//! has 1001.
//!
//! Nothing is queued beyond one message each way: a handler that does not read stops the reading of the socket, a client
//! that does not read stops the handler.

mod answer;
mod close;
mod handshake;
mod pulse;
mod requests;
mod session;
mod sockets;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method as Verb, Request, Response, Uri, Version};
use tonic::body::Body;
use tower_service::Service;

use self::answer::Answer;
pub(crate) use self::handshake::is_wanted;
use self::session::Session;
pub use self::sockets::Sockets;
use crate::accept;
use crate::bind::messages::Converter;
use crate::metadata;
use crate::render;
use crate::route::{BodyPart, Method, Route};
use crate::status::http_response;
use crate::transcoder::Shared;

/// How long the answer to a handshake waits for the handler to ask for a message. Layers have answered by then; a
/// handler that waits for something else first must not keep the client waiting.
const PATIENCE: Duration = Duration::from_secs(2);

/// The RPC that a socket on this route calls.
pub(crate) fn method(route: &Route) -> &Arc<Method> {
    match &route.twin {
        Some((_, twin)) if !route.method.client_streaming && !route.method.server_streaming => twin,
        _ => &route.method,
    }
}

/// Answers the handshake of a socket on `route` and serves the socket from then on.
pub(crate) async fn accept<S>(
    shared: &Arc<Shared>,
    route: &Arc<Route>,
    mut inner: S,
    mut request: Request<Body>,
) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    let method = method(route);
    let shape = method.error_shape;
    let accepted = match handshake::check(&request, &shared.config.socket_origins) {
        Ok(accepted) => accepted,
        Err(refusal) => return handshake::refused(refusal, shape),
    };
    if let Err(status) = crate::edge::set_deadline(&mut request, method.limits.max_timeout) {
        return http_response(shape, &status, None);
    }
    let upgrade = hyper::upgrade::on(&mut request);
    // What is wrong with path or query is said now, not in the midst of the call.
    if let Err(status) = shared.bind_uri(route, request.uri(), &mut Vec::new(), 0) {
        return http_response(shape, &status, None);
    }
    let uri = std::mem::replace(request.uri_mut(), Uri::from(method.path.clone()));
    let mut converter = Converter::new(shared.clone(), route.clone(), uri);
    let mut first = Vec::new();
    if !method.client_streaming
        && route.body == BodyPart::None
        && let Err(refusal) = converter.bare(&mut first)
    {
        return refusal.into_http(shape);
    }
    let wanted = accept::wanted(request.headers(), method, false);
    handshake::move_credential(request.headers_mut());
    *request.method_mut() = Verb::POST;
    *request.version_mut() = Version::HTTP_2;
    if let Err(status) = metadata::of_request(request.headers_mut(), shared.config.request_headers.as_ref()) {
        return http_response(shape, &status, None);
    }
    let (requests, body, reached) = requests::stream();
    *request.body_mut() = body;
    let call = inner.call(request);
    let mut call: answer::Call = Box::pin(async move {
        match call.await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    });
    let early = tokio::select! {
        biased;
        response = &mut call => Some(response),
        () = reached.wait() => None,
        () = tokio::time::sleep(PATIENCE) => None,
    };
    let answer = match early {
        None => Answer::Waiting(call),
        Some(response) if answer::is_refusal(&response) => {
            return render::answer(shared, route, wanted, response).await;
        }
        Some(response) => Answer::begun(response),
    };
    let session = Session::new(shared.clone(), route.clone(), converter, requests, answer, first);
    tokio::spawn(session.run(upgrade, shared.sockets.join()));
    accepted
}
