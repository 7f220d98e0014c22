//! What happens to budgets without an administrator, as entries of the audit log.

use uuid::Uuid;

use super::OrphanedLease;
use crate::AuditEntry;

/// Who does what nobody asked for.
const ACTOR: &str = "sabir";

/// A threshold was crossed, for the first time in the period.
pub fn warning_audit(budget_id: Uuid, percent: u8, spent_nanos: i64, now_micros: i64) -> AuditEntry {
    let detail = format!("{{\"percent\":{percent},\"spent_nanos\":{spent_nanos}}}");
    entry(budget_id, "Budgets/Warn", detail, now_micros)
}

/// A replica is gone, and what it held is charged.
pub fn orphan_audit(orphan: &OrphanedLease, now_micros: i64) -> AuditEntry {
    let OrphanedLease { lease_id, replica_id, charged_nanos, .. } = orphan;
    let detail = format!("{{\"lease\":\"{lease_id}\",\"replica\":\"{replica_id}\",\"charged_nanos\":{charged_nanos}}}");
    entry(orphan.budget_id, "Budgets/SettleOrphan", detail, now_micros)
}

fn entry(budget_id: Uuid, action: &str, detail: String, now_micros: i64) -> AuditEntry {
    AuditEntry {
        id: Uuid::now_v7(),
        at_micros: now_micros,
        actor: ACTOR.to_owned(),
        action: action.to_owned(),
        target: format!("budget {budget_id}"),
        detail,
    }
}
