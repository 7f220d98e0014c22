//! Who is calling, as a value that cannot be printed.

use std::fmt;

use tonic::metadata::{Ascii, MetadataValue};

use crate::Error;

/// The value of the `authorization` header. Its `Debug` shows nothing, and it has no `Display`.
#[derive(Clone)]
pub struct Authorization(MetadataValue<Ascii>);

impl Authorization {
    /// An API key or an access token: `Bearer TOKEN` (RFC 6750 section 2.1).
    ///
    /// # Errors
    /// [`Error::Invalid`] if the token holds characters that no header may hold. The message does not show them.
    pub fn bearer(token: &str) -> Result<Self, Error> {
        let mut value = MetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Error::Invalid("the token holds characters that a header cannot carry".to_owned()))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(crate) fn value(&self) -> MetadataValue<Ascii> {
        self.0.clone()
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authorization(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let authorization = Authorization::bearer("hush").unwrap();
        assert!(!format!("{authorization:?} {:?}", authorization.value()).contains("hush"));
        let error = Authorization::bearer("hu\nsh").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hu"));
    }
}
