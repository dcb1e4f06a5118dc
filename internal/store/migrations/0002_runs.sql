-- +goose Up
-- Runs: one evaluation each over one snapshot of each source. Rows are written first; the row in runs publishes them.
-- Tables named run_… keep what a run found; tables named work_… hold only what the run under way computes with, and are
-- emptied by the next. Accounts, entitlements, people and peer groups have numbers there, from 1, so that joins compare
-- integers; 0 is none.

-- One row a published run.
CREATE TABLE IF NOT EXISTS runs
(
    run          UInt64,
    time         DateTime64(3, 'UTC'),
    recorded_at  DateTime64(3, 'UTC'),
    finished_at  DateTime64(3, 'UTC'),
    previous     UInt64,
    status       LowCardinality(String),
    reasons      Array(String),
    people       UInt64,
    accounts     UInt64,
    entitlements UInt64,
    grants       UInt64,
    effective    UInt64,
    seats        UInt64,
    open         UInt64,
    opened       UInt64,
    closed       UInt64,
    backlog      UInt64
)
ENGINE = MergeTree
ORDER BY run
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000;

-- Which snapshot of each source a run used. Written first of all: a run that is here and not in runs was killed, or is
-- under way. snapshot 0: there is none yet.
CREATE TABLE IF NOT EXISTS run_inputs
(
    run               UInt64,
    time              DateTime64(3, 'UTC'),
    source            LowCardinality(String),
    name              String,
    type              LowCardinality(String),
    roster            Bool,
    directory         Bool,
    snapshot          UInt64,
    taken             Nullable(DateTime64(3, 'UTC')),
    as_of             Nullable(DateTime64(3, 'UTC')),
    status            LowCardinality(String),
    reason            String,
    stale_nights      Int64,
    reads             Array(String),
    coverage          Map(String, String),
    previous_coverage Map(String, String),
    previous_known    Bool
)
ENGINE = MergeTree
ORDER BY (run, source)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- People as of a run. manager is a person's key; transferred_at and what goes with it are the roster's, else observed.
CREATE TABLE IF NOT EXISTS run_people
(
    run                 UInt64,
    no                  UInt32,
    key                 String,
    roster              LowCardinality(String),
    id                  String,
    employee_id         String,
    username            String,
    email               String,
    name                String,
    kind                LowCardinality(String),
    status              LowCardinality(String),
    department          LowCardinality(String),
    title               LowCardinality(String),
    location            LowCardinality(String),
    company             LowCardinality(String),
    cost_center         LowCardinality(String),
    manager             String,
    manager_no          UInt32,
    start_at            Nullable(DateTime64(3, 'UTC')),
    end_at              Nullable(DateTime64(3, 'UTC')),
    end_first_known     Nullable(DateTime64(3, 'UTC')),
    first_start_at      Nullable(DateTime64(3, 'UTC')),
    previous_department LowCardinality(String),
    previous_title      LowCardinality(String),
    transferred_at      Nullable(DateTime64(3, 'UTC')),
    high_risk           Nullable(Bool),
    records             UInt32,
    attributes          Map(String, String)
)
ENGINE = MergeTree
PARTITION BY run
ORDER BY no;

-- Every key a person goes by, his own included.
CREATE TABLE IF NOT EXISTS run_aliases
(
    run   UInt64,
    alias String,
    key   String,
    no    UInt32
)
ENGINE = MergeTree
PARTITION BY run
ORDER BY alias;

