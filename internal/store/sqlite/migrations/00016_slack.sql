-- Where threads of notices were begun in Slack, and which of its users are
-- which people. docs/formats/store.md describes the tables.

-- +goose Up
CREATE TABLE slack_thread (
    address TEXT NOT NULL,
    thread  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (address, thread)
) WITHOUT ROWID;

CREATE TABLE slack_link (
    team   TEXT NOT NULL,
    user   TEXT NOT NULL,
    person TEXT NOT NULL,
    how    TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (team, user)
) WITHOUT ROWID;
CREATE INDEX slack_link_by_person ON slack_link (person, at);
