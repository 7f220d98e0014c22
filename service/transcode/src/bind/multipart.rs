//! `multipart/form-data`: what pages and tools upload files with.
//!
//! A part's name is the name of a field, as in a form (`a.b`, `map[key]`; relative to the message that is the body).
//! - A part for a `bytes` or `google.api.HttpBody` field is a file: its data is taken as it is, its content type with it.
//! - A part of type `application/json` is the JSON of its field, whatever the field is.
//! - Any other part is a text, and bound as a parameter is.
//!
//! Of a **unary** RPC all parts make one message, and a list of files takes any number of parts. Of a
//! **client-streaming** RPC they make messages in their order: what query, path and texts say is one message, sent before
//! the next file; then a file, in pieces, each a message with nothing else in it, the content type in the first. This is
//! the stream that a `oneof { Metadata metadata; bytes chunk; }` asks for. Unknown parts are refused or ignored as unknown
//! parameters are; a file input where nothing was chosen counts as absent.

mod parts;

use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::Status;
use tonic::body::Body;

use self::parts::{Part, Parts};
use super::body::too_large;
use super::fault::Fault;
use super::parameters::{Given, Parameters, Source};
use super::upload::{PIECE, http_body, is_http_body};
use super::{Refusal, invalid};
use crate::admission::Share;
use crate::frame;
use crate::json::wire::{WireType, close, open, put_bytes, put_varint};
use crate::json::{MessageId, Plans};
use crate::route::Route;
use crate::route::field_path::{FieldPath, Shape};
use crate::transcoder::Shared;

/// Whether a message has a field that a file can be put into.
pub(super) fn takes_files(plans: &Plans, message: MessageId) -> bool {
    plans.fields(message).any(|field| file_field(plans, message, field).is_some())
}

/// How a field holds a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum File {
    Bytes,
    HttpBody,
}

fn file_field(plans: &Plans, message: MessageId, field: u16) -> Option<File> {
    match plans.child(message, field) {
        Some(child) => is_http_body(plans, child).then_some(File::HttpBody),
        None => plans.is_bytes(message, field).then_some(File::Bytes),
    }
}

impl File {
    /// The field that holds this data.
    fn field(self, plans: &Plans, path: &FieldPath, content_type: &str, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len() + content_type.len() + 32);
        let Some(&(message, field)) = path.steps.last() else {
            return out;
        };
        put_varint(&mut out, u64::from(plans.field_number(message, field)) << 3 | WireType::Bytes.number());
        match self {
            Self::Bytes => put_bytes(&mut out, data),
            Self::HttpBody => {
                let start = open(&mut out);
                http_body(content_type, data, &mut out);
                close(&mut out, start);
            }
        }
        out
    }
}

/// What a part is for.
enum Purpose {
    File(FieldPath, File),
    Json(FieldPath),
    Text(FieldPath, Option<Box<str>>),
    /// It is to be passed over.
    Nothing,
}

impl Purpose {
    fn of(part: &Part, parameters: &mut Parameters<'_>, plans: &Plans) -> Result<Self, Status> {
        let Some(name) = part.name() else {
            return Err(Status::invalid_argument("a part of the body has no name"));
        };
        let (path, key) = match parameters.locate(Source::Form, name) {
            Ok(Some(located)) => located,
            Ok(None) => return Ok(Self::Nothing),
            Err(problem) => {
                parameters.refuse(name, problem)?;
                return Ok(Self::Nothing);
            }
        };
        let file = path.steps.last().and_then(|&(message, field)| file_field(plans, message, field));
        Ok(match (key, file) {
            (None, Some(file)) if path.shape(plans) != Shape::Map => Self::File(path, file),
            (None, _) if is_json(part.content_type()) => Self::Json(path),
            (key, _) => Self::Text(path, key.map(Into::into)),
        })
    }
}

fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Binds a part that is not a file.
fn bind_text(
    purpose: Purpose,
    data: &[u8],
    parameters: &mut Parameters<'_>,
    message: &mut Vec<u8>,
) -> Result<(), Status> {
    match purpose {
        Purpose::Json(path) => parameters.json(&path, data, message),
        Purpose::Text(path, key) => match std::str::from_utf8(data) {
            Ok(text) => parameters.located(path, key.as_deref(), text, message),
            Err(_) => parameters.refuse(&path.text, "is not UTF-8".to_owned()),
        },
        Purpose::File(..) | Purpose::Nothing => Ok(()),
    }
}

/// A multipart body that is to be read.
pub(super) struct Upload {
    pub(super) body: Body,
    pub(super) boundary: String,
}

impl Upload {
    /// Binds every part into one message.
    pub(super) async fn read(
        self,
        shared: &Shared,
        parameters: &mut Parameters<'_>,
        route: &Route,
        message: &mut Vec<u8>,
        share: &mut Share,
    ) -> Result<(), Refusal> {
        let (plans, limits) = (&shared.plans, &route.method.limits);
        let mut parts = Parts::new(self.body, self.boundary, limits.max_body, limits.body_idle_timeout);
        while let Some(mut part) = parts.next().await? {
            let purpose = Purpose::of(&part, parameters, plans)?;
            let data = part.data(limits.max_body).await?;
            share.grow(data.len())?;
            match purpose {
                Purpose::File(..) if part.is_unchosen() && data.is_empty() => {}
                Purpose::File(path, file) => {
                    let list = path.steps.last().is_some_and(|&(owner, field)| plans.is_repeated(owner, field));
                    match parameters.claim(&path, None, list, message) {
                        Ok(()) => {
                            let field = file.field(plans, &path, part.content_type(), &data);
                            parameters.append(&path.steps[..path.steps.len() - 1], field, message);
                        }
                        Err((field, problem)) => parameters.refuse(&field, problem)?,
                    }
                }
                purpose => bind_text(purpose, &data, parameters, message)?,
            }
        }
        Ok(())
    }

