-- Teams, users and API keys; the audit log of what was done to them and to everything else; and the counters by which
-- replicas notice changes. Ids are UUIDs of version 7, which sort by time; times are microseconds since the Unix epoch, UTC;
-- lists of scopes and of models are JSON arrays. Text that is compared, sorted or unique is so byte by byte.
CREATE TABLE team (
    id          UUID   NOT NULL PRIMARY KEY,
    name        TEXT   COLLATE "C" NOT NULL UNIQUE,
    models      JSONB  NOT NULL,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);

-- `user` is a word of SQL.
CREATE TABLE user_account (
    id            UUID   NOT NULL PRIMARY KEY,
    name          TEXT   COLLATE "C" NOT NULL UNIQUE,
    team_id       UUID   REFERENCES team (id),
    scopes        JSONB  NOT NULL,
    -- Argon2id in PHC form; never a password.
    password_hash TEXT,
    created_at    BIGINT NOT NULL,
    disabled_at   BIGINT
);

CREATE INDEX user_account_team ON user_account (team_id);

CREATE TABLE api_key (
    id         UUID   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    -- What is left of the key for people to see.
    prefix     TEXT   NOT NULL,
    -- HMAC-SHA-256 of the key; the key itself is kept nowhere.
    hash       BYTEA  NOT NULL UNIQUE,
    user_id    UUID   REFERENCES user_account (id) ON DELETE CASCADE,
    team_id    UUID   REFERENCES team (id),
    scopes     JSONB  NOT NULL,
    models     JSONB  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    -- The first key of a line of rotations. It may be gone while the line goes on.
    lineage_id UUID   NOT NULL
);

CREATE INDEX api_key_user ON api_key (user_id);
CREATE INDEX api_key_team ON api_key (team_id);

CREATE TABLE audit (
    id     UUID   NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL,
    actor  TEXT   COLLATE "C" NOT NULL,
    action TEXT   NOT NULL,
    target TEXT   COLLATE "C" NOT NULL,
    detail TEXT   NOT NULL
);

CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_target ON audit (target, id);

-- Moved in the same transaction as the change; each replica asks for these few rows a few times a second.
CREATE TABLE generation (
    topic TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO generation (topic, value) VALUES ('identity', 0), ('tokens', 0), ('limits', 0), ('budgets', 0), ('prices', 0);

-- Secrets that the service makes for itself where none are configured.
CREATE TABLE secret (
    name  TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);
