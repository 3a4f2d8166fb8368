-- What the tables of projections stand on. The tables themselves are made by the projections, as numbered builds
-- (requirements__b3); readers see them through views (requirements) that point to the active build.
--
-- Names in the form :"schema" are filled in when the migration is applied; psql understands them too. Nothing here
-- relies on search_path.

CREATE TABLE :"schema".projection_counters (
    projection text COLLATE "C" PRIMARY KEY,
    builds     integer NOT NULL CHECK (builds >= 0),
    tokens     bigint  NOT NULL CHECK (tokens >= 0)
);
COMMENT ON TABLE :"schema".projection_counters IS 'How many builds and leases each projection ever had. Neither number is given twice, so that a number proves an order.';
COMMENT ON COLUMN :"schema".projection_counters.projection IS 'Name of the projection.';
COMMENT ON COLUMN :"schema".projection_counters.builds IS 'Builds that were ever begun; the number of the last one.';
COMMENT ON COLUMN :"schema".projection_counters.tokens IS 'Fencing tokens that were ever given; the last one.';

CREATE TABLE :"schema".projection_builds (
    projection     text COLLATE "C" NOT NULL REFERENCES :"schema".projection_counters (projection),
    build          integer     NOT NULL CHECK (build > 0),
    version        integer     NOT NULL CHECK (version > 0),
    state          text        NOT NULL CHECK (state IN ('filling', 'ready', 'active', 'retired')),
    log            uuid        NOT NULL,
    position       bigint      NOT NULL CHECK (position >= 0),
    event          uuid        NOT NULL,
    holder         text        NOT NULL,
    token          bigint      NOT NULL CHECK (token > 0),
    ttl            interval    NOT NULL CHECK (ttl > interval '0'),
    expires_at     timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    activated_at   timestamptz,
    since_at       timestamptz NOT NULL,
    since_position bigint      NOT NULL DEFAULT 0 CHECK (since_position >= 0),
    revived        boolean     NOT NULL DEFAULT false,
    cancelled_by   text,
    fault_position bigint,
    fault_event    uuid,
    fault_type     text,
    fault_text     text,
    fault_at       timestamptz,
    PRIMARY KEY (projection, build),
    CONSTRAINT projection_builds_fault CHECK (num_nulls(fault_position, fault_event, fault_type, fault_text, fault_at) IN (0, 5))
) WITH (fillfactor = 10); -- room for many versions of a row in its page: a page of rows moves a checkpoint
COMMENT ON TABLE :"schema".projection_builds IS 'The builds: each is one set of the tables of a projection. log, position and event are the checkpoint, which moves in the transaction that writes the rows, and only for the holder of the last token.';
COMMENT ON COLUMN :"schema".projection_builds.projection IS 'Name of the projection.';
COMMENT ON COLUMN :"schema".projection_builds.build IS 'Number of the build, from 1, never given twice.';
COMMENT ON COLUMN :"schema".projection_builds.version IS 'Version of the projection that the build is made with.';
COMMENT ON COLUMN :"schema".projection_builds.state IS 'filling (without indexes, nobody reads it), ready (catching up), active (what the views show) or retired (was active before).';
COMMENT ON COLUMN :"schema".projection_builds.log IS 'Id of the log that the build is made from; all zero before the first page.';
COMMENT ON COLUMN :"schema".projection_builds.position IS 'Position in the log of the last event that was folded; 0 before the first.';
COMMENT ON COLUMN :"schema".projection_builds.event IS 'Id of the event at position; all zero at 0.';
COMMENT ON COLUMN :"schema".projection_builds.holder IS 'Who has the last lease.';
COMMENT ON COLUMN :"schema".projection_builds.token IS 'Fencing token of the last lease; it only grows.';
COMMENT ON COLUMN :"schema".projection_builds.ttl IS 'How long the last lease outlives its last sign of life.';
COMMENT ON COLUMN :"schema".projection_builds.expires_at IS 'When the last lease may be taken over.';
COMMENT ON COLUMN :"schema".projection_builds.created_at IS 'When the build was begun.';
COMMENT ON COLUMN :"schema".projection_builds.updated_at IS 'When position last moved.';
COMMENT ON COLUMN :"schema".projection_builds.activated_at IS 'When the views were last pointed to the build; NULL for never.';
COMMENT ON COLUMN :"schema".projection_builds.since_at IS 'When the last lease was given.';
COMMENT ON COLUMN :"schema".projection_builds.since_position IS 'Where the build was then: from there to position is the work of one holder.';
COMMENT ON COLUMN :"schema".projection_builds.revived IS 'Whether a ready build was retired before.';
COMMENT ON COLUMN :"schema".projection_builds.cancelled_by IS 'Who cancelled the build while it was written; NULL for nobody.';
COMMENT ON COLUMN :"schema".projection_builds.fault_position IS 'Position of the event at which the projection stopped; NULL unless it did.';
COMMENT ON COLUMN :"schema".projection_builds.fault_event IS 'Id of that event.';
COMMENT ON COLUMN :"schema".projection_builds.fault_type IS 'Type of that event.';
COMMENT ON COLUMN :"schema".projection_builds.fault_text IS 'What went wrong.';
COMMENT ON COLUMN :"schema".projection_builds.fault_at IS 'When.';