-- Whom each account belongs to, and since when that has stood.
CREATE TABLE IF NOT EXISTS run_links
(
    run        UInt64,
    source     LowCardinality(String),
    account    String,
    person     String,
    person_no  UInt32,
    method     LowCardinality(String),
    status     LowCardinality(String),
    candidates Array(String),
    reason     String,
    since      DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY run
ORDER BY (source, account);

-- Privileged grants that accounts hold by any path: what the next run compares with.
CREATE TABLE IF NOT EXISTS run_privileged
(
    run         UInt64,
    source      LowCardinality(String),
    account     String,
    entitlement String
)
ENGINE = MergeTree
PARTITION BY run
ORDER BY (source, account, entitlement);

-- Policies and sources that a run judged completely, on fresh input; hash is of the policy's text and parameters.
CREATE TABLE IF NOT EXISTS run_judged
(
    run    UInt64,
    policy LowCardinality(String),
    source LowCardinality(String),
    hash   String
)
ENGINE = MergeTree
ORDER BY (policy, source, run);

-- The account of one policy on one source.
CREATE TABLE IF NOT EXISTS tallies
(
    run           UInt64,
    policy        LowCardinality(String),
    source        LowCardinality(String),
    subjects      UInt64,
    out_of_scope  UInt64,
    evaluated     UInt64,
    flagged       UInt64,
    excluded      UInt64,
    not_evaluable UInt64,
    missing       Map(String, UInt64),
    failed        String
)
ENGINE = MergeTree
ORDER BY (run, policy, source);

-- What a run's evaluation yielded, in full. fingerprint is the 32 bytes themselves.
CREATE TABLE IF NOT EXISTS finding_hits
(
    run          UInt64,
    time         DateTime64(3, 'UTC'),
    fingerprint  FixedString(32),
    policy       LowCardinality(String),
    subject_kind LowCardinality(String),
    source       LowCardinality(String),
    subject      String,
    key          String,
    message      String,
    evidence     String,
    cost_month   Nullable(Decimal(18, 4)),
    currency     LowCardinality(String),
    excluded_by  LowCardinality(String),
    severity     Int8,
    title        LowCardinality(String),
    category     LowCardinality(String),
    action       LowCardinality(String),
    controls     Array(LowCardinality(String)),
    source_name  LowCardinality(String),
    name         String,
    person       String,
    person_name  String,
    department   LowCardinality(String),
    assignee     String
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (run, fingerprint);

-- Where each finding stands after a run. hit_run is the run whose hit describes it. A closed one is in the run that closed
-- it and in none after.
CREATE TABLE IF NOT EXISTS finding_states
(
    run          UInt64,
    time         DateTime64(3, 'UTC'),
    fingerprint  FixedString(32),
    policy       LowCardinality(String),
    subject_kind LowCardinality(String),
    source       LowCardinality(String),
    subject      String,
    severity     Int8,
    category     LowCardinality(String),
    status       LowCardinality(String),
    cause        LowCardinality(String),
    first_seen   DateTime64(3, 'UTC'),
    last_seen    DateTime64(3, 'UTC'),
    closed_at    Nullable(DateTime64(3, 'UTC')),
    hit_run      UInt64,
    carried      Bool,
    backlog      Bool,
    due_at       Nullable(DateTime64(3, 'UTC'))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (run, fingerprint);

-- What changed from one run to the next. It outlives the snapshots.
CREATE TABLE IF NOT EXISTS changes
(
    kind        LowCardinality(String),
    source      LowCardinality(String),
    subject     String,
    person      String,
    field       LowCardinality(String),
    key         String,
    before      String,
    after       String,
    run_before  UInt64,
    run_after   UInt64,
    time_before DateTime64(3, 'UTC'),
    time_after  DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time_after)
ORDER BY (kind, source, subject, field, run_after);

-- For each source with a new snapshot, the one it is compared with.
CREATE TABLE IF NOT EXISTS work_pairs
(
    source          LowCardinality(String),
    snapshot        UInt64,
    before_snapshot UInt64,
    before_run      UInt64,
    before_time     DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY source;

-- The changes of the run under way, until it is published.
CREATE TABLE IF NOT EXISTS work_changes
(
    kind        LowCardinality(String),
    source      LowCardinality(String),
    subject     String,
    person      String,
    field       LowCardinality(String),
    key         String,
    before      String,
    after       String,
    before_run  UInt64,
    before_time DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (kind, source, subject);

-- What WritePeople was given.
CREATE TABLE IF NOT EXISTS work_people
(
    key                 String,
    aliases             Array(String),
    roster              LowCardinality(String),
    id                  String,
    employee_id         String,
    username            String,
    email               String,
    name                String,
    kind                LowCardinality(String),
    status              LowCardinality(String),
    department          LowCardinality(String),
    title               LowCardinality(String),
    location            LowCardinality(String),
    company             LowCardinality(String),
    cost_center         LowCardinality(String),
    manager_id          String,
    start_at            Nullable(DateTime64(3, 'UTC')),
    end_at              Nullable(DateTime64(3, 'UTC')),
    first_start_at      Nullable(DateTime64(3, 'UTC')),
    previous_department LowCardinality(String),
    previous_title      LowCardinality(String),
    transferred_at      Nullable(DateTime64(3, 'UTC')),
    high_risk           Nullable(Bool),
    records             Int64,
    attributes          Map(String, String)
)
ENGINE = MergeTree
ORDER BY (department, key)
SETTINGS non_replicated_deduplication_window = 1000;

-- What WriteLinks was given.
CREATE TABLE IF NOT EXISTS work_links
(
    source     LowCardinality(String),
    account    String,
    person     String,
    method     LowCardinality(String),
    status     LowCardinality(String),
    candidates Array(String),
    reason     String
)
ENGINE = MergeTree
ORDER BY (source, account)
SETTINGS non_replicated_deduplication_window = 1000;

-- Whom the owner_id of an account or entitlement means; only those that mean exactly one person.
CREATE TABLE IF NOT EXISTS work_owners
(
    owner_id String,
    owner_no UInt32
)
ENGINE = MergeTree
ORDER BY owner_id;

-- The numbers of accounts, in the order of (department, person, source, id): a slice's people and peers are neighbours.
CREATE TABLE IF NOT EXISTS work_numbers
(
    no              UInt32,
    source          LowCardinality(String),
    id              String,
    person_no       UInt32,
    department      LowCardinality(String),
    peer            Bool,
    link_method     LowCardinality(String),
    link_status     LowCardinality(String),
    link_candidates UInt32,
    link_since      Nullable(DateTime64(3, 'UTC'))
)
ENGINE = MergeTree
ORDER BY (source, id);

-- A group is a source and a department; its members are enabled human accounts linked to active people.
CREATE TABLE IF NOT EXISTS work_groups
(
    no         UInt32,
    source     LowCardinality(String),
    department LowCardinality(String),
    members    UInt32
)
ENGINE = MergeTree
ORDER BY no;

-- Last uses by account number, of the account itself, a license or an entitlement.
CREATE TABLE IF NOT EXISTS work_usage
(
    account        UInt32,
    sku            LowCardinality(String),
    entitlement_no UInt32,
    last_used_at   Nullable(DateTime64(3, 'UTC')),
    never_used     Nullable(Bool)
)
ENGINE = MergeTree
ORDER BY (account, entitlement_no, sku);

-- Accounts, judged as far as that needs no grants. Columns are named as in the account subject.
CREATE TABLE IF NOT EXISTS work_accounts
(
    no                           UInt32,
    person_no                    UInt32,
    owner_no                     UInt32,
    peer_group                   UInt32,
    source                       LowCardinality(String),
    id                           String,
    username                     String,
    email                        String,
    name                         String,
    kind                         LowCardinality(String),
    enabled                      Nullable(Bool),
    privileged                   Nullable(Bool),
    external                     Nullable(Bool),
    break_glass                  Nullable(Bool),
    legal_hold                   Nullable(Bool),
    local_login                  Nullable(Bool),
    locked                       Nullable(Bool),
    mfa                          Nullable(Bool),
    mailbox_type                 LowCardinality(String),
    purpose                      String,
    sponsor                      String,
    owner_id                     String,
    password_never_expires       Nullable(Bool),
    password_not_required        Nullable(Bool),
    forwards_externally          Nullable(Bool),
    has_spn                      Nullable(Bool),
    active_sessions              Nullable(Int64),
    days_known                   Int64,
    created_at                   Nullable(DateTime64(3, 'UTC')),
    last_login_at                Nullable(DateTime64(3, 'UTC')),
    login_lag_days               Nullable(Int64),
    never_logged_in              Nullable(Bool),
    days_since_interactive_login Nullable(Int64),
    days_since_password          Nullable(Int64),
    days_since_disabled          Nullable(Int64),
    hours_since_enabled          Nullable(Int64),
    days_until_expiry            Nullable(Int64),
    keys_known                   Bool,
    attributes                   Map(String, String),
    attributes_known             Bool,
    link_method                  LowCardinality(String),
    link_status                  LowCardinality(String),
    link_candidates              UInt32,
    link_since                   Nullable(DateTime64(3, 'UTC'))
)
ENGINE = MergeTree
ORDER BY no;

-- Credentials by account number.
CREATE TABLE IF NOT EXISTS work_keys
(
    account            UInt32,
    id                 String,
    kind               LowCardinality(String),
    active             Nullable(Bool),
    days_since_created Nullable(Int64),
    days_since_used    Nullable(Int64)
)
ENGINE = MergeTree
ORDER BY (account, id);

-- Each person's main directory account.
CREATE TABLE IF NOT EXISTS work_directory
(
    person_no           UInt32,
    id                  String,
    source              LowCardinality(String),
    username            String,
    enabled             Nullable(Bool),
    days_since_disabled Nullable(Int64)
)
ENGINE = MergeTree
ORDER BY person_no;

-- Entitlements, numbered without gaps in the order of (source, id).
CREATE TABLE IF NOT EXISTS work_entitlements
(
    no                UInt32,
    source            LowCardinality(String),
    id                String,
    name              String,
    kind              LowCardinality(String),
    resource          String,
    privileged        Nullable(Bool),
    high_risk         Nullable(Bool),
    owner_id          String,
    owner_no          UInt32,
    days_known        Nullable(Int64),
    days_since_review Nullable(Int64),
    tags              Array(String),
    tags_known        Bool,
    attributes        Map(String, String),
    attributes_known  Bool
)
ENGINE = MergeTree
ORDER BY no;

-- Grants that accounts hold themselves.
CREATE TABLE IF NOT EXISTS work_direct
(
    account            UInt32,
    entitlement        UInt32,
    days_known         Nullable(Int64),
    days_since_granted Nullable(Int64),
    days_since_used    Nullable(Int64),
    days_since_review  Nullable(Int64),
    days_until_expiry  Nullable(Int64),
    approved           Nullable(Bool)
)
ENGINE = MergeTree
ORDER BY (account, entitlement);

-- Grants that entitlements hold.
CREATE TABLE IF NOT EXISTS work_edges
(
    holder      UInt32,
    entitlement UInt32
)
ENGINE = MergeTree
ORDER BY (holder, entitlement);

-- What a holder of an entitlement holds through it: once a pair, by the shortest path, both ends included.
CREATE TABLE IF NOT EXISTS work_closure
(
    no          UInt32,
    holder      UInt32,
    entitlement UInt32,
    depth       UInt16,
    path        Array(UInt32)
)
ENGINE = MergeTree
ORDER BY no
SETTINGS non_replicated_deduplication_window = 1000;

-- Effective grants: the least depth of each, and the row of work_closure by which it comes (0: direct).
CREATE TABLE IF NOT EXISTS work_effective
(
    account     UInt32,
    entitlement UInt32,
    depth       UInt16,
    via         UInt32
)
ENGINE = MergeTree
ORDER BY (account, entitlement);

-- Whether an account holds an entitlement that is privileged, or one that may be.
CREATE TABLE IF NOT EXISTS work_flags
(
    account    UInt32,
    privileged Bool,
    unknown    Bool
)
ENGINE = MergeTree
ORDER BY account;

-- How many of a peer group hold an entitlement by any path.
CREATE TABLE IF NOT EXISTS work_peers
(
    peer_group  UInt32,
    entitlement UInt32,
    holders     UInt32
)
ENGINE = MergeTree
ORDER BY (peer_group, entitlement);

-- How many accounts hold an entitlement.
CREATE TABLE IF NOT EXISTS work_members
(
    entitlement UInt32,
    direct      UInt32,
    effective   UInt32,
    enabled     UInt32
)
ENGINE = MergeTree
ORDER BY entitlement;

-- Seats with their price and last use.
CREATE TABLE IF NOT EXISTS work_seats
(
    account             UInt32,
    sku                 LowCardinality(String),
    product             LowCardinality(String),
    cost_month          Nullable(Float64),
    currency            LowCardinality(String),
    days_since_assigned Nullable(Int64),
    days_since_used     Nullable(Int64),
    never_used          Nullable(Bool)
)
ENGINE = MergeTree
ORDER BY (account, sku);

-- The policies of the run under way.
CREATE TABLE IF NOT EXISTS work_policies
(
    policy LowCardinality(String),
    hash   String,
    failed Bool
)
ENGINE = MergeTree
ORDER BY policy;

-- What stands and could not be judged in the run under way, for want of a signal of the subject.
CREATE TABLE IF NOT EXISTS work_unknown
(
    policy       LowCardinality(String),
    subject_kind LowCardinality(String),
    source       LowCardinality(String),
    subject      String
)
ENGINE = MergeTree
ORDER BY (policy, source, subject);

-- Ranges of numbers that are built at a time, so that memory is bounded.
CREATE TABLE IF NOT EXISTS work_slices
(
    kind  LowCardinality(String),
    slice UInt32,
    first UInt32,
    last  UInt32
)
ENGINE = MergeTree
ORDER BY (kind, slice);

-- +goose Down
SELECT 'a store is not downgraded: restore a backup';
