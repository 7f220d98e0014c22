//! One thing that the pages consist of, kept compressed, and the answer to a request for it. It knows HTTP, and nothing of
//! what it holds.

use std::io::{Error, ErrorKind, Read as _, Write as _};

use bytes::{Buf as _, Bytes};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::stream;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tonic::Status;
use tonic::body::Body;

/// How much is decompressed at a time for a client that takes nothing compressed.
const PIECE: usize = 32 << 10;

/// Bytes with their type and policy.
#[derive(Debug)]
pub(super) struct Resource {
    media_type: HeaderValue,
    policy: HeaderValue,
    gzip: Bytes,
    /// Bytes before compression.
    length: u32,
    /// What the entity tags begin with: checksum and length before compression, as hexadecimal digits.
    tag: String,
}

impl Resource {
    /// Something that is made at start-up.
    pub(super) fn made(media_type: HeaderValue, policy: &HeaderValue, plain: &[u8]) -> Result<Self, Error> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain)?;
        Self::stored(media_type, policy, encoder.finish()?.into())
    }

    /// Something that is already compressed: one gzip member.
    pub(super) fn stored(media_type: HeaderValue, policy: &HeaderValue, gzip: Bytes) -> Result<Self, Error> {
        // A member ends with the CRC-32 and the length of what it holds (RFC 1952, section 2.3.1).
        let truncated = || Error::new(ErrorKind::UnexpectedEof, "a gzip member without its end");
        let mut end = gzip.last_chunk::<8>().ok_or_else(truncated)?.as_slice();
        let (checksum, length) = (end.get_u32_le(), end.get_u32_le());
        let tag = format!("{checksum:08x}-{length:x}");
        Ok(Self { media_type, policy: policy.clone(), gzip, length, tag })
    }

    /// The answer to GET and HEAD.
    pub(super) fn answer(&self, verb: &Method, request: &HeaderMap) -> Response<Body> {
        let gzip = takes_gzip(request);
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        // RFC 9110, section 8.8.3.3: each encoding has an entity tag of its own.
        let tag = if gzip { format!("\"{}-gzip\"", self.tag) } else { format!("\"{}\"", self.tag) };
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        // Asking each time costs a few bytes; a page that fits another version's script would cost more.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if self.is_known(request) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(CONTENT_TYPE, self.media_type.clone());
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(self.gzip.len()));
        } else {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(self.length));
        }
        if verb != Method::HEAD {
            let gzipped = self.gzip.clone();
            *response.body_mut() = if gzip { Body::new(Full::new(gzipped)) } else { inflated(gzipped) };
        }
        response
    }

    /// Whether the client has it already (RFC 9110, section 13.1.2).
    fn is_known(&self, request: &HeaderMap) -> bool {
        let values = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
        tags.any(|tag| {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
            tag == "*" || opaque.strip_suffix("-gzip").unwrap_or(opaque) == self.tag
        })
    }
}

/// Whether gzip may be sent (RFC 9110, section 12.5.3).
fn takes_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for coding in values.flat_map(|value| value.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().trim_start_matches("q=").trim();
        let wanted = weight.is_empty() || weight.parse::<f32>().is_ok_and(|weight| weight > 0.0);
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return wanted,
            "*" => any = wanted,
            _ => {}
        }
    }
    any
}

/// What was compressed, decompressed no faster than it is read.
fn inflated(gzip: Bytes) -> Body {
    let mut decoder = GzDecoder::new(gzip.reader());
    let pieces = std::iter::from_fn(move || {
        let mut piece = vec![0; PIECE];
        match decoder.read(&mut piece) {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some(Ok(Frame::data(Bytes::from(piece))))
            }
            Err(error) => Some(Err(Status::internal(error.to_string()))),
        }
    });
    Body::new(StreamBody::new(stream::iter(pieces)))
}
