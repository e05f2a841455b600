-- Who changed what, whose it is, when, from where and by which request: one row per change, written by the changed
-- table's own trigger, so that REST, portalctl, the helper and plain SQL are alike. Nobody changes a row, and only the
-- purge takes one away.

-- actor: access_token:<id>, customer:<id>, member:<id>, contact:<n>, company:<n>, anonymous, portalctl:<user>, helper, or
-- sql:<role> for whoever says nothing. action: the noun and what became of it. target: the row itself; subject: whom or
-- what it belongs to. columns: the names of what an update changed, never a value. workspace_id is what the row said: it
-- refers to nothing, since a row outlives what it tells of.
ALTER TABLE portal.audit_log
    DROP CONSTRAINT audit_log_workspace_id_fkey,
    ALTER COLUMN workspace_id DROP NOT NULL,
    ADD COLUMN actor text,
    ADD COLUMN target text,
    ADD COLUMN subject text,
    ADD COLUMN columns text[],
    ADD COLUMN address text,
    ADD COLUMN request_id text;
UPDATE portal.audit_log SET actor = coalesce('access_token:' || principal_id, 'portalctl'), target = 'portal_token:' || subject_id;
ALTER TABLE portal.audit_log
    ALTER COLUMN actor SET NOT NULL,
    ALTER COLUMN target SET NOT NULL,
    DROP COLUMN principal_id,
    DROP COLUMN subject_id,
    DROP COLUMN id;
-- In the order they were written: those of one transaction have one created_at.
ALTER TABLE portal.audit_log ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CREATE INDEX audit_log_workspace ON portal.audit_log (workspace_id, id);

-- What is told ahead of a write, in its transaction, by SET LOCAL portal.actor, portal.address, portal.request_id; NULL where
-- nothing is, and of a site's own role, which is always itself.
CREATE FUNCTION portal.told(setting text) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT CASE WHEN current_setting('is_superuser') = 'on'
                     OR NOT pg_has_role(coalesce(nullif(current_setting('role'), 'none'), session_user)::name, 'portal_site',
                                        'USAGE')
                THEN nullif(current_setting(setting, true), '') END;
END;
-- Defaults, since a trigger costs as much as the rest of a row. Only the owner may write something else.
ALTER TABLE portal.audit_log
    ALTER COLUMN actor SET DEFAULT coalesce(portal.told('portal.actor'), 'sql:' || session_user),
    ALTER COLUMN address SET DEFAULT coalesce(portal.told('portal.address'), host(inet_client_addr()), 'unix:'),
    ALTER COLUMN request_id SET DEFAULT portal.told('portal.request_id');

-- ---- append-only

CREATE FUNCTION portal.keep_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF TG_OP <> 'DELETE' OR current_setting('portal.purging', true) IS DISTINCT FROM 'audit_log' THEN
        RAISE EXCEPTION 'The audit log is append-only.' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON portal.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION portal.keep_audit();

-- Takes the oldest rows, at most so many, but none of the last 30 days whatever it is told: whoever holds the helper's
-- role cannot hide what they have just done.
CREATE FUNCTION portal.purge_audit(days integer, most bigint) RETURNS SETOF bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM set_config('portal.purging', 'audit_log', true);
    RETURN QUERY
        DELETE FROM portal.audit_log
         WHERE id IN (SELECT old.id FROM portal.audit_log old
                       WHERE old.created_at < now() - make_interval(days => greatest(days, 30))
                       ORDER BY old.created_at LIMIT most FOR UPDATE SKIP LOCKED)
        RETURNING id;
    PERFORM set_config('portal.purging', '', true);
END
$$;

-- ---- what is recorded

-- An audited table's trigger: its noun, the column that tells its rows apart, and a verb where the operation does not
-- tell it. Ended rows that a purge deletes are no news, nor is an update of nothing but what is noted in passing.
CREATE FUNCTION portal.audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    told jsonb := coalesce(new_row, old_row);
    noun text := CASE WHEN TG_TABLE_NAME = 'client_portal_tokens' AND told ->> 'parent_id' IS NOT NULL
                      THEN 'portal_session' ELSE TG_ARGV[0] END;
    verb text := TG_ARGV[2];
    target text := noun || ':' || (told ->> TG_ARGV[1]);
    changed text[];
    whose text := coalesce('member:' || (told ->> 'member_id'), 'customer:' || (told ->> 'customer_id'),
                           'contact:' || (told ->> 'contact_id'), 'company:' || (told ->> 'company_id'),
                           'file_sharing_session:' || (told ->> 'session_id'),
                           'webhook_endpoint:' || (told ->> 'endpoint_id'), 'portal_token:' || (told ->> 'token_id'));
