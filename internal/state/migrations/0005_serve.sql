-- What the service has done of its schedule, and what HR told it.

-- A row a job: the newest time at which it was due, and how that stands. It is no decision, and not in the ledger.
CREATE TABLE schedule (
    job       TEXT PRIMARY KEY,
    plan      TEXT   NOT NULL, -- the cron expression and the zone that slot is one of
    slot      BIGINT NOT NULL,
    status    TEXT   NOT NULL,
    step      BIGINT NOT NULL, -- steps that are done
    attempt   BIGINT NOT NULL, -- of the step that is next
    run       TEXT   NOT NULL, -- id of the run, '' for none yet
    holder    TEXT   NOT NULL,
    token     BIGINT NOT NULL, -- of the lease under which this was written
    began     BIGINT,
    ended     BIGINT,
    succeeded BIGINT,          -- when the last slot that was done ended
    detail    TEXT   NOT NULL
);

-- People of whom an HR system says that they leave.
CREATE TABLE leavers (
    id      TEXT PRIMARY KEY, -- ORIGIN/EVENT
    status  TEXT   NOT NULL,
    next    BIGINT NOT NULL,  -- not to be tried before
    record  TEXT   NOT NULL   -- JSON, as the ledger has it
);
CREATE INDEX leavers_status ON leavers (status, next);
