//! An administrative act, as the audit log has it.

use std::time::SystemTime;

use sabir_store::{AuditEntry, unix_micros};
use serde_json::Value;
use uuid::Uuid;

use crate::auth::Principal;

/// The entry for what a caller does now. `detail` must hold no secret.
pub(crate) fn act(principal: &Principal, action: &str, target: String, detail: &Value) -> AuditEntry {
    AuditEntry {
        id: Uuid::now_v7(),
        at_micros: unix_micros(SystemTime::now()),
        actor: principal.actor.to_string(),
        action: action.to_owned(),
        target,
        detail: detail.to_string(),
    }
}
