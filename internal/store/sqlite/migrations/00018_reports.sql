-- Reports that were made, and what was said about them. docs/formats/store.md
-- describes the tables.

-- +goose Up
CREATE TABLE report (
    id      TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    rollout TEXT NOT NULL,
    name    TEXT NOT NULL,
    kind    TEXT NOT NULL,
    day     TEXT NOT NULL,
    due     INTEGER NOT NULL,
    data    TEXT NOT NULL
);
CREATE INDEX report_of_rollout ON report (rollout, kind, due);
CREATE INDEX report_by_time ON report (kind, due);
CREATE INDEX report_by_day ON report (day, due);

CREATE TABLE report_note (
    report TEXT NOT NULL,
    n      INTEGER NOT NULL,
    data   TEXT NOT NULL,
    PRIMARY KEY (report, n)
) WITHOUT ROWID;
