//! Keeps count of what a request asks for and a protocol, or a model, cannot say.
//!
//! A translator hands every member that it does not translate to this count. Nothing is left out in silence: either the
//! request is refused with the name of the member, or the member is named beside the answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::upstream::{Dropped, OnUnsupported};

/// The code of a refusal, as OpenAI has it for a member that a model does not know.
const CODE: &str = "unsupported_parameter";

/// What has been left out so far.
#[derive(Debug)]
pub(crate) struct Unsupported {
    policy: OnUnsupported,
    /// Who cannot honour it, for the message: `Anthropic's Messages API`.
    target: &'static str,
    dropped: Dropped,
}

impl Unsupported {
    /// Nothing left out yet.
    pub(crate) fn new(policy: OnUnsupported, target: &'static str) -> Self {
        Self { policy, target, dropped: Vec::new() }
    }

    /// The member is left out if the request has it.
    ///
    /// # Errors
    /// A request that has it and wants to be refused rather than answered without it.
    pub(crate) fn leave_out(
        &mut self,
        member: impl Into<Cow<'static, str>>,
        value: &impl Given,
    ) -> Result<(), UpstreamError> {
        self.unless(!value.is_given(), member)
    }

    /// The member is left out unless its value asks for nothing.
    ///
    /// # Errors
    /// As [`leave_out`](Self::leave_out).
    pub(crate) fn unless(
        &mut self,
        asks_nothing: bool,
        member: impl Into<Cow<'static, str>>,
    ) -> Result<(), UpstreamError> {
        if asks_nothing {
            return Ok(());
        }
        let member = member.into();
        match self.policy {
            OnUnsupported::Drop => {
                if !self.dropped.contains(&member) {
                    self.dropped.push(member);
                }
                Ok(())
            }
            OnUnsupported::Refuse => Err(UpstreamError::new(
                UpstreamErrorKind::InvalidRequest,
                format!(
                    "{} does not support {member}; leave it out, or send the header sabir-on-unsupported: drop",
                    self.target
                ),
            )
            .with_param(member)
            .with_code(CODE)),
        }
    }

    /// The members that were left out.
    pub(crate) fn into_dropped(self) -> Dropped {
        self.dropped
    }
}

/// Whether a request has a member.
pub(crate) trait Given {
    /// Whether it is there and says something.
    fn is_given(&self) -> bool;
}

impl<T> Given for Option<T> {
    fn is_given(&self) -> bool {
        self.is_some()
    }
}

impl<T> Given for Vec<T> {
    fn is_given(&self) -> bool {
        !self.is_empty()
    }
}

impl<K, V> Given for BTreeMap<K, V> {
    fn is_given(&self) -> bool {
        !self.is_empty()
    }
}

/// Members that our schema names as lists. Of an empty one a note is kept among the additional members.
const LISTS: [&str; 5] = ["functions", "messages", "modalities", "stop", "tools"];

/// Of the members that our schema does not name, those that say something: notes on the form of others, nulls and empty
/// lists of ours do not. They are the vendor's own and are passed on as they stand.
pub(crate) fn foreign_members(members: BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    members
        .into_iter()
        .filter(|(name, text)| !(text.is_empty() || text == "null" || (text == "[]" && LISTS.contains(&name.as_str()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_given_is_refused_by_name_or_named_beside_the_answer() {
        let mut strict = Unsupported::new(OnUnsupported::Refuse, "Acme");
        assert_eq!(strict.leave_out("seed", &None::<i64>), Ok(()));
        let error = strict.leave_out("seed", &Some(1)).unwrap_err();
        assert_eq!((error.kind, error.param.as_deref()), (UpstreamErrorKind::InvalidRequest, Some("seed")));
        assert_eq!(error.code.as_deref(), Some(CODE));
        assert!(error.message.starts_with("Acme does not support seed;"), "{error}");

        let mut lenient = Unsupported::new(OnUnsupported::Drop, "Acme");
        for _ in 0..2 {
            assert_eq!(lenient.leave_out("seed", &Some(1)), Ok(()));
        }
        assert_eq!(lenient.unless(true, "n"), Ok(()));
        assert_eq!(lenient.into_dropped(), ["seed"]);
    }

    #[test]
    fn notes_nulls_and_empty_lists_of_ours_are_no_foreign_members() {
        let members = [("a", ""), ("b", "null"), ("tools", "[]"), ("theirs", "[]"), ("top_k", "5")];
        let members = members.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let names: Vec<String> = foreign_members(members).map(|(name, _)| name).collect();
        assert_eq!(names, ["theirs", "top_k"]);
    }
}
