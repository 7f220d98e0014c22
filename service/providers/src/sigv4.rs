//! Signatures over requests, as AWS wants them in place of a key: Signature Version 4.
//!
//! The clock is looked at here and nowhere in a protocol; tests give another one.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>.

use std::future::ready;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};

use crate::credentials::Secret;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::signer::Signer;
use crate::transport::Transport;

/// The keys of an account, or of a role that somebody has taken on for a while.
#[derive(Clone, Debug)]
pub struct AwsKeys {
    /// Which key it is: `AKIA...`, or `ASIA...` for a while.
    pub access_key_id: String,
    /// The key. It signs, and is never sent.
    pub secret_access_key: Secret,
    /// What is sent along with keys that run out.
    pub session_token: Option<Secret>,
}

/// Signs requests to a service of AWS in a region.
#[derive(Clone, Debug)]
pub struct SigV4 {
    keys: AwsKeys,
    service: &'static str,
    region: String,
    clock: fn() -> SystemTime,
}

impl SigV4 {
    /// Signs with these keys, by the clock of the system.
    pub fn new(keys: AwsKeys, service: &'static str, region: impl Into<String>) -> Self {
        Self { keys, service, region: region.into(), clock: SystemTime::now }
    }

    /// What is sent of the keys and must not be seen.
    pub(crate) fn session_token(&self) -> Option<&Secret> {
        self.keys.session_token.as_ref()
    }

    /// Adds what AWS wants: when, by whom, and the signature.
    fn add(&self, method: &Method, uri: &Uri, headers: &mut HeaderMap, body: &[u8]) -> Result<(), UpstreamError> {
        let AwsKeys { access_key_id, secret_access_key, session_token } = &self.keys;
        let token = session_token.as_ref().map(|token| token.expose().to_owned());
        let credentials = Credentials::new(access_key_id, secret_access_key.expose(), token, None, "sabir");
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time((self.clock)())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let uri = uri.to_string();
        let named = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let request = SignableRequest::new(method.as_str(), &uri, named, SignableBody::Bytes(body));
        let request = request.map_err(|error| unsigned(&error))?;
        let (instructions, _) = sign(request, &params).map_err(|error| unsigned(&error))?.into_parts();
        let (signed, _) = instructions.into_parts();
        for header in signed {
            let mut value = HeaderValue::from_str(header.value()).map_err(|error| unsigned(&error))?;
            value.set_sensitive(header.sensitive());
            headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}

impl Signer for SigV4 {
    fn sign<'a>(
        &'a self,
        _: &'a Transport,
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a mut HeaderMap,
        body: &'a Bytes,
    ) -> BoxFuture<'a, Result<(), UpstreamError>> {
        Box::pin(ready(self.add(method, uri, headers, body)))
    }
}

/// The error of a request that cannot be signed. What is wrong may quote a header, and is not told.
fn unsigned(_: &dyn std::error::Error) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Internal, "the request to AWS cannot be signed")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The keys, the moment (30 August 2015, 12:36:00) and the signatures of AWS's own test suite for signers.
    fn suite(session_token: Option<&str>) -> SigV4 {
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: session_token.map(Secret::new),
        };
        let clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        SigV4 { clock, ..SigV4::new(keys, "service", "us-east-1") }
    }

    fn signed(signer: &SigV4, method: &Method, uri: &str, headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::from_iter(headers);
        signer.add(method, &uri.parse().unwrap(), &mut headers, b"").unwrap();
        headers
    }

    fn authorization(headers: &HeaderMap) -> &str {
        headers["authorization"].to_str().unwrap()
    }

    #[test]
    fn the_signatures_are_those_of_the_published_suite() {
        const BY: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ";
        let signer = suite(None);
        for (method, uri, headers, expected) in [
            // get-vanilla
            (
                Method::GET,
                "https://example.amazonaws.com/",
                &[][..],
                "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            // get-vanilla-query-order-key-case
            (
                Method::GET,
                "https://example.amazonaws.com/?Param2=value2&Param1=value1",
                &[],
                "SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            // post-vanilla
            (
                Method::POST,
                "https://example.amazonaws.com/",
                &[],
                "SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            // post-header-key-sort
            (
                Method::POST,
                "https://example.amazonaws.com/",
                &[("my-header1", "value1")],
                "SignedHeaders=host;my-header1;x-amz-date, Signature=c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            ),
        ] {
            let headers = signed(&signer, &method, uri, headers);
            assert_eq!(headers["x-amz-date"], "20150830T123600Z");
            assert_eq!(authorization(&headers), format!("{BY}{expected}"), "{method} {uri}");
        }
    }

    #[test]
    fn keys_that_run_out_send_their_token_which_is_signed_too() {
        let headers = signed(&suite(Some("token-1")), &Method::POST, "https://example.amazonaws.com/", &[]);
        assert_eq!(headers["x-amz-security-token"], "token-1");
        assert!(authorization(&headers).contains("SignedHeaders=host;x-amz-date;x-amz-security-token, "));
    }

    #[test]
    fn what_is_sent_of_the_keys_is_marked_and_the_secret_is_not_sent() {
        let signer = suite(Some("token-1"));
        let headers = signed(&signer, &Method::GET, "https://example.amazonaws.com/", &[]);
        assert!(headers["x-amz-security-token"].is_sensitive());
        let all = format!("{headers:?} {signer:?}");
        assert!(!all.contains("wJalr") && !all.contains("token-1"), "{all}");
    }

    #[test]
    fn a_path_is_signed_as_it_is_sent() {
        // The service decodes a path before it checks the signature, so the percent signs are escaped once more. The two
        // paths are one to a server that decodes them.
        let signature = |uri| authorization(&signed(&suite(None), &Method::POST, uri, &[])).to_owned();
        let escaped = signature("https://example.amazonaws.com/model/a%3A0/converse");
        assert_ne!(escaped, signature("https://example.amazonaws.com/model/a:0/converse"));
        assert_eq!(escaped, signature("https://example.amazonaws.com/model/a%3A0/converse"));
    }
}
