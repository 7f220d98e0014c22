-- One row for every call that ended. Narrow on purpose: figures and names, never what was said.
--
-- The key is time first, so that rows append (calls end roughly in the order they began), a span of time is one stretch
-- of the table, and no index is needed beside it; the id makes a row that is written twice the same row. Times are
-- integer microseconds since the Unix epoch, UTC; durations are microseconds.
CREATE TABLE usage (
    started_at        INTEGER NOT NULL,
    id                BLOB    NOT NULL,
    latency           INTEGER NOT NULL,
    first_token       INTEGER,
    protocol          INTEGER NOT NULL,
    operation         INTEGER NOT NULL,
    streamed          INTEGER NOT NULL,
    principal         TEXT,
    model_asked       TEXT    NOT NULL,
    model_used        TEXT,
    provider          TEXT,
    outcome           INTEGER NOT NULL,
    grpc_code         INTEGER NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens     INTEGER NOT NULL,
    reasoning_tokens  INTEGER NOT NULL,
    token_source      INTEGER NOT NULL,
    PRIMARY KEY (started_at, id)
) STRICT, WITHOUT ROWID;

-- What the small numbers in `usage` mean. A later migration may add rows, but never change one.
CREATE TABLE usage_code (
    kind TEXT    NOT NULL,
    code INTEGER NOT NULL,
    name TEXT    NOT NULL,
    PRIMARY KEY (kind, code)
) STRICT, WITHOUT ROWID;

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
    latency / 1e3 AS latency_ms,
    first_token / 1e3 AS first_token_ms
FROM usage;
