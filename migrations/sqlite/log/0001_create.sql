-- The log. Every table but snapshots is append-only (I10): triggers refuse UPDATE, DELETE, and the INSERT OR REPLACE
-- that would delete without firing a DELETE trigger.

-- Who this log is, for ever (I14). One row, written at creation.
CREATE TABLE log (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         BLOB    NOT NULL CHECK (length(id) = 16), -- UUID
    created_at INTEGER NOT NULL                          -- microseconds since 1970, UTC
);

-- Names of streams. Events carry the short id.
CREATE TABLE streams (
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
);

-- What the events of one append share. first is the position of its first event.
CREATE TABLE batches (
    first       INTEGER PRIMARY KEY,
    size        INTEGER NOT NULL CHECK (size > 0), -- events
    recorded_at INTEGER NOT NULL,                  -- microseconds since 1970, UTC; never falls from one batch to the next
    meta        TEXT    NOT NULL                   -- JSON: actor, reason, scan and so on, without index and size
);

-- One row for each event. Positions are 1, 2, 3 ... in commit order (I3): a missing one is corruption.
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    batch    INTEGER NOT NULL REFERENCES batches (first),
    stream   INTEGER NOT NULL REFERENCES streams (id),
    revision INTEGER NOT NULL,
    id       BLOB    NOT NULL CHECK (length(id) = 16), -- UUID
    type     TEXT    NOT NULL,
    data     BLOB    NOT NULL,                         -- JSON, byte for byte as appended
    checksum BLOB    NOT NULL CHECK (length(checksum) = 32) -- SHA-256 over the whole record, see eventstore/sqlite
);

-- An id is held once (I4). Ids begin with a time, so that this index grows at its end.
CREATE UNIQUE INDEX events_id ON events (id);
CREATE UNIQUE INDEX events_stream ON events (stream, revision);

-- The original bytes of scanned files, once for each hash (I12).
CREATE TABLE contents (
    sha256   BLOB    PRIMARY KEY CHECK (length(sha256) = 32), -- of the bytes before encoding
    size     INTEGER NOT NULL CHECK (size >= 0),              -- of the bytes before encoding
    encoding INTEGER NOT NULL CHECK (encoding IN (0, 1)),     -- 0 as they are, 1 zstd
    bytes    BLOB    NOT NULL
);

-- Folded states, a cache: the one table that may be written over, emptied or lost.
CREATE TABLE snapshots (
    stream   TEXT    PRIMARY KEY,
    revision INTEGER NOT NULL,
    event_id BLOB    NOT NULL,
    version  INTEGER NOT NULL,
    data     BLOB    NOT NULL
);

-- For people who read the log with any SQLite tool.
CREATE VIEW readable_events AS
SELECT e.position,
       s.name AS stream,
       e.revision,
       e.type,
       strftime('%Y-%m-%dT%H:%M:%S', b.recorded_at / 1000000, 'unixepoch')
           || printf('.%06dZ', b.recorded_at % 1000000) AS recorded_at,
       b.meta,
       e.position - b.first AS batch_index,
       b.size AS batch_size,
       CAST(e.data AS TEXT) AS data,
       lower(hex(e.id)) AS id
FROM events AS e
JOIN batches AS b ON b.first = e.batch
JOIN streams AS s ON s.id = e.stream;

CREATE TRIGGER log_no_update BEFORE UPDATE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only: log'); END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only: log'); END;
CREATE TRIGGER log_no_replace BEFORE INSERT ON log WHEN EXISTS (SELECT 1 FROM log)
BEGIN SELECT RAISE(ABORT, 'the log is append-only: log'); END;

CREATE TRIGGER streams_no_update BEFORE UPDATE ON streams
BEGIN SELECT RAISE(ABORT, 'the log is append-only: streams'); END;
CREATE TRIGGER streams_no_delete BEFORE DELETE ON streams
BEGIN SELECT RAISE(ABORT, 'the log is append-only: streams'); END;
CREATE TRIGGER streams_no_replace BEFORE INSERT ON streams
WHEN EXISTS (SELECT 1 FROM streams WHERE id = NEW.id OR name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'the log is append-only: streams'); END;

CREATE TRIGGER batches_no_update BEFORE UPDATE ON batches
BEGIN SELECT RAISE(ABORT, 'the log is append-only: batches'); END;
CREATE TRIGGER batches_no_delete BEFORE DELETE ON batches
BEGIN SELECT RAISE(ABORT, 'the log is append-only: batches'); END;
CREATE TRIGGER batches_no_replace BEFORE INSERT ON batches
WHEN EXISTS (SELECT 1 FROM batches WHERE first = NEW.first)
BEGIN SELECT RAISE(ABORT, 'the log is append-only: batches'); END;

CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the log is append-only: events'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the log is append-only: events'); END;
CREATE TRIGGER events_no_replace BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE position = NEW.position)
    OR EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM events WHERE stream = NEW.stream AND revision = NEW.revision)
BEGIN SELECT RAISE(ABORT, 'the log is append-only: events'); END;

CREATE TRIGGER contents_no_update BEFORE UPDATE ON contents
BEGIN SELECT RAISE(ABORT, 'the log is append-only: contents'); END;
CREATE TRIGGER contents_no_delete BEFORE DELETE ON contents
BEGIN SELECT RAISE(ABORT, 'the log is append-only: contents'); END;
CREATE TRIGGER contents_no_replace BEFORE INSERT ON contents
WHEN EXISTS (SELECT 1 FROM contents WHERE sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'the log is append-only: contents'); END;
