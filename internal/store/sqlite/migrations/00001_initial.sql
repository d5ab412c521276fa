-- The first schema. docs/formats/store.md describes every table.
-- Times are Unix nanoseconds, 0 = none. JSON is stored as text.

-- +goose Up
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('flag_revision', 0), ('checked_at', 0);

CREATE TABLE rollout (
    seq    INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE,
    pos    INTEGER NOT NULL,
    status TEXT NOT NULL,
    over_at INTEGER NOT NULL DEFAULT 0,
    state  TEXT NOT NULL
);
CREATE TABLE journal (
    rollout TEXT NOT NULL REFERENCES rollout (id),
    pos     INTEGER NOT NULL,
    event   TEXT NOT NULL,
    PRIMARY KEY (rollout, pos)
);

CREATE TABLE flag (
    key        TEXT PRIMARY KEY,
    revision   INTEGER NOT NULL,
    owner      TEXT NOT NULL,
    pos        INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    definition TEXT NOT NULL
);
CREATE TABLE flag_version (
    key        TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    owner      TEXT NOT NULL,
    pos        INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (key, revision)
);

CREATE TABLE plan_source (
    hash   TEXT PRIMARY KEY,
    source BLOB NOT NULL
);
CREATE TABLE plan (
    name   TEXT NOT NULL,
    number INTEGER NOT NULL,
    hash   TEXT NOT NULL REFERENCES plan_source (hash),
    at     INTEGER NOT NULL,
    latest INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (name, number),
    UNIQUE (name, hash)
);

CREATE TABLE cell (
    rollout  TEXT NOT NULL,
    minute   INTEGER NOT NULL,
    metric   TEXT NOT NULL,
    grp      INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    interval INTEGER NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (rollout, minute, metric, grp, attempt, interval)
) WITHOUT ROWID;
CREATE TABLE user_row (
    rollout TEXT NOT NULL,
    metric  TEXT NOT NULL,
    user    TEXT NOT NULL,
    data    BLOB NOT NULL,
    PRIMARY KEY (rollout, metric, user)
) WITHOUT ROWID;
CREATE TABLE seen (
    seq    INTEGER PRIMARY KEY,
    newest INTEGER NOT NULL,
    hashes BLOB NOT NULL
);
CREATE INDEX seen_newest ON seen (newest);
CREATE TABLE sample (
    seq      INTEGER PRIMARY KEY,
    issue    TEXT NOT NULL,
    project  TEXT NOT NULL,
    event_id TEXT NOT NULL,
    received INTEGER NOT NULL,
    event    TEXT NOT NULL
);
CREATE INDEX sample_issue ON sample (issue);
CREATE UNIQUE INDEX sample_event ON sample (event_id, project) WHERE event_id <> '';
CREATE TABLE issue (
    id        TEXT PRIMARY KEY,
    project   TEXT NOT NULL,
    hash      TEXT NOT NULL,
    status    TEXT NOT NULL,
    last_seen INTEGER NOT NULL,
    body      TEXT NOT NULL,
    UNIQUE (project, hash)
);
CREATE INDEX issue_last_seen ON issue (last_seen);
CREATE TABLE value (
    key  TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    n    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE pending (
    id   TEXT PRIMARY KEY,
    due  INTEGER NOT NULL,
    data BLOB NOT NULL
);

CREATE TABLE notice (
    seq       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    rollout   TEXT NOT NULL,
    at        INTEGER NOT NULL,
    tries     INTEGER NOT NULL DEFAULT 0,
    next      INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    dead      INTEGER NOT NULL DEFAULT 0,
    error     TEXT NOT NULL DEFAULT '',
    body      TEXT NOT NULL
);
CREATE INDEX notice_open ON notice (next) WHERE delivered = 0 AND dead = 0;
CREATE INDEX notice_rollout ON notice (rollout, at);

CREATE TABLE token (
    seq  INTEGER PRIMARY KEY,
    id   TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
CREATE TABLE session (
    hash       TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    body       TEXT NOT NULL
);
CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    via     TEXT NOT NULL,
    address TEXT NOT NULL,
    verb    TEXT NOT NULL,
    target  TEXT NOT NULL,
    reason  TEXT NOT NULL,
    before  TEXT NOT NULL,
    after   TEXT NOT NULL
);
CREATE INDEX audit_target ON audit (target);
