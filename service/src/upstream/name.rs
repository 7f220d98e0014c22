//! A model's full name: `provider/model`.

use std::fmt;

/// A provider and the model's name there, which may hold slashes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelName {
    /// The provider's name in the configuration.
    pub(crate) provider: String,
    /// The model's name at the provider.
    pub(crate) model: String,
}

impl ModelName {
    /// Splits at the first slash. `None` if there is none, or nothing on one side of it.
    pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
        name.split_once('/').filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
    }

    /// Reads a full name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (provider, model) = Self::split(name)?;
        Some(Self { provider: provider.to_owned(), model: model.to_owned() })
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.provider, self.model)
    }
}
