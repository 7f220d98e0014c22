//! Finding the route of a request among a thousand, on an API of Google's kind: `cargo bench -p transcode --bench matcher`.
#![expect(clippy::unwrap_used, reason = "a bench ends where its input is wrong")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput};
use http::Method;
use transcode::Transcoder;

/// Kinds of resources; each has the five standard methods.
const KINDS: usize = 200;

fn main() {
    let transcoder = Transcoder::new(&descriptors()).unwrap();
    let rules = transcoder.routes().filter(|route| !route.path.starts_with("/r.")).count();
    assert_eq!(rules, KINDS * 5);
    let requests = requests();
    for (verb, path, rpc) in &requests {
        assert_eq!(transcoder.route(verb, path).unwrap().method, format!("r.Api/{rpc}"), "{verb} {path}");
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("a thousand routes");
    // The time is that of one lookup of each; criterion also shows how many that is in a second.
    group.throughput(Throughput::Elements(requests.len() as u64));
    group.bench_function("found", |bencher| {
        bencher.iter(|| {
            for (verb, path, _) in &requests {
                black_box(transcoder.route(verb, black_box(path)));
            }
        });
    });
    let strangers: Vec<String> = (0..1000).map(|at| format!("/v1/projects/p{at}/nothing{at}/n{at}")).collect();
    group.bench_function("not found", |bencher| {
        bencher.iter(|| {
            for path in &strangers {
                black_box(transcoder.route(&Method::GET, black_box(path)));
            }
        });
    });
    group.finish();
    criterion.final_summary();
}

/// A request for every rule, in no order that a cache could like.
fn requests() -> Vec<(Method, String, String)> {
    let mut requests = Vec::new();
    for at in 0..KINDS {
        let kind = at * 37 % KINDS;
        let all = format!("/v1/projects/p-{at}/locations/europe-west{}/kind{kind}s", at % 9);
        let one = format!("{all}/name-{at}");
        requests.push((Method::GET, one.clone(), format!("Get{kind}")));
        requests.push((Method::POST, all.clone(), format!("Create{kind}")));
        requests.push((Method::DELETE, one.clone(), format!("Delete{kind}")));
        requests.push((Method::GET, all, format!("List{kind}")));
        requests.push((Method::POST, format!("{one}:start"), format!("Start{kind}")));
    }
    requests
}

fn descriptors() -> Vec<u8> {
    struct Source(String);
    impl protox::file::FileResolver for Source {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            match name {
                "r.proto" => protox::file::File::from_source(name, &self.0),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }
    let mut source = "syntax = \"proto3\"; package r; import \"google/api/annotations.proto\";
        message M { string name = 1; string parent = 2; } service Api {"
        .to_owned();
    for kind in 0..KINDS {
        let all = format!("/v1/{{parent=projects/*/locations/*}}/kind{kind}s");
        let one = format!("/v1/{{name=projects/*/locations/*/kind{kind}s/*}}");
        for (name, rule) in [
            ("Get", format!("get: '{one}'")),
            ("List", format!("get: '{all}'")),
            ("Create", format!("post: '{all}' body: '*'")),
            ("Delete", format!("delete: '{one}'")),
            ("Start", format!("post: '{one}:start' body: '*'")),
        ] {
            write!(source, "rpc {name}{kind}(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}").unwrap();
        }
    }
    source.push('}');
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(protox::file::IncludeFileResolver::new(transcode::PROTO_DIR.into()));
    resolver.add(Source(source));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("r.proto").unwrap();
    compiler.encode_file_descriptor_set()
}
