-- What the helper purges is found by these; imports of tokens announce nothing.

-- When a session or a link ended: least() passes over NULL.
CREATE INDEX customer_sessions_end ON portal.customer_sessions (least(expires_at, revoked_at));
CREATE INDEX member_sessions_end ON portal.member_sessions (least(expires_at, revoked_at));
CREATE INDEX client_portal_tokens_end ON portal.client_portal_tokens (least(expires_at, revoked_at));
CREATE INDEX outbox_done ON portal.outbox (coalesce(sent_at, failed_at)) WHERE state <> 'queued';
CREATE INDEX audit_log_created ON portal.audit_log (created_at);
-- The oldest first, and the newest of one audience.
CREATE INDEX events_age ON portal.events (timestamp, id) WHERE number IS NOT NULL;
CREATE INDEX events_history ON portal.events (workspace_id, audience, number) WHERE audience IS NOT NULL;

CREATE OR REPLACE FUNCTION portal.announce_token_created() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM portal.announce(NEW.workspace_id, 'client_portal.token_created', NULL, portal.token_event_data(NEW));
    RETURN NULL;
END
$$;
