//! The closed sets a usage row draws from. Each member has a small number, which databases keep, and a short text,
//! which people and reports see. Both are stable: they may be added to, but never change and are never used again.

/// Declares such a set: `Variant = number "text"`.
macro_rules! stored_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $code,)+
        }

        impl $name {
            /// Every member.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number a database keeps.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The member with this number.
            pub fn from_code(code: i64) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The text that people and reports see.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

stored_set! {
    /// The protocol a caller spoke.
    Protocol {
        /// gRPC over HTTP/2.
        Grpc = 1 "grpc",
        /// gRPC-Web, from a browser.
        GrpcWeb = 2 "grpc-web",
        /// JSON over HTTP, with server-sent events for streams.
        Rest = 3 "rest",
    }
}

stored_set! {
    /// What was asked for.
    Operation {
        /// A chat completion.
        Chat = 1 "chat",
        /// Vectors of texts.
        Embed = 2 "embed",
    }
}

stored_set! {
    /// How a call ended.
    Outcome {
        /// The model finished.
        Complete = 1 "complete",
        /// The model was cut off at the token limit.
        Length = 2 "length",
        /// The model asked for tools to be called.
        ToolCalls = 3 "tool-calls",
        /// A content filter withheld the answer or a part of it.
        Filtered = 4 "filtered",
        /// The upstream could not be reached, broke off, or spoke garbage.
        UpstreamLost = 5 "upstream-lost",
        /// The upstream answered with an error of its own.
        UpstreamRefused = 6 "upstream-refused",
        /// The caller went away.
        Cancelled = 7 "cancelled",
        /// The caller's deadline passed.
        Deadline = 8 "deadline",
        /// The call was turned down before any upstream was asked: unknown model, invalid request, no permission.
        Rejected = 9 "rejected",
        /// Sabir itself failed.
        Failed = 10 "failed",
    }
}

stored_set! {
    /// Where the token counts of a row come from.
    TokenSource {
        /// There are none: nothing was asked of a model.
        None = 0 "none",
        /// The provider reported them at the end of its answer.
        Reported = 1 "reported",
        /// Sabir estimated them from the text that passed.
        Estimated = 2 "estimated",
        /// The answer was cut; they cover what had passed until then, as reported or estimated.
        Partial = 3 "partial",
    }
}
