//! Where in a message a value is: the way there, and its two spellings.
//!
//! Both use the names of the proto file, whatever JSON calls the members. The *proto* spelling is that of protovalidate:
//! every field on the way. The *document* spelling is that of the message as a JSON document, and what callers are told:
//! a union that is one member is called by the oneof's name, a message that is an array is the array, and a oneof that is
//! told by a tag has no name of its own. Where no `transcode.v1` option says otherwise, the two are the same.

use std::fmt::Write as _;

use crate::json::plan::{Form, Union};
use crate::json::{MessageId, Plans};

/// One step of the way. The order is that in which violations are reported: what concerns a message before its fields,
/// a list before its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step<'w> {
    Oneof(u32, u16),
    Field(u32, u16),
    Index(u32),
    Key(Key<'w>),
}

/// The key of a map's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key<'w> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Text(&'w str),
}

/// The names of each message's oneofs in the proto file, by message.
pub(crate) type OneofNames = Box<[Box<[Box<str>]>]>;

/// Writes the way in both spellings: as a document, and as protovalidate has it.
pub(crate) fn spell(plans: &Plans, names: &OneofNames, steps: &[Step<'_>]) -> (String, String) {
    let (mut document, mut proto) = (String::new(), String::new());
    // The message that is an array in a document, once its field has been passed.
    let mut array = None;
    for step in steps {
        match *step {
            Step::Oneof(message, oneof) => {
                let name = &names[message as usize][usize::from(oneof)];
                push(&mut proto, name);
                if !matches!(plans.plan(MessageId(message)).oneofs[usize::from(oneof)].form, Form::Tag { .. }) {
                    push(&mut document, name);
                }
            }
            Step::Field(message, index) => {
                let plan = plans.plan(MessageId(message));
                let field = &plan.fields[usize::from(index)];
                push(&mut proto, &field.proto_name);
                if array.take() == Some(message) {
                    continue;
                }
                let union = field.oneof.map(|oneof| (oneof, &plan.oneofs[usize::from(oneof)].form));
                match union {
                    Some((oneof, Form::ByJsonType(Union { array: list, .. }))) => {
                        push(&mut document, &names[message as usize][usize::from(oneof)]);
                        if *list == Some(index) {
                            array = plans.child(MessageId(message), index).map(|MessageId(child)| child);
                        }
                    }
                    _ => push(&mut document, &field.proto_name),
                }
            }
            Step::Index(index) => both(&mut document, &mut proto, &format!("[{index}]")),
            Step::Key(key) => both(&mut document, &mut proto, &subscript(key)),
        }
    }
    (document, proto)
}

fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn both(document: &mut String, proto: &mut String, text: &str) {
    document.push_str(text);
    proto.push_str(text);
}

/// The key in brackets; a text is quoted as in JSON.
fn subscript(key: Key<'_>) -> String {
    let mut text = String::from("[");
    // Writing to a String does not fail.
    let _ = match key {
        Key::Bool(key) => write!(text, "{key}"),
        Key::Signed(key) => write!(text, "{key}"),
        Key::Unsigned(key) => write!(text, "{key}"),
        Key::Text(key) => write!(text, "{}", serde_json::Value::from(key)),
    };
    text.push(']');
    text
}
