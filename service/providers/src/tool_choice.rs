//! What a request's `tool_choice` comes to: whether tools are called, and which may be.

use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::named_tool_choice::Choice;
use sabir_proto::v1::{AllowedTools, NamedTool, NamedToolChoice, ToolChoiceMode, allowed_tools};
use serde::Deserialize;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};

/// Whether tools are called, and which may be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) mode: Mode,
    /// The only tools that may be called; `None` for all.
    pub(crate) allowed: Option<Vec<String>>,
}

/// Whether tools are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As the model sees fit.
    #[default]
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// The only one that is allowed.
    Named,
}

impl Chosen {
    /// Reads the request's choice.
    ///
    /// # Errors
    /// A choice that names no tool, or a tool that is no function.
    pub(crate) fn read(choice: Option<ToolChoice>, unsupported: &mut Unsupported) -> Result<Self, UpstreamError> {
        match choice {
            None => Ok(Self::default()),
            Some(ToolChoice::ToolChoiceMode(mode)) => {
                let mode = match ToolChoiceMode::try_from(mode) {
                    Ok(ToolChoiceMode::None) => Mode::None,
                    Ok(ToolChoiceMode::Required) => Mode::Required,
                    Ok(ToolChoiceMode::Auto | ToolChoiceMode::Unspecified) | Err(_) => Mode::Auto,
                };
                Ok(Self { mode, allowed: None })
            }
            Some(ToolChoice::NamedToolChoice(NamedToolChoice { choice, additional_members })) => {
                for (name, _) in foreign_members(additional_members) {
                    unsupported.unless(false, format!("tool_choice.{name}"))?;
                }
                Self::named(choice, unsupported)
            }
        }
    }

    fn named(choice: Option<Choice>, unsupported: &mut Unsupported) -> Result<Self, UpstreamError> {
        match choice {
            None => Ok(Self::default()),
            Some(Choice::Function(NamedTool { name, additional_members: _ })) => {
                Ok(Self { mode: Mode::Named, allowed: Some(vec![name]) })
            }
            Some(Choice::Custom(_)) => unsupported.unless(false, "tool_choice.custom").map(|()| Self::default()),
            Some(Choice::AllowedTools(allowed)) => {
                let must = allowed.mode() == allowed_tools::Mode::Required;
                let mode = if must { Mode::Required } else { Mode::Auto };
                Ok(Self { mode, allowed: Some(names(&allowed)?) })
            }
        }
    }

    /// Whether a tool may be called.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|allowed| allowed == name))
    }
}

/// The names of the tools that are allowed.
fn names(allowed: &AllowedTools) -> Result<Vec<String>, UpstreamError> {
    #[derive(Deserialize)]
    struct Named {
        function: Function,
    }
    #[derive(Deserialize)]
    struct Function {
        name: String,
    }
    let name = |(index, text): (usize, &String)| match serde_json::from_str::<Named>(text) {
        Ok(named) => Ok(named.function.name),
        Err(error) => {
            let message = format!("the allowed tool is not a function with a name: {error}");
            let param = format!("tool_choice.allowed_tools.tools[{index}]");
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(param))
        }
    };
    allowed.tools.iter().enumerate().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::upstream::OnUnsupported;

    fn read(choice: &str) -> Result<(Mode, Option<Vec<String>>), Option<String>> {
        let json = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"tool_choice":{choice}}}"#);
        let mut unsupported = Unsupported::new(OnUnsupported::Refuse, "Acme");
        let choice = golden::call(&json, OnUnsupported::Refuse).request.tool_choice;
        let chosen = Chosen::read(choice, &mut unsupported).map_err(|error| error.param)?;
        Ok((chosen.mode, chosen.allowed))
    }

    #[test]
    fn every_choice_is_read_or_refused_by_name() {
        let only = |name: &str| Some(vec![name.to_owned()]);
        assert_eq!(read("null"), Ok((Mode::Auto, None)));
        assert_eq!(read(r#""auto""#), Ok((Mode::Auto, None)));
        assert_eq!(read(r#""none""#), Ok((Mode::None, None)));
        assert_eq!(read(r#""required""#), Ok((Mode::Required, None)));
        assert_eq!(read(r#"{"type":"function","function":{"name":"f"}}"#), Ok((Mode::Named, only("f"))));
        let allowed = |mode: &str, tool: &str| {
            read(&format!(r#"{{"type":"allowed_tools","allowed_tools":{{"mode":"{mode}","tools":[{tool}]}}}}"#))
        };
        let tool = r#"{"type":"function","function":{"name":"f"}}"#;
        assert_eq!(allowed("auto", tool), Ok((Mode::Auto, only("f"))));
        assert_eq!(allowed("required", tool), Ok((Mode::Required, only("f"))));
        assert_eq!(allowed("auto", "{}"), Err(Some("tool_choice.allowed_tools.tools[0]".to_owned())));
        assert_eq!(read(r#"{"type":"custom","custom":{"name":"c"}}"#), Err(Some("tool_choice.custom".to_owned())));
    }
}
