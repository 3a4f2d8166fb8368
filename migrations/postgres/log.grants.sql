-- What the role that runs the engine may do: read, append, move the counter row, and keep snapshots. Nothing else.
GRANT USAGE ON SCHEMA :"schema" TO :"writer";
GRANT SELECT ON :"schema".schema_migrations, :"schema".log, :"schema".readable_events TO :"writer";
GRANT SELECT, INSERT ON :"schema".streams, :"schema".batches, :"schema".events, :"schema".contents TO :"writer";
GRANT SELECT, UPDATE (position, recorded_at, streams) ON :"schema".head TO :"writer";
GRANT SELECT, INSERT, UPDATE, DELETE ON :"schema".snapshots TO :"writer";
