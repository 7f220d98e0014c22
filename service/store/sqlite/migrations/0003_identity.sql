-- Teams, users and API keys; the audit log of what was done to them and to everything else; and the counters by which
-- replicas notice changes. Ids are UUIDs of 16 bytes (version 7, so that they sort by time); times are microseconds since
-- the Unix epoch, UTC; lists of scopes and of models are JSON arrays.
CREATE TABLE team (
    id          BLOB    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    models      TEXT    NOT NULL CHECK (json_valid(models)),
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;

-- `user` is a word of SQL.
CREATE TABLE user_account (
    id            BLOB    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    team_id       BLOB    REFERENCES team (id),
    scopes        TEXT    NOT NULL CHECK (json_valid(scopes)),
    -- Argon2id in PHC form; never a password.
    password_hash TEXT,
    created_at    INTEGER NOT NULL,
    disabled_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX user_account_team ON user_account (team_id);

CREATE TABLE api_key (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    -- What is left of the key for people to see.
    prefix     TEXT    NOT NULL,
    -- HMAC-SHA-256 of the key; the key itself is kept nowhere.
    hash       BLOB    NOT NULL UNIQUE,
    user_id    BLOB    REFERENCES user_account (id) ON DELETE CASCADE,
    team_id    BLOB    REFERENCES team (id),
    scopes     TEXT    NOT NULL CHECK (json_valid(scopes)),
    models     TEXT    NOT NULL CHECK (json_valid(models)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    -- The first key of a line of rotations. It may be gone while the line goes on.
    lineage_id BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX api_key_user ON api_key (user_id);
CREATE INDEX api_key_team ON api_key (team_id);

CREATE TABLE audit (
    id     BLOB    NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    action TEXT    NOT NULL,
    target TEXT    NOT NULL,
    detail TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_target ON audit (target, id);

-- Moved in the same transaction as the change; each replica asks for these few rows a few times a second.
CREATE TABLE generation (
    topic TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO generation (topic, value) VALUES ('identity', 0), ('tokens', 0), ('limits', 0), ('budgets', 0), ('prices', 0);

-- Secrets that the service makes for itself where none are configured.
CREATE TABLE secret (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
