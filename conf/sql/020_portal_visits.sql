-- The browser sessions that portal links are exchanged for (contract/client-portal.md).

-- parent_id: the link whose token was exchanged for this row's, which ends with it; NULL for links. device: words for
-- the browser.
ALTER TABLE portal.client_portal_tokens
    ADD COLUMN parent_id uuid,
    ADD COLUMN device text,
    ADD CONSTRAINT client_portal_tokens_parent FOREIGN KEY (workspace_id, parent_id)
        REFERENCES portal.client_portal_tokens (workspace_id, id) ON DELETE CASCADE;
CREATE INDEX client_portal_tokens_parent ON portal.client_portal_tokens (parent_id) WHERE parent_id IS NOT NULL;

CREATE TRIGGER end_exchanged AFTER UPDATE ON portal.client_portal_tokens
    FOR EACH ROW WHEN ((OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) OR NEW.expires_at < OLD.expires_at)
    EXECUTE FUNCTION portal.end_exchanged_sessions();

-- Of links alone.
DROP TRIGGER announced ON portal.client_portal_tokens;
CREATE TRIGGER announced AFTER INSERT ON portal.client_portal_tokens
    FOR EACH ROW WHEN (NEW.parent_id IS NULL) EXECUTE FUNCTION portal.announce_token_created();

CREATE FUNCTION portal.announce_token_accessed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM portal.announce(NEW.workspace_id, 'client_portal.token_accessed', NULL, portal.token_event_data(NEW));
    RETURN NULL;
END
$$;
CREATE TRIGGER announced_access AFTER UPDATE ON portal.client_portal_tokens
    FOR EACH ROW WHEN (NEW.access_count > OLD.access_count) EXECUTE FUNCTION portal.announce_token_accessed();
REVOKE EXECUTE ON FUNCTION portal.announce_token_accessed() FROM PUBLIC;
