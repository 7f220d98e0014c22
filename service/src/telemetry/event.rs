//! Every event that is logged at `info` and above: its name, its level, what it means. The names are the `event` of log
//! lines and of records that are sent; they stay when messages change. The table in `docs/operations.md` is made of this
//! list, and a test holds every line of the source to it.

#![cfg_attr(not(feature = "local"), expect(dead_code, reason = "only those who run models look for files of models"))]

/// Declares the events, and the list of all of them.
macro_rules! events {
    ($($id:ident: $level:ident, $name:literal, $meaning:literal;)+) => {
        $(#[doc = $meaning] pub(crate) const $id: &str = $name;)+

        /// All of them: constant, level, name, meaning.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str, &str, &str)] =
            &[$((stringify!($id), stringify!($level), $name, $meaning)),+];
    };
}

events! {
    CALL_REFUSED: info, "call-refused", "A call failed, and its caller could have known better.";
    CALL_FAILED: warn, "call-failed", "A call failed through no fault of its caller.";
    TARGET_LEFT_ALONE: warn, "target-left-alone", "A target of a route fails, and calls go elsewhere for a while.";
    PROVIDER_FOUND: info, "provider-found", "A provider is configured.";
    MODELS_FOUND: info, "models-found", "A provider has listed its models, and the list is new.";
    MODELS_UNLISTED: warn, "models-unlisted", "A provider does not list its models, or not in time.";
    NO_LOCAL_MODEL: info, "no-local-model", "There is no file of a local model.";
    LISTENING: info, "listening", "Requests can come.";
    NO_MODEL: warn, "no-model", "No model is known yet.";
    TRY_IT: info, "try-it", "A command to begin with.";
    NO_ADMINISTRATOR: warn, "no-administrator", "Nobody can make keys yet.";
    STOPPING: info, "stopping", "The server was asked to stop; open calls may finish.";
    CUTTING: warn, "cutting", "The server was asked again to stop; open calls are cut.";
    STOPPED: info, "stopped", "The server has stopped.";
    ACCEPT_FAILED: warn, "accept-failed", "A connection could not be accepted, often for want of file descriptors.";
    KEY_UNREADABLE: warn, "signing-key-unreadable", "A signing key in the database cannot be read.";
    SIGN_IN_ENDED: info, "sign-in-ended", "A sign-in was ended by its user.";
    REFRESH_REPLAYED: warn, "refresh-token-replayed", "A refresh token was used twice; its sign-in is ended.";
    TOKEN_UNAVAILABLE: warn, "token-unavailable", "No token could be given out: the database is away.";
    TOKEN_FAILED: error, "token-failed", "No token could be given out: something is broken.";
    SIGNING_KEYS_STALE: warn, "signing-keys-stale", "The keys of tokens cannot be read anew.";
    SIGNING_KEY_ADDED: info, "signing-key-added", "A new key will sign tokens.";
    IDENTITY_UNAVAILABLE: warn, "identity-unavailable", "The database does not say who calls.";
    ISSUER_KEYS_FETCHED: info, "issuer-keys-fetched", "The keys of an issuer of tokens were fetched.";
    ISSUER_KEYS_UNFETCHED: warn, "issuer-keys-unfetched", "The keys of an issuer of tokens cannot be fetched.";
    BUDGETS_UNREPORTED: warn, "budgets-unreported", "What was spent could not be reported at the end.";
    BUDGET_SPENT: warn, "budget-spent", "A budget is spent to the part at which somebody wants to know.";
    BUDGETS_KEPT: info, "budgets-kept", "The books of budgets are kept again.";
    BUDGETS_UNKEPT: warn, "budgets-unkept", "The books of budgets cannot be kept now.";
    REPLICA_GONE: warn, "replica-gone", "A replica is gone; what it held of a budget counts as spent.";
    BOOKS_REMOVED: info, "books-removed", "Books of budgets that are long past were removed.";
    BUDGETS_UNLOADED: warn, "budgets-unloaded", "Budgets that changed cannot be loaded now.";
    PRICES_UNLOADED: warn, "prices-unloaded", "Prices that changed cannot be loaded now.";
    PRICES_IN_FORCE: info, "prices-in-force", "Prices came into force.";
    MODEL_UNPRICED: warn, "model-unpriced", "A model has no price and counts as free.";
    USAGE_REMOVED: info, "usage-removed", "Old usage rows were removed.";
    USAGE_UNTENDED: warn, "usage-untended", "Old usage rows could not be removed.";
    CAPTURES_LOST: warn, "captures-lost", "Captures of prompts and answers are dropped or could not be written.";
    CAPTURES_UNREMOVED: warn, "captures-unremoved", "Old captures could not be removed.";
    GUARDRAIL_REFUSED: info, "guardrail-refused", "A guardrail refuses a call.";
    GUARDRAIL_AWAY: warn, "guardrail-away", "A guardrail cannot be asked.";
    LIMITS_UNSHARED: warn, "limits-unshared", "Limits cannot be shared: the database is away.";
    LIMITS_SHARED: info, "limits-shared", "Limits are shared again.";
    LEASES_UNRETURNED: warn, "leases-unreturned", "What was leased of limits was not given back in time.";
    LIMITS_UNREAD: warn, "limits-unread", "Limits have changed and cannot be read.";
    CERTIFICATES_READ: info, "certificates-read", "The files of our certificate have changed and were read again.";
    CERTIFICATES_UNUSABLE: error, "certificates-unusable", "New certificates cannot be used; the old ones are kept.";
    CACHE_UNREAD: warn, "cache-unread", "Kept answers cannot be read from the store; questions are asked again.";
    METRICS_UNSENT: warn, "metrics-unsent", "Metrics cannot be sent over OTLP; said once until they can.";
    ADMIN_UNAVAILABLE: warn, "admin-unavailable", "The usual address for metrics is taken, and nobody asked for another.";
    CONFIG_READ: info, "config-read", "The configuration has been read again and counts.";
    CONFIG_UNUSABLE: error, "config-unusable", "The new configuration does not count; the old one stays.";
    CONFIG_NEEDS_RESTART: warn, "config-needs-restart", "Changes in some sections of the configuration need a restart.";
    ADMIN_LISTENING: info, "admin-listening", "Metrics can be read.";
}

/// What the crates of the databases log, which do not know this list: level, name, meaning.
#[cfg(test)]
pub(crate) const OF_STORES: &[(&str, &str, &str)] = &[
    ("error", "usage-row-late", "A usage row came after the usage log was closed."),
    ("error", "usage-row-refused", "The database refuses a usage row."),
    ("warn", "usage-rows-unwritten", "Usage rows could not be written; it is tried again."),
    ("info", "usage-rows-written", "Usage rows are being written again."),
    ("error", "usage-rows-lost", "Usage rows are lost at the end."),
    ("warn", "database-away", "The database is away; what is in memory is used."),
    ("info", "database-back", "The database is back."),
    ("warn", "connections-scarce", "A second replica would not fit into the server's `max_connections`."),
    ("info", "month-removed", "A month of usage rows was removed."),
    ("warn", "connection-awaited", "A call waited long for a connection to the database."),
];
