//! Texts that name other texts: `{{inputs.topic}}`, `{{steps.outline}}`, `{{steps.person#/name}}`.
//!
//! What is put in is never looked at again, so that an answer cannot name anything.

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::{ChatMessage, CreateChatCompletionRequest};
use serde_json::Value;

/// Something that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name<'t> {
    /// A text of the request.
    Input(&'t str),
    /// The answer to a step, or the part of it at a JSON pointer (RFC 6901).
    Step(&'t str, Option<&'t str>),
}

/// A piece of a text.
enum Piece<'t> {
    Text(&'t str),
    Name(Name<'t>),
}

/// The pieces of a text. Braces around anything that is no name are text: models are asked for JSON and templates too.
fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut plain = text;
    while let Some(start) = text.find("{{") {
        let inner = &text[start + 2..];
        let name = inner.find("}}").and_then(|end| Some((name(inner[..end].trim())?, end)));
        match name {
            Some((name, end)) => {
                pieces.push(Piece::Text(&plain[..plain.len() - text.len() + start]));
                pieces.push(Piece::Name(name));
                text = &inner[end + 2..];
                plain = text;
            }
            None => text = &text[start + 1..],
        }
    }
    pieces.push(Piece::Text(plain));
    pieces
}

fn name(text: &str) -> Option<Name<'_>> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    if let Some(input) = text.strip_prefix("inputs.") {
        return is_name(input).then_some(Name::Input(input));
    }
    let step = text.strip_prefix("steps.")?;
    let (step, pointer) = match step.split_once('#') {
        Some((step, pointer)) => (step, Some(pointer)),
        None => (step, None),
    };
    is_name(step).then_some(Name::Step(step, pointer))
}

/// The names in the texts of a request's messages.
pub(super) fn names(request: &CreateChatCompletionRequest) -> Vec<Name<'_>> {
    let texts = request.messages.iter().flat_map(|message| match &message.content {
        Some(Content::Text(text)) => vec![text.as_str()],
        Some(Content::Parts(parts)) => parts.parts.iter().filter_map(|part| text_of(part.part.as_ref())).collect(),
        None => Vec::new(),
    });
    let pieces = texts.flat_map(pieces);
    pieces.filter_map(|piece| if let Piece::Name(name) = piece { Some(name) } else { None }).collect()
}

fn text_of(part: Option<&Part>) -> Option<&str> {
    match part {
        Some(Part::Text(text)) => Some(text),
        _ => None,
    }
}

/// Puts into the texts of a request's messages what they name.
///
/// # Errors
/// What `value` says of a name.
pub(super) fn fill_in(
    request: &mut CreateChatCompletionRequest,
    value: impl Fn(&Name<'_>) -> Result<String, String>,
) -> Result<(), String> {
    let filled = |text: &mut String| -> Result<(), String> {
        if !text.contains("{{") {
            return Ok(());
        }
        let mut out = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name(name) => out.push_str(&value(&name)?),
            }
        }
        *text = out;
        Ok(())
    };
    for ChatMessage { content, .. } in &mut request.messages {
        match content {
            Some(Content::Text(text)) => filled(text)?,
            Some(Content::Parts(parts)) => {
                for part in &mut parts.parts {
                    if let Some(Part::Text(text)) = &mut part.part {
                        filled(text)?;
                    }
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// The part of a JSON document at a pointer: a text as it is, anything else as JSON.
pub(super) fn at_pointer(document: &str, pointer: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(document).map_err(|_| "its answer is not a JSON document".to_owned())?;
    match value.pointer(pointer) {
        None => Err(format!("its answer has nothing at {pointer:?}")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Ok(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> CreateChatCompletionRequest {
        let message = ChatMessage { content: Some(Content::Text(text.to_owned())), ..ChatMessage::default() };
        CreateChatCompletionRequest { messages: vec![message], ..CreateChatCompletionRequest::default() }
    }

    fn filled(text: &str) -> Result<String, String> {
        let mut request = request(text);
        fill_in(&mut request, |name| match name {
            Name::Input(name) => Ok(format!("<{name}>")),
            Name::Step(step, None) => Ok(format!("[{step}] {{{{steps.never}}}}")),
            Name::Step(_, Some(pointer)) => at_pointer(r#"{"a":["x",{"b":1}]}"#, pointer),
        })?;
        let Some(Content::Text(text)) = request.messages.remove(0).content else { unreachable!("it has a text") };
        Ok(text)
    }

    #[test]
    fn names_are_replaced_and_everything_else_stays() {
        assert_eq!(
            filled("about {{inputs.topic}}, {{ steps.one }}!").unwrap(),
            "about <topic>, [one] {{steps.never}}!"
        );
        assert_eq!(filled("{{steps.p#/a/0}} {{steps.p#/a/1}}").unwrap(), "x {\"b\":1}");
        for same in ["{{", "}}", "{{ other }}", "{{steps.}}", "{{{{", "{\"a\":{\"b\":{}}}", "{{inputs.a b}}", ""] {
            assert_eq!(filled(same).unwrap(), same);
        }
        assert_eq!(filled("{{{inputs.a}}}").unwrap(), "{<a>}");
        assert!(filled("{{steps.p#/none}}").unwrap_err().contains("/none"));
    }

    #[test]
    fn the_names_of_a_request_are_found() {
        let request = request("{{inputs.a}} {{steps.b}} {{steps.c#/d}} {{e}}");
        assert_eq!(names(&request), [Name::Input("a"), Name::Step("b", None), Name::Step("c", Some("/d"))]);
    }
}
