-- How a change is announced: one row in portal.events, written by the changed table's own trigger, so that REST,
-- portalctl and a site's SQL are alike and what is rolled back is never told.

-- audience: who may see it live, as in portal.events; NULL nobody. data: the row as it is stored, which whoever tells
-- the event renders as the matching GET would.
--
-- An import says nothing: SET LOCAL portal.announce = 'off'. A site's own role cannot be silent.
CREATE FUNCTION portal.announce(workspace uuid, type text, audience jsonb, data jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF current_setting('portal.announce', true) = 'off'
       AND NOT EXISTS (SELECT FROM portal.site_roles WHERE role_name = session_user) THEN
        RETURN;
    END IF;
    INSERT INTO portal.events (workspace_id, type, audience, data) VALUES (workspace, type, audience, data);
END
$$;

-- customer.created, .updated, .deleted. What a look at a row changes (modified_at alone) is no news.
CREATE FUNCTION portal.announce_customer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM portal.announce(
        NEW.workspace_id,
        CASE WHEN TG_OP = 'INSERT' THEN 'customer.created'
             WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN 'customer.deleted'
             ELSE 'customer.updated' END,
        jsonb_build_object('customer', NEW.id), to_jsonb(NEW));
    RETURN NULL;
END
$$;
CREATE TRIGGER announced_first AFTER INSERT ON portal.customers
    FOR EACH ROW WHEN (NEW.deleted_at IS NULL) EXECUTE FUNCTION portal.announce_customer();
CREATE TRIGGER announced AFTER UPDATE ON portal.customers
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW AND OLD.deleted_at IS NULL)
    EXECUTE FUNCTION portal.announce_customer();

-- Idempotency keys name what was made by a uuid; what is numbered is the uuid that ends in its number.
CREATE FUNCTION portal.number_uuid(number bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lpad(to_hex(number), 32, '0')::uuid;
GRANT EXECUTE ON FUNCTION portal.number_uuid(bigint) TO portal_web, portal_helper;
