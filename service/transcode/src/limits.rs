//! What one RPC may take and how long it may last: stated defaults, and overrides for single methods.
//!
//! Who is how large or how late is measured elsewhere; this says only where the line is.

use std::time::Duration;

use prost_reflect::MethodDescriptor;

use crate::{json, options};

/// The limits of an RPC.
///
/// Overrides for a single method come from its `(transcode.v1.method).limits` option, and over that from
/// [`TranscoderBuilder::limits`](crate::TranscoderBuilder::limits).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body once it is decompressed, and the largest message of a request stream, in bytes. Beyond:
    /// 413, RESOURCE_EXHAUSTED. Default: 4 MiB.
    pub max_body: usize,
    /// How much the JSON of a body may hold: 400, INVALID_ARGUMENT.
    pub json: json::Limits,
    /// How long a request body may pause before the request is given up: 408, DEADLINE_EXCEEDED. Default: 30 s.
    pub body_idle_timeout: Duration,
    /// How long a call may take at most, whatever its caller says: 504, DEADLINE_EXCEEDED. Default: no limit.
    pub max_timeout: Option<Duration>,
    /// How long the first message of the answer may take: 504, DEADLINE_EXCEEDED. Default: no limit.
    pub first_message_timeout: Option<Duration>,
    /// How long a streamed answer may be silent between messages: it then ends with DEADLINE_EXCEEDED. Default: no limit.
    pub answer_idle_timeout: Option<Duration>,
    /// How many calls of the method may be open at once: 429, RESOURCE_EXHAUSTED. Default: no limit.
    pub max_open: Option<usize>,
    /// The largest body that is passed on piece by piece (an upload as a request stream), in bytes once it is
    /// decompressed. Beyond: 413, RESOURCE_EXHAUSTED. Default: 1 GiB.
    pub max_upload: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 4 << 20,
            json: json::Limits::default(),
            body_idle_timeout: Duration::from_secs(30),
            max_timeout: None,
            first_message_timeout: None,
            answer_idle_timeout: None,
            max_open: None,
            max_upload: 1 << 30,
        }
    }
}

impl Limits {
    /// These limits, with what the method's own option says.
    pub(crate) fn of(&self, method: &MethodDescriptor) -> Self {
        let own = options::method(method).limits;
        let millis = |own: Option<u64>, general| own.map(Duration::from_millis).or(general);
        let count = |own: Option<u64>| own.map(|own| usize::try_from(own).unwrap_or(usize::MAX));
        Self {
            max_body: count(own.max_body_bytes).unwrap_or(self.max_body),
            json: json::Limits {
                max_depth: count(own.max_json_depth).unwrap_or(self.json.max_depth),
                max_items: count(own.max_json_items).unwrap_or(self.json.max_items),
            },
            body_idle_timeout: own.body_idle_timeout_ms.map_or(self.body_idle_timeout, Duration::from_millis),
            max_timeout: millis(own.max_timeout_ms, self.max_timeout),
            first_message_timeout: millis(own.first_message_timeout_ms, self.first_message_timeout),
            answer_idle_timeout: millis(own.answer_idle_timeout_ms, self.answer_idle_timeout),
            max_open: count(own.max_open).or(self.max_open),
            max_upload: count(own.max_upload_bytes).unwrap_or(self.max_upload),
        }
    }
}
