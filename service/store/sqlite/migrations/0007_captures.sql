-- What was captured of prompts and answers, redacted, where an operator asked for it. Ids are those of the calls.
CREATE TABLE capture (
    id       BLOB    NOT NULL PRIMARY KEY,
    at       INTEGER NOT NULL,
    actor    TEXT    NOT NULL,
    -- The team may be gone.
    team_id  BLOB,
    model    TEXT    NOT NULL,
    code     INTEGER NOT NULL,
    request  TEXT    NOT NULL CHECK (json_valid(request)),
    response TEXT    NOT NULL CHECK (json_valid(response)),
    cut      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX capture_at ON capture (at);
CREATE INDEX capture_team ON capture (team_id, id);