CREATE UNIQUE INDEX projection_builds_active ON :"schema".projection_builds (projection) WHERE state = 'active';
COMMENT ON INDEX :"schema".projection_builds_active IS 'A projection has at most one active build.';

CREATE TABLE :"schema".build_tables (
    projection  text COLLATE "C" NOT NULL,
    build       integer NOT NULL,
    ordinal     integer NOT NULL CHECK (ordinal > 0),
    name        text COLLATE "C" NOT NULL,
    physical    text COLLATE "C" NOT NULL UNIQUE,
    append_only boolean NOT NULL,
    doc         text    NOT NULL,
    PRIMARY KEY (projection, build, ordinal),
    FOREIGN KEY (projection, build) REFERENCES :"schema".projection_builds (projection, build) ON DELETE CASCADE
);
COMMENT ON TABLE :"schema".build_tables IS 'The tables of each build.';
COMMENT ON COLUMN :"schema".build_tables.projection IS 'Name of the projection.';
COMMENT ON COLUMN :"schema".build_tables.build IS 'Number of the build.';
COMMENT ON COLUMN :"schema".build_tables.ordinal IS 'Place in the projection, parents before children, from 1.';
COMMENT ON COLUMN :"schema".build_tables.name IS 'Name of the view that readers use.';
COMMENT ON COLUMN :"schema".build_tables.physical IS 'Name of the table behind it.';
COMMENT ON COLUMN :"schema".build_tables.append_only IS 'Whether the table refuses UPDATE, DELETE and TRUNCATE.';
COMMENT ON COLUMN :"schema".build_tables.doc IS 'What the table holds.';

CREATE TABLE :"schema".build_columns (
    physical    text COLLATE "C" NOT NULL REFERENCES :"schema".build_tables (physical) ON DELETE CASCADE,
    ordinal     integer NOT NULL CHECK (ordinal > 0),
    name        text COLLATE "C" NOT NULL,
    type        text    NOT NULL CHECK (type IN ('text', 'integer', 'boolean', 'timestamp', 'json')),
    nullable    boolean NOT NULL,
    key_ordinal integer NOT NULL CHECK (key_ordinal >= 0),
    doc         text    NOT NULL,
    PRIMARY KEY (physical, ordinal)
);
COMMENT ON TABLE :"schema".build_columns IS 'The columns of the tables of each build.';
COMMENT ON COLUMN :"schema".build_columns.physical IS 'Name of the table.';
COMMENT ON COLUMN :"schema".build_columns.ordinal IS 'Place in the table, from 1.';
COMMENT ON COLUMN :"schema".build_columns.name IS 'Name of the column.';
COMMENT ON COLUMN :"schema".build_columns.type IS 'What the column holds: text, integer, boolean, timestamp or json.';
COMMENT ON COLUMN :"schema".build_columns.nullable IS 'Whether it may be NULL.';
COMMENT ON COLUMN :"schema".build_columns.key_ordinal IS 'Place in the primary key, from 1; 0 outside it.';
COMMENT ON COLUMN :"schema".build_columns.doc IS 'What the column says.';

