//! For tests: golden files of a protocol, and replays of its streams.
//!
//! A folder `goldens/<protocol>/` holds, for each case, what is given and what is made of it:
//!
//! | given | made of it |
//! |---|---|
//! | `<case>.chat.json`, our request; with `"stream": true` for a stream | `<case>.request.txt`: what the upstream gets, or the refusal |
//! | `<case>.response.json`, the upstream's answer | `<case>.completion.json` |
//! | `<case>.stream.sse`, `.ndjson` or `.bin`, the upstream's bytes | `<case>.chunks.jsonl`, a chunk a line, at last how the stream ended |
//! | `<case>.stream.events.jsonl`, the events of a binary stream, one a line | the same |
//! | `<case>.embed.json`, our request | `<case>.request.txt` |
//! | `<case>.vectors.json`, the upstream's answer | `<case>.embeddings.json` |
//!
//! An answer is read as the answer to `<case>.chat.json`, or to `text.chat.json` if there is none. With `UPDATE_GOLDEN=1` in
//! the environment the second column is written anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use prost::Message;
use sabir_proto::v1::{ChatCompletionChunk, CreateChatCompletionRequest, CreateEmbeddingRequest};
use transcode::json::{Mode, Plans};

use crate::bedrock;
use crate::error::UpstreamError;
use crate::protocol::{Protocol, StreamDecoder, WireRequest, Worded};
use crate::upstream::{ChatCall, EmbedCall, OnUnsupported, Origin};

/// The plans of the contract.
pub(crate) static PLANS: LazyLock<Arc<Plans>> =
    LazyLock::new(|| Arc::new(Plans::compile(sabir_proto::FILE_DESCRIPTOR_SET).unwrap()));

/// Our message from its JSON.
pub(crate) fn from_json<M: Message + Default>(name: &str, json: &str) -> M {
    let mut wire = Vec::new();
    let id = PLANS.message(&format!("sabir.v1.{name}")).unwrap();
    PLANS.read(id, json.as_bytes(), Mode::Strict, &mut wire).unwrap_or_else(|error| panic!("{json}: {error}"));
    M::decode(&wire[..]).unwrap()
}

/// Our message as JSON.
pub(crate) fn to_json(name: &str, message: &impl Message) -> String {
    let mut json = Vec::new();
    let id = PLANS.message(&format!("sabir.v1.{name}")).unwrap();
    PLANS.write(id, &message.encode_to_vec(), &mut json).unwrap();
    String::from_utf8(json).unwrap()
}

/// The call that a request in OpenAI's JSON makes, to the model that it names.
pub(crate) fn call(json: &str, on_unsupported: OnUnsupported) -> ChatCall {
    let request: CreateChatCompletionRequest = from_json("CreateChatCompletionRequest", json);
    ChatCall {
        model: request.model.clone(),
        request: Box::new(request),
        deadline: None,
        on_unsupported,
        origin: Origin::ChatCompletions,
        trace: None,
    }
}

/// What the upstream is asked when the caller sends `json`, as text: verb and path, headers, body.
pub(crate) fn asked(protocol: &impl Protocol, json: &str, on_unsupported: OnUnsupported) -> String {
    let call = call(json, on_unsupported);
    let streamed = call.request.stream();
    match protocol.chat_request(call, streamed) {
        Ok(Worded { request, dropped, .. }) => words(&request, &dropped.join(", ")),
        Err(error) => refusal(&error),
    }
}

fn words(request: &WireRequest, dropped: &str) -> String {
    let mut text = format!("{} {}\n", request.method, request.path);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    if !dropped.is_empty() {
        text.push_str(&format!("(dropped: {dropped})\n"));
    }
    text + "\n" + &indented(std::str::from_utf8(&request.body).unwrap()) + "\n"
}

fn refusal(error: &UpstreamError) -> String {
    let param = error.param.as_deref().unwrap_or("-");
    let code = error.code.as_deref().unwrap_or("-");
    format!("error {:?} param {param} code {code}\n{}\n", error.kind, error.message)
}

/// What a decoder makes of a stream in these pieces.
pub(crate) fn decode<'a, D: StreamDecoder>(
    mut decoder: D,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<ChatCompletionChunk>, Option<UpstreamError>) {
    let mut chunks = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next_chunk() {
                Ok(Some(chunk)) => chunks.push(chunk),
                Ok(None) if decoder.ended() => return (chunks, None),
                Ok(None) => break,
                Err(error) => return (chunks, Some(error)),
            }
        }
    }
    (chunks, decoder.finish().err())
}

