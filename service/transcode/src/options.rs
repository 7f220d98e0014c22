//! Reads the `transcode.v1` options off descriptors.
//!
//! The options are read once, when plans and routes are compiled; nothing here runs while a request is served.

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumValueDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor,
    MethodDescriptor, OneofDescriptor, ServiceDescriptor, Value,
};

/// What is written for a member whose field is unset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Unset {
    /// Nothing.
    #[default]
    Omit,
    /// `null`.
    Null,
    /// The default value of the type.
    Default,
}

/// The body of an error answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ErrorShape {
    /// `google.rpc.Status` as JSON.
    #[default]
    Status,
    /// OpenAI's `{"error": {...}}`.
    OpenAi,
    /// OAuth 2.0's `{"error": "...", "error_description": "..."}`.
    OAuth2,
    /// Anthropic's `{"type": "error", "error": {...}}`.
    Anthropic,
}

/// How a oneof is told apart in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OneofForm {
    /// One member named as the oneof; the JSON type of its value tells which field is set.
    ByJsonType(Unset),
    /// The same, but the value is the JSON form of the whole message.
    Bare,
    /// The fields stand side by side and this member names the one that is set.
    Tag(String),
}

/// Options of a field.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldShape {
    pub(crate) unset: Unset,
    pub(crate) raw: bool,
    pub(crate) additional_members: bool,
    pub(crate) accept_scalar: bool,
    pub(crate) int64_number: Option<bool>,
    /// JSON texts.
    pub(crate) examples: Vec<String>,
}

/// Options of a method.
#[derive(Debug, Clone, Default)]
pub(crate) struct MethodShape {
    /// The request's boolean field and the name of the streaming method.
    pub(crate) stream_twin: Option<(String, String)>,
    pub(crate) terminator: Option<String>,
    pub(crate) stream: StreamShape,
    pub(crate) limits: MethodLimits,
    pub(crate) openapi: OpenApi,
    pub(crate) accept_forms: Option<bool>,
}

/// What documentation says of a method besides its comment.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenApi {
    pub(crate) summary: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) public: bool,
    pub(crate) hidden: bool,
    pub(crate) content_types: Vec<String>,
    pub(crate) examples: Vec<Example>,
    pub(crate) checks_credentials: bool,
}

/// A call, as an example; the bodies are JSON texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Example {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) request: Option<String>,
    pub(crate) response: Option<String>,
}

/// What the events of a method carry beside their data.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamShape {
    pub(crate) id_field: Option<String>,
    pub(crate) event_field: Option<String>,
    pub(crate) retry_millis: Option<u32>,
    pub(crate) no_end_event: bool,
}

/// Limits of a method; what is `None` is as for all methods.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MethodLimits {
    pub(crate) max_body_bytes: Option<u64>,
    pub(crate) body_idle_timeout_ms: Option<u64>,
    pub(crate) max_timeout_ms: Option<u64>,
    pub(crate) first_message_timeout_ms: Option<u64>,
    pub(crate) answer_idle_timeout_ms: Option<u64>,
    pub(crate) max_open: Option<u64>,
    pub(crate) max_json_depth: Option<u64>,
    pub(crate) max_json_items: Option<u64>,
    pub(crate) max_upload_bytes: Option<u64>,
}

/// Options of a file.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FileShape {
    pub(crate) proto_names: bool,
    pub(crate) int64_number: bool,
    pub(crate) error_shape: ErrorShape,
}

/// The extension `name` of `options`, if the pool knows it and it is set.
pub(crate) fn extension(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let extension = pool.get_extension_by_name(name)?;
    if !options.has_extension(&extension) {
        return None;
    }
    match options.get_extension(&extension).into_owned() {
        Value::Message(message) => Some(message),
        _ => None,
    }
}

fn number(message: &DynamicMessage, field: &str) -> i32 {
    message.get_field_by_name(field).and_then(|value| value.as_enum_number()).unwrap_or(0)
}

fn flag(message: &DynamicMessage, field: &str) -> bool {
    message.get_field_by_name(field).and_then(|value| value.as_bool()).unwrap_or(false)
}

