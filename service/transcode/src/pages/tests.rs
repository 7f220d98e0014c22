//! Claims about the pages, as a client sees them.

use std::io::Read as _;

use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

const DOCUMENT: &str = r#"{
  "openapi": "3.1.0",
  "info": {"title": "Birds & <b>bees</b>", "version": "7", "description": "One.\n\nTwo {services} of `<a>`."},
  "tags": [{"name": "e.Birds", "description": "Finds birds."}],
  "paths": {
    "/v1/birds/{title}": {
      "get": {"operationId": "Get Bird", "tags": ["e.Birds"], "x-grpc-method": "e.Birds/GetBird", "summary": "Gets a \"bird\".", "responses": {"200": {"content": {"application/json": {}}}}},
      "delete": {"tags": ["e.Birds"], "description": "Lets it go.\nFor good."}
    },
    "/v1/songs": {"get": {"operationId": "Sing", "tags": ["Songs"], "responses": {"200": {"content": {"text/event-stream": {}}}}}}
  }
}"#;

fn pages(document: &str, config: &Config) -> Result<PagesLayer, PagesError> {
    let v3_2 = document.replace("3.1.0", "3.2.0").into();
    PagesLayer::new(&Documents { v3_1: document.to_owned().into(), v3_2 }, config)
}

/// The API behind the pages answers everything with 418.
async fn ask(layer: &PagesLayer, request: Request<()>) -> Response<Body> {
    let api = tower::service_fn(|_: Request<()>| async {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        Ok(response)
    });
    layer.layer(api).oneshot(request).await.unwrap()
}

async fn get(layer: &PagesLayer, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    ask(layer, request.body(()).unwrap()).await
}

async fn bytes(response: Response<Body>) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(bytes(response).await).unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

#[tokio::test]
async fn every_file_that_a_page_names_is_served_with_a_fitting_type() {
    let layer = pages(DOCUMENT, &Config::default()).unwrap();
    let mut files = 0;
    for page in ["/", "/docs", "/redoc", "/docs/oauth2-redirect.html"] {
        let html = text(get(&layer, page, &[]).await).await;
        for attribute in ["src=\"", "href=\""] {
            for link in html.split(attribute).skip(1).map(|rest| rest.split(['"', '#']).next().unwrap()) {
                let folder = if page.starts_with("/docs/") { "/docs/" } else { "/" };
                let response = get(&layer, &format!("{folder}{link}"), &[]).await;
                assert_eq!(response.status(), 200, "{page} names {link}");
                let wanted = match link.rsplit_once('.').map(|(_, ending)| ending) {
                    Some("js") => "text/javascript; charset=utf-8",
                    Some("css") => "text/css; charset=utf-8",
                    Some("svg") => "image/svg+xml",
                    Some("json") => "application/json",
                    _ => "text/html; charset=utf-8",
                };
                assert_eq!(header(&response, "content-type"), wanted, "{link}");
                assert_eq!(header(&response, "x-content-type-options"), "nosniff");
                files += 1;
            }
        }
    }
    assert!(files > 12, "{files}");
}

#[tokio::test]
async fn the_documents_are_served_as_they_are() {
    let layer = pages(DOCUMENT, &Config::default()).unwrap();
    assert_eq!(text(get(&layer, "/openapi.json", &[]).await).await, DOCUMENT);
    assert!(text(get(&layer, "/openapi-3.2.json", &[]).await).await.contains("3.2.0"));
}

