//! Claims about rules that are expressions, in a transcoder's validator.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use transcode::json::Mode;
use transcode::validate::Validator;
use transcode_protovalidate::Protovalidate;

const SCHEMA: &str = r#"syntax = "proto3"; package x;
import "buf/validate/validate.proto";
import "google/protobuf/descriptor.proto";
extend buf.validate.StringRules { optional bool shout = 1001 [(buf.validate.predefined).cel = {
  id: "string.shout" message: "must be loud" expression: "!rule || this.endsWith('!')" }]; }
message M {
  repeated Span spans = 1;
  string name = 2 [(buf.validate.field).string.min_len = 1];
}
message Span {
  option (buf.validate.message).cel = {
    id: "span.order" message: "must not end before it begins" expression: "this.start <= this.end" };
  int32 start = 1;
  int32 end = 2 [(buf.validate.field).cel = { id: "span.even" expression: "this % 2 == 0 ? '' : 'must be even'" }];
  Label label = 3;
}
message Label { string text = 1 [(buf.validate.field).string.(x.shout) = true]; string free = 2 [(buf.validate.field).string.max_len = 1]; }
"#;

fn descriptors(source: &str) -> Vec<u8> {
    struct Memory(String);
    impl protox::file::FileResolver for Memory {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            match name {
                "x.proto" => protox::file::File::from_source(name, &self.0),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(protox::file::IncludeFileResolver::new(transcode::PROTO_DIR.into()));
    resolver.add(Memory(source.to_owned()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("x.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

fn build(source: &str) -> Result<Validator, transcode::BuildError> {
    let descriptors = descriptors(source);
    Validator::new(&descriptors, &["x.M"], Some(Arc::new(Protovalidate::new(&descriptors).unwrap())))
}

#[test]
fn expressions_are_held_beside_the_standard_rules() {
    let validator = build(SCHEMA).unwrap();
    let message = validator.plans().message("x.M").unwrap();
    let mut wire = Vec::new();
    let json =
        br#"{"spans": [{"start": 1, "end": 2}, {"start": 9, "end": 3, "label": {"text": "quiet", "free": "ab"}}]}"#;
    validator.plans().read(message, json, Mode::Strict, &mut wire).unwrap();
    let found = validator.violations(message, &wire).unwrap();
    let mut found: Vec<_> = found.iter().map(|one| (&*one.field, &*one.rule, &*one.description)).collect();
    found.sort_unstable();
    assert_eq!(
        found.iter().map(|one| (one.0, one.1)).collect::<Vec<_>>(),
        [
            ("name", "string.min_len"),
            ("spans[1]", "span.order"),
            ("spans[1].end", "span.even"),
            ("spans[1].label.free", "string.max_len"),
            ("spans[1].label.text", "string.shout"),
        ]
    );
    assert_eq!(found[2].2, "must be even");
}

#[test]
fn a_wrong_expression_is_found_at_the_start() {
    let error = build(&SCHEMA.replace("this.start <= this.end", "this.start <=")).unwrap_err().to_string();
    assert!(error.starts_with("x.Span: "), "{error}");
}

#[test]
fn what_is_no_descriptor_set_is_an_error() {
    assert!(Protovalidate::new(b"\xff").is_err());
}