CREATE TABLE :"schema".build_digests (
    projection text COLLATE "C" NOT NULL,
    build      integer NOT NULL,
    ordinal    integer NOT NULL CHECK (ordinal > 0),
    name       text COLLATE "C" NOT NULL,
    position   bigint  NOT NULL CHECK (position >= 0),
    row_count  bigint  NOT NULL CHECK (row_count >= 0),
    sha256     text    NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    PRIMARY KEY (projection, build, ordinal),
    FOREIGN KEY (projection, build) REFERENCES :"schema".projection_builds (projection, build) ON DELETE CASCADE
);
COMMENT ON TABLE :"schema".build_digests IS 'The digests of the tables of each build when it was activated.';
COMMENT ON COLUMN :"schema".build_digests.projection IS 'Name of the projection.';
COMMENT ON COLUMN :"schema".build_digests.build IS 'Number of the build.';
COMMENT ON COLUMN :"schema".build_digests.ordinal IS 'Place of the table in the projection, from 1.';
COMMENT ON COLUMN :"schema".build_digests.name IS 'Name of the table.';
COMMENT ON COLUMN :"schema".build_digests.position IS 'Position in the log that the digest belongs to.';
COMMENT ON COLUMN :"schema".build_digests.row_count IS 'Rows of the table.';
COMMENT ON COLUMN :"schema".build_digests.sha256 IS 'SHA-256 over the canonical form of every row in the order of the key, the same in every database.';

CREATE TABLE :"schema".projection_holds (
    projection text COLLATE "C" PRIMARY KEY,
    held_by    text        NOT NULL,
    reason     text        NOT NULL,
    held_at    timestamptz NOT NULL
);
COMMENT ON TABLE :"schema".projection_holds IS 'Projections whose active build an administrator holds as it is.';
COMMENT ON COLUMN :"schema".projection_holds.projection IS 'Name of the projection.';
COMMENT ON COLUMN :"schema".projection_holds.held_by IS 'Who asked for it.';
COMMENT ON COLUMN :"schema".projection_holds.reason IS 'Why.';
COMMENT ON COLUMN :"schema".projection_holds.held_at IS 'Since when.';

CREATE TABLE :"schema".kept_acts (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text COLLATE "C" NOT NULL UNIQUE,
    projection text COLLATE "C" NOT NULL,
    build      integer NOT NULL CHECK (build >= 0),
    act        json    NOT NULL
);
COMMENT ON TABLE :"schema".kept_acts IS 'Acts of administrators, each kept by the transaction that does it and forgotten when the log has it.';
COMMENT ON COLUMN :"schema".kept_acts.number IS 'Order in which they were first kept.';
COMMENT ON COLUMN :"schema".kept_acts.id IS 'Id of the act.';
COMMENT ON COLUMN :"schema".kept_acts.projection IS 'Name of the projection that it works on.';
COMMENT ON COLUMN :"schema".kept_acts.build IS 'Number of the build that it works on; 0 for none.';
COMMENT ON COLUMN :"schema".kept_acts.act IS 'The act as the log will have it; without an outcome while it is under way.';

-- For people: what they can read, what it means, and how far it is.
CREATE VIEW :"schema".catalogue AS
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
FROM :"schema".build_tables t
JOIN :"schema".projection_builds b ON b.projection = t.projection AND b.build = t.build AND b.state = 'active'
JOIN :"schema".build_columns c ON c.physical = t.physical
ORDER BY t.name, c.ordinal;
COMMENT ON VIEW :"schema".catalogue IS 'Every column that a reader can see, and what it means.';
COMMENT ON COLUMN :"schema".catalogue.table_name IS 'Name of the table.';
COMMENT ON COLUMN :"schema".catalogue.table_doc IS 'What the table holds.';
COMMENT ON COLUMN :"schema".catalogue.ordinal IS 'Place of the column in the table, from 1.';
COMMENT ON COLUMN :"schema".catalogue.column_name IS 'Name of the column.';
COMMENT ON COLUMN :"schema".catalogue.type IS 'What the column holds: text, integer, boolean, timestamp or json.';
COMMENT ON COLUMN :"schema".catalogue.nullable IS 'Whether it may be NULL.';
COMMENT ON COLUMN :"schema".catalogue.key_ordinal IS 'Place in the primary key, from 1; 0 outside it.';
COMMENT ON COLUMN :"schema".catalogue.column_doc IS 'What the column says.';
COMMENT ON COLUMN :"schema".catalogue.projection IS 'Projection that writes the table.';
COMMENT ON COLUMN :"schema".catalogue.append_only IS 'Whether the table refuses UPDATE, DELETE and TRUNCATE.';

