//! Search of the web, which is a tool here.
//!
//! Source: <https://platform.openai.com/docs/guides/tools-web-search>.

use sabir_proto::v1::web_search_options::user_location::Location;
use sabir_proto::v1::web_search_options::{ApproximateLocation, UserLocation};
use sabir_proto::v1::{ResponseTool, WebSearchOptions};

use crate::error::UpstreamError;
use crate::unsupported::foreign_members;
use crate::verbatim::Members;

/// Words it.
pub(super) fn word(options: WebSearchOptions) -> Result<ResponseTool, UpstreamError> {
    let WebSearchOptions { search_context_size, user_location, additional_members } = options;
    let mut tool = ResponseTool {
        r#type: "web_search".to_owned(),
        additional_members: foreign_members(additional_members).collect(),
        ..ResponseTool::default()
    };
    let mut settings = Members::default();
    settings.say("search_context_size", &search_context_size);
    settings.say("user_location", &user_location.map(place).transpose()?);
    tool.additional_members.extend(settings.into_iter().map(|(name, json)| (name, json.get().to_owned())));
    Ok(tool)
}

/// Where the user is: what chat completions put a level deeper.
fn place(place: UserLocation) -> Result<Members, UpstreamError> {
    let UserLocation { location, additional_members } = place;
    let path = "web_search_options.user_location";
    let mut worded = Members::default();
    if let Some(Location::Approximate(approximate)) = location {
        let ApproximateLocation { city, country, region, timezone, additional_members } = approximate;
        worded.say("type", &Some("approximate"));
        worded.say("city", &city);
        worded.say("country", &country);
        worded.say("region", &region);
        worded.say("timezone", &timezone);
        let others = Members::foreign(additional_members, &format!("{path}.approximate"))?;
        others.into_iter().for_each(|(name, json)| worded.push(name, json));
    }
    let others = Members::foreign(additional_members, path)?;
    others.into_iter().for_each(|(name, json)| worded.push(name, json));
    Ok(worded)
}
