//! The metadata of a gRPC answer as headers and trailers of an HTTP answer.
//!
//! Everything is carried over as it stands (binary metadata, `-bin`, as the base64 text it is in gRPC), but for what is
//! gRPC's own, what the body that is sent decides, and what belongs to a connection (RFC 9110, section 7.6.1).

use http::header::{Entry, HeaderMap, HeaderName};

/// Takes what is carried over out of what a service sent. The rest stays there.
pub(super) fn take(sent: &mut HeaderMap) -> HeaderMap {
    // To take a few out costs less than to put many in: most of what is sent is carried over.
    let mut carried = std::mem::take(sent);
    let ours: Vec<HeaderName> = carried.keys().filter(|name| is_ours(name)).cloned().collect();
    for name in ours {
        if let Entry::Occupied(entry) = carried.entry(name) {
            let (name, values) = entry.remove_entry_mult();
            sent.extend(values.map(|value| (name.clone(), value)));
        }
    }
    carried
}

/// Adds metadata to headers; a header that is there stays, and stands first.
pub(super) fn append(metadata: HeaderMap, headers: &mut HeaderMap) {
    let mut last: Option<HeaderName> = None;
    for (name, value) in metadata {
        // A name stands only with the first of its values.
        if name.is_some() {
            last = name;
        }
        if let Some(name) = &last
            && !is_ours(name)
        {
            headers.append(name.clone(), value);
        }
    }
}

/// What a service sends behind its messages, without the status.
pub(super) fn trailers(sent: HeaderMap) -> Option<HeaderMap> {
    let mut trailers = HeaderMap::with_capacity(sent.len());
    append(sent, &mut trailers);
    (!trailers.is_empty()).then_some(trailers)
}

/// Whether a service has no say in this header.
fn is_ours(name: &HeaderName) -> bool {
    let text = name.as_str();
    text.starts_with("grpc-")
        || text.starts_with(':')
        || matches!(
            text,
            "connection"
                | "content-encoding"
                | "content-length"
                | "content-type"
                | "keep-alive"
                | "proxy-authenticate"
                | "proxy-authorization"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
}
