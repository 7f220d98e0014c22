//! The one message of a unary answer: JSON, or the bytes of a `google.api.HttpBody`.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRAILER};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tonic::{Code, Status};

use super::download::Content;
use super::{Call, Part, end_of, metadata};
use crate::frame::Deframer;

pub(super) async fn answer(call: &Call, sent: &mut HeaderMap, body: Body) -> Result<Response<Body>, Status> {
    let (message, trailers) = read(body).await?;
    let mut response = Response::new(Bytes::new());
    if let Part::Body(field) = call.part {
        let content = Content::of(&message, field)?;
        *response.headers_mut() = metadata::take(sent);
        content.describe(sent, &mut response);
        *response.body_mut() = content.data;
    } else {
        let mut json = Vec::with_capacity(message.len() * 2);
        call.write(&message, &mut json)?;
        *response.headers_mut() = metadata::take(sent);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = json.into();
    }
    let Some(trailers) = metadata::trailers(trailers) else {
        return Ok(response.map(|data| Body::new(Full::from(data))));
    };
    if call.shared.config.trailers_as_headers {
        put_trailers(&trailers, response.headers_mut());
    }
    if !call.trailers {
        return Ok(response.map(|data| Body::new(Full::from(data))));
    }
    let names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        response.headers_mut().insert(TRAILER, names);
    }
    Ok(response.map(|data| Body::new(Trailed { data: Some(data), trailers: Some(trailers) })))
}

/// The one message, and the trailers of a call that went well.
async fn read(mut body: Body) -> Result<(Bytes, HeaderMap), Status> {
    let mut deframer = Deframer::default();
    let mut message = None;
    let mut ended = None;
    while let Some(frame) = body.frame().await {
        match frame?.into_data().map_err(Frame::into_trailers) {
            Ok(data) => {
                deframer.push(data);
                if message.is_none() {
                    message = deframer.next().map_err(|error| Status::internal(error.to_string()))?;
                }
            }
            Err(trailers) => ended = trailers.ok(),
        }
    }
    let status = end_of(ended.as_ref());
    if status.code() != Code::Ok {
        return Err(status);
    }
    let message = message
        .filter(|_| deframer.is_empty())
        .ok_or_else(|| Status::internal("the service gave no answer, or more than one"))?;
    Ok((message, ended.unwrap_or_default()))
}

/// Puts trailers among the headers, each name with `trailer-` in front, as the Connect protocol has it.
fn put_trailers(trailers: &HeaderMap, headers: &mut HeaderMap) {
    for (name, value) in trailers {
        if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
            headers.append(name, value.clone());
        }
    }
}

/// A body with trailers. Its length is not told: HTTP/1.1 has trailers only behind chunks.
struct Trailed {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Trailed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let data = self.data.take().filter(|data| !data.is_empty()).map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }
}
