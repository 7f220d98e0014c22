//! Claims about the tree itself: what every file looks like, which words and names may stand where, and that the
//! documentation names things that exist. They read files and ask no server.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use prost_reflect::{DescriptorPool, EnumDescriptor, FileDescriptor, MessageDescriptor};

/// The repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What is made or fetched, and never committed.
const NOT_OURS: [&str; 5] = ["target", "models", ".git", "node_modules", "__pycache__"];

/// What is no text. Of the compressed files, `scripts/fetch-pages-assets` knows what is in them.
const NOT_TEXT: [&str; 2] = [".pyc", ".gz"];

/// No source file is longer: it has two ideas in it.
const LONGEST: usize = 800;

/// Few source files are longer, in lines and as a part of all.
const LONG: usize = 400;
const PART_OF_LONG_FILES: f64 = 0.1;

/// The files below a folder of the repository, as paths from its root, sorted.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                folders.push(entry.path());
            } else if kind.is_file() && !name.starts_with("sabir.db") && !NOT_TEXT.iter().any(|end| name.ends_with(end))
            {
                found.push(entry.path().strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} holds no files");
    found
}

fn rust_files() -> Vec<String> {
    files("").into_iter().filter(|path| path.ends_with(".rs")).collect()
}

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn exists(path: &str) -> bool {
    Path::new(ROOT).join(path).exists()
}

/// Fails with everything that was found, one finding a line.
fn assert_none(findings: &[String], claim: &str) {
    assert!(findings.is_empty(), "{claim}:\n  {}", findings.join("\n  "));
}

#[test]
fn every_source_file_opens_by_saying_what_it_is_for() {
    let speaks = |path: &String| {
        let text = text(path);
        text.starts_with("//! ") || text.starts_with("#![doc")
    };
    let silent: Vec<String> = rust_files().into_iter().filter(|path| !speaks(path)).collect();
    assert_none(&silent, "these files do not begin with `//!`");
}

#[test]
fn source_files_are_short() {
    let is_test = |path: &String| path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs");
    let sources = rust_files().into_iter().filter(|path| !is_test(path));
    let lengths: Vec<(String, usize)> = sources.map(|path| (path.clone(), text(&path).lines().count())).collect();
    let over = |limit: usize| -> Vec<String> {
        let over = lengths.iter().filter(|(_, length)| *length > limit);
        over.map(|(path, length)| format!("{path}: {length} lines")).collect()
    };
    assert_none(&over(LONGEST), "these files are too long");
    let long = over(LONG);
    let few = (lengths.len() as f64 * PART_OF_LONG_FILES) as usize;
    assert!(long.len() <= few, "more than {few} files are over {LONG} lines:\n  {}", long.join("\n  "));
}

/// Everything in a file of the contract that lacks a comment.
fn without_comment(file: &FileDescriptor) -> Vec<String> {
    let source = file.file_descriptor_proto().source_code_info.as_ref().expect("the descriptor set keeps comments");
    let commented = source.location.iter().filter(|location| !location.leading_comments().trim().is_empty());
    let commented: BTreeSet<&[i32]> = commented.map(|location| location.path.as_slice()).collect();
    let mut bare = Vec::new();
    let mut see = |name: &str, path: &[i32]| {
        if !commented.contains(path) {
            bare.push(name.to_owned());
        }
    };
    let see_enum = |see: &mut dyn FnMut(&str, &[i32]), one: &EnumDescriptor| {
        see(one.full_name(), one.path());
        one.values().for_each(|value| see(value.full_name(), value.path()));
    };
    for service in file.services() {
        see(service.full_name(), service.path());
        service.methods().for_each(|method| see(method.full_name(), method.path()));
    }
    file.enums().for_each(|one| see_enum(&mut see, &one));
    file.extensions().for_each(|extension| see(extension.full_name(), extension.path()));
    let mut messages: Vec<MessageDescriptor> = file.messages().collect();
    while let Some(message) = messages.pop().filter(|message| !message.is_map_entry()) {
        see(message.full_name(), message.path());
        message.fields().for_each(|field| see(field.full_name(), field.path()));
        let oneofs = message.oneofs().filter(|oneof| !oneof.is_synthetic());
        oneofs.for_each(|oneof| see(oneof.full_name(), oneof.path()));
        message.child_enums().for_each(|one| see_enum(&mut see, &one));
        messages.extend(message.child_messages().filter(|child| !child.is_map_entry()));
    }
    bare
}

