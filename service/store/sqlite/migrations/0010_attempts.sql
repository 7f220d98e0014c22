-- The attempts of calls that needed more than one, or failed: a JSON array, as `usage/attempt.rs` of the store crate has it.
-- Almost all calls have none, so they cost almost nothing, and they go with their rows.
ALTER TABLE usage ADD COLUMN attempts TEXT;

-- One row for every attempt, for people: `SELECT * FROM usage_attempt_log ORDER BY started_at DESC, number LIMIT 20`. Of a call
-- that has no list, the one attempt is what the call's own row says.
CREATE VIEW usage_attempt_log AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%fZ', (started_at + (attempt.value ->> 'after_micros')) / 1e6, 'unixepoch') AS started_at,
    usage.id AS id,
    attempt.value ->> 'number' AS number,
    attempt.value ->> 'model' AS target,
    attempt.value ->> 'outcome' AS outcome,
    (attempt.value ->> 'latency_micros') / 1e3 AS latency_ms
FROM usage, json_each(attempts) AS attempt
UNION ALL
SELECT
    strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1e6, 'unixepoch'),
    id,
    1,
    provider,
    (SELECT name FROM usage_code WHERE kind = 'outcome' AND code = outcome),
    latency / 1e3
FROM usage
WHERE attempts IS NULL AND provider IS NOT NULL;
