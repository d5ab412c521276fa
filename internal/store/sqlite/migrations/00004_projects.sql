-- Projects: whose a rollout, flag, plan or key is. What was stored before is
-- of project 1; a rollout's is in its state. docs/formats/store.md describes
-- the tables.

-- +goose Up
CREATE TABLE project (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
INSERT INTO project (id, name, created_at) VALUES ('1', 'Project 1', 0);

ALTER TABLE flag ADD COLUMN project TEXT NOT NULL DEFAULT '1';
ALTER TABLE flag ADD COLUMN environment TEXT NOT NULL DEFAULT '';
ALTER TABLE flag_version ADD COLUMN project TEXT NOT NULL DEFAULT '1';
ALTER TABLE flag_version ADD COLUMN environment TEXT NOT NULL DEFAULT '';
ALTER TABLE plan ADD COLUMN project TEXT NOT NULL DEFAULT '1';
ALTER TABLE token ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
