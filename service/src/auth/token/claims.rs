//! What our tokens say, and when a token's time is.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::Refusal;

/// The claims of an access token of ours (RFC 9068, section 2.2). Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Who gave it out.
    pub(crate) iss: String,
    /// The user; of a token that a client got for itself, the client.
    #[serde(with = "uuid_text")]
    pub(crate) sub: Uuid,
    /// Who is to accept it.
    pub(crate) aud: String,
    /// The client that asked for it, if it said which it is.
    #[serde(with = "optional_uuid_text", default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<Uuid>,
    /// The granted scopes, with spaces between.
    pub(crate) scope: String,
    /// When it was made.
    pub(crate) iat: i64,
    /// From when it is refused.
    pub(crate) exp: i64,
    /// Its own name.
    #[serde(with = "uuid_text")]
    pub(crate) jti: Uuid,
    /// The sign-in that it comes from, which may be revoked: the family of its refresh token, else itself.
    #[serde(with = "uuid_text")]
    pub(crate) sid: Uuid,
}

impl Claims {
    /// When it is good.
    pub(crate) fn times(&self) -> Times {
        Times { issued_at: Some(self.iat), not_before: None, expires_at: self.exp }
    }
}

/// When a token is good, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) issued_at: Option<i64>,
    pub(crate) not_before: Option<i64>,
    pub(crate) expires_at: i64,
}

impl Times {
    /// Whether it is good now, give or take what clocks differ: `late` seconds after its end, `early` before its start.
    pub(crate) fn check(self, now: i64, late: i64, early: i64) -> Result<(), Refusal> {
        let starts = self.issued_at.into_iter().chain(self.not_before).max();
        if starts.is_some_and(|start| start > now.saturating_add(early)) {
            return Err(Refusal::Invalid);
        }
        if self.expires_at.saturating_add(late) <= now {
            return Err(Refusal::Expired);
        }
        Ok(())
    }
}

/// The time, in seconds since the Unix epoch.
pub(crate) fn now_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A UUID as its text.
mod uuid_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        let text = String::deserialize(deserializer)?;
        Uuid::try_parse(&text).map_err(|_| D::Error::custom("no UUID"))
    }
}

/// A UUID as its text, or nothing.
mod optional_uuid_text {
    use serde::{Deserializer, Serialize as _, Serializer};
    use uuid::Uuid;

    #[expect(clippy::ref_option, reason = "serde hands over references")]
    pub(super) fn serialize<S: Serializer>(id: &Option<Uuid>, serializer: S) -> Result<S::Ok, S::Error> {
        id.map(|id| id.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
        super::uuid_text::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_from_its_start_to_its_end() {
        let times = Times { issued_at: Some(100), not_before: Some(110), expires_at: 200 };
        assert_eq!(times.check(79, 0, 30), Err(Refusal::Invalid));
        assert_eq!(times.check(80, 0, 30), Ok(()));
        assert_eq!(times.check(199, 0, 30), Ok(()));
        assert_eq!(times.check(200, 0, 30), Err(Refusal::Expired));
        assert_eq!(times.check(229, 30, 30), Ok(()));
        let extreme = Times { issued_at: Some(i64::MIN), not_before: None, expires_at: i64::MAX };
        assert_eq!(extreme.check(i64::MAX - 1, i64::MAX, i64::MAX), Ok(()));
    }
}
