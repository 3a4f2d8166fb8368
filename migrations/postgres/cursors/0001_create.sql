-- The cursors of consumers: how far each has come in a log, and who may move it. Times are by the clock of the server.
--
-- Names in the form :"schema" are filled in when the migration is applied; psql understands them too. Nothing here
-- relies on search_path.

CREATE TABLE :"schema".tokens (
    one  integer PRIMARY KEY CHECK (one = 1),
    last bigint  NOT NULL CHECK (last >= 0)
);
COMMENT ON TABLE :"schema".tokens IS 'The last fencing token that was given for any cursor. It only grows, also when cursors are removed and created again.';
COMMENT ON COLUMN :"schema".tokens.one IS 'Always 1: there is one row.';
COMMENT ON COLUMN :"schema".tokens.last IS 'The last token.';
INSERT INTO :"schema".tokens (one, last) VALUES (1, 0);

CREATE TABLE :"schema".cursors (
    name       text COLLATE "C" PRIMARY KEY CHECK (name <> ''),
    log        uuid        NOT NULL,
    position   bigint      NOT NULL CHECK (position >= 0),
    event      uuid        NOT NULL,
    state      bytea,
    updated_at timestamptz NOT NULL,
    token      bigint      NOT NULL DEFAULT 0 CHECK (token >= 0),
    holder     text        NOT NULL DEFAULT '',
    expires_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50); -- room for new versions of a row in its page
COMMENT ON TABLE :"schema".cursors IS 'The cursors of consumers: how far each has come in a log, and who may move it.';
COMMENT ON COLUMN :"schema".cursors.name IS 'Name of the cursor.';
COMMENT ON COLUMN :"schema".cursors.log IS 'Id of the log that gave the position.';
COMMENT ON COLUMN :"schema".cursors.position IS 'Position of the last event that was handled; 0 before the first.';
COMMENT ON COLUMN :"schema".cursors.event IS 'Id of the event at position; all zero at 0.';
COMMENT ON COLUMN :"schema".cursors.state IS 'What the consumer keeps with its position; NULL for nothing.';
COMMENT ON COLUMN :"schema".cursors.updated_at IS 'When the cursor was last saved.';
COMMENT ON COLUMN :"schema".cursors.token IS 'Fencing token of the last lease; 0 before the first. It only grows.';
COMMENT ON COLUMN :"schema".cursors.holder IS 'Who has the last lease; empty when it was released.';
COMMENT ON COLUMN :"schema".cursors.expires_at IS 'When the last lease may be taken over.';
