-- What each decision rested on, so that it can be computed again.
-- docs/formats/store.md describes the table, docs/formats/journal.md the input.

-- +goose Up
CREATE TABLE decision (
    rollout TEXT NOT NULL REFERENCES rollout (id),
    last    INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    input   BLOB NOT NULL,
    PRIMARY KEY (rollout, last)
);
