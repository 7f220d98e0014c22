//! Where an upstream is and how it is asked in: base URL, key, fixed headers. Computed once, used by every call.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};

use crate::credentials::{Authentication, Secret};
use crate::error::SetupError;
use crate::signer::Signer;
use crate::sigv4::SigV4;
use crate::vendors::Vendor;

/// The length, in bytes, from which a key is taken for a secret when it turns up in a text.
const SHORTEST_REAL_KEY: usize = 8;

/// The address of an upstream with the credentials to call it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    /// The path of the base URL, without a slash at its end.
    prefix: String,
    /// The query of the base URL. Azure's dated API takes its version there.
    query: Option<String>,
    headers: HeaderMap,
    key: Option<Secret>,
    signature: Option<SigV4>,
}

impl Endpoint {
    /// An endpoint at `base_url`, such as `https://api.openai.com/v1`. A query in it is sent with every request.
    ///
    /// # Errors
    /// A base URL that is not absolute, not `http` or `https`, or that holds user information (give a key instead);
    /// a key that no header can carry.
    pub fn new(base_url: &str, authentication: Authentication, key: Option<Secret>) -> Result<Self, SetupError> {
        let parts =
            base_url.trim().parse::<Uri>().map_err(|_| SetupError::BaseUrl("it cannot be parsed"))?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(SetupError::BaseUrl("it must begin with http:// or https:// and name a host"));
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(SetupError::BaseUrl("only http:// and https:// can be called"));
        }
        if authority.as_str().contains('@') {
            return Err(SetupError::BaseUrl(
                "it holds user information, which would end up in logs; give a key instead",
            ));
        }
        let path = parts.path_and_query.as_ref();
        let key = key.filter(|key| !key.is_empty());
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("sabir/", env!("CARGO_PKG_VERSION"))));
        if let Some(key) = &key {
            let (name, value) = authentication.header(key).ok_or(SetupError::Key)?;
            headers.insert(name, value);
        }
        Ok(Self {
            scheme,
            authority,
            prefix: path.map(|path| path.path().trim_end_matches('/').to_owned()).unwrap_or_default(),
            query: path.and_then(PathAndQuery::query).map(str::to_owned),
            headers,
            key,
            signature: None,
        })
    }

    /// The endpoint of a vendor: its own base URL unless another is given, its way of showing the key.
    ///
    /// # Errors
    /// As [`Endpoint::new`]; and no base URL for a vendor that has no fixed one.
    pub fn from_vendor(vendor: &Vendor, base_url: Option<&str>, key: Option<Secret>) -> Result<Self, SetupError> {
        let base_url = base_url.or(vendor.base_url).ok_or(SetupError::NoBaseUrl)?;
        let mut endpoint = Self::new(base_url, vendor.authentication, key)?;
        if endpoint.prefix.is_empty() {
            endpoint.prefix.push_str(vendor.path_of_bare_host);
        }
        Ok(endpoint)
    }

    /// The same endpoint with one more header on every request, such as `openai-organization`.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same endpoint with a signature on every request in place of a key.
    #[must_use]
    pub fn signed_by(mut self, signature: SigV4) -> Self {
        self.signature = Some(signature);
        self
    }

    /// The same endpoint at another host of the vendor's, as `host` names it; the port stays.
    ///
    /// # Errors
    /// A name that no host can have.
    pub(crate) fn at_host(mut self, host: &str) -> Result<Self, SetupError> {
        let authority = match self.authority.port() {
            Some(port) => Authority::try_from(format!("{host}:{port}")),
            None => Authority::try_from(host),
        };
        self.authority = authority.map_err(|_| SetupError::BaseUrl("it names no host"))?;
        Ok(self)
    }

    /// The same endpoint without the end of its path, if that is what its path ends in.
    #[must_use]
    pub(crate) fn without_suffix(mut self, suffix: &str) -> Self {
        if self.prefix.ends_with(suffix) {
            self.prefix.truncate(self.prefix.len() - suffix.len());
        }
        self
    }

    /// Host and port, for logs and messages. Holds no credentials.
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Whether calls go over TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host alone, for those that are told apart by it.
    pub(crate) fn host(&self) -> &str {
        self.authority.host()
    }

    /// What shows credentials in each request, if a fixed header does not.
    pub(crate) fn signer(&self) -> Option<Arc<dyn Signer>> {
        Some(Arc::new(self.signature.clone()?))
    }

    /// The fixed headers, credentials among them.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The address of `path`, which begins with `/` and may have a query.
    pub(crate) fn uri(&self, path: &str) -> Result<Uri, SetupError> {
        let mut whole = format!("{}{path}", self.prefix);
        if let Some(query) = &self.query {
            whole.push(if path.contains('?') { '&' } else { '?' });
            whole.push_str(query);
        }
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(whole)
            .build()
            .map_err(|_| SetupError::BaseUrl("no path can be appended to it"))
    }

    /// Removes the key from a text that comes from outside. Some servers quote a key they do not accept. A key too
    /// short to be one, such as the `none` that a server without keys is given, stays: it is an ordinary word.
    pub(crate) fn redact(&self, text: &mut String) {
        let token = self.signature.as_ref().and_then(SigV4::session_token);
        let secrets = [self.key.as_ref(), token].into_iter().flatten().map(Secret::expose);
        for secret in secrets.filter(|secret| secret.len() >= SHORTEST_REAL_KEY) {
            if text.contains(secret) {
                *text = text.replace(secret, "[redacted]");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendors::vendor;

    fn uri(base_url: &str) -> String {
        Endpoint::new(base_url, Authentication::Bearer, None).unwrap().uri("/chat/completions").unwrap().to_string()
    }

    #[test]
    fn paths_are_appended_to_the_base_url() {
        assert_eq!(uri("https://api.openai.com/v1"), "https://api.openai.com/v1/chat/completions");
        assert_eq!(uri("http://[::1]:8000/v1/"), "http://[::1]:8000/v1/chat/completions");
        assert_eq!(uri(" http://localhost:8000\n"), "http://localhost:8000/chat/completions");
    }

    #[test]
    fn a_query_of_the_base_url_stays_behind_the_path() {
        let base = "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21";
        let path = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
        assert_eq!(uri(base), format!("https://x.openai.azure.com{path}"));
    }

    #[test]
    fn a_base_url_that_cannot_be_called_is_refused_without_being_quoted() {
        for wrong in ["", "localhost:8000", "/v1", "ftp://h/v1", "http://user:hunter2@host/v1", "http://", "http://a b"]
        {
            let error = Endpoint::new(wrong, Authentication::Bearer, None).unwrap_err();
            assert!(matches!(error, SetupError::BaseUrl(_)) && !error.to_string().contains("hunter2"), "{wrong}");
        }
    }

    #[test]
    fn neither_debug_text_nor_redacted_text_shows_the_key() {
        let key = Some(Secret::new("sk-hidden"));
        let endpoint = Endpoint::new("https://host/v1", Authentication::Bearer, key).unwrap();
        assert!(!format!("{endpoint:?}").contains("hidden"));
        let mut text = "Incorrect API key provided: sk-hidden.".to_owned();
        endpoint.redact(&mut text);
        assert_eq!(text, "Incorrect API key provided: [redacted].");
        let endpoint = Endpoint::new("https://host/v1", Authentication::Bearer, Some(Secret::new("none"))).unwrap();
        let mut text = "none of the models".to_owned();
        endpoint.redact(&mut text);
        assert_eq!(text, "none of the models");
    }

    #[test]
    fn the_end_of_a_path_is_taken_off_if_it_is_there() {
        let models = |base_url| {
            let endpoint = Endpoint::new(base_url, Authentication::Bearer, None).unwrap();
            endpoint.without_suffix("/v1").uri("/api/tags").unwrap().to_string()
        };
        for base_url in ["http://h:11434/v1", "http://h:11434/v1/", "http://h:11434", "http://h:11434/"] {
            assert_eq!(models(base_url), "http://h:11434/api/tags", "{base_url}");
        }
        assert_eq!(models("http://h/ollama/v1?a=b"), "http://h/ollama/api/tags?a=b");
        assert_eq!(models("http://h/v12"), "http://h/v12/api/tags");
    }

    #[test]
    fn a_vendor_completes_a_bare_host() {
        let azure = vendor("azure").unwrap();
        let endpoint = |base_url| Endpoint::from_vendor(azure, base_url, Some(Secret::new("k")));
        let path = |base_url| endpoint(Some(base_url)).unwrap().uri("/models").unwrap().path().to_owned();
        assert_eq!(path("https://x.openai.azure.com/"), "/openai/v1/models");
        assert_eq!(path("https://x.openai.azure.com/openai/deployments/d"), "/openai/deployments/d/models");
        assert_eq!(endpoint(None).unwrap_err(), SetupError::NoBaseUrl);
        assert_eq!(endpoint(Some("https://h")).unwrap().headers()["api-key"], "k");
    }
}
