-- The attempts of calls that needed more than one, or failed: a JSON array, as `usage/attempt.rs` of the store crate has it.
-- Almost all calls have none, so they cost almost nothing, and they go with their rows.
ALTER TABLE usage ADD COLUMN attempts TEXT;

-- One row for every attempt, for people: `SELECT * FROM usage_attempt_log ORDER BY started_at DESC, number LIMIT 20`. Of a call
-- that has no list, the one attempt is what the call's own row says.
CREATE VIEW usage_attempt_log AS
SELECT
    to_timestamp((started_at + (attempt ->> 'after_micros')::bigint) / 1e6) AS started_at,
    id,
    (attempt ->> 'number')::integer AS number,
    attempt ->> 'model' AS target,
    attempt ->> 'outcome' AS outcome,
    (attempt ->> 'latency_micros')::bigint / 1e3 AS latency_ms
FROM usage, jsonb_array_elements(attempts::jsonb) AS attempt
UNION ALL
SELECT
    to_timestamp(started_at / 1e6),
    id,
    1,
    provider,
    (SELECT name FROM usage_code WHERE kind = 'outcome' AND code = outcome),
    latency / 1e3
FROM usage
WHERE attempts IS NULL AND provider IS NOT NULL;