    /// The body of the gRPC request that the parts make one after the other; what is wrong with it is noted in `fault` too.
    pub(super) fn stream(self, shared: Arc<Shared>, route: Arc<Route>, uri: Uri, fault: Fault) -> Body {
        let limits = &route.method.limits;
        let parts = Parts::new(self.body, self.boundary, limits.max_upload, limits.body_idle_timeout);
        let stream = PartStream {
            shared,
            route,
            uri: Some(uri),
            given: Given::default(),
            message: frame::start(0),
            file: None,
            parts: Some(parts),
            fault,
        };
        let frames = futures_util::stream::unfold(stream, |mut stream| async move {
            let frame = stream.next().await?;
            Some((frame.map(Frame::data), stream))
        });
        Body::new(StreamBody::new(frames))
    }
}

/// A file that is being passed on.
struct OpenFile {
    part: Part,
    path: FieldPath,
    file: File,
    /// Data that has arrived.
    chunk: Bytes,
    /// Whether no message of it has been sent.
    fresh: bool,
}

struct PartStream {
    shared: Arc<Shared>,
    route: Arc<Route>,
    /// Until it is bound into the first message.
    uri: Option<Uri>,
    given: Given,
    /// What texts have said since the last file, behind the room for a frame header.
    message: Vec<u8>,
    file: Option<OpenFile>,
    /// None once the body has ended, or something was wrong with it.
    parts: Option<Parts>,
    fault: Fault,
}

impl PartStream {
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        self.parts.as_ref()?;
        self.try_next()
            .await
            .map_err(|refusal| {
                self.parts = None;
                self.file = None;
                self.fault.note(refusal)
            })
            .transpose()
    }

    async fn try_next(&mut self) -> Result<Option<Bytes>, Refusal> {
        if let Some(uri) = self.uri.take() {
            let mut parameters = Parameters::new(&self.shared, &self.route, frame::HEADER);
            parameters.uri(&uri, &mut self.message)?;
            self.given = parameters.pause()?;
        }
        loop {
            // What was said before a file goes before it.
            if self.file.is_some() && self.message.len() > frame::HEADER {
                return self.flush();
            }
            if let Some(file) = &mut self.file {
                if let Some(piece) = file.next(&self.shared.plans).await? {
                    return Ok(Some(piece));
                }
                self.file = None;
            }
            let Some(parts) = &mut self.parts else { return Ok(None) };
            let Some(part) = parts.next().await? else {
                self.parts = None;
                return if self.message.len() > frame::HEADER { self.flush() } else { Ok(None) };
            };
            self.take(part).await?;
        }
    }

    /// Opens a file, or reads and binds another part.
    async fn take(&mut self, mut part: Part) -> Result<(), Refusal> {
        let Self { shared, route, message, .. } = self;
        let mut parameters = Parameters::resume(shared, route, frame::HEADER, std::mem::take(&mut self.given));
        match Purpose::of(&part, &mut parameters, &shared.plans)? {
            Purpose::File(path, file) => {
                let chunk = part.chunk().await?.unwrap_or_default();
                if !(chunk.is_empty() && part.is_unchosen()) {
                    // In the stream a file stands alone in its messages, so that only a second one is in its way.
                    let nothing = frame::start(0);
                    parameters
                        .claim(&path, None, false, &nothing)
                        .map_err(|(field, problem)| invalid(&field, &problem))?;
                    self.file = Some(OpenFile { part, path, file, chunk, fresh: true });
                }
            }
            purpose => {
                let room = route.method.limits.max_body.saturating_sub(message.len() - frame::HEADER);
                let data = part.data(room).await?;
                bind_text(purpose, &data, &mut parameters, message)?;
            }
        }
        self.given = parameters.pause()?;
        Ok(())
    }

    /// The message of what texts have said.
    fn flush(&mut self) -> Result<Option<Bytes>, Refusal> {
        let mut message = std::mem::replace(&mut self.message, frame::start(0));
        let given = std::mem::take(&mut self.given);
        let parameters = Parameters::resume(&self.shared, &self.route, frame::HEADER, given);
        self.given = parameters.finish(&mut message)?;
        frame::seal(message).map(Some).ok_or_else(|| too_large(u32::MAX as usize))
    }
}

impl OpenFile {
    /// The message of the next piece; `None` at the end of the file.
    async fn next(&mut self, plans: &Plans) -> Result<Option<Bytes>, Refusal> {
        while self.chunk.is_empty() {
            match self.part.chunk().await? {
                Some(chunk) => self.chunk = chunk,
                None if self.fresh => break,
                None => return Ok(None),
            }
        }
        let piece = self.chunk.split_to(self.chunk.len().min(PIECE));
        let content_type = if std::mem::take(&mut self.fresh) { self.part.content_type() } else { "" };
        let mut field = self.file.field(plans, &self.path, content_type, &piece);
        for &(owner, index) in self.path.steps[..self.path.steps.len() - 1].iter().rev() {
            field = plans.nested(owner, index, &field);
        }
        let mut message = frame::start(field.len());
        message.extend_from_slice(&field);
        frame::seal(message).map(Some).ok_or_else(|| too_large(u32::MAX as usize))
    }
}
