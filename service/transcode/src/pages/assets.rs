//! The files of the pages, embedded. Those of Swagger UI and Redoc are compressed where they lie; `scripts/fetch-pages-assets`
//! makes them.

use std::io::Error;

use bytes::Bytes;
use http::HeaderValue;

use super::Config;
use super::resource::Resource;

/// The page of Swagger UI; `{title}` stands for the API's.
pub(super) const DOCS: &str = include_str!("../../assets/docs/docs.html");

/// Where an OAuth2 server sends the browser back to.
pub(super) const OAUTH2_REDIRECT: &str = include_str!("../../assets/docs/oauth2-redirect.html");

/// The page of Redoc; `{title}` stands for the API's.
pub(super) const REDOC: &str = include_str!("../../assets/redoc/redoc.html");

/// The list of what there is; what stands in braces is put in by `home`.
pub(super) const HOME: &str = include_str!("../../assets/home/home.html");

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// A file and where it is served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    pub(super) path: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    compressed: bool,
}

impl Asset {
    const fn plain(path: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        Self { path, media_type, bytes, compressed: false }
    }

    const fn compressed(path: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        Self { path, media_type, bytes, compressed: true }
    }

    /// The file, ready to be served.
    pub(super) fn resource(self, policy: &HeaderValue) -> Result<Resource, Error> {
        let media_type = HeaderValue::from_static(self.media_type);
        if self.compressed {
            Resource::stored(media_type, policy, Bytes::from_static(self.bytes))
        } else {
            Resource::made(media_type, policy, self.bytes)
        }
    }
}

/// What more than one page needs.
const SHARED: [Asset; 1] = [Asset::plain("/docs/icon.svg", SVG, include_bytes!("../../assets/docs/icon.svg"))];

const FOR_HOME: [Asset; 1] = [Asset::plain("/docs/home.css", CSS, include_bytes!("../../assets/home/home.css"))];

const FOR_DOCS: [Asset; 8] = [
    Asset::plain("/docs/docs.css", CSS, include_bytes!("../../assets/docs/docs.css")),
    Asset::plain("/docs/docs.js", SCRIPT, include_bytes!("../../assets/docs/docs.js")),
    Asset::plain("/docs/live.js", SCRIPT, include_bytes!("../../assets/docs/live.js")),
    Asset::compressed("/docs/oauth2-redirect.js", SCRIPT, include_bytes!("../../assets/docs/oauth2-redirect.js.gz")),
    Asset::compressed("/docs/swagger-ui.css", CSS, include_bytes!("../../assets/docs/swagger-ui.css.gz")),
    Asset::compressed(
        "/docs/swagger-ui-bundle.js",
        SCRIPT,
        include_bytes!("../../assets/docs/swagger-ui-bundle.js.gz"),
    ),
    Asset::plain(
        "/docs/swagger-ui-bundle.js.LICENSE.txt",
        TEXT,
        include_bytes!("../../assets/docs/swagger-ui-bundle.js.LICENSE.txt"),
    ),
    Asset::plain("/docs/swagger-ui.LICENSE.txt", TEXT, include_bytes!("../../assets/docs/swagger-ui.LICENSE.txt")),
];

const FOR_REDOC: [Asset; 5] = [
    Asset::plain("/redoc/redoc.css", CSS, include_bytes!("../../assets/redoc/redoc.css")),
    Asset::plain("/redoc/redoc.js", SCRIPT, include_bytes!("../../assets/redoc/redoc.js")),
    Asset::compressed(
        "/redoc/redoc.standalone.js",
        SCRIPT,
        include_bytes!("../../assets/redoc/redoc.standalone.js.gz"),
    ),
    Asset::plain(
        "/redoc/redoc.standalone.js.LICENSE.txt",
        TEXT,
        include_bytes!("../../assets/redoc/redoc.standalone.js.LICENSE.txt"),
    ),
    Asset::plain("/redoc/redoc.LICENSE.txt", TEXT, include_bytes!("../../assets/redoc/redoc.LICENSE.txt")),
];

/// The files that the configured pages need.
pub(super) fn of(config: &Config) -> impl Iterator<Item = Asset> {
    let home = config.home.then_some(FOR_HOME).into_iter().flatten();
    let docs = config.docs.then_some(FOR_DOCS).into_iter().flatten();
    let redoc = config.redoc.then_some(FOR_REDOC).into_iter().flatten();
    SHARED.into_iter().chain(home).chain(docs).chain(redoc)
}
