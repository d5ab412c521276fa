-- Who may sign in. docs/formats/store.md describes the table.

-- +goose Up
CREATE TABLE person (
    name     TEXT PRIMARY KEY,
    subject  TEXT UNIQUE, -- NULL = none
    password TEXT NOT NULL,
    body     TEXT NOT NULL
) WITHOUT ROWID;
