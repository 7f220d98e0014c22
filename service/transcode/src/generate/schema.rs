//! A proto file from bytes: every kind of field, label and well-known type, recursive messages, oneofs, enum aliases, names
//! and numbers that are awkward; with `transcode.v1` options if these are asked for.

use std::fmt::Write as _;
use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

use super::Entropy;

/// Whether the schema has options that change how messages look as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Canonical,
    Optioned,
}

const SCALARS: [&str; 15] = [
    "string", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64",
    "bool", "bytes", "double", "float",
];
const KEYS: [&str; 6] = ["string", "int32", "uint64", "sint64", "bool", "fixed32"];
const WELL_KNOWN: [&str; 17] = [
    "Timestamp",
    "Duration",
    "FieldMask",
    "Struct",
    "Value",
    "ListValue",
    "Any",
    "Empty",
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
];
const WORDS: [&str; 8] = ["name", "fooBar", "foo_bar", "_lead", "trail_", "UPPER", "x__y", "a1_b"];
const OFFSETS: [usize; 4] = [1, 200, 20_000, 536_870_000];
const MESSAGES: usize = 3;

/// The file `g.proto`: the messages `g.M0`, `g.M1` and `g.M2`.
pub(crate) fn source(entropy: &mut Entropy<'_>, shape: Shape) -> String {
    let mut text = String::from("syntax = \"proto3\";\npackage g;\nimport \"transcode/v1/options.proto\";\n");
    for file in ["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"] {
        let _ = writeln!(text, "import \"google/protobuf/{file}.proto\";");
    }
    let optioned = shape == Shape::Optioned;
    if optioned {
        let names = entropy.pick(&["MEMBER_NAMES_CANONICAL", "MEMBER_NAMES_PROTO"]);
        let integers = entropy.pick(&["INT64_FORM_STRING", "INT64_FORM_NUMBER"]);
        let _ = writeln!(text, "option (transcode.v1.file) = {{ member_names: {names}, int64_form: {integers} }};");
    }
    let _ = writeln!(
        text,
        "enum E {{ option allow_alias = true; E_ZERO = 0; E_ONE = 1{}; E_UNO = 1; E_LAST = 2147483647; E_NEGATIVE = -1; }}",
        if optioned { " [(transcode.v1.value).json = \"one \\\"1\\\"\"]" } else { "" }
    );
    text.push_str("message Nothing {}\nmessage Items { repeated string items = 1; }\n");
    text.push_str("message Object { string a = 1; int32 b = 2; }\n");
    for index in 0..MESSAGES {
        let mut fields = Fields { entropy: &mut *entropy, text: &mut text, shape, next: 0 };
        fields.message(index);
    }
    text
}

/// The descriptors of a file such as [`source`] writes.
pub(crate) fn pool(source: &str) -> DescriptorPool {
    DescriptorPool::decode(&*descriptors(source)).unwrap()
}

/// The same, encoded.
pub(crate) fn descriptors(source: &str) -> Vec<u8> {
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(Memory(source.to_owned()));
    resolver.add(Imports);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("g.proto").unwrap_or_else(|error| panic!("{error}: {source}"));
    compiler.encode_file_descriptor_set()
}

struct Memory(String);

impl protox::file::FileResolver for Memory {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        if name == "g.proto" {
            return protox::file::File::from_source(name, &self.0);
        }
        Err(protox::Error::file_not_found(name))
    }
}

/// What every generated file imports, parsed once.
struct Imports;

static OPTIONS: LazyLock<protox::file::File> = LazyLock::new(|| {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    protox::file::FileResolver::open_file(
        &protox::file::IncludeFileResolver::new(directory),
        "transcode/v1/options.proto",
    )
    .unwrap()
});

impl protox::file::FileResolver for Imports {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        if name == "transcode/v1/options.proto" {
            return Ok(OPTIONS.clone());
        }
        if name.starts_with("google/api/") {
            return protox::file::IncludeFileResolver::new(crate::PROTO_DIR.into()).open_file(name);
        }
        protox::file::GoogleFileResolver::new().open_file(name)
    }
}

struct Fields<'e, 'b> {
    entropy: &'e mut Entropy<'b>,
    text: &'e mut String,
    shape: Shape,
    /// The field that comes next, counted from 0: part of its name, so that no two names are one in camel case.
    next: usize,
}

