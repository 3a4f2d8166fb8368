-- A checkpoint says in which stream its event stands, and where in it, so that the log can be asked for that event without
-- a position that it may never have given (I19).

ALTER TABLE :"schema".projection_builds
    ADD COLUMN stream   text COLLATE "C",
    ADD COLUMN revision bigint CHECK (revision >= 0);
COMMENT ON TABLE :"schema".projection_builds IS 'The builds: each is one set of the tables of a projection. log, position, event, stream and revision are the checkpoint, which moves in the transaction that writes the rows, and only for the holder of the last token.';
COMMENT ON COLUMN :"schema".projection_builds.stream IS 'Stream of the event at position; NULL at 0, and until a page is written over a checkpoint of an older version.';
COMMENT ON COLUMN :"schema".projection_builds.revision IS 'Revision of that event in its stream.';

CREATE OR REPLACE VIEW :"schema".catalogue_builds AS
SELECT projection, build, version, state, log, position, event, updated_at, activated_at, stream, revision
FROM :"schema".projection_builds
ORDER BY projection, build;
COMMENT ON COLUMN :"schema".catalogue_builds.stream IS 'Stream of that event; NULL where an older version wrote the rows.';
COMMENT ON COLUMN :"schema".catalogue_builds.revision IS 'Revision of that event in its stream.';