#[test]
fn the_contract_explains_every_one_of_its_elements() {
    let pool = DescriptorPool::decode(sabir_proto::FILE_DESCRIPTOR_SET).unwrap();
    let ours = |file: &FileDescriptor| ["sabir.v1", "transcode.v1"].contains(&file.package_name());
    let ours: Vec<FileDescriptor> = pool.files().filter(ours).collect();
    assert!(ours.len() >= 5, "the files of the contract and options.proto");
    let bare: Vec<String> = ours.iter().flat_map(without_comment).collect();
    assert_none(&bare, "these have no comment");
}

#[test]
fn every_rpc_has_a_route() {
    let pool = DescriptorPool::decode(sabir_proto::FILE_DESCRIPTOR_SET).unwrap();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    let rpcs: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    assert!(rpcs.len() >= 4);
    let without = rpcs.iter().filter(|rpc| !rpc.options().has_extension(&http));
    let without: Vec<String> = without.map(|rpc| rpc.full_name().to_owned()).collect();
    assert_none(&without, "these have no google.api.http rule");
}

#[test]
fn provider_folders_list_the_same_files() {
    const NAMES: [&str; 3] = ["request.rs", "response.rs", "stream.rs"];
    let mut folders: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for path in files("service/providers/src") {
        let path = Path::new(&path);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        folders.entry(path.parent().unwrap().to_owned()).or_default().insert(name);
    }
    folders.retain(|_, names| NAMES.iter().any(|name| names.contains(*name)));
    assert!(folders.len() >= 2, "{folders:?}");
    let incomplete = folders.iter().flat_map(|(folder, names)| {
        let missing = NAMES.iter().filter(|name| !names.contains(**name));
        missing.map(move |name| format!("{} has no {name}", folder.display()))
    });
    assert_none(&incomplete.collect::<Vec<_>>(), "a provider lacks a file that the others have");
}

/// The names under `[dependencies]` of a crate.
fn dependencies(manifest: &str) -> Vec<String> {
    let manifest = text(manifest);
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once(['.', ' ', '='])?.0.to_owned())).collect()
}

#[test]
fn crates_know_only_what_they_may_know() {
    // The arrows of docs/architecture.md, as far as a manifest can break them.
    let bans: [(&str, &[&str]); 7] = [
        ("service/transcode", &["sabir"]),
        ("service/depends", &["sabir", "transcode", "sqlx"]),
        ("service/providers", &["sabir-store", "sabir-client", "sqlx", "axum", "tonic", "tower"]),
        ("service/store", &["sabir-", "transcode", "tonic", "hyper", "http", "axum", "sqlx"]),
        ("service/store/sqlite", &["sabir-proto", "sabir-providers", "transcode", "tonic", "hyper", "http", "axum"]),
        ("client", &["sabir-providers", "sabir-store", "transcode", "hyper", "axum"]),
        (".", &["sabir", "transcode", "hyper", "axum", "sqlx"]),
    ];
    let mut broken = Vec::new();
    for (folder, banned) in bans {
        let dependencies = dependencies(&format!("{folder}/Cargo.toml"));
        assert!(!dependencies.is_empty(), "{folder} has no dependencies");
        let wrong = dependencies.iter().filter(|name| banned.iter().any(|banned| name.starts_with(banned)));
        broken.extend(wrong.map(|name| format!("{folder} depends on {name}")));
    }
    assert_none(&broken, "an arrow points the wrong way");
}

/// The words of a line: identifiers taken apart at underscores and capitals, in lower case.
fn words(line: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for identifier in line.split(|letter: char| !letter.is_alphanumeric()) {
        words.insert(identifier.to_lowercase());
        let mut word = String::new();
        for letter in identifier.chars() {
            if letter.is_uppercase() && word.ends_with(char::is_lowercase) {
                words.insert(std::mem::take(&mut word));
            }
            word.extend(letter.to_lowercase());
        }
        words.insert(word);
    }
    words
}

/// What only a service of language models has a word for.
const LANGUAGE_MODEL_WORDS: [&str; 9] =
    ["llm", "llms", "chat", "model", "models", "token", "tokens", "prompt", "prompts"];

