//! Claims about the route table: which rule a verb and a path find, and which tables are refused.

use http::Method as Verb;

use super::Found;
use crate::{Config, Transcoder};

fn descriptors(rpcs: &str) -> Vec<u8> {
    struct Source(String);
    impl protox::file::FileResolver for Source {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            match name {
                "r.proto" => protox::file::File::from_source(name, &self.0),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }
    let source = format!(
        "syntax = \"proto3\"; package r; import \"google/api/annotations.proto\";
         import \"transcode/v1/options.proto\";
         message M {{ string a = 1; string b = 2; bool live = 3; }} service S {{ {rpcs} }}"
    );
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(protox::file::IncludeFileResolver::new(crate::PROTO_DIR.into()));
    resolver.add(Source(source));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("r.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

/// A service whose RPCs `M0`, `M1`, ... have these rules.
fn table(rules: &[&str]) -> Result<Transcoder, String> {
    let rpcs: String = rules
        .iter()
        .enumerate()
        .map(|(at, rule)| format!("rpc M{at}(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}"))
        .collect();
    Transcoder::new(&descriptors(&rpcs)).map_err(|error| error.to_string())
}

fn find(transcoder: &Transcoder, verb: Verb, path: &str) -> String {
    match transcoder.shared.routes.find(&verb, path) {
        Found::Route(route) => route.method.full_name().trim_start_matches("r.S/").to_owned(),
        Found::WrongVerb(mut allowed) => {
            allowed.sort_by_key(|verb| verb.as_str().to_owned());
            allowed.iter().map(Verb::as_str).collect::<Vec<_>>().join(",")
        }
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn the_most_particular_rule_wins_and_others_are_gone_back_to() {
    let table = table(&[
        "get: '/v1/{a}'",
        "get: '/v1/x'",
        "get: '/v1/x/{a}/y'",
        "get: '/v1/{a}/{b}/z'",
        "get: '/v1/{a=**}'",
        "get: '/v1/{a=**}/tail'",
        "get: '/v1/{a=**}/{b}/tail'",
        "get: '/v1/{a=files/**}:do'",
        "post: '/v1/{a}:do'",
        "custom: { kind: '*' path: '/v2/any' }",
        "get: '/v2/any'",
        "get: '/v2/{a}'",
        "get: '/v3/{a=**}/tail:do'",
    ])
    .unwrap();
    for (verb, path, expected) in [
        (Verb::GET, "/v1/q", "M0"),
        (Verb::GET, "/v1/x", "M1"),
        (Verb::GET, "/v1/%78", "M1"),
        (Verb::GET, "/v1/x/1/y", "M2"),
        (Verb::GET, "/v1/x/1/z", "M3"),
        (Verb::GET, "/v1/x/1/q", "M4"),
        (Verb::GET, "/v1", "M4"),
        (Verb::GET, "/v1/tail", "M0"),
        (Verb::GET, "/v1/a/tail", "M6"),
        (Verb::GET, "/v1/a/b/c/tail", "M6"),
        (Verb::GET, "/v1//tail", "M5"),
        (Verb::GET, "/v1/files/1/2:do", "M7"),
        (Verb::GET, "/v1/other/1/2:do", "M4"),
        (Verb::POST, "/v1/q:do", "M8"),
        (Verb::GET, "/v1/q:do", "M0"),
        (Verb::POST, "/v1/q:undo", "GET"),
        (Verb::GET, "/v2/any", "M10"),
        (Verb::DELETE, "/v2/any", "M9"),
        (Verb::from_bytes(b"PURGE").unwrap(), "/v2/any", "M9"),
        (Verb::DELETE, "/v2/other", "GET"),
        (Verb::GET, "/v3/a/b/tail:do", "M12"),
        (Verb::GET, "/v3/tail:do", "M12"),
        (Verb::GET, "/v3/a/b/tail", "nothing"),
        (Verb::GET, "/v2/any/", "nothing"),
        (Verb::GET, "v2", "nothing"),
        (Verb::GET, "*", "nothing"),
    ] {
        assert_eq!(find(&table, verb.clone(), path), expected, "{verb} {path}");
    }
}

#[test]
fn a_verb_that_a_rule_names_is_no_part_of_a_variable() {
    let table = table(&["get: '/v1/{a}'", "get: '/v1/{a}:look'"]).unwrap();
    for (path, expected) in [("/v1/x", "M0"), ("/v1/x:look", "M1"), ("/v1/x:y", "M0"), ("/v1/x:y:look", "M1")] {
        assert_eq!(find(&table, Verb::GET, path), expected, "{path}");
        assert_eq!(table.route(&Verb::GET, path).unwrap().method, format!("r.S/{expected}"));
    }
    assert_eq!(table.route(&Verb::POST, "/v1/x"), None);
}

#[test]
fn rules_that_match_the_same_requests_are_refused_naming_both() {
    for rules in [
        ["get: '/v1/{a}'", "get: '/v1/{b}'"],
        ["get: '/v1/{a=**}/x'", "get: '/v1/{b=**}/x'"],
        ["get: '/v1/{a=x/*}:do'", "get: '/v1/x/{b}:do'"],
        ["custom: { kind: '*' path: '/v1/x' }", "custom: { kind: '*' path: '/v1/x' }"],
    ] {
        let error = table(&rules).unwrap_err();
        assert!(error.contains("r.S/M0") && error.contains("r.S/M1"), "{rules:?}: {error}");
    }
}

#[test]
fn rules_that_are_not_rules_are_refused() {
    for (rule, problem) in [
        ("get: '/v1/{c}'", "c is not a field"),
        ("get: '/v1/{a=**}/{b=**}'", "one `**`"),
        ("get: 'v1'", "v1"),
        ("body: '*'", "no verb and path"),
        ("post: '/v1' body: 'c'", "c is not a field"),
        ("post: '/v1' body: '*' response_body: 'c'", "c is not a field"),
        ("custom: { kind: 'A B' path: '/v1' }", "not an HTTP verb"),
        ("get: '/v1' additional_bindings { get: '/v2' additional_bindings { get: '/v3' } }", "of its own"),
    ] {
        let error = table(&[rule]).unwrap_err();
        assert!(error.contains(problem), "{rule}: {error}");
    }
}

#[test]
fn a_method_without_a_rule_is_served_at_its_name_unless_that_is_switched_off() {
    let set = descriptors("rpc Bare(M) returns (M); rpc Talk(stream M) returns (stream M);");
    let transcoder = Transcoder::new(&set).unwrap();
    assert_eq!(find(&transcoder, Verb::POST, "/r.S/Bare"), "Bare");
    assert_eq!(find(&transcoder, Verb::GET, "/r.S/Bare"), "POST");
    assert_eq!(transcoder.shared.routes.socket("/r.S/Talk").unwrap().method.full_name(), "r.S/Talk");
    assert!(transcoder.shared.routes.socket("/r.S/Bare").is_none());
    let without = Transcoder::with_config(&set, Config { default_routes: false, ..Config::default() }).unwrap();
    assert_eq!(find(&without, Verb::POST, "/r.S/Bare"), "nothing");
}

#[cfg(feature = "service-config")]
#[test]
fn a_service_config_takes_the_place_of_annotations() {
    let set = descriptors(
        "rpc One(M) returns (M) { option (google.api.http) = { get: '/old/{a}' }; } rpc Two(M) returns (M);",
    );
    let build = |yaml: &str| {
        let rules = crate::ServiceConfig::parse(yaml).unwrap();
        Transcoder::builder(&set).service_config(rules).build().map_err(|error| error.to_string())
    };
    let rules =
        "http: {rules: [{selector: r.S.One, get: '/new/{a}', additional_bindings: [{put: '/new/{a}', body: '*'}]}]}";
    let transcoder = build(rules).unwrap();
    assert_eq!(find(&transcoder, Verb::PUT, "/new/x"), "One");
    assert_eq!(find(&transcoder, Verb::GET, "/old/x"), "nothing");
    assert_eq!(find(&transcoder, Verb::POST, "/r.S/Two"), "Two");
    let error = build("http: {rules: [{selector: r.S.Three, get: '/x'}]}").unwrap_err();
    assert!(error.contains("r.S/Three"), "{error}");
    let error = build("http: {rules: [{selector: r.S.One, get: '/x'}, {selector: r.S.Two, get: '/x'}]}").unwrap_err();
    assert!(error.contains("r.S/One") && error.contains("r.S/Two"), "{error}");
}

#[test]
fn who_may_call_is_told_as_declared() {
    let open = |options: &str| format!("option (transcode.v1.method).openapi = {{ {options} }};");
    let rpcs = format!(
        "rpc A(M) returns (M) {{ {} }} rpc B(M) returns (M) {{ {} }} rpc C(M) returns (M);",
        open("scopes: ['x', 'y']"),
        open("public: true")
    );
    let transcoder = Transcoder::new(&descriptors(&rpcs)).unwrap();
    let mut access: Vec<_> =
        transcoder.access().map(|access| (access.path.to_owned(), access.scopes.to_vec(), access.public)).collect();
    access.sort();
    let scopes = vec!["x".to_owned(), "y".to_owned()];
    let expected = [("/r.S/A", scopes, false), ("/r.S/B", vec![], true), ("/r.S/C", vec![], false)];
    assert_eq!(access, expected.map(|(path, scopes, public)| (path.to_owned(), scopes, public)));

    let contradiction = format!("rpc A(M) returns (M) {{ {} }}", open("scopes: 'x' public: true"));
    assert!(Transcoder::new(&descriptors(&contradiction)).unwrap_err().to_string().contains("asks for no scopes"));
}

#[test]
fn a_streaming_twin_is_open_to_the_same_callers() {
    let rpcs = |own: &str, twin: &str| {
        format!(
            "rpc A(M) returns (M) {{ option (google.api.http) = {{ post: '/a' body: '*' }};
               option (transcode.v1.method) = {{ stream_twin: {{ field: 'live' method: 'B' }} openapi: {{ {own} }} }}; }}
             rpc B(M) returns (stream M) {{ option (transcode.v1.method).openapi = {{ {twin} }}; }}"
        )
    };
    let refused =
        |own, twin| Transcoder::new(&descriptors(&rpcs(own, twin))).map(drop).map_err(|error| error.to_string());
    refused("scopes: 'x'", "scopes: 'x'").unwrap();
    for (own, twin) in [("scopes: 'x'", ""), ("", "scopes: 'x'"), ("public: true", "scopes: 'x'")] {
        let problem = refused(own, twin).unwrap_err();
        assert!(problem.contains("r.S/A") && problem.contains("same callers"), "{problem}");
    }
}
