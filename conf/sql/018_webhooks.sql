-- Webhooks: a workspace's endpoints, what each is to be told, and what came of it (Standard Webhooks 1.0.0).

-- event_types: NULL is all there are and will be. failing_since: the first failure since the last success; paused_until:
-- the endpoint's own back-off, nothing is sent before. Why the product disabled it: gone (it said 410), failing.
CREATE TABLE portal.webhook_endpoints (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    modified_at      timestamptz,
    workspace_id     uuid        NOT NULL REFERENCES portal.workspaces (id),
    url              text        NOT NULL,
    event_types      text[],
    enabled          boolean     NOT NULL DEFAULT true,
    disabled_reason  text,
    failing_since    timestamptz,
    last_failure_at  timestamptz,
    failures         integer     NOT NULL DEFAULT 0,
    paused_until     timestamptz,
    deleted_at       timestamptz,

    CONSTRAINT webhook_endpoints_key UNIQUE (workspace_id, id),
    CONSTRAINT webhook_endpoints_url_form CHECK (char_length(url) <= 2083 AND url ~* '^https?://'),
    CONSTRAINT webhook_endpoints_event_types_form CHECK (
        cardinality(event_types) > 0 AND array_position(event_types, NULL) IS NULL),
    CONSTRAINT webhook_endpoints_reason_known CHECK (disabled_reason IN ('gone', 'failing')),
    CONSTRAINT webhook_endpoints_reason_fits CHECK (disabled_reason IS NULL OR NOT enabled)
);
CREATE INDEX webhook_endpoints_living ON portal.webhook_endpoints (workspace_id, created_at) WHERE deleted_at IS NULL;
CREATE INDEX webhook_endpoints_enabled ON portal.webhook_endpoints (workspace_id) WHERE enabled AND deleted_at IS NULL;

-- What is noted while sending is no change.
CREATE TRIGGER modified BEFORE UPDATE OF url, event_types, enabled, disabled_reason, deleted_at
    ON portal.webhook_endpoints
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
CREATE TRIGGER forget_keys AFTER UPDATE ON portal.webhook_endpoints
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION portal.forget_idempotency_keys();

