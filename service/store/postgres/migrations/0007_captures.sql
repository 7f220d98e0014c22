-- What was captured of prompts and answers, redacted, where an operator asked for it. Ids are those of the calls; times are
-- microseconds since the Unix epoch, UTC.
CREATE TABLE capture (
    id       UUID NOT NULL PRIMARY KEY,
    at       BIGINT NOT NULL,
    actor    TEXT NOT NULL,
    -- The team may be gone.
    team_id  UUID,
    model    TEXT NOT NULL,
    code     INTEGER NOT NULL,
    -- JSON as text, which is never looked into here.
    request  TEXT NOT NULL,
    response TEXT NOT NULL,
    cut      BOOLEAN NOT NULL
);

CREATE INDEX capture_at ON capture (at);
CREATE INDEX capture_team ON capture (team_id, id);
