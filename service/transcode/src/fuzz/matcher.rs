//! The route matcher, against a matcher that tries every template in turn.
//!
//! An input is a byte that chooses the table of routes, a byte for the verb, and the path.

use http::Method as Verb;

use super::mutate::Random;
use super::{kind, run};
use crate::Transcoder;
use crate::generate::descriptors;
use crate::route::{Found, Route};

/// How many tables of routes.
const TABLES: usize = 40;

const VERBS: [Verb; 4] = [Verb::GET, Verb::POST, Verb::DELETE, Verb::PUT];

#[test]
#[ignore = "runs for as long as FUZZ_SECONDS says"]
fn the_matcher_finds_what_a_search_of_every_template_finds() {
    let mut random = Random::new(11);
    let tables: Vec<Transcoder> = (0..TABLES).map(|_| table(&mut random)).collect();
    let mut seeds = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        for route in table.shared.routes.all() {
            let path = route.path.replace("**", "a/b").replace('*', "c").replace(['{', '}'], "");
            seeds.push([&[index as u8, 0], path.as_bytes()].concat());
        }
    }
    let pieces: Vec<Vec<u8>> =
        ["/", "a", "b", "c", ":", ":a", ":b", "%61", "%2F", "%2f", "%zz", "%", "//", "/a/b/c", "é", "%ff", "+"]
            .map(|piece| piece.as_bytes().to_vec())
            .into();
    run("matcher", seeds, &pieces, |input| {
        let [which, verb, path @ ..] = input else { return 0 };
        let Ok(path) = std::str::from_utf8(path) else { return 0 };
        let routes = &tables[usize::from(*which) % tables.len()].shared.routes;
        let verb = &VERBS[usize::from(*verb) % VERBS.len()];
        let candidates: Vec<&Route> =
            routes.all().iter().map(|route| &**route).filter(|route| matches(&route.path, path)).collect();
        match routes.find(verb, path) {
            Found::Route(route) => {
                let same = |candidate: &&&Route| std::ptr::eq(**candidate, &**route);
                assert!(candidates.iter().find(same).is_some(), "{path} is not of {}", route.path);
                assert!(route.verb.as_ref().is_none_or(|own| own == verb), "{verb} is not of {}", route.path);
                let captured = [false, true].map(|fully| route.captures(path, fully));
                if let [Ok(captured), Ok(_)] = &captured {
                    assert_eq!(captured.len(), route.path.matches('{').count(), "{}", route.path);
                }
                kind("found", captured[0].is_err().then_some("encoding"))
            }
            Found::WrongVerb(allowed) => {
                assert!(!candidates.is_empty(), "{path} is of no route");
                for route in candidates {
                    let own = route.verb.as_ref().unwrap_or_else(|| panic!("any verb goes with {}", route.path));
                    assert!(own != verb && allowed.contains(own), "{path}: {own} of {} is not listed", route.path);
                }
                kind("wrong verb", Some(&format!("{}", allowed.len())))
            }
            Found::Nothing => {
                assert!(candidates.is_empty(), "{path} is of {}", candidates[0].path);
                kind("nothing", None)
            }
        }
    });
}

/// A table of routes from few segments, so that many of them are near each other.
fn table(random: &mut Random) -> Transcoder {
    let mut text = String::from("syntax = \"proto3\";\npackage g;\nimport \"google/api/annotations.proto\";\n");
    text.push_str("message M { string x = 1; string y = 2; string z = 3; }\nservice S {\n");
    let mut taken = std::collections::HashSet::new();
    for index in 0..random.below(30) + 3 {
        let mut pieces: Vec<&str> = (0..=random.below(4)).map(|_| ["a", "b", "c", "*", "a"][random.below(5)]).collect();
        if random.below(3) == 0 {
            pieces.insert(random.below(pieces.len() + 1), "**");
        }
        let suffix = ["", "", ":a", ":b"][random.below(4)];
        let verb = ["get", "post", "delete", "*"][random.below(4)];
        if !taken.insert((pieces.clone(), suffix, verb)) {
            continue;
        }
        // Some of the wildcards are variables, one of them of several segments.
        let mut names = ["x", "y", "z"].iter();
        let several = random.below(pieces.len() + 3);
        let mut template: Vec<String> = Vec::new();
        let mut at = 0;
        while at < pieces.len() {
            let variable = (at == several || pieces[at].starts_with('*') && random.below(2) == 0).then(|| names.next());
            let count = if at == several { pieces.len().min(at + 2) - at } else { 1 };
            let piece = pieces[at..at + count].join("/");
            template.push(match variable.flatten() {
                Some(name) if piece == "*" => format!("{{{name}}}"),
                Some(name) => format!("{{{name}={piece}}}"),
                None => piece,
            });
            at += count;
        }
        let path = format!("/{}{suffix}", template.join("/"));
        let rule = match verb {
            "*" => format!("custom: {{ kind: \"*\" path: \"{path}\" }}"),
            verb => format!("{verb}: \"{path}\""),
        };
        text.push_str(&format!("  rpc R{index}(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}\n"));
    }
    text.push_str("}\n");
    let config = crate::Config { default_routes: false, ..crate::Config::default() };
    Transcoder::with_config(&descriptors(&text), config).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Whether a template, as it is written, matches a raw path.
fn matches(template: &str, path: &str) -> bool {
    // `{name=a/*}` stands for `a/*`, and `{name}` for `*`.
    let mut plain = String::new();
    for part in template.split_inclusive(['{', '}']) {
        match part.strip_suffix('}') {
            Some(variable) => plain.push_str(variable.split_once('=').map_or("*", |(_, pieces)| pieces)),
            None => plain.push_str(part.trim_end_matches('{')),
        }
    }
    let (plain, path) = match plain.split_once(':') {
        Some((plain, suffix)) => {
            let Some(path) = path.strip_suffix(suffix).and_then(|path| path.strip_suffix(':')) else { return false };
            (plain.to_owned(), path)
        }
        None => (plain, path),
    };
    let Some(path) = path.strip_prefix('/') else { return false };
    let pieces: Vec<&str> = plain.trim_start_matches('/').split('/').collect();
    let segments: Vec<&str> = path.split('/').collect();
    spans(&pieces, &segments)
}

fn spans(pieces: &[&str], segments: &[&str]) -> bool {
    let Some((piece, pieces)) = pieces.split_first() else { return segments.is_empty() };
    if *piece == "**" {
        return (0..=segments.len()).any(|skipped| spans(pieces, &segments[skipped..]));
    }
    let Some((segment, segments)) = segments.split_first() else { return false };
    let fits = match *piece {
        "*" => !segment.is_empty(),
        literal => percent_encoding::percent_decode_str(segment).decode_utf8().is_ok_and(|text| text == literal),
    };
    fits && spans(pieces, segments)
}
