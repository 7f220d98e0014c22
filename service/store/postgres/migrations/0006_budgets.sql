-- Budgets, their books, and the history of the price table. Money is in nano-dollars; times are microseconds since the
-- Unix epoch, UTC.
CREATE TABLE budget (
    id            UUID NOT NULL PRIMARY KEY,
    subject_kind  TEXT NOT NULL,
    subject_name  TEXT NOT NULL,
    amount        BIGINT NOT NULL CHECK (amount >= 0),
    -- `none`, `day`, `week` or `month`.
    period        TEXT NOT NULL,
    hard          BOOLEAN NOT NULL,
    -- Ascending, as a JSON array.
    warn_percents JSONB NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE INDEX budget_subject ON budget (subject_kind, subject_name, id);

-- One row for each period in which something was spent. `committed` is what is spent and what leases may yet spend; it is
-- never more than the sum of what the leases were granted.
CREATE TABLE budget_period (
    budget_id UUID NOT NULL REFERENCES budget (id) ON DELETE CASCADE,
    starts_at BIGINT NOT NULL,
    ends_at   BIGINT,
    committed BIGINT NOT NULL,
    spent     BIGINT NOT NULL,
    PRIMARY KEY (budget_id, starts_at)
);

-- What a replica holds of a period. `granted` and `spent` are sums since the lease began.
CREATE TABLE budget_lease (
    id         UUID NOT NULL PRIMARY KEY,
    budget_id  UUID NOT NULL,
    starts_at  BIGINT NOT NULL,
    replica_id UUID NOT NULL,
    -- The number of the last report. One that comes late is known by it.
    sequence   BIGINT NOT NULL,
    granted    BIGINT NOT NULL,
    spent      BIGINT NOT NULL,
    reserved   BIGINT NOT NULL,
    -- The part of `spent` that was charged because the replica was not heard of any more.
    orphaned   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    FOREIGN KEY (budget_id, starts_at) REFERENCES budget_period (budget_id, starts_at) ON DELETE CASCADE
);

CREATE INDEX budget_lease_period ON budget_lease (budget_id, starts_at);
CREATE INDEX budget_lease_open ON budget_lease (expires_at) WHERE granted > spent;

-- Which thresholds a period has crossed, so that each is told of once.
CREATE TABLE budget_warning (
    budget_id UUID NOT NULL,
    starts_at BIGINT NOT NULL,
    percent   SMALLINT NOT NULL,
    PRIMARY KEY (budget_id, starts_at, percent),
    FOREIGN KEY (budget_id, starts_at) REFERENCES budget_period (budget_id, starts_at) ON DELETE CASCADE
);

-- Every price table that was ever in force. The one with the highest version is.
CREATE TABLE price_table (
    version     BIGINT NOT NULL PRIMARY KEY,
    -- SHA-256 of the content, in hexadecimal.
    checksum    TEXT NOT NULL,
    source      TEXT NOT NULL,
    content     TEXT NOT NULL,
    imported_at BIGINT NOT NULL
);

CREATE INDEX price_table_checksum ON price_table (checksum);

-- What a call cost, and by which version of the price table.
ALTER TABLE usage ADD COLUMN cost BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN price_version BIGINT;

-- As before, with the cost in dollars.
DROP VIEW usage_log;
CREATE VIEW usage_log AS
SELECT
    to_timestamp(started_at / 1e6) AS started_at,
    id,
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
