-- Run once by the image, as its superuser, when the volume is empty. Services own their database and are no superuser,
-- whoever reads with psql may read the views of the contract and nothing else.
\getenv services PASSWORD_SERVICES
\getenv reader PASSWORD_READER
CREATE ROLE mds LOGIN PASSWORD :'services';
CREATE ROLE mds_reader LOGIN PASSWORD :'reader';
ALTER ROLE mds_reader SET default_transaction_read_only = on;
ALTER ROLE mds_reader SET statement_timeout = '60s';
CREATE EXTENSION IF NOT EXISTS btree_gist;
ALTER DATABASE mds OWNER TO mds;
REVOKE ALL ON DATABASE mds FROM PUBLIC;
GRANT CONNECT ON DATABASE mds TO mds_reader;
