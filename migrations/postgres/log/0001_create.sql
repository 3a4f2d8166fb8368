-- The log. Every table but head and snapshots is append-only (I10): triggers refuse UPDATE, DELETE and TRUNCATE to
-- everybody, the owner included, and the role that appends has no right to any of them.
--
-- Names in the form :"schema" are filled in when the migration is applied; psql understands them too. Nothing here
-- relies on search_path.

-- Who this log is, for ever (I14). One row.
CREATE TABLE :"schema".log (
    one        smallint    PRIMARY KEY CHECK (one = 1),
    id         uuid        NOT NULL,
    created_at timestamptz NOT NULL
);

-- The counter row. An append holds its lock until it commits, so that positions are given in commit order and without a
-- gap (I3): a rolled back append gives its numbers back.
CREATE TABLE :"schema".head (
    one         smallint    PRIMARY KEY CHECK (one = 1),
    position    bigint      NOT NULL CHECK (position >= 0), -- of the last event
    recorded_at timestamptz NOT NULL,                       -- of the last batch
    streams     bigint      NOT NULL CHECK (streams >= 0)   -- id of the last stream
) WITH (fillfactor = 10); -- room for many versions of the row in its page: no index is touched by an update

-- Names of streams. Batches carry the short id.
CREATE TABLE :"schema".streams (
    id   bigint           PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT streams_name UNIQUE
);

-- What the events of one append share. The batch holds the positions first, first+1 ... first+size-1 and, of its stream,
-- the revisions from revision on. There are no foreign keys: rows never go away, every reader checks that batches and
-- events adjoin, and a check for each row would cost a third of the throughput.
CREATE TABLE :"schema".batches (
    first       bigint      PRIMARY KEY CHECK (first > 0),
    size        integer     NOT NULL CHECK (size > 0), -- events
    stream      bigint      NOT NULL,
    revision    bigint      NOT NULL CHECK (revision >= 0),
    recorded_at timestamptz NOT NULL, -- the engine's clock; never falls from one batch to the next
    meta        text        NOT NULL, -- JSON: actor, reason, scan and so on, without index and size
    CONSTRAINT batches_stream UNIQUE (stream, revision)
);

-- One row for each event. Positions are 1, 2, 3 ... in commit order (I3): a missing one is corruption.
CREATE TABLE :"schema".events (
    position bigint PRIMARY KEY CHECK (position > 0),
    id       uuid   NOT NULL CONSTRAINT events_id UNIQUE, -- held once (I4); ids begin with a time: the index grows at its end
    type     text   NOT NULL,
    data     bytea  NOT NULL,                                    -- JSON, byte for byte as appended
    checksum bytea  NOT NULL CHECK (octet_length(checksum) = 32) -- SHA-256 over the whole record, see eventstore/postgres
);

-- The original bytes of scanned files, once for each hash (I12).
CREATE TABLE :"schema".contents (
    sha256   bytea    PRIMARY KEY CHECK (octet_length(sha256) = 32), -- of the bytes before encoding
    size     bigint   NOT NULL CHECK (size >= 0),                    -- of the bytes before encoding
    encoding smallint NOT NULL CHECK (encoding IN (0, 1)),           -- 0 as they are, 1 zstd
    bytes    bytea    NOT NULL
);
ALTER TABLE :"schema".contents ALTER COLUMN bytes SET STORAGE EXTERNAL; -- compressed already where that helps

-- Folded states, a cache: the one table that may be written over, emptied or lost.
CREATE TABLE :"schema".snapshots (
    stream   text COLLATE "C" PRIMARY KEY,
    revision bigint  NOT NULL,
    event_id uuid    NOT NULL,
    version  bigint  NOT NULL,
    data     bytea   NOT NULL
);

INSERT INTO :"schema".log (one, id, created_at) VALUES (1, gen_random_uuid(), now());
INSERT INTO :"schema".head (one, position, recorded_at, streams) VALUES (1, 0, '1970-01-01T00:00:00Z', 0);

-- For people who read the log with any PostgreSQL tool.
CREATE VIEW :"schema".readable_events AS
SELECT e.position,
       s.name AS stream,
       b.revision + (e.position - b.first) AS revision,
       e.type,
       b.recorded_at,
       b.meta,
       e.position - b.first AS batch_index,
       b.size AS batch_size,
       convert_from(e.data, 'UTF8') AS data,
       e.id
FROM :"schema".batches AS b
JOIN :"schema".streams AS s ON s.id = b.stream
JOIN :"schema".events AS e ON e.position >= b.first AND e.position < b.first + b.size;

CREATE FUNCTION :"schema".refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % refuses %', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION :"schema".only_forward() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.position < OLD.position OR NEW.recorded_at < OLD.recorded_at OR NEW.streams < OLD.streams OR NEW.one <> OLD.one THEN
        RAISE EXCEPTION 'the log is append-only: % only goes forward', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER log_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON :"schema".log
FOR EACH STATEMENT EXECUTE FUNCTION :"schema".refuse();
CREATE TRIGGER streams_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON :"schema".streams
FOR EACH STATEMENT EXECUTE FUNCTION :"schema".refuse();
CREATE TRIGGER batches_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON :"schema".batches
FOR EACH STATEMENT EXECUTE FUNCTION :"schema".refuse();
CREATE TRIGGER events_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON :"schema".events
FOR EACH STATEMENT EXECUTE FUNCTION :"schema".refuse();
CREATE TRIGGER contents_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON :"schema".contents
FOR EACH STATEMENT EXECUTE FUNCTION :"schema".refuse();
CREATE TRIGGER head_refuses BEFORE DELETE OR TRUNCATE ON :"schema".head
FOR EACH STATEMENT EXECUTE FUNCTION :"schema".refuse();
CREATE TRIGGER head_forward BEFORE UPDATE ON :"schema".head
FOR EACH ROW EXECUTE FUNCTION :"schema".only_forward();

-- ALWAYS: session_replication_role = replica, with which a superuser switches triggers off, does not switch these off.
ALTER TABLE :"schema".log ENABLE ALWAYS TRIGGER log_refuses;
ALTER TABLE :"schema".streams ENABLE ALWAYS TRIGGER streams_refuses;
ALTER TABLE :"schema".batches ENABLE ALWAYS TRIGGER batches_refuses;
ALTER TABLE :"schema".events ENABLE ALWAYS TRIGGER events_refuses;
ALTER TABLE :"schema".contents ENABLE ALWAYS TRIGGER contents_refuses;
ALTER TABLE :"schema".head ENABLE ALWAYS TRIGGER head_refuses;
ALTER TABLE :"schema".head ENABLE ALWAYS TRIGGER head_forward;