/// The words of language models in a line.
fn language_model_words(line: &str) -> impl Iterator<Item = &'static str> {
    let words = words(line);
    let named = LANGUAGE_MODEL_WORDS.into_iter().filter(move |word| words.contains(*word));
    named.chain(line.to_lowercase().contains("openai").then_some("openai"))
}

#[test]
fn dependencies_know_no_word_of_language_models() {
    let mut found = Vec::new();
    for path in files("service/depends") {
        for (number, line) in text(&path).lines().enumerate() {
            found.extend(language_model_words(line).map(|word| format!("{path}:{}: {word}", number + 1)));
        }
    }
    assert_none(&found, "words that have no place in a crate for any service");
}

#[test]
fn the_transcoder_knows_no_word_of_language_models() {
    // JSON has tokens too, and the error body that other APIs have made their own is named for whom it comes from: its
    // code in the sample is the one that its inventor documents.
    let allowed = [
        ("tokens", "src/json.rs", "JSON tokens"),
        ("tokens", "src/render/stream.rs", "line breaks between its tokens"),
        ("tokens", "proto/transcode/v1/options.proto", "The names in the proto file: `max_tokens`"),
        ("model", "src/status.rs", "MODEL_NOT_FOUND"),
        ("model", "src/status.rs", "model_not_found"),
        ("models", "assets/docs/docs.js", "defaultModelsExpandDepth"),
        ("token", "assets/redoc/redoc.standalone.js.LICENSE.txt", "lunr.TokenSet"),
        // OAuth2 has tokens of yet another kind.
        ("token", "src/openapi/", ""),
        ("tokens", "src/openapi/", ""),
        ("openai", "src/openapi/", ""),
        ("openai", "src/status.rs", ""),
        ("openai", "src/render/tests.rs", "ERROR_SHAPE_OPENAI"),
        ("openai", "src/options.rs", "OpenAi"),
        ("openai", "src/options.rs", "OpenAI's `{\"error\""),
        ("openai", "proto/transcode/v1/options.proto", "OpenAI's: `{\"error\""),
        ("openai", "proto/transcode/v1/options.proto", "ERROR_SHAPE_OPENAI"),
        ("openai", "proto/transcode/v1/options.proto", "platform.openai.com/docs/guides/error-codes"),
        ("openai", "README.md", "OpenAI's `\"stream\": true`"),
        ("openai", "README.md", "`google.rpc.Status` with its details, or OpenAI's"),
    ];
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for path in files("service/transcode") {
        let text = text(&path);
        for (number, line) in text.lines().enumerate() {
            for word in language_model_words(line) {
                let excuse = allowed.iter().position(|(allowed, file, phrase)| {
                    let file = format!("transcode/{file}");
                    let there = if file.ends_with('/') { path.contains(&file) } else { path.ends_with(&file) };
                    *allowed == word && there && line.contains(phrase)
                });
                if excuse.is_none() {
                    found.push(format!("{path}:{}: {word}", number + 1));
                }
                used.extend(excuse);
            }
        }
    }
    assert_none(&found, "words that have no place in a transcoder");
    let idle = allowed.iter().enumerate().filter(|(index, _)| !used.contains(index));
    let idle: Vec<String> = idle.map(|(_, (word, file, phrase))| format!("{word} in {file}: {phrase}")).collect();
    assert_none(&idle, "nobody needs these exceptions any more");
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    const FOLDERS: [&str; 4] = ["/home/", "/root/", "/work/", "/Users/"];
    const REGISTRIES: [&str; 6] = [
        "index.crates.io",
        "static.crates.io",
        "registry.npmjs.org",
        "pypi.org",
        "files.pythonhosted.org",
        "proxy.golang.org",
    ];
    // What would send a build elsewhere than to where its own client is told to go.
    const SETTINGS: [&str; 5] = ["index-url", "GOPROXY=", "replace-with", "[source.", "\nregistry="];
    let mut found = Vec::new();
    // This file names all of them.
    for path in files("").into_iter().filter(|path| path != "tests/tidy.rs") {
        let text = text(&path);
        let absolute = |folder: &&&str| {
            // A path that begins there; `docs.rs/home/` or `$PWD/work/` do not.
            let starts = text.match_indices(**folder).map(|(at, _)| text[..at].chars().next_back());
            starts.into_iter().any(|before| before.is_none_or(|before| !before.is_alphanumeric() && before != '.'))
        };
        found.extend(FOLDERS.iter().filter(absolute).map(|folder| format!("{path}: {folder}")));
        let named = REGISTRIES.iter().chain(&SETTINGS).filter(|name| text.contains(**name));
        found.extend(named.map(|name| format!("{path}: {}", name.trim())));
    }
    assert_none(&found, "machines and registries belong in nobody's repository");
}

