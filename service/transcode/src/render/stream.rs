//! The messages of a gRPC stream as one HTTP body, in whatever framing.
//!
//! One frame goes out for each that comes in, at once, with every message that is in it; nothing else is held back, and
//! nothing is asked for before it is wanted. Dropping the body drops the call.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRAILER, VARY};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};

use super::{Call, cut_short, end_of, metadata};
use crate::frame::Deframer;

/// How messages follow one another, and how their end is told from a cut.
pub(super) trait Framing: Send + 'static {
    /// What is sent in a silence: nothing that a reader sees.
    const KEEP_ALIVE: &'static [u8];

    fn media_type(&self) -> &'static str;

    /// What stands in front of the first message.
    fn start(&mut self, _call: &Call, _out: &mut Vec<u8>) {}

    /// Appends one message; on an error `out` is as it was.
    fn message(&mut self, call: &Call, message: &[u8], out: &mut Vec<u8>) -> Result<(), Status>;

    /// What stands behind the last message.
    fn end(&mut self, call: &Call, status: &Status, out: &mut Vec<u8>);
}

/// The streamed answer. The first message is waited for: an error that comes before it is the answer's own status. A HEAD
/// waits for nothing: its call ends as soon as the service has sent headers.
pub(super) async fn answer<F: Framing>(
    call: &Call,
    mut framing: F,
    sent: &mut HeaderMap,
    mut body: Body,
) -> Result<Response<Body>, Status> {
    let mut deframer = Deframer::default();
    let mut first = First::default();
    framing.start(call, &mut first.out);
    if !call.head {
        first.wait(call, &mut framing, &mut deframer, &mut body).await?;
    }
    let media_type = framing.media_type();
    let mut response = Response::new(Body::new(Streamed::new(call.clone(), framing, deframer, first, body)));
    let headers = response.headers_mut();
    *headers = metadata::take(sent);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.append(VARY, HeaderValue::from_static("accept"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    // Asks nginx and its like not to hold messages back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    announce_trailers(call, sent, headers);
    Ok(response)
}

/// Over HTTP/1.1 only trailers that were announced are sent, and of a stream the service alone can know them.
pub(super) fn announce_trailers(call: &Call, sent: &HeaderMap, headers: &mut HeaderMap) {
    if let (true, Some(names)) = (call.trailers, sent.get(TRAILER)) {
        headers.insert(TRAILER, names.clone());
    }
}

/// What is known before the headers go out.
#[derive(Debug, Default)]
struct First {
    /// The first message, framed.
    out: Vec<u8>,
    /// The trailers of a stream that ended well before any message.
    ended: Option<HeaderMap>,
}

impl First {
    /// Waits for the first message, or for the good end of a stream without any.
    async fn wait<F: Framing>(
        &mut self,
        call: &Call,
        framing: &mut F,
        deframer: &mut Deframer,
        body: &mut Body,
    ) -> Result<(), Status> {
        loop {
            match body.frame().await.ok_or_else(cut_short)??.into_data().map_err(Frame::into_trailers) {
                Ok(data) => {
                    deframer.push(data);
                    if let Some(message) = next(deframer)? {
                        self.out.reserve(message.len() * 2 + 64);
                        return framing.message(call, &message, &mut self.out);
                    }
                }
                Err(trailers) => {
                    let trailers = trailers.unwrap_or_default();
                    let status = end(&trailers, deframer);
                    if status.code() != Code::Ok {
                        return Err(status);
                    }
                    self.ended = Some(trailers);
                    return Ok(());
                }
            }
        }
    }
}

pin_project_lite::pin_project! {
    /// The body of a streamed answer.
    struct Streamed<F> {
        call: Call,
        framing: F,
        first: Option<First>,
        // None once the stream has ended: the call is then dropped.
        body: Option<Body>,
        trailers: Option<HeaderMap>,
        deframer: Deframer,
        last_write: Instant,
        #[pin]
        keep_alive: Sleep,
    }
}

impl<F: Framing> Streamed<F> {
    fn new(call: Call, framing: F, deframer: Deframer, first: First, body: Body) -> Self {
        Self {
            framing,
            first: Some(first),
            body: Some(body),
            trailers: None,
            deframer,
            last_write: Instant::now(),
            keep_alive: tokio::time::sleep(call.shared.config.keep_alive),
            call,
        }
    }
}

impl<F: Framing> http_body::Body for Streamed<F> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut() else {
            return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        };
        let First { mut out, ended } = this.first.take().unwrap_or_default();
        let mut ended = ended.map(Ok);
        if !out.is_empty() && ended.is_none() {
            ended = messages(this.call, this.framing, this.deframer, &mut out).err().map(Err);
        }
        // One frame of the answer holds every message that was ready when it was made: what is there is joined already.
        // It goes round again only where the frame held less than a message.
        while out.is_empty() && ended.is_none() {
            let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) else { break };
            ended = match frame.transpose() {
                Ok(Some(frame)) => match frame.into_data().map_err(Frame::into_trailers) {
                    Ok(data) => {
                        this.deframer.push(data);
                        messages(this.call, this.framing, this.deframer, &mut out).err().map(Err)
                    }
                    Err(trailers) => Some(Ok(trailers.unwrap_or_default())),
                },
                Ok(None) => Some(Err(cut_short())),
                Err(status) => Some(Err(status)),
            };
        }
        if let Some(ended) = ended {
            let status = match ended {
                Ok(trailers) => {
                    let status = end(&trailers, this.deframer);
                    *this.trailers = Some(trailers).filter(|_| this.call.trailers).and_then(metadata::trailers);
                    status
                }
                Err(status) => status,
            };
            this.framing.end(this.call, &status, &mut out);
            *this.body = None;
        }
        if !out.is_empty() {
            *this.last_write = Instant::now();
            return Poll::Ready(Some(Ok(Frame::data(out.into()))));
        }
        // The timer is moved on only when it fires, so that a message costs no timer operation.
        while this.keep_alive.as_mut().poll(context).is_ready() {
            let period = this.call.shared.config.keep_alive;
            let due = *this.last_write + period;
            let now = Instant::now();
            if due > now {
                this.keep_alive.as_mut().reset(due.into());
                continue;
            }
            *this.last_write = now;
            this.keep_alive.as_mut().reset((now + period).into());
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(F::KEEP_ALIVE)))));
        }
        Poll::Pending
    }
}

/// Every message that is there.
fn messages<F: Framing>(
    call: &Call,
    framing: &mut F,
    deframer: &mut Deframer,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    while let Some(message) = next(deframer)? {
        out.reserve(message.len() * 2 + 64);
        framing.message(call, &message, out)?;
    }
    Ok(())
}

fn next(deframer: &mut Deframer) -> Result<Option<Bytes>, Status> {
    deframer.next().map_err(|error| Status::internal(error.to_string()))
}

/// How the stream ended: a good end in the midst of a message is a cut.
fn end(trailers: &HeaderMap, deframer: &Deframer) -> Status {
    let status = end_of(Some(trailers));
    if status.code() == Code::Ok && !deframer.is_empty() { cut_short() } else { status }
}

/// Appends the JSON of a message on one line: JSON held verbatim may have line breaks between its tokens.
pub(super) fn write_line(call: &Call, message: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let start = out.len();
    call.write(message, out)?;
    if memchr::memchr2(b'\n', b'\r', &out[start..]).is_some() {
        for byte in &mut out[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    Ok(())
}
