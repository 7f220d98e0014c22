//! What holds for single calls: how long they may take, and what travels beside the message.

use std::time::Duration;

use tonic::Request;
use tonic::metadata::{Ascii, AsciiMetadataKey, MetadataValue};

use crate::{Authorization, Error};

/// Options of calls; see [`Client::with`](crate::Client::with).
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    deadline: Option<Duration>,
    authorization: Option<Authorization>,
    metadata: Vec<(AsciiMetadataKey, MetadataValue<Ascii>)>,
}

impl CallOptions {
    /// No deadline, no metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a call may take, a stream to its end included. The server learns of it and passes it on to the model;
    /// after it the call fails with [`Code::DeadlineExceeded`](crate::Code::DeadlineExceeded).
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Who is calling.
    #[must_use]
    pub fn authorization(mut self, authorization: Authorization) -> Self {
        self.authorization = Some(authorization);
        self
    }

    /// Sends a header with every call.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name or the value cannot be a header.
    pub fn metadata(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let key = name.parse().map_err(|_| Error::Invalid(format!("\"{name}\" cannot be the name of a header")))?;
        let value = value.parse().map_err(|_| Error::Invalid(format!("the value of \"{name}\" cannot be a header")))?;
        self.metadata.push((key, value));
        Ok(self)
    }

    pub(crate) fn limit(&self) -> Option<Duration> {
        self.deadline
    }

    /// The message with these options.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(limit) = self.deadline {
            request.set_timeout(limit);
        }
        let headers = request.metadata_mut();
        if let Some(authorization) = &self.authorization {
            headers.insert("authorization", authorization.value());
        }
        for (key, value) in &self.metadata {
            headers.append(key.clone(), value.clone());
        }
        request
    }
}
