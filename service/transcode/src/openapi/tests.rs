//! Claims about the documents, on a schema that has something of everything.

use std::sync::Arc;

use serde_json::Value;

use super::{About, SecurityScheme};
use crate::Transcoder;
use crate::validate::tests::Complaint;

const SCHEMA: &str = include_str!("tests/library.proto");

fn transcoder() -> Transcoder {
    struct Library;
    impl protox::file::FileResolver for Library {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            match name {
                "library.proto" => protox::file::File::from_source(name, SCHEMA),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(protox::file::IncludeFileResolver::new(crate::PROTO_DIR.into()));
    resolver.add(Library);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true).open_file("library.proto").unwrap();
    let descriptors = compiler.encode_file_descriptor_set();
    // An expression is among the rules; documents show it, and nothing is validated here.
    Transcoder::builder(&descriptors).validation_engine(Arc::new(Complaint)).build().unwrap()
}

fn about() -> About {
    let scopes = vec![("books.write".to_owned(), "Change books".to_owned())];
    About {
        title: "Library".to_owned(),
        version: "1.2.3".to_owned(),
        security: vec![
            ("key".to_owned(), SecurityScheme::ApiKey { header: "x-api-key".to_owned(), description: None }),
            ("token".to_owned(), SecurityScheme::Bearer { format: Some("JWT".to_owned()), description: None }),
            (
                "password".to_owned(),
                SecurityScheme::OAuth2Password {
                    token_url: "/v1/token".to_owned(),
                    refresh_url: None,
                    scopes,
                    description: None,
                },
            ),
        ],
        ..About::default()
    }
}

fn documents() -> (Value, Value) {
    let documents = transcoder().openapi(&about());
    (serde_json::from_slice(&documents.v3_1).unwrap(), serde_json::from_slice(&documents.v3_2).unwrap())
}

#[test]
fn every_reference_leads_to_a_component() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => members.values().for_each(|value| references(value, found)),
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            Value::String(text) if text.starts_with("#/") => found.push(text),
            _ => {}
        }
    }
    let (one, two) = documents();
    for document in [&one, &two] {
        let mut found = Vec::new();
        references(document, &mut found);
        assert!(found.len() > 30, "{}", found.len());
        for reference in found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
    }
}