impl Fields<'_, '_> {
    fn message(&mut self, index: usize) {
        let _ = writeln!(self.text, "message M{index} {{");
        for _ in 0..=self.entropy.below(7) {
            match self.entropy.below(6) {
                5 => self.oneof("plain", ""),
                _ => self.field(),
            }
        }
        if self.shape == Shape::Optioned {
            if self.entropy.once_in(2) {
                self.oneof("tagged", "option (transcode.v1.oneof).tag = \"type\";");
            }
            if self.entropy.once_in(2) {
                self.union();
            }
            if self.entropy.once_in(2) {
                self.text
                    .push_str("  map<string, string> more = 1000 [(transcode.v1.field).additional_members = true];\n");
            }
        }
        self.text.push_str("}\n");
    }

    fn kind(&mut self) -> String {
        match self.entropy.below(8) {
            0..=3 => self.entropy.pick(&SCALARS).to_owned(),
            4 => self.entropy.pick(&["E", "E", "google.protobuf.NullValue"]).to_owned(),
            5 => format!("M{}", self.entropy.below(MESSAGES)),
            6 => format!("google.protobuf.{}", self.entropy.pick(&WELL_KNOWN)),
            _ => self.entropy.pick(&["Nothing", "Items", "Object"]).to_owned(),
        }
    }

    /// A name and a number that the message does not have yet.
    fn name(&mut self) -> (String, usize) {
        let index = self.next;
        self.next += 1;
        (format!("{}_{index}", self.entropy.pick(&WORDS)), index + self.entropy.pick(&OFFSETS))
    }

    fn field(&mut self) {
        let (name, number) = self.name();
        let kind = self.kind();
        let label = self.entropy.pick(&["", "optional ", "repeated ", "map"]);
        let mut options: Vec<String> = Vec::new();
        if self.entropy.once_in(6) {
            options.push(format!("json_name = \"{}\"", ["né\\\"e", "$1", "a b"][self.next % 3].to_owned() + &name));
        }
        if label == "map" {
            let key = self.entropy.pick(&KEYS);
            let options = listed(&options);
            let _ = writeln!(self.text, "  map<{key}, {kind}> {name} = {number}{options};");
            return;
        }
        if self.shape == Shape::Optioned {
            self.options(&kind, label, &mut options);
        }
        let options = listed(&options);
        let _ = writeln!(self.text, "  {label}{kind} {name} = {number}{options};");
    }

    /// Options with which a message still comes back from its JSON as it was.
    fn options(&mut self, kind: &str, label: &str, options: &mut Vec<String>) {
        let scalar = SCALARS.contains(&kind) || kind == "E";
        let raw = matches!(kind, "string" | "bytes") && self.entropy.once_in(3);
        if raw {
            options.push("(transcode.v1.field).raw = true".to_owned());
        }
        if label == "repeated " && scalar && !raw && self.entropy.once_in(2) {
            options.push("(transcode.v1.field).accept_scalar = true".to_owned());
        }
        // Where `null` is a value of the field, it does not stand for an unset one.
        let null_is_a_value = label != "repeated " && (raw || kind.ends_with("Value") && !kind.ends_with("tValue"));
        match self.entropy.below(4) {
            2 if !null_is_a_value => options.push("(transcode.v1.field).unset = UNSET_NULL".to_owned()),
            // Of a field with presence, the default is a value too.
            3 if label == "repeated " || label.is_empty() && scalar && !raw => {
                options.push("(transcode.v1.field).unset = UNSET_DEFAULT".to_owned());
            }
            _ => {}
        }
        if self.entropy.once_in(4) {
            let form = self.entropy.pick(&["INT64_FORM_STRING", "INT64_FORM_NUMBER"]);
            options.push(format!("(transcode.v1.field).int64_form = {form}"));
        }
    }

    fn oneof(&mut self, name: &str, option: &str) {
        let _ = writeln!(self.text, "  oneof {name}_{} {{ {option}", self.next);
        for _ in 0..=self.entropy.below(3) {
            let (name, number) = self.name();
            let kind = self.kind();
            let _ = writeln!(self.text, "    {kind} {name} = {number};");
        }
        self.text.push_str("  }\n");
    }

    fn union(&mut self) {
        let unset = self.entropy.pick(&["", ", unset: UNSET_NULL"]);
        let _ = writeln!(self.text, "  oneof union_{} {{", self.next);
        let _ = writeln!(self.text, "    option (transcode.v1.oneof) = {{ by_json_type: true{unset} }};");
        for kind in ["string", "bool", "double", "Items", "Object"] {
            let (name, number) = self.name();
            if self.entropy.once_in(2) || kind == "Object" {
                // An enum takes a string of its own where no string field takes all of them.
                let kind = if kind == "string" && self.entropy.once_in(2) { "E" } else { kind };
                let _ = writeln!(self.text, "    {kind} {name} = {number};");
            }
        }
        self.text.push_str("  }\n");
    }
}

fn listed(options: &[String]) -> String {
    if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) }
}
