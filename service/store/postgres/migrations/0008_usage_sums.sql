-- Whose key, user and team a call counts for, and the sums of usage by day, so that a month is added up from a few rows and
-- not from a million.
ALTER TABLE usage ADD COLUMN key_id UUID;
ALTER TABLE usage ADD COLUMN user_id UUID;
ALTER TABLE usage ADD COLUMN team_id UUID;

CREATE INDEX usage_key ON usage (key_id, started_at) WHERE key_id IS NOT NULL;
CREATE INDEX usage_user ON usage (user_id, started_at) WHERE user_id IS NOT NULL;
CREATE INDEX usage_team ON usage (team_id, started_at) WHERE team_id IS NOT NULL;

-- The day is counted from the Unix epoch, UTC. An id of zeros, and an empty name, stand for none. The model is the one that
-- was asked for; calls for which no provider was asked count under no model, or callers could make rows by making up names.
-- The statement that inserts rows adds to the sums (src/usage.rs).
CREATE TABLE usage_daily (
    key_id            UUID             NOT NULL,
    day               BIGINT           NOT NULL,
    user_id           UUID             NOT NULL,
    team_id           UUID             NOT NULL,
    model             TEXT COLLATE "C" NOT NULL,
    provider          TEXT COLLATE "C" NOT NULL,
    calls             BIGINT           NOT NULL,
    failed_calls      BIGINT           NOT NULL,
    prompt_tokens     BIGINT           NOT NULL,
    completion_tokens BIGINT           NOT NULL,
    cached_tokens     BIGINT           NOT NULL,
    reasoning_tokens  BIGINT           NOT NULL,
    cost              BIGINT           NOT NULL,
    PRIMARY KEY (key_id, day, user_id, team_id, model, provider)
) WITH (fillfactor = 80);

CREATE INDEX usage_daily_day ON usage_daily (day);
CREATE INDEX usage_daily_user ON usage_daily (user_id, day);
CREATE INDEX usage_daily_team ON usage_daily (team_id, day);

INSERT INTO usage_daily
SELECT CAST('00000000-0000-0000-0000-000000000000' AS UUID), started_at / 86400000000,
       CAST('00000000-0000-0000-0000-000000000000' AS UUID), CAST('00000000-0000-0000-0000-000000000000' AS UUID),
       CASE WHEN provider IS NULL THEN '' ELSE model_asked END,
       coalesce(provider, ''), COUNT(*), COUNT(*) FILTER (WHERE grpc_code <> 0), SUM(prompt_tokens), SUM(completion_tokens),
       SUM(cached_tokens), SUM(reasoning_tokens), SUM(cost)
FROM usage
GROUP BY 1, 2, 3, 4, 5, 6;
