-- The log. Every table but snapshots is append-only (I10): triggers refuse UPDATE and DELETE, and the INSERT OR REPLACE
-- that would delete without firing a DELETE trigger.

-- Who this log is, for ever (I14). One row, written at creation.
CREATE TABLE log (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         BLOB    NOT NULL CHECK (length(id) = 16), -- UUID
    created_at INTEGER NOT NULL                          -- microseconds since 1970, UTC
);

-- Names of streams. Chunks carry the short id.
CREATE TABLE streams (
    id   INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
);

-- The events, in runs: a chunk is up to 64 events of one batch. A row for each event would cost three times as much to
-- write and to read; the view readable_events shows one. Positions are 1, 2, 3 ... in commit order (I3), revisions
-- 0, 1, 2 ... in each stream: a missing one is corruption.
CREATE TABLE chunks (
    last          INTEGER PRIMARY KEY,                   -- position of the last event of the chunk
    size          INTEGER NOT NULL CHECK (size > 0),     -- events
    stream        INTEGER NOT NULL REFERENCES streams (id),
    last_revision INTEGER NOT NULL,                      -- of the last event
    batch_first   INTEGER NOT NULL,                      -- position of the first event of the batch
    batch_size    INTEGER NOT NULL,                      -- events
    recorded_at   INTEGER NOT NULL,                      -- microseconds since 1970, UTC; never falls
    meta          TEXT    NOT NULL,                      -- JSON: actor, reason, scan and so on, of the batch
    ids           BLOB    NOT NULL CHECK (length(ids) = 16 * size), -- UUIDs, one after the other
    types         TEXT    NOT NULL,                      -- JSON array: the type of each event
    lengths       TEXT    NOT NULL,                      -- JSON array: the bytes of each event's data
    data          BLOB    NOT NULL,                      -- JSON array: the data, byte for byte as appended
    checksum      BLOB    NOT NULL CHECK (length(checksum) = 32) -- SHA-256 over all of it: chunk.go says how
);
CREATE UNIQUE INDEX chunks_stream ON chunks (stream, last_revision);

-- An id is held once (I4). Ids begin with a time, so that the tree grows at its end.
CREATE TABLE event_ids (
    id    BLOB    PRIMARY KEY,
    batch INTEGER NOT NULL -- position of the first event of its batch
) WITHOUT ROWID;

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

-- One row for each event, for people who read the log with any SQLite tool.
CREATE VIEW readable_events AS
SELECT c.last - c.size + 1 + d.key AS position,
       s.name AS stream,
       c.last_revision - c.size + 1 + d.key AS revision,
       t.value AS type,
       strftime('%Y-%m-%dT%H:%M:%S', c.recorded_at / 1000000, 'unixepoch')
           || printf('.%06dZ', c.recorded_at % 1000000) AS recorded_at,
       c.meta,
       c.last - c.size + 1 + d.key - c.batch_first AS batch_index,
       c.batch_size,
       d.value AS data,
       lower(hex(substr(c.ids, 16 * d.key + 1, 16))) AS id
FROM chunks AS c
JOIN streams AS s ON s.id = c.stream
JOIN json_each(CAST(c.data AS TEXT)) AS d
JOIN json_each(c.types) AS t ON t.key = d.key;

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

CREATE TRIGGER chunks_no_update BEFORE UPDATE ON chunks
BEGIN SELECT RAISE(ABORT, 'the log is append-only: chunks'); END;
CREATE TRIGGER chunks_no_delete BEFORE DELETE ON chunks
BEGIN SELECT RAISE(ABORT, 'the log is append-only: chunks'); END;
-- A chunk goes to the end of the log and to the end of its stream, so it can replace nothing and leave no gap.
CREATE TRIGGER chunks_only_append BEFORE INSERT ON chunks
WHEN NEW.last - NEW.size <> coalesce((SELECT max(last) FROM chunks), 0)
    OR NEW.last_revision - NEW.size <> coalesce((SELECT max(last_revision) FROM chunks WHERE stream = NEW.stream), -1)
    OR NEW.recorded_at < (SELECT recorded_at FROM chunks ORDER BY last DESC LIMIT 1)
BEGIN SELECT RAISE(ABORT, 'the log is append-only: chunks'); END;

CREATE TRIGGER event_ids_no_update BEFORE UPDATE ON event_ids
BEGIN SELECT RAISE(ABORT, 'the log is append-only: event_ids'); END;
CREATE TRIGGER event_ids_no_delete BEFORE DELETE ON event_ids
BEGIN SELECT RAISE(ABORT, 'the log is append-only: event_ids'); END;
-- No third trigger: a replaced row would still hold its id, and the check would cost a fifth of an append.

CREATE TRIGGER contents_no_update BEFORE UPDATE ON contents
BEGIN SELECT RAISE(ABORT, 'the log is append-only: contents'); END;
CREATE TRIGGER contents_no_delete BEFORE DELETE ON contents
BEGIN SELECT RAISE(ABORT, 'the log is append-only: contents'); END;
CREATE TRIGGER contents_no_replace BEFORE INSERT ON contents
WHEN EXISTS (SELECT 1 FROM contents WHERE sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'the log is append-only: contents'); END;