-- The secrets an endpoint's deliveries are signed with: one without an end and, after a rotation, the one before it.
-- Encrypted, bound to the row's id.
CREATE TABLE portal.webhook_secrets (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    endpoint_id   uuid        NOT NULL,
    ciphertext    text        NOT NULL,
    expires_at    timestamptz,

    CONSTRAINT webhook_secrets_endpoint FOREIGN KEY (workspace_id, endpoint_id)
        REFERENCES portal.webhook_endpoints (workspace_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX webhook_secrets_current ON portal.webhook_secrets (endpoint_id) WHERE expires_at IS NULL;
CREATE INDEX webhook_secrets_endpoint ON portal.webhook_secrets (endpoint_id);

-- A new secret; the one before it goes on for a day, an older one ends. No row: no such endpoint. A function, so that
-- each step sees what another rotation, which the lock has waited for, has left.
CREATE FUNCTION portal.rotate_webhook_secret(workspace uuid, endpoint uuid, secret uuid, fresh text)
RETURNS SETOF portal.webhook_endpoints
LANGUAGE plpgsql SET search_path = portal, pg_temp AS $$
DECLARE
    target portal.webhook_endpoints;
BEGIN
    SELECT * INTO target
      FROM portal.webhook_endpoints e
     WHERE e.workspace_id = workspace AND e.id = endpoint AND e.deleted_at IS NULL
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM portal.webhook_secrets s
     WHERE s.workspace_id = workspace AND s.endpoint_id = endpoint AND s.expires_at IS NOT NULL;
    UPDATE portal.webhook_secrets s SET expires_at = now() + interval '24 h'
     WHERE s.workspace_id = workspace AND s.endpoint_id = endpoint;
    INSERT INTO portal.webhook_secrets (id, workspace_id, endpoint_id, ciphertext)
        VALUES (secret, workspace, endpoint, fresh);
    RETURN NEXT target;
END
$$;
GRANT EXECUTE ON FUNCTION portal.rotate_webhook_secret(uuid, uuid, uuid, text) TO portal_web, portal_helper;

-- One event for one endpoint. It holds what the event said, since an event may be gone before its last try. The life of
-- a row: pending -> succeeded | failed, and pending again when it is redelivered. A helper that claims it counts the
-- attempt and moves next_attempt_at to the end of its lease: if the helper dies, it is due again then.
CREATE TABLE portal.webhook_deliveries (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    workspace_id     uuid        NOT NULL REFERENCES portal.workspaces (id),
    endpoint_id      uuid        NOT NULL,
    event_id         uuid        NOT NULL,
    type             text        NOT NULL,
    timestamp        timestamptz NOT NULL,
    data             jsonb       NOT NULL,
    state            text        NOT NULL DEFAULT 'pending',
    attempts         integer     NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz NOT NULL DEFAULT now(),
    lease_owner      uuid,
    finished_at      timestamptz,

    CONSTRAINT webhook_deliveries_key UNIQUE (workspace_id, id),
    CONSTRAINT webhook_deliveries_once UNIQUE (event_id, endpoint_id),
    CONSTRAINT webhook_deliveries_endpoint FOREIGN KEY (workspace_id, endpoint_id)
        REFERENCES portal.webhook_endpoints (workspace_id, id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_state_known CHECK (state IN ('pending', 'succeeded', 'failed'))
);
-- What an endpoint has to be told next.
CREATE INDEX webhook_deliveries_pending ON portal.webhook_deliveries (endpoint_id, next_attempt_at)
    WHERE state = 'pending';
CREATE INDEX webhook_deliveries_leased ON portal.webhook_deliveries (lease_owner) WHERE lease_owner IS NOT NULL;
CREATE INDEX webhook_deliveries_newest ON portal.webhook_deliveries (workspace_id, created_at DESC, id);
CREATE INDEX webhook_deliveries_endpoint ON portal.webhook_deliveries (endpoint_id, created_at DESC);
CREATE INDEX webhook_deliveries_done ON portal.webhook_deliveries (finished_at) WHERE state <> 'pending';
CREATE INDEX webhook_deliveries_customer ON portal.webhook_deliveries (workspace_id, (data ->> 'id'))
    WHERE type LIKE 'customer.%';
CREATE INDEX webhook_deliveries_data_customer ON portal.webhook_deliveries (workspace_id, (data ->> 'customer_id'))
    WHERE data ->> 'customer_id' IS NOT NULL;
CREATE INDEX webhook_deliveries_contact ON portal.webhook_deliveries (workspace_id, (data ->> 'contact_id'))
    WHERE data ->> 'contact_id' IS NOT NULL;
CREATE INDEX webhook_deliveries_buyer_email
    ON portal.webhook_deliveries (workspace_id, portal.email_key(data ->> 'buyer_email'))
    WHERE data ->> 'buyer_email' IS NOT NULL;

-- One try: status (NULL: none came, `error` says why), how long it took, the beginning of the answer.
CREATE TABLE portal.webhook_attempts (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    delivery_id   uuid        NOT NULL,
    status        integer,
    error         text,
    duration_ms   integer     NOT NULL,
    answer        text,

    CONSTRAINT webhook_attempts_delivery FOREIGN KEY (workspace_id, delivery_id)
        REFERENCES portal.webhook_deliveries (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX webhook_attempts_delivery ON portal.webhook_attempts (delivery_id, created_at);
CREATE INDEX webhook_attempts_created ON portal.webhook_attempts (created_at);

-- In the transaction of the change itself: nothing committed is missed, nothing rolled back told.
CREATE FUNCTION portal.queue_webhooks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    INSERT INTO portal.webhook_deliveries (workspace_id, endpoint_id, event_id, type, timestamp, data)
    SELECT NEW.workspace_id, e.id, NEW.id, NEW.type, NEW.timestamp, NEW.data
      FROM portal.webhook_endpoints e
     WHERE e.workspace_id = NEW.workspace_id AND e.enabled AND e.deleted_at IS NULL
       AND (e.event_types IS NULL OR NEW.type = ANY (e.event_types));
    RETURN NULL;
END
$$;
CREATE TRIGGER queue_webhooks AFTER INSERT ON portal.events FOR EACH ROW EXECUTE FUNCTION portal.queue_webhooks();

-- What webhooks tell of an erased customer, as it is wiped in events, and what receivers answered to it.
CREATE FUNCTION portal.erase_webhooks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    WITH theirs AS (
        UPDATE portal.webhook_deliveries
           SET data = portal.without_person(data)
         WHERE workspace_id = NEW.workspace_id
           AND (type LIKE 'customer.%' AND data ->> 'id' = NEW.customer_id::text
                OR data ->> 'customer_id' = NEW.customer_id::text
                OR portal.email_key(data ->> 'buyer_email') = ANY (ARRAY(SELECT portal.addresses_of(NEW.customer_id))))
        RETURNING id
    ), items AS (
        UPDATE portal.webhook_deliveries
           SET data = data || '{"title": "Anonymized", "url": null, "data": null}'
         WHERE workspace_id = NEW.workspace_id AND type LIKE 'portal\_item.%'
           AND data ->> 'contact_id' = ANY (ARRAY(SELECT id::text FROM portal.contacts
                                                   WHERE workspace_id = NEW.workspace_id
                                                     AND customer_id = NEW.customer_id))
        RETURNING id
    )
    UPDATE portal.webhook_attempts a
       SET answer = NULL
      FROM (SELECT id FROM theirs UNION ALL SELECT id FROM items) told
     WHERE a.workspace_id = NEW.workspace_id AND a.delivery_id = told.id AND a.answer IS NOT NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER erase_webhooks AFTER INSERT ON portal.erasures FOR EACH ROW EXECUTE FUNCTION portal.erase_webhooks();

REVOKE EXECUTE ON FUNCTION portal.queue_webhooks(), portal.erase_webhooks() FROM PUBLIC;

-- The mail to the owner of an endpoint that was disabled; its payload names the endpoint.
ALTER TABLE portal.outbox
    DROP CONSTRAINT outbox_kind_known,
    ADD CONSTRAINT outbox_kind_known
        CHECK (kind IN ('portal_invitation', 'login_code', 'member_invitation', 'webhook_disabled'));

-- Written by the product only: a site's own role sees none of it.
GRANT SELECT, INSERT, UPDATE ON portal.webhook_endpoints, portal.webhook_deliveries TO portal_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON portal.webhook_secrets TO portal_web;
GRANT SELECT ON portal.webhook_attempts TO portal_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON portal.webhook_endpoints, portal.webhook_secrets, portal.webhook_deliveries,
    portal.webhook_attempts TO portal_helper;
