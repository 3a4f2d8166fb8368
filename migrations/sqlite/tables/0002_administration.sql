-- How administrators steer projections, and what they did until the log has it.

-- Where the last lease began: from there to the checkpoint is the work of one holder.
ALTER TABLE projection_builds ADD COLUMN since_at TEXT;
ALTER TABLE projection_builds ADD COLUMN since_position INTEGER NOT NULL DEFAULT 0 CHECK (since_position >= 0);
-- A ready build that was retired before. Nobody's ruin: it is retired again.
ALTER TABLE projection_builds ADD COLUMN revived INTEGER NOT NULL DEFAULT 0 CHECK (revived IN (0, 1));
-- Who cancelled the build while it was written. No write of its holder passes from then on.
ALTER TABLE projection_builds ADD COLUMN cancelled_by TEXT;

-- Projections whose active build is held as it is.
CREATE TABLE projection_holds (
    projection TEXT NOT NULL PRIMARY KEY,
    held_by    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    held_at    TEXT NOT NULL -- UTC
) STRICT, WITHOUT ROWID;

-- Acts of administrators, each kept by the transaction that does it and forgotten when the log has it.
CREATE TABLE kept_acts (
    number     INTEGER PRIMARY KEY, -- order in which they were first kept
    id         TEXT    NOT NULL UNIQUE,
    projection TEXT    NOT NULL,
    build      INTEGER NOT NULL CHECK (build >= 0), -- 0 for an act on none
    act        TEXT    NOT NULL CHECK (json_valid(act))
) STRICT;
