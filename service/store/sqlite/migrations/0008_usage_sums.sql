-- Whose key, user and team a call counts for, and the sums of usage by day, so that a month is added up from a few rows and
-- not from a million.
ALTER TABLE usage ADD COLUMN key_id BLOB;
ALTER TABLE usage ADD COLUMN user_id BLOB;
ALTER TABLE usage ADD COLUMN team_id BLOB;

CREATE INDEX usage_key ON usage (key_id, started_at) WHERE key_id IS NOT NULL;
CREATE INDEX usage_user ON usage (user_id, started_at) WHERE user_id IS NOT NULL;
CREATE INDEX usage_team ON usage (team_id, started_at) WHERE team_id IS NOT NULL;

-- The day is counted from the Unix epoch, UTC. An id of zeros, and an empty name, stand for none. The model is the one that
-- was asked for; calls for which no provider was asked count under no model, or callers could make rows by making up names.
CREATE TABLE usage_daily (
    key_id            BLOB    NOT NULL,
    day               INTEGER NOT NULL,
    user_id           BLOB    NOT NULL,
    team_id           BLOB    NOT NULL,
    model             TEXT    NOT NULL,
    provider          TEXT    NOT NULL,
    calls             INTEGER NOT NULL,
    failed_calls      INTEGER NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens     INTEGER NOT NULL,
    reasoning_tokens  INTEGER NOT NULL,
    cost              INTEGER NOT NULL,
    PRIMARY KEY (key_id, day, user_id, team_id, model, provider)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_daily_day ON usage_daily (day);
CREATE INDEX usage_daily_user ON usage_daily (user_id, day);
CREATE INDEX usage_daily_team ON usage_daily (team_id, day);

INSERT INTO usage_daily
SELECT zeroblob(16), started_at / 86400000000, zeroblob(16), zeroblob(16),
       CASE WHEN provider IS NULL THEN '' ELSE model_asked END, ifnull(provider, ''), COUNT(*), SUM(grpc_code <> 0),
       SUM(prompt_tokens), SUM(completion_tokens), SUM(cached_tokens), SUM(reasoning_tokens), SUM(cost)
FROM usage
GROUP BY 1, 2, 3, 4, 5, 6;

-- A row that is passed over because it is there already does not fire it.
CREATE TRIGGER usage_summed AFTER INSERT ON usage BEGIN
    INSERT INTO usage_daily
    VALUES (ifnull(NEW.key_id, zeroblob(16)), NEW.started_at / 86400000000, ifnull(NEW.user_id, zeroblob(16)),
            ifnull(NEW.team_id, zeroblob(16)), CASE WHEN NEW.provider IS NULL THEN '' ELSE NEW.model_asked END,
            ifnull(NEW.provider, ''), 1, NEW.grpc_code <> 0, NEW.prompt_tokens, NEW.completion_tokens, NEW.cached_tokens,
            NEW.reasoning_tokens, NEW.cost)
    ON CONFLICT DO UPDATE SET
        calls = calls + 1,
        failed_calls = failed_calls + excluded.failed_calls,
        prompt_tokens = prompt_tokens + excluded.prompt_tokens,
        completion_tokens = completion_tokens + excluded.completion_tokens,
        cached_tokens = cached_tokens + excluded.cached_tokens,
        reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,
        cost = cost + excluded.cost;
END;
