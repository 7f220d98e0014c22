//! What a model may use, and whether it must. Source: <https://ai.google.dev/gemini-api/docs/function-calling>.

use sabir_proto::v1::web_search_options::UserLocation;
use sabir_proto::v1::{FunctionDefinition, Tool, WebSearchOptions, tool};

use super::wire;
use crate::error::UpstreamError;
use crate::tool_choice::{Chosen, Mode};
use crate::unsupported::{Unsupported, foreign_members};
use crate::upstream::Origin;
use crate::verbatim::{Members, raw};

/// The mark for another vendor's prompt cache.
pub(super) const CACHE_MARK: &str = "cache_control";

/// What is offered to the model.
pub(super) struct Offer {
    /// All functions as one tool, then those of the vendor's own.
    pub(super) tools: Vec<wire::Tool>,
    /// Whether the arguments of a function must follow its schema exactly.
    pub(super) strict: bool,
}

/// The tools in the protocol's words.
pub(super) fn word(
    tools: Vec<Tool>,
    chosen: &Chosen,
    origin: Origin,
    unsupported: &mut Unsupported,
) -> Result<Offer, UpstreamError> {
    let (mut functions, mut own, mut any_strict) = (Vec::new(), Vec::new(), false);
    for (index, Tool { tool, mut additional_members }) in tools.into_iter().enumerate() {
        let path = format!("tools[{index}]");
        let mark = additional_members.remove(CACHE_MARK);
        unsupported.unless(mark.is_none() || origin == Origin::Translated, format!("{path}.{CACHE_MARK}"))?;
        let mut members = Members::foreign(additional_members, &path)?;
        match tool {
            Some(tool::Tool::Function(function)) => {
                let FunctionDefinition { name, description, parameters, strict, additional_members } = function;
                for (name, value) in Members::foreign(additional_members, &format!("{path}.function"))? {
                    members.push(name, value);
                }
                // A function without arguments has no schema.
                let schema = Some(parameters).filter(|schema| !schema.is_empty());
                let schema = schema.map(|schema| raw(schema, || format!("{path}.function.parameters"))).transpose()?;
                if chosen.mode != Mode::Auto || chosen.allows(&name) {
                    any_strict |= strict.unwrap_or(false);
                    functions.push(wire::Function { name, description, schema, members });
                }
            }
            Some(tool::Tool::Custom(_)) => unsupported.unless(false, format!("{path}.custom"))?,
            None => {
                members.retain(|name| name != "type");
                // A type alone is nothing to this server.
                unsupported.unless(!members.is_empty(), format!("{path}.type"))?;
                if !members.is_empty() {
                    own.push(wire::Tool::Own(members));
                }
            }
        }
    }
    if !functions.is_empty() {
        own.insert(0, wire::Tool::Functions { function_declarations: functions });
    }
    Ok(Offer { tools: own, strict: any_strict })
}

/// Whether and which functions are called. That only some of them may be called is said by leaving out the others, if none
/// has to be. Arguments that follow their schemas exactly are a mode of their own, which a call that has to be made implies.
pub(super) fn config(
    chosen: Chosen,
    strict: bool,
    tools: &[wire::Tool],
    unsupported: &mut Unsupported,
) -> Result<Option<wire::ToolConfig>, UpstreamError> {
    let functions = tools.iter().any(|tool| matches!(tool, wire::Tool::Functions { .. }));
    let (mode, allowed_function_names) = match chosen.mode {
        Mode::Required | Mode::Named if !functions => {
            unsupported.unless(false, "tool_choice")?;
            return Ok(None);
        }
        _ if !functions => return Ok(None),
        Mode::Auto if strict => ("VALIDATED", None),
        Mode::Auto => return Ok(None),
        Mode::None => ("NONE", None),
        Mode::Required | Mode::Named => ("ANY", chosen.allowed),
    };
    Ok(Some(wire::ToolConfig { function_calling_config: wire::FunctionCalling { mode, allowed_function_names } }))
}

/// The vendor's own search, if the web may be searched.
pub(super) fn search(
    options: Option<WebSearchOptions>,
    unsupported: &mut Unsupported,
) -> Result<Option<wire::Tool>, UpstreamError> {
    let Some(WebSearchOptions { search_context_size, user_location, additional_members }) = options else {
        return Ok(None);
    };
    let usual = matches!(search_context_size.as_deref(), None | Some("medium"));
    unsupported.unless(usual, "web_search_options.search_context_size")?;
    unsupported.leave_out("web_search_options.user_location", &user_location.map(|UserLocation { .. }| ()))?;
    for (name, _) in foreign_members(additional_members) {
        unsupported.unless(false, format!("web_search_options.{name}"))?;
    }
    Ok(Some(wire::Tool::Search { google_search: wire::Empty {} }))
}
