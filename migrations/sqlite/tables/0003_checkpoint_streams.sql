-- A checkpoint says in which stream its event stands, and where in it, so that the log can be asked for that event without
-- a position that it may never have given (I19). NULL at 0, and until a page is written over a checkpoint of before.
ALTER TABLE projection_builds ADD COLUMN stream TEXT;
ALTER TABLE projection_builds ADD COLUMN revision INTEGER CHECK (revision >= 0);
