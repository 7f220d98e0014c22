//! Messages as the JSON of the HTTP surface, for `--json`.

use prost::Message;
use transcode::json::Plans;

use super::CommandError;

/// The JSON text of a message, by the full name of its type.
pub(crate) fn json_of(message: &impl Message, name: &str) -> Result<String, CommandError> {
    let broken = |reason: String| CommandError::Remote(format!("the answer cannot be shown as JSON: {reason}"));
    let plans = Plans::compile(sabir_proto::FILE_DESCRIPTOR_SET).map_err(|error| broken(error.to_string()))?;
    let plan = plans.message(name).ok_or_else(|| broken(format!("{name} is not in the contract")))?;
    let mut text = Vec::new();
    plans.write(plan, &message.encode_to_vec(), &mut text).map_err(|error| broken(error.to_string()))?;
    String::from_utf8(text).map_err(|error| broken(error.to_string()))
}
