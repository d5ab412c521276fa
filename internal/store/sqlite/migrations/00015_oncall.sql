-- Rotas, how people are reached, and pages: who is being told until somebody
-- acknowledges. docs/formats/store.md describes the tables.

-- +goose Up
CREATE TABLE rota (
    name TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    at   INTEGER NOT NULL
);

CREATE TABLE contact (
    name TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    at   INTEGER NOT NULL
);

CREATE TABLE page (
    seq  INTEGER PRIMARY KEY,
    id   TEXT NOT NULL UNIQUE,
    open INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX page_by_time ON page (at, seq);
CREATE INDEX page_open ON page (at, seq) WHERE open = 1;
