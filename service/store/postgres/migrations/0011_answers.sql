-- Answers that replicas give again to the same question, where an operator asked for it. Unlogged: they are not worth writing
-- twice, and a crash of the database may empty the table.
CREATE UNLOGGED TABLE kept_answer (
    key     BYTEA  NOT NULL PRIMARY KEY,
    answer  BYTEA  NOT NULL,
    model   TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE INDEX kept_answer_expires ON kept_answer (expires);
