-- Who may ask how much, and what replicas have leased of it. What is NULL is not limited.
CREATE TABLE rate_limit (
    id                  BLOB    NOT NULL PRIMARY KEY,
    subject_kind        TEXT    NOT NULL,
    subject_name        TEXT    NOT NULL,
    requests_per_minute INTEGER CHECK (requests_per_minute > 0),
    request_burst       INTEGER CHECK (request_burst > 0),
    tokens_per_minute   INTEGER CHECK (tokens_per_minute > 0),
    token_burst         INTEGER CHECK (token_burst > 0),
    concurrent_requests INTEGER CHECK (concurrent_requests > 0),
    created_at          INTEGER NOT NULL,
    UNIQUE (subject_kind, subject_name)
) STRICT, WITHOUT ROWID;

-- Where each rate stands: the theoretical arrival time of its next cell, in nanoseconds since the Unix epoch, because a
-- microsecond is longer than the time between two tokens can be. `granted` is what the last lease got.
CREATE TABLE limit_rate (
    account    TEXT    NOT NULL,
    meter      INTEGER NOT NULL,
    arrival_at INTEGER NOT NULL,
    granted    INTEGER NOT NULL,
    PRIMARY KEY (account, meter)
) STRICT, WITHOUT ROWID;

-- How many calls each replica may have open, until when.
CREATE TABLE limit_place (
    account    TEXT    NOT NULL,
    replica    BLOB    NOT NULL,
    places     INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (account, replica)
) STRICT, WITHOUT ROWID;

CREATE INDEX limit_place_replica ON limit_place (replica);
