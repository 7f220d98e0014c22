//! Claims about the documents, on a schema that has something of everything.

use std::collections::BTreeSet;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{About, Licence, SecurityScheme};
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
        description: Some("Books, and who reads them.".to_owned()),
        licence: Some(Licence { name: "MIT License".to_owned(), identifier: Some("MIT".to_owned()) }),
        security: vec![
            ("key".to_owned(), SecurityScheme::ApiKey { header: "x-api-key".to_owned(), description: None }),
            ("bearer".to_owned(), SecurityScheme::Bearer { format: Some("JWT".to_owned()), description: None }),
            (
                "password".to_owned(),
                SecurityScheme::OAuth2Password {
                    token_url: "/v1/login".to_owned(),
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

/// Refreshed by `UPDATE_GOLDEN=1 cargo test -p transcode openapi`, and then read by whoever commits it.
#[test]
fn the_documents_are_the_golden_ones() {
    let documents = transcoder().openapi(&about());
    for (name, made) in [("library-3.1.json", documents.v3_1), ("library-3.2.json", documents.v3_2)] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/openapi/tests").join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let golden = std::fs::read(&path).unwrap();
        let differs = made.iter().zip(&golden).position(|(made, golden)| made != golden);
        let line = made[..differs.unwrap_or(0)].iter().filter(|&&byte| byte == b'\n').count() + 1;
        assert!(made == golden, "{name} differs from line {line} on; if it is meant to, refresh it");
    }
}

/// The schema of a component, as JSON.
fn schema<'a>(document: &'a Value, name: &str) -> &'a Value {
    &document["components"]["schemas"][name]
}

#[test]
fn a_message_that_looks_different_in_answers_has_two_schemas() {
    let (document, _) = documents();
    let (input, output) = (schema(&document, "Book-novel-Input"), schema(&document, "Book-novel-Output"));
    assert_eq!(input["properties"]["shelf"]["type"], json!(["integer", "null"]));
    assert_eq!(output["properties"]["shelf"]["type"], "integer");
    // `pages` cannot be left out: absence is 0, which is not above 0.
    assert_eq!(input["required"], json!(["title", "pages", "sort"]));
    assert_eq!(output["required"], json!(["id", "kind", "sort"]));
    assert_eq!(input["additionalProperties"], false);
    // What only answers hold has one name.
    assert!(schema(&document, "Answer").is_object());
}

#[test]
fn rules_become_bounds_of_requests() {
    let (document, _) = documents();
    let book = &schema(&document, "Book-novel-Input")["properties"];
    assert_eq!((&book["title"]["minLength"], &book["title"]["maxLength"]), (&json!(1), &json!(200)));
    assert_eq!((&book["pages"]["exclusiveMinimum"], &book["pages"]["exclusiveMaximum"]), (&json!(0), &json!(10000)));
    assert_eq!(book["authors"]["anyOf"][1]["uniqueItems"], true);
    assert_eq!(book["authors"]["anyOf"][1]["items"]["pattern"], "^[A-Z]");
    assert_eq!(book["rating"]["maximum"], 5);
    assert!(
        book["reading_time"].is_null() && book["readingTime"]["description"].as_str().unwrap().contains("At least 60s")
    );
    let cel = &schema(&document, "Book-novel-Input")["x-cel"];
    assert_eq!(*cel, json!(["this.pages >= 0"]));
    assert!(schema(&document, "Book-novel-Output")["x-cel"].is_null());
}

#[test]
fn numbers_are_as_they_are_written() {
    let (document, _) = documents();
    let book = &schema(&document, "Book-novel-Output")["properties"];
    assert_eq!((&book["id"]["type"], &book["id"]["format"]), (&json!("string"), &json!("int64")));
    assert_eq!(book["shelf"]["type"], "integer");
    // In a path a number needs no quotes.
    let parameter = &document["paths"]["/v1/shelves/{shelf}/books"]["get"]["parameters"][0];
    assert_eq!(parameter["schema"]["type"], "integer");
}

#[test]
fn unions_say_what_tells_them_apart() {
    let (document, _) = documents();
    // None of the alternatives is possible too.
    assert_eq!(schema(&document, "Book-Input")["anyOf"].as_array().unwrap().len(), 3);
    let question = &schema(&document, "AskRequest")["properties"]["question"]["oneOf"];
    assert_eq!((&question[0]["type"], &question[1]["type"]), (&json!("string"), &json!("array")));
    assert_eq!(schema(&document, "AskRequest")["required"], json!(["question"]));
    let not = &schema(&document, "AskRequest")["allOf"][0]["not"]["required"];
    assert_eq!(*not, json!(["here", "there"]));
}

#[test]
fn every_binding_is_an_operation_of_its_own_name() {
    let (document, newer) = documents();
    let mut names = Vec::new();
    for item in document["paths"].as_object().unwrap().values() {
        names.extend(item.as_object().unwrap().values().map(|operation| operation["operationId"].as_str().unwrap()));
    }
    let unique: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), unique.len(), "{names:?}");
    assert!(unique.contains("Library_GetBook") && unique.contains("Library_GetBook_2"), "{unique:?}");
    assert!(unique.contains("Library_Unbound") && !unique.contains("Library_Hidden"), "{unique:?}");
    // The verb REPORT has a word in 3.2 only.
    assert!(!unique.contains("Library_Report"));
    let report = &newer["paths"]["/v1/report"]["additionalOperations"]["REPORT"];
    assert_eq!(report["operationId"], "Library_Report");
}