#[tokio::test]
async fn compressed_and_plain_are_the_same_bytes_of_the_announced_length() {
    let layer = pages(DOCUMENT, &Config::default()).unwrap();
    let everything = layer.table.iter().filter(|(_, page)| !matches!(page, Page::Moved(_)));
    for path in everything.map(|(path, _)| path) {
        let plain = get(&layer, path, &[("accept-encoding", "br, gzip;q=0")]).await;
        assert!(!plain.headers().contains_key("content-encoding"));
        let plain_length: usize = header(&plain, "content-length").parse().unwrap();
        let plain_tag = header(&plain, "etag").to_owned();
        let gzip = get(&layer, path, &[("accept-encoding", "gzip, deflate, br")]).await;
        assert_eq!(header(&gzip, "content-encoding"), "gzip");
        let gzip_length: usize = header(&gzip, "content-length").parse().unwrap();
        assert_ne!(header(&gzip, "etag"), plain_tag);
        let (plain, gzip) = (bytes(plain).await, bytes(gzip).await);
        assert_eq!((plain.len(), gzip.len()), (plain_length, gzip_length), "{path}");
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(gzip.as_slice()).read_to_end(&mut inflated).unwrap();
        assert!(inflated == plain, "{path}");
    }
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let layer = pages(DOCUMENT, &Config::default()).unwrap();
    let first = get(&layer, "/docs/swagger-ui-bundle.js", &[("accept-encoding", "gzip")]).await;
    let tag = header(&first, "etag").to_owned();
    for known in
        [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), tag.replace("-gzip", ""), "*".to_owned()]
    {
        let again = get(&layer, "/docs/swagger-ui-bundle.js", &[("if-none-match", &known)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert!(bytes(again).await.is_empty());
    }
    let changed = get(&layer, "/docs/swagger-ui-bundle.js", &[("if-none-match", "\"other\"")]).await;
    assert_eq!(changed.status(), 200);
}

#[tokio::test]
async fn pages_are_read_only_and_say_so() {
    let layer = pages(DOCUMENT, &Config::default()).unwrap();
    for path in ["/", "/docs", "/redoc", "/openapi.json", "/docs/docs.js"] {
        let head = ask(&layer, Request::head(path).body(()).unwrap()).await;
        assert_eq!(head.status(), 200);
        assert_ne!(header(&head, "content-length"), "0");
        assert!(bytes(head).await.is_empty(), "{path}");
        let post = ask(&layer, Request::post(path).body(()).unwrap()).await;
        assert_eq!((post.status().as_u16(), header(&post, "allow")), (405, "GET, HEAD, OPTIONS"));
        let options = ask(&layer, Request::options(path).body(()).unwrap()).await;
        assert_eq!((options.status().as_u16(), header(&options, "allow")), (204, "GET, HEAD, OPTIONS"));
    }
}

#[tokio::test]
async fn the_api_keeps_its_own_paths() {
    let layer = pages(DOCUMENT, &Config::default()).unwrap();
    for path in ["/v1/songs", "/docsx", "/docs/none.js", "/favicon.ico", "//", "/Docs"] {
        assert_eq!(get(&layer, path, &[]).await.status(), 418, "{path}");
    }
    let layer = pages(&DOCUMENT.replace("/v1/songs", "/docs"), &Config::default()).unwrap();
    assert_eq!(get(&layer, "/docs", &[]).await.status(), 418);
    assert_eq!(get(&layer, "/redoc", &[]).await.status(), 200);
}

#[tokio::test]
async fn pages_may_be_few_and_elsewhere() {
    let config = Config { prefix: "/a/help".to_owned(), redoc: false, ..Config::default() };
    let layer = pages(DOCUMENT, &config).unwrap();
    for path in ["/", "/docs", "/openapi.json", "/a/help/redoc", "/a/help/redoc/redoc.js"] {
        assert_eq!(get(&layer, path, &[]).await.status(), 418, "{path}");
    }
    for path in ["/a/help", "/a/help/docs", "/a/help/docs/docs.js", "/a/help/openapi.json"] {
        assert_eq!(get(&layer, path, &[]).await.status(), 200, "{path}");
    }
    for (path, target) in [("/a/help/", "../help"), ("/a/help/docs/", "../docs")] {
        let moved = get(&layer, path, &[]).await;
        assert_eq!((moved.status().as_u16(), header(&moved, "location")), (308, target));
    }
    let html = text(get(&layer, "/a/help", &[]).await).await;
    assert!(html.contains("href=\"help/docs\"") && !html.contains("redoc"), "{html}");
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    for prefix in ["help", "/", "/help/", "/a//b", "/../x", "/a b", "/{x}"] {
        let error = pages(DOCUMENT, &Config { prefix: prefix.to_owned(), ..Config::default() }).unwrap_err();
        assert!(matches!(error, PagesError::Prefix(_)), "{prefix}: {error}");
    }
    for origin in ["https://", "login.example.com", "https://a.example; script-src *", "https://a.example/path"] {
        let error = pages(DOCUMENT, &Config { connect: vec![origin.to_owned()], ..Config::default() }).unwrap_err();
        assert!(matches!(error, PagesError::Origin(_)), "{origin}: {error}");
    }
    assert!(matches!(pages("{", &Config::default()).unwrap_err(), PagesError::Document(_)));
}

#[tokio::test]
async fn the_list_shows_what_the_document_says_as_text() {
    let layer = pages(DOCUMENT, &Config::default()).unwrap();
    let html = text(get(&layer, "/", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]).await).await;
    for part in [
        "<title>Birds &amp; &lt;b&gt;bees&lt;/b&gt;</title>",
        "<small>7</small>",
        "<p>One.</p>\n<p>Two {services} of <code>&lt;a&gt;</code>.</p>",
        "<h2>e.Birds</h2>\n<p class=\"about\">Finds birds.</p>",
        "<a href=\"docs#/e.Birds/Get%20Bird\"><code>/v1/birds/{title}</code></a></td><td>Gets a &quot;bird&quot;.<code>e.Birds/GetBird</code></td>",
        "<td>DELETE</td><td><code>/v1/birds/{title}</code></td><td>Lets it go.<code></code></td>",
        "<dt>WebSocket</dt>",
    ] {
        assert!(html.contains(part), "{part} is not in\n{html}");
    }
}

#[tokio::test]
async fn programs_get_the_list_as_json() {
    let layer = pages(DOCUMENT, &Config { prefix: "/help".to_owned(), ..Config::default() }).unwrap();
    let response = get(&layer, "/help", &[("accept", "application/json")]).await;
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "vary"), "accept, accept-encoding");
    let list: serde_json::Value = serde_json::from_slice(&bytes(response).await).unwrap();
    assert_eq!(list["title"], "Birds & <b>bees</b>");
    assert_eq!(list["services"][0]["routes"][0]["path"], "/v1/birds/{title}");
    assert_eq!(list["services"][1]["routes"][0]["streams"], true);
    assert_eq!(list["links"][0]["href"], "/help/docs");
}

#[tokio::test]
async fn nothing_is_inline_and_nobody_may_frame_a_page() {
    let layer = pages(DOCUMENT, &Config { connect: vec!["https://login.example.com".to_owned()], ..Config::default() });
    let layer = layer.unwrap();
    for path in ["/", "/docs", "/redoc", "/docs/oauth2-redirect.html"] {
        let response = get(&layer, path, &[]).await;
        let policy = header(&response, "content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'; ") && policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(policy.contains("connect-src 'self' https://login.example.com;"), path.starts_with("/docs"));
        assert_eq!(header(&response, "referrer-policy"), "no-referrer");
        let html = text(response).await;
        let inline = html.split("<script").skip(1).any(|script| !script.starts_with(" src=\""));
        assert!(!inline && !html.contains("<style") && !html.contains("style=") && !html.contains("://"), "{html}");
    }
}