CREATE VIEW :"schema".catalogue_builds AS
SELECT projection, build, version, state, log, position, event, updated_at, activated_at
FROM :"schema".projection_builds
ORDER BY projection, build;
COMMENT ON VIEW :"schema".catalogue_builds IS 'How far the tables of each projection are: the active build is what readers see.';
COMMENT ON COLUMN :"schema".catalogue_builds.projection IS 'Name of the projection.';
COMMENT ON COLUMN :"schema".catalogue_builds.build IS 'Number of the build.';
COMMENT ON COLUMN :"schema".catalogue_builds.version IS 'Version of the projection that the build is made with.';
COMMENT ON COLUMN :"schema".catalogue_builds.state IS 'filling, ready, active or retired.';
COMMENT ON COLUMN :"schema".catalogue_builds.log IS 'Id of the log that the build is made from.';
COMMENT ON COLUMN :"schema".catalogue_builds.position IS 'Position in the log up to which the rows show it.';
COMMENT ON COLUMN :"schema".catalogue_builds.event IS 'Id of the event at position.';
COMMENT ON COLUMN :"schema".catalogue_builds.updated_at IS 'When position last moved.';
COMMENT ON COLUMN :"schema".catalogue_builds.activated_at IS 'When the views were last pointed to the build.';

CREATE FUNCTION :"schema".refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: it refuses %', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION :"schema".refuse() IS 'Trigger of append-only tables: refuses UPDATE, DELETE and TRUNCATE to everybody.';

CREATE FUNCTION :"schema".only_grow() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR NEW.builds < OLD.builds OR NEW.tokens < OLD.tokens OR NEW.projection <> OLD.projection THEN
        RAISE EXCEPTION '% only grow', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION :"schema".only_grow() IS 'Trigger of projection_counters: a number that was given stays given.';

CREATE FUNCTION :"schema".fenced() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.token < OLD.token THEN
        RAISE EXCEPTION 'a fencing token only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION :"schema".fenced() IS 'Trigger of projection_builds: a fencing token only grows.';

CREATE TRIGGER projection_counters_grow BEFORE UPDATE OR DELETE ON :"schema".projection_counters
FOR EACH ROW EXECUTE FUNCTION :"schema".only_grow();
CREATE TRIGGER projection_counters_stay BEFORE TRUNCATE ON :"schema".projection_counters
FOR EACH STATEMENT EXECUTE FUNCTION :"schema".refuse();
CREATE TRIGGER projection_builds_fenced BEFORE UPDATE ON :"schema".projection_builds
FOR EACH ROW EXECUTE FUNCTION :"schema".fenced();

-- ALWAYS: session_replication_role = replica, with which a superuser switches triggers off, does not switch these off.
ALTER TABLE :"schema".projection_counters ENABLE ALWAYS TRIGGER projection_counters_grow;
ALTER TABLE :"schema".projection_counters ENABLE ALWAYS TRIGGER projection_counters_stay;
ALTER TABLE :"schema".projection_builds ENABLE ALWAYS TRIGGER projection_builds_fenced;

-- A view names the state of the build that it shows, as the snapshot of the reader has it. A reader whose snapshot is
-- older than the swap would see rows of the new build as they were while it was filled: it is told to begin again.
CREATE FUNCTION :"schema".shown(state text, name text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF state IS DISTINCT FROM 'active' THEN
        RAISE EXCEPTION 'table % was replaced after this transaction began: begin it again', name USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION :"schema".shown(text, text) IS 'Guard of the views: true while the build that a view points to is active as the reader sees it, an error otherwise.';

CREATE FUNCTION :"schema".words(VARIADIC texts text[]) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.to_tsvector('pg_catalog.simple'::pg_catalog.regconfig, pg_catalog."left"(pg_catalog.array_to_string(texts, ' '), 100000))
$$;
COMMENT ON FUNCTION :"schema".words(text[]) IS 'The words of some texts, for full-text search: WHERE words(title, fields ->> ''description'') @@ websearch_to_tsquery(''simple'', ''audit trail'').';