/// Holds a protocol to its golden files.
pub(crate) fn check(folder: &str, protocol: &impl Protocol) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens").join(folder);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let goldens = Goldens { folder, made: BTreeSet::new() };
    let mut goldens = goldens;
    for name in &names {
        let (case, kind) = name.split_once('.').unwrap();
        match kind {
            "chat.json" => {
                let made = asked(protocol, &goldens.read(name), OnUnsupported::Drop);
                goldens.compare(&format!("{case}.request.txt"), &made);
            }
            "embed.json" => {
                let request: CreateEmbeddingRequest = from_json("CreateEmbeddingRequest", &goldens.read(name));
                let on_unsupported = OnUnsupported::Drop;
                let call = EmbedCall {
                    model: request.model.clone(),
                    request: Box::new(request),
                    deadline: None,
                    on_unsupported,
                    trace: None,
                };
                let made = match protocol.embed_request(call) {
                    Ok(worded) => words(&worded.request, &worded.dropped.join(", ")),
                    Err(error) => refusal(&error),
                };
                goldens.compare(&format!("{case}.request.txt"), &made);
            }
            "response.json" => {
                let made =
                    match protocol.read_completion(goldens.reading(case, protocol), goldens.read(name).as_bytes()) {
                        Ok(completion) => indented(&to_json("ChatCompletion", &completion)) + "\n",
                        Err(error) => refusal(&error),
                    };
                goldens.compare(&format!("{case}.completion.json"), &made);
            }
            "vectors.json" => {
                let made = match protocol.read_embeddings(goldens.read(name).as_bytes()) {
                    Ok(vectors) => indented(&to_json("CreateEmbeddingResponse", &vectors)) + "\n",
                    Err(error) => refusal(&error),
                };
                goldens.compare(&format!("{case}.embeddings.json"), &made);
            }
            "stream.sse" | "stream.ndjson" | "stream.bin" | "stream.events.jsonl" => {
                let bytes = bytes(&goldens.folder.join(name));
                let decoder = || protocol.stream_decoder(goldens.reading(case, protocol));
                let (chunks, end) = decode(decoder(), [&bytes[..]]);
                replay(name, &bytes, &(chunks.clone(), end.clone()), decoder);
                let mut made: String =
                    chunks.iter().map(|chunk| to_json("ChatCompletionChunk", chunk) + "\n").collect();
                made.push_str(&end.map_or_else(|| "end\n".to_owned(), |error| refusal(&error)));
                goldens.compare(&format!("{case}.chunks.jsonl"), &made);
            }
            _ => {}
        }
    }
    let stale: Vec<&String> = names
        .iter()
        .filter(|name| {
            ["request.txt", "completion.json", "chunks.jsonl", "embeddings.json"].iter().any(|end| name.ends_with(end))
        })
        .filter(|name| !goldens.made.contains(*name))
        .collect();
    assert!(stale.is_empty(), "nothing makes {stale:?}");
}

/// The bytes of a golden file, or those that it stands for.
pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let is_binary = path.to_str().is_some_and(|name| name.ends_with(".stream.events.jsonl"));
    if is_binary { bedrock::encode(std::str::from_utf8(&bytes).unwrap()) } else { bytes }
}

/// The chunks of a stream, and how it ended.
type Outcome = (Vec<ChatCompletionChunk>, Option<UpstreamError>);

/// Replays a stream in pieces, with other line ends and with comments, and cut short.
fn replay<D: StreamDecoder>(name: &str, bytes: &[u8], whole: &Outcome, decoder: impl Fn() -> D) {
    for split in 0..=bytes.len() {
        let pieces = [&bytes[..split], &bytes[split..]];
        assert_eq!(&decode(decoder(), pieces), whole, "{name}: split at {split}");
    }
    assert_eq!(&decode(decoder(), bytes.chunks(1)), whole, "{name}: byte by byte");
    if let Ok(text) = std::str::from_utf8(bytes)
        && name.ends_with(".sse")
    {
        let commented = text.replace("\n\n", "\n\n: keep-alive\n\n");
        for (how, text) in
            [("CRLF", text.replace('\n', "\r\n")), ("CR", text.replace('\n', "\r")), ("comments", commented)]
        {
            assert_eq!(&decode(decoder(), [text.as_bytes()]), whole, "{name}: {how}");
        }
    }
    if whole.1.is_none() {
        let clean = (0..bytes.len()).find(|length| decode(decoder(), [&bytes[..*length]]).1.is_none());
        // Once the end is clean, it stays so: what follows the mark of a normal end does not count.
        for length in clean.unwrap_or(bytes.len())..=bytes.len() {
            let cut = decode(decoder(), [&bytes[..length]]);
            assert_eq!(cut.1, None, "{name}: a clean end that is none, cut at {length}");
        }
        let earliest = clean.unwrap_or(bytes.len());
        let said = decode(decoder(), [&bytes[..earliest]]).0;
        let text = |chunks: &[ChatCompletionChunk]| -> String {
            let deltas = chunks.iter().flat_map(|chunk| &chunk.choices).filter_map(|choice| choice.delta.as_ref());
            deltas.filter_map(|delta| delta.content.clone()).collect()
        };
        assert_eq!(text(&said), text(&whole.0), "{name}: a clean end at {earliest} that lacks text");
    }
}

struct Goldens {
    folder: PathBuf,
    /// The files that were compared.
    made: BTreeSet<String>,
}

impl Goldens {
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What the reader of a case's answer knows of the question.
    fn reading<P: Protocol>(&self, case: &str, protocol: &P) -> P::Reading {
        let own = format!("{case}.chat.json");
        let name = if self.folder.join(&own).exists() { own } else { "text.chat.json".to_owned() };
        let call = call(&self.read(&name), OnUnsupported::Drop);
        let streamed = call.request.stream();
        protocol.chat_request(call, streamed).unwrap().reading
    }

    fn compare(&mut self, name: &str, made: &str) {
        let path = self.folder.join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, made).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), made, "{name}; UPDATE_GOLDEN=1 writes it anew");
        self.made.insert(name.to_owned());
    }
}

/// JSON text on several lines, its members in their order and its scalars as they stand.
pub(crate) fn indented(json: &str) -> String {
    let (mut out, mut depth, mut in_string, mut escaped) = (String::new(), 0usize, false, false);
    let mut previous = ' ';
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            out.push(character);
            continue;
        }
        match character {
            ' ' | '\n' | '\r' | '\t' => continue,
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                if !matches!(previous, '[' | '{') {
                    line(&mut out, depth);
                }
            }
            _ if matches!(previous, '[' | '{' | ',') => line(&mut out, depth),
            _ => {}
        }
        in_string = character == '"';
        depth += usize::from(matches!(character, '[' | '{'));
        out.push(character);
        if character == ':' {
            out.push(' ');
        }
        previous = character;
    }
    out
}
