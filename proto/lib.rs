//! Sabir's API contract: the messages, the gRPC stubs, and the descriptor set they were made from.
//!
//! Everything here is generated from `proto/sabir/v1/*.proto`, whose comments are the documentation of the API and of
//! these types. Message types are plain data. This crate must not know how a message looks as JSON, how it is served,
//! or who answers it: the options that say so are in [`FILE_DESCRIPTOR_SET`], and the transcoder reads them there.
//!
//! ```
//! use sabir_proto::v1::{ChatMessage, CreateChatCompletionRequest, Role, chat_message::Content};
//!
//! let request = CreateChatCompletionRequest {
//!     model: "local/smollm2".to_owned(),
//!     messages: vec![ChatMessage {
//!         role: Role::User.into(),
//!         content: Some(Content::Text("Hello".to_owned())),
//!         ..Default::default()
//!     }],
//!     max_completion_tokens: Some(64),
//!     ..Default::default()
//! };
//! assert_eq!(request.messages[0].role(), Role::User);
//! ```

/// The protobuf packages, as Rust modules.
pub mod sabir {
    /// Package `sabir.v1`.
    #[expect(clippy::allow_attributes, reason = "tonic's stubs allow lints in their own way")]
    pub mod v1 {
        tonic::include_proto!("sabir.v1");
    }
}

/// What we ask of services that judge what is said.
pub mod guard {
    /// Package `sabir.guard.v1`.
    #[expect(clippy::allow_attributes, reason = "tonic's stubs allow lints in their own way")]
    pub mod v1 {
        tonic::include_proto!("sabir.guard.v1");
    }
}

/// What of Google's packages the contract has messages of.
pub mod google {
    /// Package `google.api`.
    pub mod api {
        tonic::include_proto!("google.api");
    }
}

pub use sabir::v1;

/// The encoded `google.protobuf.FileDescriptorSet` of the contract and everything it imports.
///
/// Options (`google.api.http`, `transcode.v1`) and comments are kept. Do not pass it through
/// `prost_types::FileDescriptorSet`, which drops options.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, Value};

    use super::FILE_DESCRIPTOR_SET;
    use super::v1::{ChatMessage, Role, chat_message::Content};

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap()
    }

    fn messages(pool: &DescriptorPool) -> impl Iterator<Item = MessageDescriptor> {
        // Those of the API that other servers have too. Of the rest, what is not known is refused.
        let files = ["sabir/v1/chat.proto", "sabir/v1/models.proto"];
        let ours =
            move |message: &MessageDescriptor| files.contains(&message.parent_file().name()) && !message.is_map_entry();
        pool.all_messages().filter(ours)
    }

    /// An option that `transcode.v1.field` sets on a field.
    fn shape(field: &FieldDescriptor, option: &str) -> Option<Value> {
        let extension = field.parent_pool().get_extension_by_name("transcode.v1.field").unwrap();
        let options = field.options();
        let shape = options.get_extension(&extension);
        Some(shape.as_message()?.get_field_by_name(option)?.into_owned())
    }

    #[test]
    fn the_descriptor_set_stands_on_its_own() {
        let pool = pool();
        let methods = |service: &str| {
            let service = pool.get_service_by_name(service).unwrap();
            service.methods().map(|method| method.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(methods("sabir.v1.Chat"), ["CreateChatCompletion", "StreamChatCompletion"]);
        assert_eq!(methods("sabir.v1.Models"), ["ListModels", "GetModel"]);
    }

    #[test]
    fn options_survive_in_the_descriptor_set() {
        let pool = pool();
        let file = pool.get_extension_by_name("transcode.v1.file").unwrap();
        let http = pool.get_extension_by_name("google.api.http").unwrap();
        for service in pool.services() {
            assert!(service.parent_file().options().has_extension(&file), "{}", service.full_name());
            for method in service.methods() {
                assert!(method.options().has_extension(&http), "{} has no HTTP rule", method.full_name());
            }
        }
    }

    #[test]
    fn comments_survive_in_the_descriptor_set() {
        let file = pool().get_file_by_name("sabir/v1/chat.proto").unwrap();
        let source = file.file_descriptor_proto().source_code_info.clone().unwrap();
        assert!(source.location.iter().any(|location| location.leading_comments().contains("Answers conversations")));
    }

    #[test]
    fn every_message_that_is_a_json_object_keeps_members_it_does_not_name() {
        // Not objects of their own: an array, three that a tag alone carries, and requests without a body.
        let exempt = ["ContentParts", "AnyText", "FreeText", "AnyJsonObject", "ListModelsRequest", "GetModelRequest"];
        let pool = pool();
        for message in messages(&pool).filter(|message| !exempt.contains(&message.name())) {
            let field = message.get_field(100);
            assert!(field.is_some(), "{} loses members", message.full_name());
            let option = shape(&field.unwrap(), "additional_members");
            assert_eq!(option.and_then(|value| value.as_bool()), Some(true), "{}", message.full_name());
        }
    }

    #[test]
    fn the_absence_of_every_scalar_can_be_told() {
        let pool = pool();
        let fields = messages(&pool).flat_map(|message| message.fields().collect::<Vec<_>>());
        // An enum is absent at its zero, which has no JSON string; a path variable is never absent.
        let implicit = fields.filter(|field| {
            !field.supports_presence()
                && !field.is_list()
                && !field.is_map()
                && field.kind().as_enum().is_none()
                && field.full_name() != "sabir.v1.GetModelRequest.id"
        });
        for field in implicit {
            let is_raw = shape(&field, "raw").and_then(|value| value.as_bool()) == Some(true);
            let is_always_written = shape(&field, "unset").and_then(|value| value.as_enum_number()) == Some(2);
            assert!(is_raw || is_always_written, "{} may lose a default value", field.full_name());
        }
    }

    #[test]
    fn messages_survive_the_wire() {
        let message = ChatMessage {
            role: Role::User.into(),
            content: Some(Content::Text("Hello".to_owned())),
            additional_members: [("cache".to_owned(), "{\"b\":1.0}".to_owned())].into(),
            ..Default::default()
        };
        assert_eq!(ChatMessage::decode(&*message.encode_to_vec()), Ok(message));
    }
}
