-- Answers that are given again to the same question, where an operator asked for it.
CREATE TABLE kept_answer (
    key     BLOB    NOT NULL PRIMARY KEY,
    answer  BLOB    NOT NULL,
    model   TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE INDEX kept_answer_expires ON kept_answer (expires);
