-- Who may ask how much, and what replicas have leased of it. What is NULL is not limited.
CREATE TABLE rate_limit (
    id                  UUID    NOT NULL PRIMARY KEY,
    subject_kind        TEXT    NOT NULL,
    subject_name        TEXT    NOT NULL,
    requests_per_minute INTEGER CHECK (requests_per_minute > 0),
    request_burst       INTEGER CHECK (request_burst > 0),
    tokens_per_minute   INTEGER CHECK (tokens_per_minute > 0),
    token_burst         INTEGER CHECK (token_burst > 0),
    concurrent_requests INTEGER CHECK (concurrent_requests > 0),
    created_at          BIGINT  NOT NULL,
    UNIQUE (subject_kind, subject_name)
);

-- Where each rate stands: the theoretical arrival time of its next cell, in nanoseconds since the Unix epoch, because a
-- microsecond is longer than the time between two tokens can be. `granted` is what the last lease got. Rows change often
-- and are few: room on the pages keeps the changes off the index.
CREATE TABLE limit_rate (
    account    TEXT     NOT NULL,
    meter      SMALLINT NOT NULL,
    arrival_at BIGINT   NOT NULL,
    granted    BIGINT   NOT NULL,
    PRIMARY KEY (account, meter)
) WITH (fillfactor = 50);

-- How many calls each replica may have open, until when.
CREATE TABLE limit_place (
    account    TEXT   NOT NULL,
    replica    UUID   NOT NULL,
    places     BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (account, replica)
) WITH (fillfactor = 50);

CREATE INDEX limit_place_replica ON limit_place (replica);
