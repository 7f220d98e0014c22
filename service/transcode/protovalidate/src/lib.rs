//! Validation rules that are expressions, for the transcoder.
//!
//! The transcoder holds the standard rules of `buf.validate` itself. Rules written in the Common Expression Language, and
//! rules predefined by them, need an interpreter: here it is that of the crate `prost-protovalidate`, behind the
//! transcoder's own trait. It is asked only about messages that have such rules.
//!
//! ```no_run
//! use std::sync::Arc;
//! use transcode_protovalidate::Protovalidate;
//!
//! let descriptors = std::fs::read("descriptors.bin")?;
//! let engine = Arc::new(Protovalidate::new(&descriptors)?);
//! let transcoder = transcode::Transcoder::builder(&descriptors).validation_engine(engine).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A message costs tens of microseconds here, as it is decoded into a tree first; the transcoder's own walk takes a few.

use std::fmt;

use prost_protovalidate::Error;
use prost_protovalidate::bridge::RuntimeBridge;
use prost_reflect::DescriptorPool;
use transcode::validate::{Engine, Violation};

/// A descriptor set is not readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the descriptor set is not readable: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

/// The engine of the crate `prost-protovalidate`.
pub struct Protovalidate {
    bridge: RuntimeBridge,
}

impl fmt::Debug for Protovalidate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Protovalidate").finish_non_exhaustive()
    }
}

impl Protovalidate {
    /// An engine for the messages of an encoded `google.protobuf.FileDescriptorSet`, imports included.
    ///
    /// # Errors
    /// When the set is not readable.
    pub fn new(descriptor_set: &[u8]) -> Result<Self, Unreadable> {
        // The bridge takes it for granted that the set is readable.
        DescriptorPool::decode(descriptor_set).map_err(|error| Unreadable(error.to_string()))?;
        Ok(Self { bridge: RuntimeBridge::from_fds(descriptor_set) })
    }
}

impl Engine for Protovalidate {
    fn prepare(&self, message: &str) -> Result<(), String> {
        // Rules are compiled when the first message of a type comes; whether an empty one is right does not matter.
        match self.bridge.validate_wire(message, &[]) {
            Ok(()) | Err(Error::Validation(_) | Error::Runtime(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn violations(&self, message: &str, wire: &[u8]) -> Result<Vec<Violation>, String> {
        let broken = match self.bridge.validate_wire(message, wire) {
            Ok(()) => return Ok(Vec::new()),
            Err(Error::Validation(broken)) => broken,
            Err(error) => return Err(error.to_string()),
        };
        let violations = broken.into_violations().into_iter().map(|violation| {
            let path = violation.field_path();
            let description = match violation.message() {
                "" => format!("breaks the rule {}", violation.rule_id()),
                message => message.to_owned(),
            };
            Violation { field: path.clone(), path, rule: violation.rule_id().to_owned(), description }
        });
        Ok(violations.collect())
    }
}
