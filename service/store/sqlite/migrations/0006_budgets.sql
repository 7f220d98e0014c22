-- Budgets, their books, and the history of the price table. Money is in nano-dollars; times are microseconds since the
-- Unix epoch, UTC.
CREATE TABLE budget (
    id            BLOB    NOT NULL PRIMARY KEY,
    subject_kind  TEXT    NOT NULL,
    subject_name  TEXT    NOT NULL,
    amount        INTEGER NOT NULL CHECK (amount >= 0),
    -- `none`, `day`, `week` or `month`.
    period        TEXT    NOT NULL,
    hard          INTEGER NOT NULL,
    -- Ascending, as a JSON array.
    warn_percents TEXT    NOT NULL CHECK (json_valid(warn_percents)),
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX budget_subject ON budget (subject_kind, subject_name, id);

-- One row for each period in which something was spent. `committed` is what is spent and what leases may yet spend; it is
-- never more than the sum of what the leases were granted.
CREATE TABLE budget_period (
    budget_id BLOB    NOT NULL REFERENCES budget (id) ON DELETE CASCADE,
    starts_at INTEGER NOT NULL,
    ends_at   INTEGER,
    committed INTEGER NOT NULL,
    spent     INTEGER NOT NULL,
    PRIMARY KEY (budget_id, starts_at)
) STRICT, WITHOUT ROWID;

-- What a replica holds of a period. `granted` and `spent` are sums since the lease began.
CREATE TABLE budget_lease (
    id         BLOB    NOT NULL PRIMARY KEY,
    budget_id  BLOB    NOT NULL,
    starts_at  INTEGER NOT NULL,
    replica_id BLOB    NOT NULL,
    -- The number of the last report. One that comes late is known by it.
    sequence   INTEGER NOT NULL,
    granted    INTEGER NOT NULL,
    spent      INTEGER NOT NULL,
    reserved   INTEGER NOT NULL,
    -- The part of `spent` that was charged because the replica was not heard of any more.
    orphaned   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    FOREIGN KEY (budget_id, starts_at) REFERENCES budget_period (budget_id, starts_at) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX budget_lease_period ON budget_lease (budget_id, starts_at);
CREATE INDEX budget_lease_open ON budget_lease (expires_at) WHERE granted > spent;

-- Which thresholds a period has crossed, so that each is told of once.
CREATE TABLE budget_warning (
    budget_id BLOB    NOT NULL,
    starts_at INTEGER NOT NULL,
    percent   INTEGER NOT NULL,
    PRIMARY KEY (budget_id, starts_at, percent),
    FOREIGN KEY (budget_id, starts_at) REFERENCES budget_period (budget_id, starts_at) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Every price table that was ever in force. The one with the highest version is.
CREATE TABLE price_table (
    version     INTEGER NOT NULL PRIMARY KEY,
    -- SHA-256 of the content, in hexadecimal.
    checksum    TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    content     TEXT    NOT NULL,
    imported_at INTEGER NOT NULL
) STRICT;

CREATE INDEX price_table_checksum ON price_table (checksum);

-- What a call cost, and by which version of the price table.
ALTER TABLE usage ADD COLUMN cost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN price_version INTEGER;

-- As before, with the cost in dollars.
DROP VIEW usage_log;
CREATE VIEW usage_log AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1e6, 'unixepoch') AS started_at,
    lower(hex(id)) AS id,
    (SELECT name FROM usage_code WHERE kind = 'protocol' AND code = protocol) AS protocol,
    (SELECT name FROM usage_code WHERE kind = 'operation' AND code = operation) AS operation,
    streamed,
    principal,
    model_asked,
    model_used,
    provider,
    (SELECT name FROM usage_code WHERE kind = 'outcome' AND code = outcome) AS outcome,
    grpc_code,
    prompt_tokens,
    completion_tokens,
    cached_tokens,
    reasoning_tokens,
    (SELECT name FROM usage_code WHERE kind = 'token_source' AND code = token_source) AS token_source,
    cost / 1e9 AS cost_dollars,
    latency / 1e3 AS latency_ms,
    first_token / 1e3 AS first_token_ms
FROM usage;
