-- Incidents, where they stand and what became of them. docs/formats/store.md
-- describes the tables.

-- +goose Up
CREATE TABLE incident (
    id      TEXT PRIMARY KEY,
    number  INTEGER NOT NULL UNIQUE,
    project TEXT NOT NULL,
    rollout TEXT NOT NULL,
    pos     INTEGER NOT NULL,
    state   TEXT NOT NULL,
    at      INTEGER NOT NULL
);

CREATE TABLE incident_event (
    incident TEXT NOT NULL,
    pos      INTEGER NOT NULL,
    data     TEXT NOT NULL,
    PRIMARY KEY (incident, pos)
) WITHOUT ROWID;