BEGIN
    IF TG_OP = 'UPDATE' THEN
        changed := ARRAY(SELECT part.key FROM jsonb_each(new_row) part
                          WHERE part.value IS DISTINCT FROM old_row -> part.key
                            AND part.key <> ALL ('{modified_at,token_hash,secret_id,token_ciphertext,last_used_at,
                                                   last_accessed_at,access_count,failures,failing_since,
                                                   last_failure_at,paused_until,download_count}'::text[])
                          ORDER BY part.key);
        IF verb IS NULL AND changed = '{}' THEN
            RETURN NULL;
        END IF;
        verb := coalesce(verb, CASE
            WHEN 'deleted_at' = ANY (changed) THEN CASE WHEN new_row ->> 'deleted_at' IS NULL
                                                        THEN 'restored' ELSE 'deleted' END
            WHEN 'revoked_at' = ANY (changed) AND new_row ->> 'revoked_at' IS NOT NULL THEN 'revoked'
            WHEN 'blocked_at' = ANY (changed) THEN CASE WHEN new_row ->> 'blocked_at' IS NULL
                                                        THEN 'unblocked' ELSE 'blocked' END
            ELSE 'updated' END);
    ELSIF TG_OP = 'DELETE' THEN
        IF coalesce(old_row ->> 'deleted_at', old_row ->> 'revoked_at') IS NOT NULL
           OR noun IN ('customer_session', 'member_session', 'portal_token', 'portal_session', 'webhook_secret')
              AND (old_row ->> 'expires_at')::timestamptz <= now() THEN
            RETURN NULL;
        END IF;
        verb := 'deleted';
    ELSIF told ->> 'signed_in_by' IN ('code', 'exchange') OR noun = 'portal_session' THEN
        verb := 'signed_in';
    ELSE
        verb := coalesce(verb, 'created');
    END IF;
    -- whoever signs in has nothing but a code or a link to say who they are, and is it from here on
    IF verb = 'signed_in' AND current_setting('portal.actor', true) = 'anonymous' THEN
        PERFORM set_config('portal.actor', whose, true);
    END IF;
    INSERT INTO portal.audit_log (workspace_id, action, target, subject, columns)
        VALUES ((told ->> CASE TG_TABLE_NAME WHEN 'workspaces' THEN 'id' ELSE 'workspace_id' END)::uuid,
                noun || '.' || verb, target, nullif(whose, target), changed);
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION portal.told(text), portal.keep_audit(), portal.purge_audit(integer, bigint),
    portal.audit() FROM PUBLIC;

-- Of tables with columns that are written in passing (last_used_at, token_hash), only the others are looked at: that
-- keeps a worker's batches free of it.
DO $$
DECLARE
    audited record;
BEGIN
    FOR audited IN
        SELECT * FROM (VALUES
            ('workspaces', 'workspace', 'id', ''),
            ('workspace_access_tokens', 'access_token', 'id', 'OF scopes, comment, expires_at, revoked_at'),
            ('customers', 'customer', 'id', ''),
            ('members', 'member', 'id', 'OF customer_id, external_id, email, name, role, deleted_at'),
            ('customer_sessions', 'customer_session', 'id', 'OF return_url, expires_at, revoked_at'),
            ('member_sessions', 'member_session', 'id', 'OF return_url, expires_at, revoked_at'),
            ('companies', 'company', 'id', ''),
            ('contacts', 'contact', 'id', ''),
            ('client_portal_configs', 'client_portal_config', 'workspace_id', ''),
            ('client_portal_tokens', 'portal_token', 'id', 'OF expires_at, revoked_at'),
            ('portal_items', 'portal_item', 'id', ''),
            ('file_share_sessions', 'file_sharing_session', 'id', ''),
            ('file_share_downloads', 'file_sharing_download', 'id', ''),
            ('file_share_payments', 'payment', 'id', ''),
            ('webhook_endpoints', 'webhook_endpoint', 'id', 'OF url, event_types, enabled, disabled_reason, deleted_at'),
            ('webhook_secrets', 'webhook_secret', 'id', 'OF expires_at'),
            ('site_roles', 'site_role', 'role_name', '')
        ) AS list (name, noun, key, columns)
    LOOP
        EXECUTE format('CREATE TRIGGER audited AFTER INSERT OR DELETE ON portal.%I '
                       'FOR EACH ROW EXECUTE FUNCTION portal.audit(%L, %L)', audited.name, audited.noun, audited.key);
        EXECUTE format('CREATE TRIGGER audited_change AFTER UPDATE %s ON portal.%I FOR EACH ROW '
                       'WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.audit(%L, %L)',
                       audited.columns, audited.name, audited.noun, audited.key);
    END LOOP;
    IF to_regclass('portal.schema_migrations') IS NOT NULL THEN
        CREATE TRIGGER audited AFTER INSERT ON portal.schema_migrations
            FOR EACH ROW EXECUTE FUNCTION portal.audit('migration', 'version', 'applied');
    END IF;
END
$$;
CREATE TRIGGER audited AFTER INSERT ON portal.erasures
    FOR EACH ROW EXECUTE FUNCTION portal.audit('customer', 'customer_id', 'erased');
-- Mail that somebody asked for.
CREATE TRIGGER audited AFTER INSERT ON portal.outbox
    FOR EACH ROW WHEN (NEW.kind IN ('portal_invitation', 'member_invitation'))
    EXECUTE FUNCTION portal.audit('invitation', 'id');

-- ---- grants

REVOKE ALL ON portal.audit_log FROM portal_web, portal_helper;
-- what no trigger sees: a secret shown again, mail sent anew, a wrong code
GRANT INSERT (workspace_id, action, target) ON portal.audit_log TO portal_web, portal_helper;
GRANT EXECUTE ON FUNCTION portal.told(text) TO portal_web, portal_helper;
GRANT SELECT ON portal.audit_log TO portal_helper;
GRANT EXECUTE ON FUNCTION portal.purge_audit(integer, bigint) TO portal_helper;
