-- Who is asked about findings, what they were sent, and what they answered.

-- The one row says since when people are asked, and whether the sending is held.
CREATE TABLE notify_sending (
    id         TEXT PRIMARY KEY CHECK (id = 'sending'),
    started_at BIGINT NOT NULL,
    started_by TEXT   NOT NULL,
    run        BIGINT NOT NULL, -- what was open in it is the backlog
    run_time   BIGINT NOT NULL,
    held_run   BIGINT NOT NULL, -- 0: none
    held_why   TEXT   NOT NULL,
    released   BIGINT NOT NULL  -- the last run that was let through, 0: none
);

CREATE TABLE asked (
    id      TEXT PRIMARY KEY, -- fingerprint
    status  TEXT   NOT NULL,
    message TEXT   NOT NULL,  -- key of the last message about it, '' where one is to be sent
    record  TEXT   NOT NULL   -- JSON, as the ledger has it
);
CREATE INDEX asked_status ON asked (status);
CREATE INDEX asked_message ON asked (message);

CREATE TABLE outbox (
    id       TEXT PRIMARY KEY, -- idempotency key
    status   TEXT   NOT NULL,
    queued   BIGINT NOT NULL,
    stale    BIGINT NOT NULL,  -- 1: the delivered message no longer says how things stand
    body     TEXT   NOT NULL,  -- JSON of the message; the ledger has its hash
    record   TEXT   NOT NULL   -- JSON, as the ledger has it
);
CREATE INDEX outbox_status ON outbox (status, queued);
CREATE INDEX outbox_stale ON outbox (stale);

CREATE TABLE answers (
    id      TEXT PRIMARY KEY, -- of the click
    finding TEXT   NOT NULL,
    pending BIGINT NOT NULL,  -- 1: its effect has not been seen to yet
    record  TEXT   NOT NULL   -- JSON, as the ledger has it
);
CREATE INDEX answers_finding ON answers (finding);
CREATE INDEX answers_pending ON answers (pending);
