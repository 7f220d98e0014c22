//! The page at `/`: what the server offers, for people as HTML and for programs as JSON, taken from the OpenAPI document.

use serde::Serialize;
use serde_json::Value;

use super::html::{escape, fill, paragraphs, prose, segment};
use super::{Config, assets};

/// The verbs of an OpenAPI path item, in the order in which they are listed.
const VERBS: [&str; 8] = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];

/// What the document says about the API.
#[derive(Debug, Serialize)]
pub(super) struct Home {
    title: String,
    version: String,
    description: String,
    protocols: Vec<Protocol>,
    services: Vec<Service>,
}

/// A way to call the server.
#[derive(Debug, Clone, Copy, Serialize)]
struct Protocol {
    name: &'static str,
    description: &'static str,
}

/// A tag of the document.
#[derive(Debug, Default, Serialize)]
struct Service {
    name: String,
    description: String,
    routes: Vec<Route>,
}

/// An operation of the document.
#[derive(Debug, Serialize)]
struct Route {
    verb: String,
    path: String,
    /// The RPC behind it, as `package.Service/Method`.
    rpc: String,
    summary: String,
    /// The operation's id, to which Swagger UI has links.
    operation: String,
    /// Whether it is answered with a stream of events.
    streams: bool,
}

/// A page or a document, as the list at the top has it.
#[derive(Debug, Clone, Copy, Serialize)]
struct Link {
    #[serde(skip)]
    path: &'static str,
    name: &'static str,
    description: &'static str,
}

const CALLS: [Protocol; 3] = [
    Protocol { name: "gRPC", description: "over HTTP/2, with the stubs of any language" },
    Protocol { name: "gRPC-Web", description: "from browsers, over HTTP/1.1 or HTTP/2" },
    Protocol { name: "HTTP + JSON", description: "the routes below, from anything that can send a request" },
];

/// Where an operation streams.
const STREAMS: [Protocol; 2] = [
    Protocol { name: "Events", description: "and lines of JSON: answers that stream, by the Accept header" },
    Protocol { name: "WebSocket", description: "messages both ways, as JSON texts, on the paths of what streams" },
];

impl Home {
    /// Reads an OpenAPI document in JSON.
    pub(super) fn read(document: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Value = serde_json::from_slice(document)?;
        let mut services: Vec<Service> = Vec::new();
        for tag in document["tags"].as_array().into_iter().flatten() {
            services.push(Service { name: text(&tag["name"]), description: text(&tag["description"]), routes: vec![] });
        }
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (verb, operation) in VERBS.iter().filter_map(|verb| Some((verb, item.get(verb)?))) {
                let tag = operation["tags"][0].as_str().unwrap_or("Other");
                let route = Route::read(verb, path, operation);
                match services.iter_mut().find(|service| service.name == tag) {
                    Some(service) => service.routes.push(route),
                    None => services.push(Service { name: tag.to_owned(), routes: vec![route], ..Service::default() }),
                }
            }
        }
        services.retain(|service| !service.routes.is_empty());
        let streams = services.iter().flat_map(|service| &service.routes).any(|route| route.streams);
        let info = &document["info"];
        Ok(Self {
            title: text(&info["title"]),
            version: text(&info["version"]),
            description: text(&info["description"]),
            protocols: CALLS.into_iter().chain(streams.then_some(STREAMS).into_iter().flatten()).collect(),
            services,
        })
    }

    /// The API's name.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// The paths that the API has, as the document writes them.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.services.iter().flat_map(|service| &service.routes).map(|route| route.path.as_str())
    }

    /// The page for programs. Its links are paths from the server's root.
    pub(super) fn json(&self, config: &Config) -> Result<Vec<u8>, serde_json::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(flatten)]
            home: &'a Home,
            links: Vec<Target>,
        }
        #[derive(Serialize)]
        struct Target {
            href: String,
            #[serde(flatten)]
            link: Link,
        }
        let target = |link: Link| Target { href: format!("{}/{}", config.prefix, link.path), link };
        let mut json = serde_json::to_vec_pretty(&Document { home: self, links: links(config).map(target).collect() })?;
        json.push(b'\n');
        Ok(json)
    }

    /// The page for people; `base` is what links begin with.
    pub(super) fn html(&self, config: &Config, base: &str) -> String {
        let mut list = String::new();
        for Link { path, name, description } in links(config) {
            list +=
                &format!("<li><a href=\"{base}{path}\"><strong>{name}</strong><span>{description}</span></a></li>\n");
        }
        let mut protocols = String::new();
        for Protocol { name, description } in &self.protocols {
            protocols += &format!("<dt>{name}</dt><dd>{description}</dd>\n");
        }
        let docs = config.docs.then_some(base);
        let services: String = self.services.iter().map(|service| service.html(docs)).collect();
        let values: [(&str, &str); 7] = [
            ("title", &escape(&self.title)),
            ("version", &escape(&self.version)),
            ("description", &paragraphs("", &self.description)),
            ("base", base),
            ("links", &list),
            ("protocols", &protocols),
            ("services", &services),
        ];
        fill(assets::HOME, &values)
    }
}

impl Service {
    fn html(&self, docs: Option<&str>) -> String {
        let Self { name, description, routes } = self;
        let mut html = format!("<section>\n<h2>{}</h2>\n{}", escape(name), paragraphs("about", description));
        html += "<table>\n<thead><tr>";
        for heading in ["Verb", "Path", "What it does"] {
            html += &format!("<th scope=\"col\">{heading}</th>");
        }
        html += "</tr></thead>\n<tbody>\n";
        for Route { verb, path, rpc, summary, operation, .. } in routes {
            let path = escape(path);
            // Swagger UI's deep links (its `deepLinking`).
            let link = docs.map(|base| format!("{base}docs#/{}/{}", segment(name), segment(operation)));
            let path = match link {
                Some(link) if !operation.is_empty() => format!("<a href=\"{link}\"><code>{path}</code></a>"),
                _ => format!("<code>{path}</code>"),
            };
            let (verb, summary, rpc) = (escape(verb), prose(summary), escape(rpc));
            html += &format!("<tr><td>{verb}</td><td>{path}</td><td>{summary}<code>{rpc}</code></td></tr>\n");
        }
        html + "</tbody>\n</table>\n</section>\n"
    }
}

impl Route {
    fn read(verb: &str, path: &str, operation: &Value) -> Self {
        let description = || operation["description"].as_str().unwrap_or_default();
        let summary = operation["summary"].as_str().unwrap_or_else(|| description().lines().next().unwrap_or_default());
        let mut answers = operation["responses"].as_object().into_iter().flatten();
        Self {
            verb: verb.to_ascii_uppercase(),
            path: path.to_owned(),
            rpc: text(&operation["x-grpc-method"]).trim_start_matches('/').to_owned(),
            summary: summary.to_owned(),
            operation: text(&operation["operationId"]),
            streams: answers.any(|(_, answer)| answer["content"].get("text/event-stream").is_some()),
        }
    }
}

/// The pages and documents that there are.
fn links(config: &Config) -> impl Iterator<Item = Link> {
    [
        (config.docs, Link { path: "docs", name: "Try it", description: "Every operation, with a form (Swagger UI)" }),
        (config.redoc, Link { path: "redoc", name: "Read it", description: "The reference on one page (Redoc)" }),
        (true, Link { path: "openapi.json", name: "OpenAPI 3.1", description: "For generators and linters" }),
        (true, Link { path: "openapi-3.2.json", name: "OpenAPI 3.2", description: "The same, with streams described" }),
    ]
    .into_iter()
    .filter_map(|(there, link)| there.then_some(link))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().trim().to_owned()
}
