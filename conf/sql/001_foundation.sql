-- Schema, roles and the small functions every later migration rests on.
--
-- Migrations are applied in order of their number by `portalctl migrate`, each in one transaction.

CREATE SCHEMA IF NOT EXISTS portal;

-- Roles belong to the cluster: they may exist already, be made by another database at this moment, or be the
-- administrator's to make. NOLOGIN until the operator gives them a way in.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['portal_owner', 'portal_web', 'portal_helper', 'portal_site'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'role % is missing and % may not create it', wanted, current_user
                    USING HINT = format('As an administrator: CREATE ROLE %I NOLOGIN;', wanted);
        END;
    END LOOP;
END
$$;

-- Time-outs belong to the role, in this database: poolers refuse them as start-up options.
DO $$
DECLARE
    setting text;
BEGIN
    FOREACH setting IN ARRAY ARRAY[
        'portal_web SET statement_timeout = ''5s''',
        'portal_web SET lock_timeout = ''500ms''',
        'portal_web SET idle_in_transaction_session_timeout = ''5s''',
        'portal_web SET search_path = portal, pg_temp',
        'portal_helper SET statement_timeout = ''30s''',
        'portal_helper SET lock_timeout = ''5s''',
        'portal_helper SET idle_in_transaction_session_timeout = ''30s''',
        'portal_helper SET search_path = portal, pg_temp'
    ] LOOP
        BEGIN
            EXECUTE replace(format('ALTER ROLE %s', setting), ' SET ',
                            format(' IN DATABASE %I SET ', current_database()));
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE WARNING 'not permitted: ALTER ROLE % (an administrator should do it)', setting;
        END;
    END LOOP;
END
$$;

REVOKE ALL ON SCHEMA portal FROM PUBLIC;
GRANT USAGE ON SCHEMA portal TO portal_web, portal_helper, portal_site;
-- Trigger functions run with their owner's rights: nobody calls one by hand.
ALTER DEFAULT PRIVILEGES IN SCHEMA portal REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- How times are told: RFC 3339, UTC, six fractional digits or none.
CREATE FUNCTION portal.time_text(moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN replace(to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z');

-- Addresses match by lower-casing ASCII letters only: a locale's lower() would let a look-alike open another's account.
CREATE FUNCTION portal.email_key(email text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(email COLLATE "C");

-- Dot-separated atoms on both sides, a period in the domain; nothing that could end a mail header's line.
CREATE FUNCTION portal.is_email(email text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length(email) <= 320
   AND email COLLATE "C" ~ ('^[^@[:space:][:cntrl:]<>()\[\]\\,;:".]+(\.[^@[:space:][:cntrl:]<>()\[\]\\,;:".]+)*'
                         || '@[^@[:space:][:cntrl:]<>()\[\]\\,;:".]+(\.[^@[:space:][:cntrl:]<>()\[\]\\,;:".]+)+$');

CREATE FUNCTION portal.object_size(value jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(value) = 'object' THEN (SELECT count(*) FROM jsonb_object_keys(value)) END;

GRANT EXECUTE ON FUNCTION portal.time_text(timestamptz), portal.email_key(text), portal.is_email(text),
    portal.object_size(jsonb) TO portal_web, portal_helper, portal_site;

-- modified_at tells of the last change; null until the first.
CREATE FUNCTION portal.touch_modified() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    NEW.modified_at := now();
    RETURN NEW;
END
$$;

-- The domain of an address is stored in lower case, the local part as given.
CREATE FUNCTION portal.normalise_email() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF strpos(NEW.email, '@') > 0 THEN
        NEW.email := split_part(NEW.email, '@', 1) || '@'
                  || lower(substr(NEW.email, strpos(NEW.email, '@') + 1) COLLATE "C");
    END IF;
    RETURN NEW;
END
$$;

-- Tells every node that what it remembers about a row is old. The payload is always one uuid.
CREATE FUNCTION portal.tell_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM pg_notify('portal_changed', coalesce(NEW.id, OLD.id)::text);
    RETURN NULL;
END
$$;

-- The same for rows that are their workspace's (its portal configuration).
CREATE FUNCTION portal.tell_workspace_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM pg_notify('portal_changed', coalesce(NEW.workspace_id, OLD.workspace_id)::text);
    RETURN NULL;
END
$$;
