//! Which protocol a request came in.

/// The protocol of a request; in the extensions of every request that reaches a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web, binary or text, over any HTTP version.
    GrpcWeb,
    /// HTTP with JSON bodies, by `google.api.http` rules.
    Rest,
    /// JSON texts over a WebSocket, by the same rules.
    WebSocket,
}

impl Protocol {
    /// A short name: `grpc`, `grpc-web`, `rest`, `websocket`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Rest => "rest",
            Self::WebSocket => "websocket",
        }
    }
}
