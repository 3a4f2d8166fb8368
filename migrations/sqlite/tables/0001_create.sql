-- What the tables of projections stand on. The tables themselves are made by the projections, as numbered builds
-- (requirements__b3); readers see them through views (requirements) that point to the active build.

-- How many builds and leases each projection ever had. Neither number is given twice, so that a number proves an order.
CREATE TABLE projection_counters (
    projection TEXT    NOT NULL PRIMARY KEY,
    builds     INTEGER NOT NULL CHECK (builds >= 0),
    tokens     INTEGER NOT NULL CHECK (tokens >= 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER projection_counters_grow BEFORE UPDATE ON projection_counters
WHEN NEW.builds < OLD.builds OR NEW.tokens < OLD.tokens OR NEW.projection <> OLD.projection
BEGIN SELECT RAISE(ABORT, 'projection_counters only grow'); END;
CREATE TRIGGER projection_counters_stay BEFORE DELETE ON projection_counters
BEGIN SELECT RAISE(ABORT, 'projection_counters only grow'); END;

-- The builds. log, position and event are the checkpoint: it moves in the transaction that writes the rows (I5), and
-- only for the holder of the last token (I8). Times are UTC.
CREATE TABLE projection_builds (
    projection     TEXT    NOT NULL REFERENCES projection_counters (projection),
    build          INTEGER NOT NULL CHECK (build > 0),
    version        INTEGER NOT NULL CHECK (version > 0), -- of the projection
    state          TEXT    NOT NULL CHECK (state IN ('filling', 'ready', 'active', 'retired')),
    log            TEXT    NOT NULL,                      -- UUID; all zero before the first page
    position       INTEGER NOT NULL CHECK (position >= 0),
    event          TEXT    NOT NULL,                      -- id of the event at position; all zero at 0
    holder         TEXT    NOT NULL,                      -- who has the last lease
    token          INTEGER NOT NULL CHECK (token > 0),    -- of the last lease
    ttl            INTEGER NOT NULL CHECK (ttl > 0),      -- of the last lease, microseconds
    expires_at     TEXT    NOT NULL,                      -- of the last lease
    created_at     TEXT    NOT NULL,
    updated_at     TEXT    NOT NULL,                      -- when position last moved
    activated_at   TEXT,
    fault_position INTEGER,                               -- the event at which the projection stopped
    fault_event    TEXT,
    fault_type     TEXT,
    fault_text     TEXT,
    fault_at       TEXT,
    PRIMARY KEY (projection, build)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX projection_builds_active ON projection_builds (projection) WHERE state = 'active';

CREATE TRIGGER projection_builds_fenced BEFORE UPDATE OF token ON projection_builds
WHEN NEW.token < OLD.token
BEGIN SELECT RAISE(ABORT, 'a fencing token only grows'); END;

-- The tables of each build, and what they and their columns mean.
CREATE TABLE build_tables (
    projection  TEXT    NOT NULL,
    build       INTEGER NOT NULL,
    ordinal     INTEGER NOT NULL, -- parents before children, from 1
    name        TEXT    NOT NULL, -- of the view
    physical    TEXT    NOT NULL UNIQUE,
    append_only INTEGER NOT NULL CHECK (append_only IN (0, 1)),
    doc         TEXT    NOT NULL,
    PRIMARY KEY (projection, build, ordinal),
    FOREIGN KEY (projection, build) REFERENCES projection_builds (projection, build) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE build_columns (
    physical    TEXT    NOT NULL REFERENCES build_tables (physical) ON DELETE CASCADE,
    ordinal     INTEGER NOT NULL, -- from 1
    name        TEXT    NOT NULL,
    type        TEXT    NOT NULL CHECK (type IN ('text', 'integer', 'boolean', 'timestamp', 'json')),
    nullable    INTEGER NOT NULL CHECK (nullable IN (0, 1)),
    key_ordinal INTEGER NOT NULL, -- place in the primary key, from 1; 0 outside it
    doc         TEXT    NOT NULL,
    PRIMARY KEY (physical, ordinal)
) STRICT, WITHOUT ROWID;

-- The digests of each build when it was activated.
CREATE TABLE build_digests (
    projection TEXT    NOT NULL,
    build      INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    position   INTEGER NOT NULL, -- of the checkpoint that the digest belongs to
    row_count  INTEGER NOT NULL CHECK (row_count >= 0),
    sha256     TEXT    NOT NULL CHECK (length(sha256) = 64),
    PRIMARY KEY (projection, build, ordinal),
    FOREIGN KEY (projection, build) REFERENCES projection_builds (projection, build) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- For people: every column that a reader can see, and what it means.
CREATE VIEW catalogue AS
SELECT t.name AS table_name,
       t.doc  AS table_doc,
       c.ordinal,
       c.name AS column_name,
       c.type,
       c.nullable,
       c.key_ordinal,
       c.doc  AS column_doc,
       t.projection,
       t.append_only
FROM build_tables t
JOIN projection_builds b ON b.projection = t.projection AND b.build = t.build AND b.state = 'active'
JOIN build_columns c ON c.physical = t.physical
ORDER BY t.name, c.ordinal;
