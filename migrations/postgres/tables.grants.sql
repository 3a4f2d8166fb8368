-- What the role that projects may do: make and drop builds, which it then owns, and keep account of them. Nothing else,
-- and nothing on a log.
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"writer";
GRANT SELECT ON :"schema".schema_migrations, :"schema".catalogue, :"schema".catalogue_builds TO :"writer";
GRANT SELECT, INSERT, UPDATE ON :"schema".projection_counters TO :"writer";
GRANT SELECT, INSERT, UPDATE, DELETE ON :"schema".projection_builds, :"schema".build_tables, :"schema".build_columns,
    :"schema".build_digests, :"schema".projection_holds, :"schema".kept_acts TO :"writer";
