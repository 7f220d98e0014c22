//! The options of the model's runner, and the other members that are the vendor's own.
//!
//! The protocol keeps sampling and everything about the runner in `options`; a caller writes those members beside the
//! others, as in OpenAI's protocol, or in `options` as this one has it. Source: <https://docs.ollama.com/modelfile>.

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::verbatim::Members;

/// The members of a request that do not belong into its options.
const TOP_LEVEL: [&str; 10] = [
    "_debug_render_only",
    "format",
    "keep_alive",
    "options",
    "raw",
    "shift",
    "suffix",
    "template",
    "think",
    "truncate",
];

/// Puts the vendor's own members where they belong: into `request`, or into `options`, which ours are in already.
///
/// # Errors
/// A member that is there already; `options` that are no object.
pub(super) fn place(mut foreign: Members, request: &mut Members, mut options: Members) -> Result<(), UpstreamError> {
    if let Some(given) = foreign.take("options") {
        let given: Members = serde_json::from_str(given.get()).map_err(|error| invalid("options", &error))?;
        for (name, value) in given {
            if options.contains(&name) {
                return Err(contradicts(&format!("options.{name}")));
            }
            options.push(name, value);
        }
    }
    for (name, value) in foreign {
        let object = if TOP_LEVEL.contains(&name.as_str()) { &mut *request } else { &mut options };
        if object.contains(&name) {
            return Err(contradicts(&name));
        }
        object.push(name, value);
    }
    request.say("options", &Some(options).filter(|options| !options.is_empty()));
    Ok(())
}

fn contradicts(name: &str) -> UpstreamError {
    let message = format!("{name} contradicts what the request says by other members");
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(name)
}

fn invalid(name: &str, error: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("{name}: {error}")).with_param(name)
}