pub(crate) fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The elements of a list of strings.
fn texts(message: &DynamicMessage, field: &str) -> Vec<String> {
    let values = message.get_field_by_name(field).map(std::borrow::Cow::into_owned);
    match values {
        Some(Value::List(values)) => values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// The numbers of an extension that is a list of enum values.
pub(crate) fn numbers(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Vec<i32> {
    let values = pool.get_extension_by_name(name).map(|extension| options.get_extension(&extension).into_owned());
    match values {
        Some(Value::List(values)) => values.iter().filter_map(Value::as_enum_number).collect(),
        _ => Vec::new(),
    }
}

fn unset(message: &DynamicMessage) -> Unset {
    match number(message, "unset") {
        1 => Unset::Null,
        2 => Unset::Default,
        _ => Unset::Omit,
    }
}

fn error_shape(message: &DynamicMessage) -> Option<ErrorShape> {
    match number(message, "error_shape") {
        1 => Some(ErrorShape::Status),
        2 => Some(ErrorShape::OpenAi),
        3 => Some(ErrorShape::OAuth2),
        4 => Some(ErrorShape::Anthropic),
        _ => None,
    }
}

fn int64_number(message: &DynamicMessage) -> Option<bool> {
    match number(message, "int64_form") {
        1 => Some(false),
        2 => Some(true),
        _ => None,
    }
}

pub(crate) fn file(file: &FileDescriptor) -> FileShape {
    let Some(message) = extension(file.parent_pool(), &file.options(), "transcode.v1.file") else {
        return FileShape::default();
    };
    FileShape {
        proto_names: number(&message, "member_names") == 2,
        int64_number: int64_number(&message).unwrap_or(false),
        error_shape: error_shape(&message).unwrap_or_default(),
    }
}

pub(crate) fn field(field: &FieldDescriptor) -> FieldShape {
    let Some(message) = extension(field.parent_pool(), &field.options(), "transcode.v1.field") else {
        return FieldShape::default();
    };
    FieldShape {
        unset: unset(&message),
        raw: flag(&message, "raw"),
        additional_members: flag(&message, "additional_members"),
        accept_scalar: flag(&message, "accept_scalar"),
        int64_number: int64_number(&message),
        examples: texts(&message, "example"),
    }
}

pub(crate) fn oneof(oneof: &OneofDescriptor) -> Option<OneofForm> {
    let message = extension(oneof.parent_pool(), &oneof.options(), "transcode.v1.oneof")?;
    if flag(&message, "by_json_type") {
        return Some(OneofForm::ByJsonType(unset(&message)));
    }
    if flag(&message, "bare") {
        return Some(OneofForm::Bare);
    }
    let tag = text(&message, "tag");
    (!tag.is_empty()).then_some(OneofForm::Tag(tag))
}

/// Whether the JSON form of a message is the value of its one oneof.
pub(crate) fn is_bare(message: &MessageDescriptor) -> bool {
    message.oneofs().any(|oneof| self::oneof(&oneof) == Some(OneofForm::Bare))
}

/// The string that stands for an enum value, if one is declared.
pub(crate) fn enum_value(value: &EnumValueDescriptor) -> Option<String> {
    let message = extension(value.parent_pool(), &value.options(), "transcode.v1.value")?;
    let json = text(&message, "json");
    (!json.is_empty()).then_some(json)
}

pub(crate) fn method(method: &MethodDescriptor) -> MethodShape {
    let Some(message) = extension(method.parent_pool(), &method.options(), "transcode.v1.method") else {
        return MethodShape::default();
    };
    let twin = match message.get_field_by_name("stream_twin").as_deref() {
        Some(Value::Message(twin)) => (text(twin, "field"), text(twin, "method")),
        _ => Default::default(),
    };
    let terminator = text(&message, "terminator");
    MethodShape {
        stream_twin: (!twin.0.is_empty() && !twin.1.is_empty()).then_some(twin),
        terminator: (!terminator.is_empty()).then_some(terminator),
        limits: match message.get_field_by_name("limits").as_deref() {
            Some(Value::Message(message)) => limits(message),
            _ => MethodLimits::default(),
        },
        stream: stream(&message),
        openapi: openapi(&message),
        accept_forms: message.has_field_by_name("accept_forms").then(|| flag(&message, "accept_forms")),
    }
}

fn openapi(method: &DynamicMessage) -> OpenApi {
    let Some(Value::Message(options)) = method.get_field_by_name("openapi").map(std::borrow::Cow::into_owned) else {
        return OpenApi::default();
    };
    let given = |message: &DynamicMessage, field| Some(text(message, field)).filter(|text| !text.is_empty());
    let examples = match options.get_field_by_name("examples").as_deref() {
        Some(Value::List(examples)) => examples.iter().filter_map(Value::as_message).cloned().collect(),
        _ => Vec::new(),
    };
    OpenApi {
        summary: given(&options, "summary"),
        tags: texts(&options, "tags"),
        scopes: texts(&options, "scopes"),
        public: flag(&options, "public"),
        hidden: flag(&options, "hidden"),
        content_types: texts(&options, "content_types"),
        examples: examples
            .iter()
            .map(|example| Example {
                name: text(example, "name"),
                summary: text(example, "summary"),
                request: given(example, "request"),
                response: given(example, "response"),
            })
            .collect(),
        checks_credentials: flag(&options, "checks_credentials"),
    }
}

fn stream(method: &DynamicMessage) -> StreamShape {
    let Some(Value::Message(options)) = method.get_field_by_name("stream").map(std::borrow::Cow::into_owned) else {
        return StreamShape::default();
    };
    let given = |field| Some(text(&options, field)).filter(|name| !name.is_empty());
    StreamShape {
        id_field: given("id_field"),
        event_field: given("event_field"),
        retry_millis: options
            .get_field_by_name("retry_millis")
            .and_then(|value| value.as_u32())
            .filter(|&millis| millis > 0),
        no_end_event: flag(&options, "no_end_event"),
    }
}

fn limits(message: &DynamicMessage) -> MethodLimits {
    let number =
        |field: &str| message.has_field_by_name(field).then(|| message.get_field_by_name(field)?.as_u64()).flatten();
    MethodLimits {
        max_body_bytes: number("max_body_bytes"),
        body_idle_timeout_ms: number("body_idle_timeout_ms"),
        max_timeout_ms: number("max_timeout_ms"),
        first_message_timeout_ms: number("first_message_timeout_ms"),
        answer_idle_timeout_ms: number("answer_idle_timeout_ms"),
        max_open: number("max_open"),
        max_json_depth: number("max_json_depth"),
        max_json_items: number("max_json_items"),
        max_upload_bytes: number("max_upload_bytes"),
    }
}

/// The body of error answers of a service: its own option, else its file's.
pub(crate) fn service_error_shape(service: &ServiceDescriptor) -> ErrorShape {
    extension(service.parent_pool(), &service.options(), "transcode.v1.service")
        .and_then(|message| error_shape(&message))
        .unwrap_or_else(|| file(&service.parent_file()).error_shape)
}

/// The `google.api.http` rule of a method.
pub(crate) fn http_rule(method: &MethodDescriptor) -> Option<DynamicMessage> {
    extension(method.parent_pool(), &method.options(), "google.api.http")
}
