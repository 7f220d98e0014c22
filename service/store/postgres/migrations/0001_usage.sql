-- One row for every call that ended. Narrow on purpose: figures and names, never what was said.
--
-- Partitioned by month of the start: rows append to the newest partition, and old months go by dropping theirs, which costs
-- nothing. Partitions are made ahead by the service (usage/partition.rs); a row that has none, because a clock was wrong,
-- goes to `usage_other` instead of being refused. Times are microseconds since the Unix epoch, UTC; durations are
-- microseconds. The id makes a row that is written twice the same row.
CREATE TABLE usage (
    started_at        BIGINT   NOT NULL,
    id                UUID     NOT NULL,
    latency           BIGINT   NOT NULL,
    first_token       BIGINT,
    protocol          SMALLINT NOT NULL,
    operation         SMALLINT NOT NULL,
    streamed          BOOLEAN  NOT NULL,
    principal         TEXT,
    model_asked       TEXT     NOT NULL,
    model_used        TEXT,
    provider          TEXT,
    outcome           SMALLINT NOT NULL,
    grpc_code         SMALLINT NOT NULL,
    prompt_tokens     BIGINT   NOT NULL,
    completion_tokens BIGINT   NOT NULL,
    cached_tokens     BIGINT   NOT NULL,
    reasoning_tokens  BIGINT   NOT NULL,
    token_source      SMALLINT NOT NULL,
    PRIMARY KEY (started_at, id)
) PARTITION BY RANGE (started_at);

CREATE TABLE usage_other PARTITION OF usage DEFAULT;

-- What the small numbers in `usage` mean. A later migration may add rows, but never change one.
CREATE TABLE usage_code (
    kind TEXT     NOT NULL,
    code SMALLINT NOT NULL,
    name TEXT     NOT NULL,
    PRIMARY KEY (kind, code)
);

INSERT INTO usage_code (kind, code, name) VALUES
    ('protocol', 1, 'grpc'),
    ('protocol', 2, 'grpc-web'),
    ('protocol', 3, 'rest'),
    ('operation', 1, 'chat'),
    ('outcome', 1, 'complete'),
    ('outcome', 2, 'length'),
    ('outcome', 3, 'tool-calls'),
    ('outcome', 4, 'filtered'),
    ('outcome', 5, 'upstream-lost'),
    ('outcome', 6, 'upstream-refused'),
    ('outcome', 7, 'cancelled'),
    ('outcome', 8, 'deadline'),
    ('outcome', 9, 'rejected'),
    ('outcome', 10, 'failed'),
    ('token_source', 0, 'none'),
    ('token_source', 1, 'reported'),
    ('token_source', 2, 'estimated'),
    ('token_source', 3, 'partial');

-- The table for people: `SELECT * FROM usage_log ORDER BY started_at DESC LIMIT 20`.
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
    latency / 1e3 AS latency_ms,
    first_token / 1e3 AS first_token_ms
FROM usage;
