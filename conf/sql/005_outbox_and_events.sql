-- What is to be mailed, what happened, what was answered before.

-- One row per mail. It holds ids, never a token, a code or a rendered mail: the helper renders when it sends.
-- lease_owner is a helper's instance id; a row is anybody's to send when it has none or lease_until has passed.
CREATE TABLE portal.outbox (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id     uuid        NOT NULL REFERENCES portal.workspaces (id),
    kind             text        NOT NULL,
    token_id         uuid,
    payload          jsonb       NOT NULL DEFAULT '{}',
    state            text        NOT NULL DEFAULT 'queued',
    attempts         integer     NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz NOT NULL DEFAULT now(),
    lease_owner      uuid,
    lease_until      timestamptz,
    message_id       text        NOT NULL DEFAULT gen_random_uuid()::text,
    reply            text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    sent_at          timestamptz,
    failed_at        timestamptz,

    CONSTRAINT outbox_token FOREIGN KEY (workspace_id, token_id)
        REFERENCES portal.client_portal_tokens (workspace_id, id) ON DELETE SET NULL (token_id),
    CONSTRAINT outbox_kind_known CHECK (kind IN ('portal_invitation', 'login_code', 'member_invitation')),
    CONSTRAINT outbox_state_known CHECK (state IN ('queued', 'sent', 'failed')),
    CONSTRAINT outbox_lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
);
CREATE INDEX outbox_queued ON portal.outbox (next_attempt_at) WHERE state = 'queued';
CREATE INDEX outbox_token ON portal.outbox (token_id);

CREATE FUNCTION portal.tell_outbox() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM pg_notify('portal_outbox', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER queued AFTER INSERT ON portal.outbox
    FOR EACH ROW WHEN (NEW.state = 'queued' AND NEW.lease_owner IS NULL) EXECUTE FUNCTION portal.tell_outbox();
CREATE TRIGGER released AFTER UPDATE ON portal.outbox
    FOR EACH ROW WHEN (NEW.state = 'queued' AND OLD.lease_owner IS NOT NULL AND NEW.lease_owner IS NULL
        AND NEW.next_attempt_at <= now())
    EXECUTE FUNCTION portal.tell_outbox();

-- Written in the transaction of the change itself. `number` is given after the commit, in commit order, per
-- workspace. audience: who may see it live; null nobody, {"workspace": true} everyone on that tenant's portal.
CREATE TABLE portal.events (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    number        bigint,
    type          text        NOT NULL,
    audience      jsonb,
    data          jsonb       NOT NULL,
    timestamp     timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT events_number UNIQUE (workspace_id, number)
);
CREATE INDEX events_unnumbered ON portal.events (timestamp) WHERE number IS NULL;

CREATE FUNCTION portal.announce_token_created() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    INSERT INTO portal.events (workspace_id, type, data)
        VALUES (NEW.workspace_id, 'client_portal.token_created', portal.token_event_data(NEW));
    RETURN NULL;
END
$$;

-- data of the client_portal.token_* and .invitation_* events: ids, never a token, a code or a link.
CREATE FUNCTION portal.token_event_data(token portal.client_portal_tokens) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = portal, pg_temp
RETURN jsonb_build_object(
        'token_id', token.id,
        'type', CASE WHEN token.contact_id IS NOT NULL THEN 'contact' ELSE 'company' END,
        'id', coalesce(token.contact_id, token.company_id),
        'expires_at', portal.time_text(token.expires_at))
    || CASE WHEN token.made_for IS NULL THEN '{}' ELSE jsonb_build_object('invitation_id', token.made_for) END;

CREATE TRIGGER announced AFTER INSERT ON portal.client_portal_tokens
    FOR EACH ROW EXECUTE FUNCTION portal.announce_token_created();

CREATE FUNCTION portal.announce_config_updated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    INSERT INTO portal.events (workspace_id, type, audience, data)
        VALUES (NEW.workspace_id, 'client_portal.config_updated', '{"workspace": true}',
                to_jsonb(NEW) - ARRAY['workspace_id', 'created_at', 'modified_at']);
    RETURN NULL;
END
$$;
CREATE TRIGGER announced_first AFTER INSERT ON portal.client_portal_configs
    FOR EACH ROW EXECUTE FUNCTION portal.announce_config_updated();
CREATE TRIGGER announced AFTER UPDATE ON portal.client_portal_configs
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.announce_config_updated();

-- Idempotency-Key: which request made what. The answer itself is not kept, it is rebuilt from the row it made;
-- a session's token, stored nowhere else in clear or otherwise, is kept encrypted and bound to the session's id.
CREATE TABLE portal.idempotency_keys (
    workspace_id      uuid        NOT NULL REFERENCES portal.workspaces (id),
    principal_id      uuid        NOT NULL,
    method            text        NOT NULL,
    path              text        NOT NULL,
    key               text        NOT NULL,
    payload_hash      text        NOT NULL,
    resource_id       uuid        NOT NULL,
    token_ciphertext  text,
    status            integer,
    created_at        timestamptz NOT NULL DEFAULT now(),
    expires_at        timestamptz NOT NULL,

    PRIMARY KEY (workspace_id, principal_id, method, path, key),
    CONSTRAINT idempotency_keys_key_length CHECK (char_length(key) BETWEEN 1 AND 255)
);
CREATE INDEX idempotency_keys_resource ON portal.idempotency_keys (resource_id);
CREATE INDEX idempotency_keys_expiry ON portal.idempotency_keys (expires_at);

-- A key is good for as long as what it made: once that is revoked, there is nothing to show again.
CREATE FUNCTION portal.forget_idempotency_keys() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    DELETE FROM portal.idempotency_keys WHERE workspace_id = NEW.workspace_id AND resource_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER forget_keys AFTER UPDATE ON portal.customer_sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
    EXECUTE FUNCTION portal.forget_idempotency_keys();
CREATE TRIGGER forget_keys AFTER UPDATE ON portal.member_sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
    EXECUTE FUNCTION portal.forget_idempotency_keys();
CREATE TRIGGER forget_keys AFTER UPDATE ON portal.client_portal_tokens
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
    EXECUTE FUNCTION portal.forget_idempotency_keys();

-- Who was shown an existing secret again.
CREATE TABLE portal.audit_log (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    action        text        NOT NULL,
    principal_id  uuid,
    subject_id    uuid        NOT NULL
);
CREATE INDEX audit_log_subject ON portal.audit_log (workspace_id, subject_id, created_at);
