//! The pieces of an answer, in our words, whether it comes whole or as a stream.

use std::fmt::Write as _;

use sabir_proto::v1::ReasoningDetail;

use super::answer::{Blob, Call, Part, compact};
use super::contents::OWN_ID;
use super::signature;

/// The member of a message that holds the parts of it that our words cannot say, verbatim.
pub(super) const OWN_PARTS: &str = "parts";

/// The member of a message that holds the images in it.
pub(super) const IMAGES: &str = "images";

/// A piece of an answer.
pub(super) enum Piece {
    Text(String),
    Thought(String, ReasoningDetail),
    /// The seal of a text or of a call.
    Seal(ReasoningDetail),
    Call(Called),
    Image(String),
    Audio(Blob),
    /// A part that our words cannot say, verbatim.
    Own(String),
}

/// A call of a function.
pub(super) struct Called {
    pub(super) index: u32,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    /// The signature, as a member.
    pub(super) extra: Option<(String, String)>,
}

/// Reads the parts of one candidate, in order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// How many calls there were.
    pub(super) calls: u32,
    details: u32,
    /// The thought that goes on with the next piece.
    thought: Option<u32>,
    images: u32,
}

impl Reader {
    /// What a part says. `answer` and `candidate` name the answer, for calls that have no ids.
    pub(super) fn read(&mut self, part: Part<'_>, answer: &str, candidate: u32) -> Vec<Piece> {
        if let Some(own) = part.own() {
            self.thought = None;
            return vec![Piece::Own(own)];
        }
        let Part { text, thought, thought_signature, function_call, inline_data, .. } = part;
        let seal = thought_signature.filter(|seal| !seal.is_empty());
        let mut pieces = Vec::with_capacity(2);
        if thought {
            let text = text.unwrap_or_default();
            if !text.is_empty() || seal.is_some() {
                let sealed = seal.is_some();
                let index = self.thought.unwrap_or_else(|| next(&mut self.details));
                pieces.push(Piece::Thought(text.clone(), signature::thought(text, seal, index)));
                self.thought = (!sealed).then_some(index);
            }
            return pieces;
        }
        self.thought = None;
        if let Some(call) = function_call {
            let call = self.call(call, seal.as_deref(), answer, candidate);
            // It is told twice: clients keep the one or the other.
            let detail = seal.map(|seal| signature::of_call(seal, &call.id, next(&mut self.details)));
            pieces.extend(detail.map(Piece::Seal));
            pieces.push(Piece::Call(call));
            return pieces;
        }
        pieces.extend(text.filter(|text| !text.is_empty()).map(Piece::Text));
        pieces.extend(inline_data.map(|blob| self.media(blob)));
        pieces.extend(seal.map(|seal| Piece::Seal(signature::seal(seal, next(&mut self.details)))));
        pieces
    }

    fn call(&mut self, call: Call<'_>, seal: Option<&str>, answer: &str, candidate: u32) -> Called {
        let index = next(&mut self.calls);
        let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| {
            let mut id = format!("{OWN_ID}{answer}");
            // Writing to a string never fails. Most answers are the only ones.
            let _ = if candidate == 0 { write!(id, "_{index}") } else { write!(id, "_{candidate}_{index}") };
            id
        });
        let arguments = call.args.map_or_else(|| "{}".to_owned(), compact);
        Called { index, id, name: call.name, arguments, extra: seal.map(signature::member) }
    }

    fn media(&mut self, blob: Blob) -> Piece {
        if blob.mime_type.starts_with("audio/") {
            return Piece::Audio(blob);
        }
        let index = next(&mut self.images);
        let url = serde_json::Value::from(format!("data:{};base64,{}", blob.mime_type, blob.data));
        Piece::Image(format!(r#"{{"type":"image_url","image_url":{{"url":{url}}},"index":{index}}}"#))
    }
}

/// Bytes as the part that they came in.
pub(super) fn inline(blob: &Blob) -> String {
    let Blob { mime_type, data } = blob;
    let text = |text: &str| serde_json::Value::from(text);
    format!(r#"{{"inlineData":{{"mimeType":{},"data":{}}}}}"#, text(mime_type), text(data))
}

/// A number, and one more for the next time.
fn next(counter: &mut u32) -> u32 {
    let number = *counter;
    *counter = counter.saturating_add(1);
    number
}

/// The members that hold what our words cannot say: parts of the vendor's own, and images in the form that OpenRouter gave
/// them.
pub(super) fn members(own: Vec<String>, images: Vec<String>) -> impl Iterator<Item = (String, String)> {
    [(OWN_PARTS, own), (IMAGES, images)]
        .into_iter()
        .filter(|(_, items)| !items.is_empty())
        .map(|(name, items)| (name.to_owned(), format!("[{}]", items.join(","))))
}
