-- Access reviews: what was asked of whom, and what they decided.

CREATE TABLE reviews (
    id     TEXT PRIMARY KEY, -- name
    record TEXT NOT NULL     -- JSON, as the ledger has it
);

-- The grants of a review as they were when it was started. They never change; the ledger has the hash of them all.
CREATE TABLE review_items (
    review      TEXT   NOT NULL,
    n           BIGINT NOT NULL, -- from 1, the hard ones first
    source      TEXT   NOT NULL,
    account     TEXT   NOT NULL,
    entitlement TEXT   NOT NULL,
    holders     BIGINT NOT NULL, -- accounts that held the entitlement, in the review or not
    reviewer    TEXT   NOT NULL, -- who is asked first
    body        TEXT   NOT NULL, -- JSON
    PRIMARY KEY (review, n)
);

-- What happened to the items of a review, in order.
CREATE TABLE review_events (
    id     TEXT PRIMARY KEY,
    review TEXT   NOT NULL,
    seq    BIGINT NOT NULL, -- from 1 within the review
    record TEXT   NOT NULL, -- JSON, as the ledger has it
    UNIQUE (review, seq)
);
