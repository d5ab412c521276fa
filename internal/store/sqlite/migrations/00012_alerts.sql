-- Alert rules, where they stand and what became of them. docs/formats/store.md
-- describes the tables.

-- +goose Up
CREATE TABLE alert (
    id      TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    rollout TEXT NOT NULL,
    rule    TEXT NOT NULL,
    state   TEXT NOT NULL,
    at      INTEGER NOT NULL
);

CREATE TABLE alert_entry (
    seq   INTEGER PRIMARY KEY,
    alert TEXT NOT NULL,
    at    INTEGER NOT NULL,
    data  TEXT NOT NULL
);
CREATE INDEX alert_entry_by_alert ON alert_entry (alert, seq);
