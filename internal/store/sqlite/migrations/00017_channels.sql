-- What became of notices, by channel: address is read from the notice itself;
-- told_with names the message that told of this one too; retried is when a
-- person took it up again after it had been given up. docs/formats/store.md
-- describes the tables.

-- +goose Up
ALTER TABLE notice ADD COLUMN address TEXT GENERATED ALWAYS AS (json_extract(body, '$.address')) VIRTUAL;
ALTER TABLE notice ADD COLUMN told_with TEXT NOT NULL DEFAULT '';
ALTER TABLE notice ADD COLUMN retried INTEGER NOT NULL DEFAULT 0;
CREATE INDEX notice_waiting ON notice (address, at, seq, next) WHERE delivered = 0 AND dead = 0;
CREATE INDEX notice_told ON notice (address, at, delivered, dead);
CREATE INDEX alert_entry_by_time ON alert_entry (at);
