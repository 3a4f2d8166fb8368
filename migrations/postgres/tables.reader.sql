-- What people and their tools may do: read the views, which are granted one by one when they are made, and what they
-- mean and how far they are.
GRANT USAGE ON SCHEMA :"schema" TO :"reader";
GRANT SELECT ON :"schema".catalogue, :"schema".catalogue_builds TO :"reader";