#[test]
fn lock_files_name_the_public_registries() {
    const CRATES: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let lock = text("Cargo.lock");
    let sources: Vec<&str> = lock.lines().filter(|line| line.starts_with("source = ")).collect();
    assert!(sources.len() > 100);
    let other: Vec<String> = sources.into_iter().filter(|line| *line != CRATES).map(str::to_owned).collect();
    assert_none(&other, "crates from elsewhere");
    for path in files("tests").into_iter().filter(|path| path.ends_with("package-lock.json")) {
        assert!(!text(&path).contains("\"resolved\""), "{path} names the registry it was made with");
    }
}

#[test]
fn scripts_that_name_their_interpreter_can_be_run() {
    let mut wrong = Vec::new();
    for path in files("scripts").into_iter().chain(files(".ci")) {
        let executable = fs::metadata(Path::new(ROOT).join(&path)).unwrap().permissions().mode() & 0o111 == 0o111;
        if executable != text(&path).starts_with("#!/") {
            wrong.push(path);
        }
    }
    assert_none(&wrong, "either these are executable and have no `#!`, or the other way round");
    assert!(text(".ci/run").starts_with("#!/"));
}

/// What stands between single backticks in a document, its blocks of code left out.
fn quoted(document: &str) -> Vec<&str> {
    let outside = document.split("```").step_by(2);
    outside.flat_map(|prose| prose.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn the_traits_in_the_documentation_are_those_of_the_code() {
    // One declaration a line, as both write them.
    let declared = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with("fn ") && line.ends_with(';'));
        lines.map(str::to_owned).collect()
    };
    let mut code = declared(&text("service/providers/src/upstream.rs"));
    code.extend(declared(&text("service/providers/src/protocol.rs")));
    assert!(code.len() > 10, "{code:?}");
    assert_eq!(declared(&text("docs/adding-a-provider.md")), code);
}

#[test]
fn the_map_in_the_readme_is_the_tree() {
    let readme = text("README.md");
    let map = readme.split("\n## ").find(|section| section.starts_with("Repository map")).expect("a repository map");
    let cells = map.lines().filter_map(|row| row.strip_prefix("| `")?.split_once("` |"));
    let named: BTreeSet<&str> = cells.map(|(name, _)| name).collect();
    let gone: Vec<String> = named.iter().filter(|name| !exists(name)).map(|name| name.to_string()).collect();
    assert_none(&gone, "the map names what is not there");
    let folders = files("").into_iter().filter_map(|path| Some(path.split_once('/')?.0.to_owned()));
    let folders: BTreeSet<String> = folders.filter(|folder| !folder.starts_with('.')).collect();
    let unnamed: Vec<String> = folders.into_iter().filter(|folder| !named.contains(folder.as_str())).collect();
    assert_none(&unnamed, "folders that the map does not name");
}

#[test]
fn every_path_in_the_documentation_exists() {
    let folders: BTreeSet<String> =
        files("").into_iter().filter_map(|path| Some(format!("{}/", path.split_once('/')?.0))).collect();
    let documents = files("").into_iter().filter(|path| path.ends_with(".md"));
    let mut gone = Vec::new();
    for document in documents {
        let text = text(&document);
        let paths = quoted(&text).into_iter().filter(|name| folders.iter().any(|folder| name.starts_with(folder)));
        let paths = paths.filter(|name| !name.contains(['*', '{', '<', ' ']));
        gone.extend(paths.filter(|path| !exists(path)).map(|path| format!("{document}: `{path}`")));
        // Links, from the document's own folder.
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        let links = links.filter(|link| !link.contains(':')).map(|link| link.split('#').next().unwrap_or(link));
        let folder = Path::new(ROOT).join(&document).parent().unwrap().to_owned();
        let broken = links.filter(|link| !link.is_empty() && !folder.join(link).exists());
        gone.extend(broken.map(|link| format!("{document}: ({link})")));
    }
    assert_none(&gone, "the documentation names what is not there");
}
