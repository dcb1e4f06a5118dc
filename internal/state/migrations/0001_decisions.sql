-- One text for SQLite and PostgreSQL. Times are microseconds since 1970 in UTC,
-- hashes are lower-case hex, and a NULL time means "not yet".

CREATE TABLE ledger (
    seq     BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    payload TEXT   NOT NULL,
    prev    TEXT   NOT NULL UNIQUE,
    hash    TEXT   NOT NULL UNIQUE
);

-- The one row every decision locks first: it serialises appenders, so the chain
-- can't fork.
CREATE TABLE ledger_head (
    one  BIGINT PRIMARY KEY CHECK (one = 1),
    seq  BIGINT NOT NULL,
    hash TEXT   NOT NULL
);
INSERT INTO ledger_head (one, seq, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- Erasable: the ledger holds ids only.
CREATE TABLE names (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE exceptions (
    id            TEXT PRIMARY KEY,
    scope         TEXT   NOT NULL,
    fingerprint   TEXT   NOT NULL,
    policy        TEXT   NOT NULL,
    subject_kind  TEXT   NOT NULL,
    source        TEXT   NOT NULL,
    subject_id    TEXT   NOT NULL,
    department    TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    accepted_by   TEXT   NOT NULL,
    ticket        TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    revoked_at    BIGINT,
    revoked_by    TEXT   NOT NULL,
    revoke_reason TEXT   NOT NULL,
    CHECK (expires_at > created_at)
);
CREATE INDEX exceptions_scope ON exceptions (scope);

CREATE TABLE links (
    id             TEXT PRIMARY KEY,
    verdict        TEXT   NOT NULL CHECK (verdict IN ('is', 'is_not', 'nobody')),
    account_source TEXT   NOT NULL,
    account_id     TEXT   NOT NULL,
    person_roster  TEXT   NOT NULL,
    person_id      TEXT   NOT NULL,
    reason         TEXT   NOT NULL,
    decided_by     TEXT   NOT NULL,
    decided_at     BIGINT NOT NULL,
    removed_at     BIGINT,
    removed_by     TEXT   NOT NULL,
    remove_reason  TEXT   NOT NULL
);
CREATE INDEX links_account ON links (account_source, account_id);

CREATE TABLE people (
    id         TEXT PRIMARY KEY,
    reason     TEXT   NOT NULL,
    decided_by TEXT   NOT NULL,
    decided_at BIGINT NOT NULL
);
CREATE TABLE people_records (
    roster    TEXT NOT NULL,
    person_id TEXT NOT NULL,
    people_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    PRIMARY KEY (roster, person_id)
);
CREATE INDEX people_records_people ON people_records (people_id);

CREATE TABLE shrink_acceptances (
    id          TEXT PRIMARY KEY,
    source      TEXT   NOT NULL,
    records     BIGINT NOT NULL,
    reason      TEXT   NOT NULL,
    accepted_by TEXT   NOT NULL,
    accepted_at BIGINT NOT NULL,
    used_at     BIGINT,
    used_for    BIGINT
);
CREATE INDEX shrink_acceptances_source ON shrink_acceptances (source);

CREATE TABLE leases (
    name        TEXT PRIMARY KEY,
    holder      TEXT   NOT NULL,
    process     TEXT   NOT NULL, -- the holder's, for those on its machine to see that it is no more
    token       BIGINT NOT NULL,
    acquired_at BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
