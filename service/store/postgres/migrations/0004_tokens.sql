-- The programs that may ask for tokens, the keys that sign them, and the families of refresh tokens. Ids are UUIDs
-- (version 7); times are microseconds since the Unix epoch, UTC; lists of scopes are JSON arrays.
CREATE TABLE oauth_client (
    id          UUID NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    -- HMAC-SHA-256 of the secret; the secret itself is kept nowhere.
    secret_hash BYTEA NOT NULL,
    team_id     UUID REFERENCES team (id),
    scopes      JSONB NOT NULL,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE INDEX oauth_client_team ON oauth_client (team_id);

CREATE TABLE signing_key (
    id                 TEXT NOT NULL PRIMARY KEY,
    algorithm          TEXT NOT NULL,
    -- A JSON Web Key.
    public_key         TEXT NOT NULL,
    -- AES-256-GCM under a key that is not in the database unless the operator has left that to the service.
    sealed_private_key BYTEA NOT NULL,
    created_at         BIGINT NOT NULL,
    not_before         BIGINT NOT NULL,
    retired_at         BIGINT
);

-- All refresh tokens that came of one sign-in.
CREATE TABLE refresh_family (
    id         UUID NOT NULL PRIMARY KEY,
    user_id    UUID NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    client_id  UUID REFERENCES oauth_client (id) ON DELETE CASCADE,
    scopes     JSONB NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE INDEX refresh_family_user ON refresh_family (user_id);
CREATE INDEX refresh_family_client ON refresh_family (client_id);
CREATE INDEX refresh_family_expiry ON refresh_family (expires_at);

CREATE TABLE refresh_token (
    hash      BYTEA NOT NULL PRIMARY KEY,
    family_id UUID NOT NULL REFERENCES refresh_family (id) ON DELETE CASCADE,
    used_at   BIGINT
);

CREATE INDEX refresh_token_family ON refresh_token (family_id);

-- What the access tokens of these sign-ins, or these tokens themselves, are refused for before they expire.
CREATE TABLE token_revocation (
    id         UUID NOT NULL PRIMARY KEY,
    -- The last of them has expired then.
    expires_at BIGINT NOT NULL
);
