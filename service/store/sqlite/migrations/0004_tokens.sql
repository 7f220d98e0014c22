-- The programs that may ask for tokens, the keys that sign them, and the families of refresh tokens. Ids are UUIDs of 16
-- bytes (version 7); times are microseconds since the Unix epoch, UTC; lists of scopes are JSON arrays.
CREATE TABLE oauth_client (
    id          BLOB    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    -- HMAC-SHA-256 of the secret; the secret itself is kept nowhere.
    secret_hash BLOB    NOT NULL,
    team_id     BLOB    REFERENCES team (id),
    scopes      TEXT    NOT NULL CHECK (json_valid(scopes)),
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX oauth_client_team ON oauth_client (team_id);

CREATE TABLE signing_key (
    id                 TEXT    NOT NULL PRIMARY KEY,
    algorithm          TEXT    NOT NULL,
    -- A JSON Web Key.
    public_key         TEXT    NOT NULL CHECK (json_valid(public_key)),
    -- AES-256-GCM under a key that is not in the database unless the operator has left that to the service.
    sealed_private_key BLOB    NOT NULL,
    created_at         INTEGER NOT NULL,
    not_before         INTEGER NOT NULL,
    retired_at         INTEGER
) STRICT, WITHOUT ROWID;

-- All refresh tokens that came of one sign-in.
CREATE TABLE refresh_family (
    id         BLOB    NOT NULL PRIMARY KEY,
    user_id    BLOB    NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    client_id  BLOB    REFERENCES oauth_client (id) ON DELETE CASCADE,
    scopes     TEXT    NOT NULL CHECK (json_valid(scopes)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_family_user ON refresh_family (user_id);
CREATE INDEX refresh_family_client ON refresh_family (client_id);
CREATE INDEX refresh_family_expiry ON refresh_family (expires_at);

CREATE TABLE refresh_token (
    hash      BLOB NOT NULL PRIMARY KEY,
    family_id BLOB NOT NULL REFERENCES refresh_family (id) ON DELETE CASCADE,
    used_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_token_family ON refresh_token (family_id);

-- What the access tokens of these sign-ins, or these tokens themselves, are refused for before they expire.
CREATE TABLE token_revocation (
    id         BLOB    NOT NULL PRIMARY KEY,
    -- The last of them has expired then.
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