#[test]
fn paths_have_a_parameter_for_each_wildcard() {
    let (document, newer) = documents();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/v1/shelves/{shelvesId}/books/{booksId}"), "{:?}", paths.keys());
    let file = "/v1/files/{filesPath}";
    assert!(document["paths"][file]["get"]["parameters"][0]["allowReserved"].is_null());
    assert_eq!(newer["paths"][file]["get"]["parameters"][0]["allowReserved"], true);
    // Two paths that differ in the names of parameters alone are one.
    let book = &document["paths"]["/v1/books/{name}"];
    assert!(book["get"].is_object() && book["patch"].is_object() && book["delete"].is_object());
    assert_eq!(book["patch"]["parameters"][0]["name"], "name");
    assert!(book["patch"]["parameters"][0]["description"].as_str().unwrap().contains("Fills `book.id`"));
}

#[test]
fn queries_are_flat() {
    let (document, _) = documents();
    let parameters = document["paths"]["/v1/shelves/{shelf}/books"]["get"]["parameters"].as_array().unwrap();
    let named = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name);
    assert_eq!(named("pageSize").unwrap()["example"], 20);
    assert_eq!(named("kinds").unwrap()["style"], "form");
    assert_eq!(named("labels").unwrap()["style"], "deepObject");
    assert_eq!(named("published.to").unwrap()["deprecated"], true);
    assert!(named("ranges").is_none(), "messages in a list cannot be said in a query");
}

#[test]
fn a_stream_has_its_items_described_in_3_2_alone() {
    let (document, newer) = documents();
    let content =
        |document: &Value, path: &str, verb: &str| document["paths"][path][verb]["responses"]["200"]["content"].clone();
    let (plain, items) = (content(&document, "/v1/ask", "post"), content(&newer, "/v1/ask", "post"));
    for media in ["application/json", "text/event-stream", "application/x-ndjson"] {
        assert!(plain[media]["schema"].is_object(), "{media}");
        assert!(plain[media]["itemSchema"].is_null(), "{media}");
    }
    assert!(items["application/json"]["schema"].is_object());
    assert_eq!(items["text/event-stream"]["itemSchema"]["anyOf"][1]["properties"]["data"]["const"], "[DONE]");
    // A stream of its own can be an array too, and its events have names.
    let watch = content(&newer, "/v1/books/{name}:watch", "get");
    assert_eq!(watch["application/json"]["schema"]["type"], "array");
    let members = watch["text/event-stream"]["itemSchema"]["anyOf"][0]["properties"].as_object().unwrap();
    // serde_json keeps the order of members or does not, as other crates of the build have it.
    assert_eq!(members.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(["data", "event", "id"]));
    let resumes = newer["paths"]["/v1/books/{name}:watch"]["get"]["parameters"].to_string();
    assert!(resumes.contains("last-event-id"), "{resumes}");
}

#[test]
fn security_is_that_of_the_whole_unless_a_method_says_otherwise() {
    let (document, _) = documents();
    assert_eq!(document["security"], json!([{"key": []}, {"bearer": []}, {"password": []}]));
    let operation = |path: &str, verb: &str| &document["paths"][path][verb];
    let create = operation("/v1/shelves/{shelf}/books", "post");
    assert_eq!(create["security"], json!([{"key": []}, {"bearer": []}, {"password": ["books.write"]}]));
    assert!(create["responses"]["401"].is_object());
    // For everybody.
    let get = operation("/v1/books/{name}", "get");
    assert_eq!(get["security"], json!([]));
    assert!(get["responses"]["401"].is_null());
    // For everybody, but for whoever says something wrong.
    let read = operation("/v1/files/{filesPath}", "get");
    assert_eq!(read["security"], json!([]));
    assert!(read["responses"]["401"].is_object());
    assert!(operation("/v1/books/{name}", "delete")["security"].is_null());
    let flow = &document["components"]["securitySchemes"]["password"]["flows"]["password"];
    assert_eq!((&flow["tokenUrl"], &flow["scopes"]), (&json!("/v1/login"), &json!({"books.write": "Change books"})));
}

#[test]
fn bytes_have_their_media_types() {
    let (document, _) = documents();
    let file = &document["paths"]["/v1/files/{filesPath}"]["get"]["responses"]["200"]["content"];
    assert_eq!(*file, json!({"application/pdf": {}}));
    assert_eq!(document["paths"]["/v1/upload"]["put"]["requestBody"]["content"], json!({"*/*": {}}));
    let import = &document["paths"]["/v1/import"]["post"]["requestBody"]["content"];
    assert!(import["application/x-ndjson"].is_object() && import["application/json"].is_object());
}

#[test]
fn comments_and_options_become_prose() {
    let (document, _) = documents();
    let get = &document["paths"]["/v1/books/{name}"]["get"];
    assert_eq!(get["summary"], "Finds one book");
    assert_eq!(get["description"], "The name may be of any shelf.");
    assert_eq!(document["tags"], json!([{"name": "Library", "description": "Keeps books.\n\nOpen day and night."}]));
    assert_eq!(document["paths"]["/v1/books/{name}"]["patch"]["deprecated"], true);
    assert_eq!(get["x-grpc-method"], "library.v1.Library/GetBook");
    let kind = schema(&document, "Kind");
    assert_eq!(kind["enum"], json!(["fiction", "true story"]));
    assert!(kind["description"].as_str().unwrap().contains("- `true story`: True."));
}
