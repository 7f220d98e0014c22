//! One `[providers.NAME]` section: a vendor of the table, and what differs from its row.

use sabir_providers::openai::{DoneMarker, OutputLimit, Quirks, StreamUsage};
use sabir_providers::vendors::{Discovered, VENDORS, Vendor, vendor};
use sabir_providers::{Dialect, Endpoint, Schemas, Secret, SetupError};

use crate::config::Section;
use crate::nearest::nearest;

/// A provider that can be called.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Address and credentials: `base_url` or `region`, and one of `api_key`, `api_key_file` and `api_key_env`.
    pub endpoint: Endpoint,
    /// The protocol it speaks: that of its `vendor`.
    pub dialect: &'static Dialect,
    /// Where it departs from OpenAI's protocol: `stream_usage`, `done_marker`, `output_limit`.
    pub quirks: Quirks,
    /// How its models are told which schema their answer has to follow: `schemas`.
    pub schemas: Schemas,
    /// Where we know of it from, for the log.
    pub origin: String,
}

impl ProviderConfig {
    /// Reads the section. `None` if it is switched off, or cannot be used, which has been reported then.
    pub(super) fn read(mut section: Section<'_>, name: &str) -> Option<Self> {
        let enabled = section.value("enabled", true);
        let vendor_name = section.optional::<String>("vendor");
        let base_url = section.optional::<String>("base_url");
        let region = section.optional::<String>("region");
        let key = key(&mut section);
        let row = row(&section, vendor_name.as_deref().unwrap_or(name));
        let quirks = quirks(&mut section, row.map_or(Quirks::NONE, |vendor| vendor.quirks));
        let schemas = schemas(&mut section, row.map_or(Schemas::Native, |vendor| vendor.schemas));
        let provider = row.and_then(|row| {
            // A vendor's usual variables belong to the provider of that name, and to no other: they must not send a key
            // to a server that only speaks the same protocol.
            let own = row.name == name;
            let usual =
                |variables: &[&str]| variables.iter().filter(|_| own).find_map(|name| section.environment(name));
            let key = key.or_else(|| usual(row.key_variables).map(Secret::new));
            let base_url = base_url.or_else(|| usual(row.base_url_variables));
            if region.is_some() && row.aws_service.is_none() {
                section.problem("region", format!("{} has no regions", row.name));
            }
            match row.endpoint(base_url.as_deref(), key, region.as_deref(), |name| section.environment(name)) {
                Ok(endpoint) => {
                    let origin = "the configuration".to_owned();
                    Some(Self { endpoint, dialect: row.dialect, quirks, schemas, origin })
                }
                Err(error) => {
                    let wrong = match error {
                        SetupError::Key => "api_key",
                        SetupError::NoRegion => "region",
                        _ => "base_url",
                    };
                    section.problem(wrong, error.to_string());
                    None
                }
            }
        });
        section.finish();
        provider.filter(|_| enabled)
    }

    /// A provider that the environment speaks of.
    pub(super) fn discovered(
        found: &Discovered,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            endpoint: found.vendor.endpoint(found.base_url.as_deref(), found.key.clone(), None, environment)?,
            dialect: found.vendor.dialect,
            quirks: found.vendor.quirks,
            schemas: found.vendor.schemas,
            origin: found.variable.to_owned(),
        })
    }
}

/// The vendor's row in the table.
fn row(section: &Section<'_>, name: &str) -> Option<&'static Vendor> {
    let row = vendor(name);
    if row.is_none() {
        let near = nearest(name, VENDORS.iter().map(|vendor| vendor.name), 1);
        let hint = match near.first() {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "a server of another name that speaks OpenAI's protocol needs vendor = \"openai\" and a base_url"
                .to_owned(),
        };
        section.problem("vendor", format!("\"{name}\" is not a known vendor; {hint}"));
    }
    row
}

/// The key, from the one place that is given.
fn key(section: &mut Section<'_>) -> Option<Secret> {
    let written = section.optional::<String>("api_key");
    let file = section.optional::<String>("api_key_file");
    let variable = section.optional::<String>("api_key_env");
    if [written.is_some(), file.is_some(), variable.is_some()].into_iter().filter(|given| *given).count() > 1 {
        section.problem("api_key", "give one of api_key, api_key_file and api_key_env");
    }
    let from_file = file.and_then(|path| match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            section.problem("api_key_file", format!("cannot read {path}: {error}"));
            None
        }
    });
    let from_variable = variable.and_then(|name| {
        let text = section.environment(&name);
        if text.is_none() {
            section.problem("api_key_env", format!("the variable {name} is not set"));
        }
        text
    });
    // A line feed at the end is what an editor leaves in a file.
    written.or(from_file).or(from_variable).map(|text| Secret::new(text.trim()))
}

fn schemas(section: &mut Section<'_>, row: Schemas) -> Schemas {
    let ways = [
        ("native", Schemas::Native),
        ("tool", Schemas::Tool),
        ("json_object", Schemas::JsonObject),
        ("instruction", Schemas::Instruction),
    ];
    section.choice("schemas", &ways, row)
}

fn quirks(section: &mut Section<'_>, row: Quirks) -> Quirks {
    Quirks {
        stream_usage: section.choice(
            "stream_usage",
            &[("asked", StreamUsage::Asked), ("unasked", StreamUsage::Unasked)],
            row.stream_usage,
        ),
        done_marker: section.choice(
            "done_marker",
            &[("required", DoneMarker::Required), ("finish_reason_suffices", DoneMarker::FinishReasonSuffices)],
            row.done_marker,
        ),
        output_limit: section.choice(
            "output_limit",
            &[("as_given", OutputLimit::AsGiven), ("max_tokens", OutputLimit::MaxTokens)],
            row.output_limit,
        ),
    }
}
