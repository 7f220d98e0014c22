//! The form in which people write a price table: dollars per million tokens, as texts, so that they are exact.

use serde::Deserialize;

use super::{Entry, TableError};
use crate::budget::price::nanos;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    vendors: Vec<Vendor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vendor {
    provider: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    as_of: String,
    models: Vec<Model>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    model: String,
    input: String,
    cached_input: Option<String>,
    output: String,
    reasoning: Option<String>,
    max_output_tokens: Option<u32>,
}

/// Reads TOML, or JSON if the text begins as an object does.
pub(super) fn read(text: &str) -> Result<Vec<Entry>, TableError> {
    let file: File = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| TableError(error.to_string()))?
    } else {
        toml::from_str(text).map_err(|error| TableError(error.to_string()))?
    };
    let entries = file.vendors.iter().flat_map(|vendor| vendor.models.iter().map(|model| entry(vendor, model)));
    entries.collect()
}

fn entry(vendor: &Vendor, model: &Model) -> Result<Entry, TableError> {
    let pattern = format!("{}/{}", vendor.provider, model.model);
    let price = |member: &str, text: &str| {
        let wrong = || format!("{pattern:?}: {member} {text:?} is no amount of dollars, such as \"0.15\"");
        nanos(text).ok_or_else(|| TableError(wrong()))
    };
    let input = price("input", &model.input)?;
    let output = price("output", &model.output)?;
    let or =
        |member: &str, text: &Option<String>, other: i64| text.as_deref().map_or(Ok(other), |text| price(member, text));
    Ok(Entry {
        input_nanos: input,
        cached_input_nanos: or("cached_input", &model.cached_input, input)?,
        output_nanos: output,
        reasoning_nanos: or("reasoning", &model.reasoning, output)?,
        max_output_tokens: model.max_output_tokens,
        source: vendor.source.clone(),
        as_of: vendor.as_of.clone(),
        pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_and_json_are_read_alike() {
        let toml = "[[vendors]]\nprovider = \"p\"\nmodels = [{ model = \"m\", input = \"1\", output = \"2.5\" }]";
        let json = r#"{"vendors": [{"provider": "p", "models": [{"model": "m", "input": "1", "output": "2.5"}]}]}"#;
        let entries = read(toml).unwrap();
        assert_eq!(read(json).unwrap(), entries);
        assert_eq!((entries[0].pattern.as_str(), entries[0].cached_input_nanos), ("p/m", 1_000_000_000));
        assert_eq!(entries[0].reasoning_nanos, 2_500_000_000);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let model = |member: &str| {
            format!("[[vendors]]\nprovider = \"p\"\nmodels = [{{ model = \"m\", output = \"2\", {member} }}]")
        };
        for (text, expected) in [
            ("", "vendors"),
            ("{", "EOF"),
            (&model("input = \"one\""), "\"p/m\": input \"one\""),
            (&model("input = 1.5"), "string"),
            (&model("input = \"1\", price = \"2\""), "price"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
