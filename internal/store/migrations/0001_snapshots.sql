-- +goose Up
-- Snapshots: what each source looked like when it was read. Rows are written first; the row in snapshots publishes them.
-- An absent text is '', an absent anything else is NULL. A *_key column is its column folded for matching (store.Fold).
-- Partitions are days, so that a day nobody needs any more is dropped without reading it.

-- One row a published snapshot.
CREATE TABLE IF NOT EXISTS snapshots
(
    source        LowCardinality(String),
    snapshot      UInt64,
    taken         DateTime64(3, 'UTC'),
    recorded_at   DateTime64(3, 'UTC'),
    as_of         Nullable(DateTime64(3, 'UTC')),
    name          String,
    type          LowCardinality(String),
    roster        Bool,
    status        LowCardinality(String),
    reasons       Array(String),
    counts        Map(String, UInt64),
    active_people UInt64,
    rejected      UInt64,
    coverage      Map(String, String),
    reads         Array(String),
    provenance    String,
    bytes         Int64
)
ENGINE = MergeTree
ORDER BY (source, snapshot)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- One row a snapshot whose rows are being written or deleted. What is named here and not in snapshots is debris.
CREATE TABLE IF NOT EXISTS snapshot_writes
(
    source   LowCardinality(String),
    snapshot UInt64,
    taken    DateTime64(3, 'UTC'),
    begun_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (source, snapshot)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Worker records of rosters; several may share one id.
CREATE TABLE IF NOT EXISTS people
(
    source              LowCardinality(String),
    snapshot            UInt64,
    taken               DateTime64(3, 'UTC'),
    record_id           String,
    id                  String,
    employee_id         String,
    employee_id_key     String,
    username            String,
    username_key        String,
    email               String,
    email_key           String,
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
    previous_department LowCardinality(String),
    previous_title      LowCardinality(String),
    transferred_at      Nullable(DateTime64(3, 'UTC')),
    high_risk           Nullable(Bool),
    attributes          Map(String, String),
    attributes_known    Bool
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(taken)
ORDER BY (source, snapshot, id, record_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- Accounts. keys_known tells an account without keys from one whose keys were not read.
CREATE TABLE IF NOT EXISTS accounts
(
    source                 LowCardinality(String),
    snapshot               UInt64,
    taken                  DateTime64(3, 'UTC'),
    id                     String,
    username               String,
    username_key           String,
    email                  String,
    email_key              String,
    name                   String,
    employee_id            String,
    employee_id_key        String,
    kind                   LowCardinality(String),
    enabled                Nullable(Bool),
    privileged             Nullable(Bool),
    external               Nullable(Bool),
    break_glass            Nullable(Bool),
    legal_hold             Nullable(Bool),
    local_login            Nullable(Bool),
    locked                 Nullable(Bool),
    mfa                    Nullable(Bool),
    mailbox_type           LowCardinality(String),
    owner_id               String,
    owner_key              String,
    sponsor                String,
    purpose                String,
    password_never_expires Nullable(Bool),
    password_not_required  Nullable(Bool),
    forwards_externally    Nullable(Bool),
    has_spn                Nullable(Bool),
    active_sessions        Nullable(Int64),
    created_at             Nullable(DateTime64(3, 'UTC')),
    last_login_at          Nullable(DateTime64(3, 'UTC')),
    login_lag_days         Nullable(Int64),
    never_logged_in        Nullable(Bool),
    interactive_login_at   Nullable(DateTime64(3, 'UTC')),
    password_changed_at    Nullable(DateTime64(3, 'UTC')),
    disabled_at            Nullable(DateTime64(3, 'UTC')),
    expires_at             Nullable(DateTime64(3, 'UTC')),
    keys_known             Bool,
    attributes             Map(String, String),
    attributes_known       Bool
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(taken)
ORDER BY (source, snapshot, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- Credentials of accounts beside their passwords.
CREATE TABLE IF NOT EXISTS account_keys
(
    source       LowCardinality(String),
    snapshot     UInt64,
    taken        DateTime64(3, 'UTC'),
    account_id   String,
    id           String,
    kind         LowCardinality(String),
    active       Nullable(Bool),
    created_at   Nullable(DateTime64(3, 'UTC')),
    last_used_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(taken)
ORDER BY (source, snapshot, account_id, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- Entitlements.
CREATE TABLE IF NOT EXISTS entitlements
(
    source           LowCardinality(String),
    snapshot         UInt64,
    taken            DateTime64(3, 'UTC'),
    id               String,
    name             String,
    kind             LowCardinality(String),
    resource         String,
    privileged       Nullable(Bool),
    high_risk        Nullable(Bool),
    owner_id         String,
    owner_key        String,
    reviewed_at      Nullable(DateTime64(3, 'UTC')),
    tags             Array(String),
    tags_known       Bool,
    attributes       Map(String, String),
    attributes_known Bool
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(taken)
ORDER BY (source, snapshot, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- Direct grants; holder_kind is account or entitlement.
CREATE TABLE IF NOT EXISTS grants
(
    source         LowCardinality(String),
    snapshot       UInt64,
    taken          DateTime64(3, 'UTC'),
    holder_kind    LowCardinality(String),
    holder_id      String,
    entitlement_id String,
    granted_at     Nullable(DateTime64(3, 'UTC')),
    last_used_at   Nullable(DateTime64(3, 'UTC')),
    expires_at     Nullable(DateTime64(3, 'UTC')),
    reviewed_at    Nullable(DateTime64(3, 'UTC')),
    approved       Nullable(Bool)
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(taken)
ORDER BY (source, snapshot, holder_kind, holder_id, entitlement_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- Licenses.
CREATE TABLE IF NOT EXISTS licenses
(
    source     LowCardinality(String),
    snapshot   UInt64,
    taken      DateTime64(3, 'UTC'),
    sku        String,
    product    String,
    cost_month Nullable(Decimal(18, 4)),
    currency   LowCardinality(String),
    purchased  Nullable(Int64),
    renews_at  Nullable(DateTime64(3, 'UTC'))
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(taken)
ORDER BY (source, snapshot, sku)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- Seats of licenses.
CREATE TABLE IF NOT EXISTS seats
(
    source       LowCardinality(String),
    snapshot     UInt64,
    taken        DateTime64(3, 'UTC'),
    account_id   String,
    sku          LowCardinality(String),
    product      LowCardinality(String),
    cost_month   Nullable(Decimal(18, 4)),
    currency     LowCardinality(String),
    assigned_at  Nullable(DateTime64(3, 'UTC')),
    last_used_at Nullable(DateTime64(3, 'UTC')),
    never_used   Nullable(Bool)
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(taken)
ORDER BY (source, snapshot, account_id, sku)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- Last uses that were told apart from the thing used.
CREATE TABLE IF NOT EXISTS usage
(
    source         LowCardinality(String),
    snapshot       UInt64,
    taken          DateTime64(3, 'UTC'),
    account_id     String,
    sku            LowCardinality(String),
    entitlement_id String,
    last_used_at   Nullable(DateTime64(3, 'UTC')),
    never_used     Nullable(Bool)
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(taken)
ORDER BY (source, snapshot, account_id, sku, entitlement_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- Rows of the source that could not be read.
CREATE TABLE IF NOT EXISTS rejections
(
    source   LowCardinality(String),
    snapshot UInt64,
    taken    DateTime64(3, 'UTC'),
    n        UInt64,
    file     String,
    line     Int64,
    field    String,
    reason   String
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(taken)
ORDER BY (source, snapshot, n)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- When Lapse first saw an id: written when an accepted snapshot is published, kept for ever. An id can have several rows;
-- the least counts. id_hash is reinterpretAsUInt128(sipHash128(id)) for kind account and entitlement, and
-- reinterpretAsUInt128(sipHash128(holder_kind, holder_id, entitlement_id)) for kind grant.
CREATE TABLE IF NOT EXISTS first_seen
(
    source     LowCardinality(String),
    kind       LowCardinality(String),
    id_hash    UInt128,
    first_seen DateTime64(3, 'UTC'),
    snapshot   UInt64
)
ENGINE = MergeTree
ORDER BY (source, kind, id_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- +goose Down
SELECT 'a store is not downgraded: restore a backup';
