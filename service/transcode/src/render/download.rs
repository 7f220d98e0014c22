//! `google.api.HttpBody` as what it is: bytes with a media type.
//!
//! The bytes of a message are a slice of it, never a copy. Those of a streamed answer follow one another with nothing in
//! between, under the media type of the first message. Bytes leave no room for an error in their midst, so one breaks the
//! connection (HTTP/1.1) or resets the stream (HTTP/2): a download that was cut never looks complete.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body as _, Frame};
use tonic::body::Body;
use tonic::{Code, Status};

use super::stream::announce_trailers;
use super::{Call, cut_short, end_of, metadata};
use crate::frame::Deframer;
use crate::json::wire::{Malformed, Reader, Value};

/// What one `HttpBody` holds.
#[derive(Debug, Default)]
pub(super) struct Content {
    content_type: Option<HeaderValue>,
    pub(super) data: Bytes,
}

impl Content {
    /// The body in a message: the message itself, or its field of this number.
    pub(super) fn of(message: &Bytes, field: Option<u32>) -> Result<Self, Status> {
        let mut content = Self::default();
        let read = match field {
            None => content.merge(message, message),
            Some(number) => fields(message).try_for_each(|field| match field? {
                (at, Value::Bytes(inner)) if at == number => content.merge(message, inner),
                _ => Ok(()),
            }),
        };
        read.map_err(|error| Status::internal(error.to_string()))?;
        Ok(content)
    }

    /// Reads the fields of `wire`, which stands in `message`; what comes later counts.
    fn merge(&mut self, message: &Bytes, wire: &[u8]) -> Result<(), Malformed> {
        fields(wire).try_for_each(|field| {
            match field? {
                (1, Value::Bytes(text)) => self.content_type = HeaderValue::from_bytes(text).ok(),
                (2, Value::Bytes(data)) => self.data = message.slice_ref(data),
                _ => {}
            }
            Ok(())
        })
    }

    /// Says in the headers, which have what is carried over, what the body is. `sent` is what is not.
    pub(super) fn describe<B>(&self, sent: &HeaderMap, response: &mut Response<B>) {
        let given = self.content_type.clone().filter(|text| !text.is_empty());
        let content_type = given.unwrap_or(HeaderValue::from_static("application/octet-stream"));
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        if let Some(encoding) = sent.get(CONTENT_ENCODING) {
            response.headers_mut().insert(CONTENT_ENCODING, encoding.clone());
        }
        // The header says that this is a part, and means nothing without the code (RFC 9110, section 15.3.7).
        if response.headers().contains_key(CONTENT_RANGE) {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
    }
}

fn fields(wire: &[u8]) -> impl Iterator<Item = Result<(u32, Value<'_>), Malformed>> {
    let mut reader = Reader::new(wire);
    std::iter::from_fn(move || reader.next().map(|field| field.map(|field| (field.number, field.value))).transpose())
}

/// The streamed answer. The first message is waited for: it has the media type, or comes after an error.
pub(super) async fn answer(
    call: &Call,
    field: Option<u32>,
    sent: &mut HeaderMap,
    body: Body,
) -> Result<Response<Body>, Status> {
    let mut download = Download {
        field,
        keep_trailers: call.trailers,
        first: None,
        body: Some(body),
        deframer: Deframer::default(),
        trailers: None,
    };
    let first = std::future::poll_fn(|context| download.poll_content(context)).await.transpose()?.unwrap_or_default();
    let mut response = Response::new(());
    *response.headers_mut() = metadata::take(sent);
    first.describe(sent, &mut response);
    announce_trailers(call, sent, response.headers_mut());
    download.first = Some(first.data);
    Ok(response.map(|()| Body::new(download)))
}

/// The bytes of a stream of messages.
struct Download {
    field: Option<u32>,
    keep_trailers: bool,
    /// The bytes that were waited for before the headers went out.
    first: Option<Bytes>,
    /// None once the stream has ended: the call is then dropped.
    body: Option<Body>,
    deframer: Deframer,
    trailers: Option<HeaderMap>,
}

impl Download {
    /// The next message; `None` once the stream has come to a good end.
    fn poll_content(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Content, Status>>> {
        let next = std::task::ready!(self.poll_message(context))
            .and_then(|message| message.map(|message| Content::of(&message, self.field)).transpose());
        if !matches!(next, Ok(Some(_))) {
            self.body = None;
        }
        Poll::Ready(next.transpose())
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            if let Some(message) = self.deframer.next().map_err(|error| Status::internal(error.to_string()))? {
                return Poll::Ready(Ok(Some(message)));
            }
            let Some(body) = self.body.as_mut() else { return Poll::Ready(Ok(None)) };
            let frame = match std::task::ready!(Pin::new(body).poll_frame(context)) {
                None => return Poll::Ready(Err(cut_short())),
                Some(frame) => frame?,
            };
            match frame.into_data().map_err(Frame::into_trailers) {
                Ok(data) => self.deframer.push(data),
                Err(trailers) => return Poll::Ready(self.end(trailers.unwrap_or_default())),
            }
        }
    }

    fn end(&mut self, trailers: HeaderMap) -> Result<Option<Bytes>, Status> {
        let status = end_of(Some(&trailers));
        if status.code() != Code::Ok {
            return Err(status);
        }
        if !self.deframer.is_empty() {
            return Err(cut_short());
        }
        self.trailers = Some(trailers).filter(|_| self.keep_trailers).and_then(metadata::trailers);
        Ok(None)
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        while let Some(content) = std::task::ready!(self.poll_content(context)).transpose()? {
            if !content.data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(content.data))));
            }
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}
