-- What is to be changed, who approved it, and what was changed. A plan never changes once it is recorded.
CREATE TABLE plans (
    id       TEXT PRIMARY KEY,
    hash     TEXT   NOT NULL, -- of body
    kind     TEXT   NOT NULL,
    person   TEXT   NOT NULL,
    made_at  BIGINT NOT NULL,
    made_by  TEXT   NOT NULL,
    steps    BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    ended_at BIGINT,
    end_why  TEXT   NOT NULL
);
CREATE INDEX plans_person ON plans (person);

CREATE TABLE approvals (
    id          TEXT   NOT NULL UNIQUE,
    plan        TEXT   NOT NULL REFERENCES plans (id),
    approved_by TEXT   NOT NULL,
    approved_at BIGINT NOT NULL,
    hash        TEXT   NOT NULL,
    method      TEXT   NOT NULL,
    signature   TEXT   NOT NULL,
    PRIMARY KEY (plan, approved_by)
);

-- The journal: a row stands before the source is touched. An undone change keeps its row; undoing has one of its own.
CREATE TABLE changes (
    id        TEXT PRIMARY KEY,
    plan      TEXT   NOT NULL REFERENCES plans (id),
    step      BIGINT NOT NULL,
    undoes    TEXT   NOT NULL, -- id of a change, '' for none
    source    TEXT   NOT NULL,
    object    TEXT   NOT NULL,
    person    TEXT   NOT NULL,
    action    TEXT   NOT NULL,
    status    TEXT   NOT NULL,
    change    TEXT   NOT NULL, -- JSON
    before    TEXT   NOT NULL, -- JSON: the object as it was
    after     TEXT   NOT NULL, -- JSON: the object as it was read back, '' for not read
    detail    TEXT   NOT NULL,
    began_at  BIGINT NOT NULL,
    began_by  TEXT   NOT NULL,
    ended_at  BIGINT
);
CREATE INDEX changes_plan ON changes (plan, step);
CREATE INDEX changes_began ON changes (began_at);
CREATE INDEX changes_object ON changes (source, object);

-- The stop switch: while a row stands, nothing is changed.
CREATE TABLE stops (
    id         TEXT PRIMARY KEY,
    reason     TEXT   NOT NULL,
    stopped_by TEXT   NOT NULL,
    stopped_at BIGINT NOT NULL,
    lifted_by  TEXT   NOT NULL,
    lifted_at  BIGINT
);
