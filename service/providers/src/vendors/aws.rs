//! Vendors that are services of AWS: every region has its own address, and keys of an account sign requests.
//!
//! The variables are those of AWS's own tools. Profiles, and roles that a machine has, are not looked for.
//! Source: <https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html>.

use super::Vendor;
use crate::credentials::Secret;
use crate::endpoint::Endpoint;
use crate::error::SetupError;
use crate::sigv4::{AwsKeys, SigV4};

/// The place of the region in a vendor's base URL.
const REGION: &str = "{region}";

const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

impl Vendor {
    /// The endpoint of the vendor: its own base URL unless another is given, its way of showing the key. Of a service of
    /// AWS it is the one in this region, or else in the one that the environment names; without a key, requests are signed
    /// with the keys that the environment holds. They may be those of any provider: a signature is of no use elsewhere.
    ///
    /// # Errors
    /// As [`Endpoint::from_vendor`]; no region for a service of AWS.
    pub fn endpoint(
        &self,
        base_url: Option<&str>,
        key: Option<Secret>,
        region: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Endpoint, SetupError> {
        let Some(service) = self.aws_service else { return Endpoint::from_vendor(self, base_url, key) };
        let environment =
            |name: &str| environment(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let region = region.map(str::to_owned).or_else(|| base_url.and_then(region_of));
        let region = region.or_else(|| REGION_VARIABLES.into_iter().find_map(environment));
        let own = match (self.base_url, &region) {
            (Some(pattern), Some(region)) => Some(pattern.replace(REGION, region)),
            _ => None,
        };
        let base_url = base_url.or(own.as_deref()).ok_or(SetupError::NoRegion)?;
        let is_key = key.as_ref().is_some_and(|key| !key.is_empty());
        let endpoint = Endpoint::from_vendor(self, Some(base_url), key)?;
        match keys(environment).filter(|_| !is_key) {
            Some(keys) => Ok(endpoint.signed_by(SigV4::new(keys, service, region.ok_or(SetupError::NoRegion)?))),
            None => Ok(endpoint),
        }
    }
}

/// The keys in the environment.
fn keys(environment: impl Fn(&str) -> Option<String>) -> Option<AwsKeys> {
    Some(AwsKeys {
        access_key_id: environment("AWS_ACCESS_KEY_ID")?,
        secret_access_key: Secret::new(environment("AWS_SECRET_ACCESS_KEY")?),
        session_token: environment("AWS_SESSION_TOKEN").map(Secret::new),
    })
}

/// The region in an address of AWS's: it follows the name of the service.
fn region_of(base_url: &str) -> Option<String> {
    let (_, rest) = base_url.split_once("://")?;
    let host =
        rest.split(['/', ':']).next().filter(|host| host.contains(".amazonaws.") || host.ends_with(".api.aws"))?;
    let mut labels = host.split('.').skip_while(|label| !label.starts_with("bedrock"));
    labels.nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendors::{discover, vendor};

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "hush-hush")];

    fn endpoint(
        base_url: Option<&str>,
        key: Option<&str>,
        region: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<Endpoint, SetupError> {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        vendor("bedrock").unwrap().endpoint(base_url, key.map(Secret::new), region, lookup)
    }

    #[test]
    fn the_region_makes_the_address() {
        let authority = |region, variables: &[(&str, &str)]| {
            endpoint(None, Some("k"), region, variables).unwrap().authority().to_owned()
        };
        assert_eq!(authority(Some("eu-west-1"), &[]), "bedrock-runtime.eu-west-1.amazonaws.com");
        assert_eq!(authority(None, &[("AWS_REGION", "us-east-1\n")]), "bedrock-runtime.us-east-1.amazonaws.com");
        let default = [("AWS_REGION", " "), ("AWS_DEFAULT_REGION", "us-west-2")];
        assert_eq!(authority(None, &default), "bedrock-runtime.us-west-2.amazonaws.com");
        assert_eq!(endpoint(None, Some("k"), None, &[]).unwrap_err(), SetupError::NoRegion);
    }

    #[test]
    fn the_address_tells_its_region_unless_it_is_said() {
        assert_eq!(region_of("https://bedrock-runtime.us-east-1.amazonaws.com").as_deref(), Some("us-east-1"));
        assert_eq!(
            region_of("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/").as_deref(),
            Some("us-gov-west-1")
        );
        let inside = "https://vpce-1-x.bedrock-runtime.eu-west-3.vpce.amazonaws.com:443/x";
        assert_eq!(region_of(inside).as_deref(), Some("eu-west-3"));
        assert_eq!(region_of("https://bedrock-runtime.us-west-2.api.aws").as_deref(), Some("us-west-2"));
        assert_eq!(region_of("http://127.0.0.1:9000"), None);
        assert_eq!(region_of("https://bedrock-runtime.us-east-1.example.com"), None);
        assert_eq!(endpoint(Some("http://127.0.0.1:9000"), None, None, &KEYS).unwrap_err(), SetupError::NoRegion);
        assert!(endpoint(Some("http://127.0.0.1:9000"), None, Some("us-east-1"), &KEYS).unwrap().signer().is_some());
    }

    #[test]
    fn a_key_is_shown_and_keys_of_an_account_sign() {
        let shown = endpoint(None, Some("bedrock-api-key-1"), Some("us-east-1"), &KEYS).unwrap();
        assert_eq!(shown.headers()["authorization"], "Bearer bedrock-api-key-1");
        assert!(shown.signer().is_none());
        let signed = endpoint(None, None, Some("us-east-1"), &KEYS).unwrap();
        assert!(signed.signer().is_some() && !signed.headers().contains_key("authorization"));
        assert!(!format!("{signed:?}").contains("hush-hush"));
        let half = &KEYS[..1];
        assert!(endpoint(None, None, Some("us-east-1"), half).unwrap().signer().is_none());
    }

    #[test]
    fn the_vendor_is_found_by_its_own_key_with_a_region_and_not_by_the_keys_of_an_account() {
        let found = |variables: &[(&str, &str)]| {
            let lookup =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            discover(lookup).iter().map(|found| found.vendor.name).collect::<Vec<_>>()
        };
        assert_eq!(found(&[("AWS_BEARER_TOKEN_BEDROCK", "k")]), [""; 0]);
        assert_eq!(found(&[("AWS_BEARER_TOKEN_BEDROCK", "k"), ("AWS_REGION", "us-east-1")]), ["bedrock"]);
        assert_eq!(found(&[KEYS[0], KEYS[1], ("AWS_REGION", "us-east-1")]), [""; 0]);
        let own = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://bedrock-runtime.us-east-1.amazonaws.com");
        assert_eq!(found(&[KEYS[0], KEYS[1], own]), ["bedrock"]);
    }

    #[test]
    fn a_token_that_is_quoted_is_taken_out() {
        let variables = [KEYS[0], KEYS[1], ("AWS_SESSION_TOKEN", "token-that-is-long")];
        let endpoint = endpoint(None, None, Some("us-east-1"), &variables).unwrap();
        let mut text = "x-amz-security-token:token-that-is-long".to_owned();
        endpoint.redact(&mut text);
        assert_eq!(text, "x-amz-security-token:[redacted]");
    }
}
