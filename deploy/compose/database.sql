-- What PostgreSQL runs once, when its volume is empty: the database, and a role that owns it and nothing else.
\set password `cat /run/secrets/database_password`
CREATE ROLE jeton LOGIN PASSWORD :'password';
CREATE DATABASE jeton OWNER jeton;
REVOKE CONNECT ON DATABASE jeton FROM PUBLIC;
