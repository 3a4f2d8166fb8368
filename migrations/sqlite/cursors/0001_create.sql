-- The cursors of consumers: how far each has come in a log, and who may move it. Times are microseconds since 1970, UTC, by the
-- clock of this database.

-- The last fencing token that was given for any cursor. It only grows, also when cursors are removed and created again.
CREATE TABLE tokens (
    one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    last INTEGER NOT NULL CHECK (last >= 0)
) STRICT;
INSERT INTO tokens (one, last) VALUES (1, 0);

CREATE TRIGGER tokens_grow BEFORE UPDATE ON tokens WHEN NEW.last <= OLD.last
BEGIN SELECT RAISE(ABORT, 'tokens only grow'); END;
CREATE TRIGGER tokens_stay BEFORE DELETE ON tokens
BEGIN SELECT RAISE(ABORT, 'tokens only grow'); END;

CREATE TABLE cursors (
    name       TEXT    NOT NULL PRIMARY KEY CHECK (name <> ''),
    log        BLOB    NOT NULL CHECK (length(log) = 16),   -- UUID of the log that gave position
    position   INTEGER NOT NULL CHECK (position >= 0),      -- of the last event that was handled; 0 before the first
    event      BLOB    NOT NULL CHECK (length(event) = 16), -- UUID of that event; all zero at 0
    state      BLOB,                                        -- what the consumer keeps with its position
    updated_at INTEGER NOT NULL,
    token      INTEGER NOT NULL DEFAULT 0 CHECK (token >= 0), -- of the last lease; 0 before the first
    holder     TEXT    NOT NULL DEFAULT '',                 -- who has the last lease; '' when it was released
    expires_at INTEGER NOT NULL DEFAULT 0                   -- when the last lease may be taken over
) STRICT, WITHOUT ROWID;

CREATE TRIGGER cursors_of_one_log BEFORE UPDATE OF name, log ON cursors WHEN NEW.log <> OLD.log OR NEW.name <> OLD.name
BEGIN SELECT RAISE(ABORT, 'a cursor belongs to one log'); END;
CREATE TRIGGER cursors_fenced BEFORE UPDATE OF token ON cursors WHEN NEW.token < OLD.token
BEGIN SELECT RAISE(ABORT, 'tokens only grow'); END;
