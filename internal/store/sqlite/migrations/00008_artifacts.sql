-- Source maps of releases. docs/formats/store.md describes the table.

-- +goose Up
CREATE TABLE artifact (
    project TEXT NOT NULL,
    release TEXT NOT NULL,
    name    TEXT NOT NULL,
    debug   TEXT NOT NULL,
    hash    TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    data    BLOB NOT NULL,
    PRIMARY KEY (project, release, name)
);
