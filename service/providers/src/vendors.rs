//! The vendors and servers that speak a known protocol, as data: name, address, variables, quirks.
//!
//! Nothing elsewhere matches on a vendor's name; what differs between vendors is a column here. The environment is
//! looked up through a function, so that this file needs none.

mod aws;
mod table;

use crate::credentials::{Authentication, Secret};
use crate::dialect::Dialect;
use crate::error::SetupError;
use crate::openai::Quirks;
use crate::schemas::Schemas;

pub use self::table::VENDORS;

/// A vendor, or a server one can run oneself.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// The name in front of the slash in `vendor/model`.
    pub name: &'static str,
    /// The protocol it speaks.
    pub dialect: &'static Dialect,
    /// The address unless another is configured, with `{region}` where AWS's names the region; `None` if every customer has
    /// an own one.
    pub base_url: Option<&'static str>,
    /// The path that a base URL without a path means.
    pub path_of_bare_host: &'static str,
    /// The environment variables that hold the key, the usual one first.
    pub key_variables: &'static [&'static str],
    /// The environment variables that hold another base URL, the usual one first.
    pub base_url_variables: &'static [&'static str],
    /// Which variables tell that the vendor is in use.
    pub found_by: FoundBy,
    /// How the key is shown.
    pub authentication: Authentication,
    /// The name by which AWS knows the service in signatures, if it is one of AWS's.
    pub aws_service: Option<&'static str>,
    /// Where it departs from OpenAI's protocol, if that is what it speaks.
    pub quirks: Quirks,
    /// How its models are told which schema their answer has to follow.
    pub schemas: Schemas,
    /// Where its API is described.
    pub docs: &'static str,
}

/// What in the environment tells that a vendor is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// A key.
    Key,
    /// A key, or a base URL of one's own: many servers stand in for this vendor, and not all ask for a key.
    KeyOrBaseUrl,
    /// A base URL: a server one runs oneself. A key is sent if there is one.
    BaseUrl,
}

/// A vendor that the environment says is in use.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// Which one.
    pub vendor: &'static Vendor,
    /// The base URL that the environment gives, if it gives one.
    pub base_url: Option<String>,
    /// The key that the environment gives, if it gives one.
    pub key: Option<Secret>,
    /// The variable that told, for the log.
    pub variable: &'static str,
}

/// The vendor of that name.
pub fn vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}

/// The vendors that are in use according to `environment`, which returns the value of a variable, in the order of
/// [`VENDORS`]. A variable that is empty or blank counts as not set.
pub fn discover(environment: impl Fn(&str) -> Option<String>) -> Vec<Discovered> {
    let first = |names: &'static [&'static str]| {
        names.iter().find_map(|name| {
            // A line feed at the end is what `echo key > file` leaves in a secret.
            let value = environment(name)?.trim().to_owned();
            (!value.is_empty()).then_some((*name, value))
        })
    };
    let discovered = VENDORS.iter().filter_map(|vendor| {
        let key = first(vendor.key_variables);
        let base_url = first(vendor.base_url_variables);
        let by_key = key.as_ref().map(|(name, _)| *name);
        let by_base_url = base_url.as_ref().map(|(name, _)| *name);
        let variable = match vendor.found_by {
            FoundBy::Key => by_key,
            FoundBy::KeyOrBaseUrl => by_key.or(by_base_url),
            FoundBy::BaseUrl => by_base_url,
        }?;
        let base_url = base_url.map(|(_, value)| value);
        if matches!(vendor.endpoint(base_url.as_deref(), None, None, &environment), Err(SetupError::NoRegion))
            || base_url.is_none() && vendor.base_url.is_none()
        {
            return None;
        }
        Some(Discovered { vendor, base_url, key: key.map(|(_, value)| Secret::new(value)), variable })
    });
    discovered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Vec<(&'static str, &'static str)> {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        discover(lookup).iter().map(|found| (found.vendor.name, found.variable)).collect()
    }

    #[test]
    fn a_hosted_vendor_is_found_by_its_key() {
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[("GROQ_API_KEY", "gsk")]), [("groq", "GROQ_API_KEY")]);
        assert_eq!(found(&[("GROQ_API_KEY", " \n"), ("GROQ_BASE_URL", "http://h")]), []);
    }

    #[test]
    fn openai_is_found_by_a_base_url_alone() {
        assert_eq!(found(&[("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")]), [("openai", "OPENAI_BASE_URL")]);
        assert_eq!(found(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://h")]), [("openai", "OPENAI_API_KEY")]);
    }

    #[test]
    fn a_server_of_ones_own_is_found_by_its_base_url_and_not_by_a_key() {
        assert_eq!(found(&[("VLLM_API_KEY", "k")]), []);
        assert_eq!(found(&[("VLLM_BASE_URL", "http://h:8000")]), [("vllm", "VLLM_BASE_URL")]);
    }

    #[test]
    fn azure_needs_both_key_and_address() {
        assert_eq!(found(&[("AZURE_OPENAI_API_KEY", "k")]), []);
        assert_eq!(found(&[("AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com")]), []);
        let both = [("AZURE_OPENAI_API_KEY", "k"), ("AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com")];
        assert_eq!(found(&both), [("azure", "AZURE_OPENAI_API_KEY")]);
    }

    #[test]
    fn a_key_loses_the_line_feed_that_a_file_gave_it() {
        let lookup = |name: &str| (name == "XAI_API_KEY").then(|| "xai-1\n".to_owned());
        assert_eq!(discover(lookup)[0].key.as_ref().unwrap().expose(), "xai-1");
    }

    #[test]
    fn every_row_is_complete_and_unique() {
        for (index, vendor) in VENDORS.iter().enumerate() {
            assert!(VENDORS[..index].iter().all(|other| other.name != vendor.name), "{}", vendor.name);
            assert!(vendor.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
            assert!(vendor.docs.starts_with("https://") && !vendor.base_url_variables.is_empty());
            assert!(vendor.found_by == FoundBy::BaseUrl || !vendor.key_variables.is_empty());
            let base_url = vendor.base_url.is_none().then_some("https://resource.example");
            let endpoint = vendor.endpoint(base_url, None, Some("eu-west-1"), |_| None).unwrap();
            assert!(endpoint.is_https() || vendor.found_by == FoundBy::BaseUrl, "{}", vendor.name);
        }
    }
}
