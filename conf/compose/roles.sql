-- What the schema's migrations expect: the roles of portalctl, of the workers, of the helper, and the database.
CREATE ROLE portal_owner LOGIN CREATEROLE;
CREATE ROLE portal_web LOGIN;
CREATE ROLE portal_helper LOGIN;
ALTER ROLE portal_owner SET log_error_verbosity = 'terse';
ALTER ROLE portal_web SET log_error_verbosity = 'terse';
ALTER ROLE portal_helper SET log_error_verbosity = 'terse';
CREATE DATABASE portal OWNER portal_owner TEMPLATE template0 ENCODING 'UTF8';
