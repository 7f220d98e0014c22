//! Claims about the contract's JSON: a document that is read into the contract's messages and written again is the same
//! document. The corpus holds what OpenAI documents and what other servers make of it.

use std::{fs, path::Path};

use prost::{DecodeError, Message};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Value as Reflected};
use sabir_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{ChatCompletion, ChatCompletionChunk, CreateChatCompletionRequest, ListModelsResponse},
};
use serde_json::Value;
use transcode::json::{Mode, Plans};

/// A folder of the corpus and what its documents are.
struct Kind {
    folder: &'static str,
    message: &'static str,
    /// Requests are what callers say; the rest is what other servers say.
    mode: Mode,
    /// Decodes into the generated type and encodes again.
    typed: fn(&[u8]) -> Result<Vec<u8>, DecodeError>,
}

const KINDS: [Kind; 4] = [
    Kind {
        folder: "requests",
        message: "sabir.v1.CreateChatCompletionRequest",
        mode: Mode::Strict,
        typed: typed::<CreateChatCompletionRequest>,
    },
    Kind {
        folder: "responses",
        message: "sabir.v1.ChatCompletion",
        mode: Mode::Lenient,
        typed: typed::<ChatCompletion>,
    },
    Kind {
        folder: "chunks",
        message: "sabir.v1.ChatCompletionChunk",
        mode: Mode::Lenient,
        typed: typed::<ChatCompletionChunk>,
    },
    Kind {
        folder: "models",
        message: "sabir.v1.ListModelsResponse",
        mode: Mode::Lenient,
        typed: typed::<ListModelsResponse>,
    },
];

/// Fewer mean that a part of the corpus is lost.
const DOCUMENTS: usize = 190;

fn typed<M: Message + Default>(wire: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Ok(M::decode(wire)?.encode_to_vec())
}

impl Kind {
    /// The documents of the folder, by name.
    fn documents(&self) -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(self.folder);
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: std::path::PathBuf| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            (format!("{}/{name}", self.folder), fs::read_to_string(&path).unwrap())
        };
        let mut documents: Vec<_> = paths.map(read).collect();
        documents.sort();
        documents
    }

    /// The message in the document, as the generated type encodes it.
    fn read(&self, plans: &Plans, document: &str) -> Result<Vec<u8>, String> {
        let mut wire = Vec::new();
        let id = plans.message(self.message).unwrap();
        plans
            .read(id, document.as_bytes(), self.mode, &mut wire)
            .map_err(|error| format!("cannot be read: {error}"))?;
        (self.typed)(&wire).map_err(|error| format!("is no message: {error}"))
    }

    fn write(&self, plans: &Plans, wire: &[u8]) -> Result<String, String> {
        let mut json = Vec::new();
        let id = plans.message(self.message).unwrap();
        plans.write(id, wire, &mut json).map_err(|error| format!("cannot be written: {error}"))?;
        String::from_utf8(json).map_err(|error| format!("is not UTF-8: {error}"))
    }
}

/// Checks each document and fails with everything that was found.
fn assert_each(check: impl Fn(&Plans, &Kind, &str) -> Result<(), String>) {
    let plans = Plans::compile(FILE_DESCRIPTOR_SET).unwrap();
    let mut checked = 0;
    let mut findings = Vec::new();
    for kind in &KINDS {
        for (name, document) in kind.documents() {
            checked += 1;
            if let Err(problem) = check(&plans, kind, &document) {
                findings.push(format!("{name}: {problem}"));
            }
        }
    }
    assert!(findings.is_empty(), "{} of {checked} documents:\n{}", findings.len(), findings.join("\n"));
    assert!(checked >= DOCUMENTS, "there are only {checked} documents");
}

#[test]
fn every_document_survives_the_way_into_a_message_and_back() {
    assert_each(|plans, kind, document| {
        let written = kind.write(plans, &kind.read(plans, document)?)?;
        let (before, after) = (value(document)?, value(&written)?);
        if before == after { Ok(()) } else { Err(format!("\n  was {before}\n  is  {after}")) }
    });
}

/// A value keeps the last of two members of one name; this notices them.
#[test]
fn what_is_written_is_read_as_the_same_message() {
    assert_each(|plans, kind, document| {
        let first = kind.read(plans, document)?;
        let second = kind.read(plans, &kind.write(plans, &first)?)?;
        if first == second { Ok(()) } else { Err("the message has changed".to_owned()) }
    });
}

/// Schemas, and members that no schema names: order of members, spelling of numbers, escapes and spaces.
#[test]
fn raw_json_is_kept_to_the_letter() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let seen = std::cell::Cell::new(0);
    assert_each(|plans, kind, document| {
        let wire = kind.read(plans, document)?;
        let written = kind.write(plans, &wire)?;
        let descriptor = pool.get_message_by_name(kind.message).unwrap();
        let mut texts = Vec::new();
        raw_texts(&DynamicMessage::decode(descriptor, &*wire).unwrap(), &mut texts);
        // These stand for the absence of something, and are not copied from anywhere.
        texts.retain(|text| !matches!(text.as_str(), "" | "null" | "[]" | "{}"));
        seen.set(seen.get() + texts.len());
        let lost = |text: &&String| !document.contains(&***text) || !written.contains(&***text);
        texts.iter().find(lost).map_or(Ok(()), |text| Err(format!("{text:?} is not in {written}")))
    });
    assert!(seen.get() > 100, "only {} raw texts were found", seen.get());
}

fn value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("is no JSON ({error}): {text}"))
}

/// The JSON texts that the message holds.
fn raw_texts(message: &DynamicMessage, texts: &mut Vec<String>) {
    for (field, value) in message.fields() {
        let raw = has_option(&field, "raw") || has_option(&field, "additional_members");
        collect(value, raw, texts);
    }
}

fn collect(value: &Reflected, raw: bool, texts: &mut Vec<String>) {
    match value {
        Reflected::String(text) if raw => texts.push(text.clone()),
        Reflected::Message(message) => raw_texts(message, texts),
        Reflected::List(values) => values.iter().for_each(|value| collect(value, raw, texts)),
        Reflected::Map(entries) => entries.values().for_each(|value| collect(value, raw, texts)),
        _ => {}
    }
}

/// Whether `transcode.v1.field` switches this on.
fn has_option(field: &FieldDescriptor, option: &str) -> bool {
    let extension = field.parent_pool().get_extension_by_name("transcode.v1.field").unwrap();
    let options = field.options();
    let shape = options.get_extension(&extension);
    let value = shape.as_message().and_then(|shape| Some(shape.get_field_by_name(option)?.into_owned()));
    value.and_then(|value| value.as_bool()).unwrap_or(false)
}
