-- client_portal.token_expiring: three days before a link that was used ends, once.

-- When it was announced.
ALTER TABLE portal.client_portal_tokens ADD COLUMN expiring_told_at timestamptz;
CREATE INDEX client_portal_tokens_expiring ON portal.client_portal_tokens (expires_at)
    WHERE parent_id IS NULL AND revoked_at IS NULL AND expiring_told_at IS NULL;

CREATE FUNCTION portal.announce_token_expiring() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM portal.announce(NEW.workspace_id, 'client_portal.token_expiring', NULL, portal.token_event_data(NEW));
    RETURN NULL;
END
$$;
CREATE TRIGGER announced_expiring AFTER UPDATE ON portal.client_portal_tokens
    FOR EACH ROW WHEN (OLD.expiring_told_at IS NULL AND NEW.expiring_told_at IS NOT NULL)
    EXECUTE FUNCTION portal.announce_token_expiring();
REVOKE EXECUTE ON FUNCTION portal.announce_token_expiring() FROM PUBLIC;
