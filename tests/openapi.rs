//! Claims about the OpenAPI documents: they are the committed ones, other people's validators find nothing wrong with them,
//! the server does what they say, and a client that was generated from them works.
//!
//! `scripts/install-openapi-tools` installs what is called.

use std::{path::PathBuf, process::Command};

use crate::clients::process::{Client, root};
use crate::support::identity::{self, Registrar};
use crate::support::{Server, Upstream, http, server::binary, world};

/// The versions, each with the file that is committed.
const DOCUMENTS: [(&str, &str); 2] = [("3.1", "docs/openapi.json"), ("3.2", "docs/openapi-3.2.json")];

/// Further documents to judge: those of a schema that has something of everything.
const FURTHER: [&str; 2] =
    ["service/transcode/src/openapi/tests/library-3.1.json", "service/transcode/src/openapi/tests/library-3.2.json"];

fn all() -> impl Iterator<Item = PathBuf> {
    let own = DOCUMENTS.iter().map(|(_, file)| *file);
    own.chain(FURTHER).map(|file| root().join(file))
}

#[test]
fn the_committed_documents_are_those_of_the_program() {
    for (version, file) in DOCUMENTS {
        let printed = Command::new(binary("sabir")).args(["openapi", "--version", version]).output().unwrap();
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let committed = std::fs::read(root().join(file)).unwrap_or_default();
        assert!(
            printed.stdout == committed,
            "{file} is not what the program prints; if the change is meant, commit it: \
             cargo run -p sabir -- openapi --version {version} --output {file}"
        );
    }
}

#[tokio::test]
async fn the_server_serves_the_documents() {
    let (_upstream, server) = world().await;
    for ((_, file), path) in DOCUMENTS.iter().zip(["/openapi.json", "/openapi-3.2.json"]) {
        let (status, body) = http::get(server.address(), path).await;
        assert_eq!(status, 200, "{path}");
        assert!(body == std::fs::read(root().join(file)).unwrap(), "{path} is not {file}");
    }
}

#[tokio::test]
async fn the_validators_find_nothing() {
    for document in all() {
        Client::openapi("python/bin/openapi-spec-validator").arg(&document).succeeds().await;
        Client::openapi("redocly/node_modules/.bin/redocly")
            .args(["lint", "--format=stylish", "--config"])
            .arg(root().join("tests/openapi/redocly.yaml"))
            .arg(&document)
            // It would ask whether there is a newer version of itself, and count its calls.
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
            .env("REDOCLY_TELEMETRY", "off")
            .succeeds()
            .await;
        Client::openapi("spectral/node_modules/.bin/spectral")
            .args(["lint", "--fail-severity=hint", "--ruleset"])
            .arg(root().join("tests/openapi/spectral.yaml"))
            .arg(&document)
            .succeeds()
            .await;
    }
}

/// A validator's silence is only worth something if it can speak.
#[tokio::test]
async fn the_validators_find_what_3_1_does_not_know() {
    let text = std::fs::read_to_string(root().join(DOCUMENTS[1].1)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, text.replace("\"openapi\": \"3.2.0\"", "\"openapi\": \"3.1.0\"")).unwrap();
    let outcome = Client::openapi("python/bin/openapi-spec-validator").arg(&document).run().await;
    assert!(!outcome.success, "`itemSchema` passed for a keyword of 3.1");
}

/// Everything that schemathesis can check, over requests that it makes up: some that fit the document, some that do not.
#[tokio::test]
async fn the_server_does_what_the_documents_say() {
    // The documents say who may call; in open mode everybody may.
    let upstream = Upstream::start();
    let server = Server::start(&format!("{}{}", Server::config_for(&upstream.base_url()), identity::required())).await;
    let key = Registrar::of(&server).await.key_for(&["admin"]).await;
    // It writes down what it found.
    let folder = tempfile::tempdir().unwrap();
    for (version, file) in DOCUMENTS {
        let said = Client::openapi("python/bin/schemathesis")
            .within(folder.path())
            .arg("--config-file")
            .arg(root().join("tests/openapi/schemathesis.toml"))
            .args(["run", "--no-color"])
            .arg(format!("--header=Authorization: Bearer {key}"))
            .args(["--seed=1", "--max-examples=25", "--no-shrink", "--generation-database=none"])
            .arg(format!("--url=http://{}", server.address()))
            .arg(root().join(file))
            .env("SCHEMATHESIS_HOOKS", root().join("tests/openapi/hooks.py"))
            .env("OPENAPI", version)
            .succeeds()
            .await;
        // Operations:       17 selected / 17 total
        let operations =
            said.lines().find_map(|line| line.trim().strip_prefix("Operations:")?.split_once(" selected / "));
        let (selected, total) = operations.expect("schemathesis says how much there is");
        assert_eq!(selected.trim(), total.trim_end_matches(" total"), "all of them are called");
        // 1777 generated, 1777 passed
        let cases = said.lines().find_map(|line| line.trim().split_once(" generated")?.0.parse().ok());
        assert!(cases.is_some_and(|cases: usize| cases > 500), "schemathesis had little to ask: {said}");
    }
}

#[tokio::test]
async fn a_generated_client_calls_the_server() {
    let (_upstream, server) = world().await;
    let tools = root().join("target/clients/openapi/typescript");
    // Within the folder of the packages, so that they are found.
    let folder = tempfile::tempdir_in(&tools).unwrap();
    let source = folder.path().join("claims.ts");
    std::fs::copy(root().join("tests/openapi/typescript/claims.ts"), &source).unwrap();
    Client::openapi("typescript/node_modules/.bin/openapi-typescript")
        .arg(root().join(DOCUMENTS[0].1))
        .arg("--output")
        .arg(folder.path().join("api.d.ts"))
        .succeeds()
        .await;
    Client::openapi("typescript/node_modules/.bin/tsc")
        .args(["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--skipLibCheck"])
        .args(["--target", "es2022", "--lib", "es2022,dom,dom.iterable", "--module", "nodenext"])
        .arg(&source)
        .succeeds()
        .await;
    let address = format!("http://{}", server.address());
    let said = Client::node_program(&folder.path().join("claims.js")).arg(address).succeeds().await;
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 5, "{said}");
}
