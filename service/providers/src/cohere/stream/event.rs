//! The shapes of events. Source: <https://docs.cohere.com/v2/reference/chat-stream>.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::response::{Logprob, Usage};

/// An event of any kind.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    /// The kind, which is the event's name as well.
    #[serde(borrow)]
    pub(super) r#type: Option<Cow<'a, str>>,
    pub(super) id: Option<String>,
    /// The place of the block that the event is about.
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    pub(super) logprobs: Option<Logprob>,
}

/// What is new.
#[derive(Deserialize, Default)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) message: Option<Piece<'a>>,
    pub(super) finish_reason: Option<String>,
    #[serde(borrow)]
    pub(super) usage: Option<Usage<'a>>,
    pub(super) error: Option<String>,
}

/// What is new of the message.
#[derive(Deserialize, Default)]
pub(super) struct Piece<'a> {
    pub(super) content: Option<Single<Content>>,
    pub(super) tool_plan: Option<String>,
    pub(super) tool_calls: Option<Single<Called>>,
    #[serde(borrow)]
    pub(super) citations: Option<Citations<'a>>,
}

/// A piece of a block.
#[derive(Deserialize)]
pub(super) struct Content {
    pub(super) r#type: Option<String>,
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
}

/// A piece of a call.
#[derive(Deserialize, Default)]
pub(super) struct Called {
    pub(super) id: Option<String>,
    pub(super) function: Option<Function>,
}

#[derive(Deserialize, Default)]
pub(super) struct Function {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

/// One citation, or a list of them, verbatim.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Citations<'a>(#[serde(borrow)] &'a RawValue);

impl Citations<'_> {
    pub(super) fn as_list(&self) -> String {
        let text = self.0.get();
        if text.starts_with('[') { text.to_owned() } else { format!("[{text}]") }
    }
}

/// An object, which the first event has an empty list in place of, and some servers a list of one.
pub(super) struct Single<T>(pub(super) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Single<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for One<T> {
            type Value = Single<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object or a list of one")
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Single<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(object)).map(|one| Single(Some(one)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Single<T>, A::Error> {
                let one = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Single(one))
            }
        }
        deserializer.deserialize_any(One(PhantomData))
    }
}
