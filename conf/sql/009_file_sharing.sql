-- File sharing: sessions, their downloads and their payments, as a site's backend tells of them.

-- May the one who is connected write to this workspace? Row-level security looks at a row after the triggers before
-- it: they ask here first, so that a site learns and changes nothing of another's.
CREATE FUNCTION portal.may_write(workspace uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = portal, pg_temp
BEGIN ATOMIC
    SELECT NOT pg_has_role(session_user, 'portal_site', 'MEMBER')
        OR pg_has_role(session_user, 'portal_owner', 'MEMBER')
        OR EXISTS (SELECT FROM portal.site_roles WHERE role_name = session_user AND workspace_id = workspace);
END;

-- Letters that are not taken for one another; each is one of 32, from 256 bits of which 122 are random.
CREATE FUNCTION portal.random_slug(length integer) RETURNS text
LANGUAGE sql VOLATILE SET search_path = portal, pg_temp
RETURN (SELECT string_agg(substr('abcdefghijkmnpqrstuvwxyz23456789', get_byte(bytes, position) % 32 + 1, 1), ''
                          ORDER BY position)
          FROM sha256(uuid_send(gen_random_uuid())) AS bytes, generate_series(0, least(length, 32) - 1) AS position);

CREATE FUNCTION portal.is_slug(slug text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN slug COLLATE "C" ~ '^[a-z0-9-]{3,63}$'
   AND slug NOT IN ('api', 'client-portal', 'portal', 'portal-assets', 'dashboard', 'settings', 'login', 'signup',
                    'oauth2', 'admin', 'docs', 'download', 'share', 'file-sharing', 'metrics', 'health');
GRANT EXECUTE ON FUNCTION portal.is_slug(text) TO portal_web, portal_helper, portal_site;

-- max_downloads 0: unlimited. ttl_seconds 0: does not expire. customer_id: the owner.
CREATE TABLE portal.file_share_sessions (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    modified_at      timestamptz,
    workspace_id     uuid        NOT NULL,
    customer_id      uuid        NOT NULL,
    short_slug       text        NOT NULL COLLATE "C",
    long_slug        text        NOT NULL COLLATE "C",
    status           text        NOT NULL DEFAULT 'created' COLLATE "C",
    max_downloads    integer     NOT NULL DEFAULT 0,
    download_count   integer     NOT NULL DEFAULT 0,
    price_cents      bigint,
    currency         text        NOT NULL DEFAULT 'usd',
    title            text,
    file_name        text,
    file_size_bytes  bigint,
    ttl_seconds      bigint      NOT NULL DEFAULT 0,
    expires_at       timestamptz,
    activated_at     timestamptz,
    completed_at     timestamptz,
    user_id          uuid,
    share_id         uuid,

    CONSTRAINT file_share_sessions_workspace_id UNIQUE (workspace_id, id),
    CONSTRAINT file_share_sessions_customer
        FOREIGN KEY (workspace_id, customer_id) REFERENCES portal.customers (workspace_id, id),
    CONSTRAINT file_share_sessions_short_slug UNIQUE (workspace_id, short_slug),
    CONSTRAINT file_share_sessions_long_slug UNIQUE (workspace_id, long_slug),
    CONSTRAINT file_share_sessions_short_slug_form CHECK (portal.is_slug(short_slug)),
    CONSTRAINT file_share_sessions_long_slug_form CHECK (portal.is_slug(long_slug)),
    CONSTRAINT file_share_sessions_status_known CHECK (
        status IN ('created', 'active', 'completed', 'expired', 'destroyed', 'reported')),
    CONSTRAINT file_share_sessions_max_downloads_range CHECK (max_downloads >= 0),
    CONSTRAINT file_share_sessions_download_count_range CHECK (
        download_count >= 0 AND (max_downloads <= 0 OR download_count <= max_downloads)),
    CONSTRAINT file_share_sessions_price_cents_range CHECK (price_cents >= 0),
    CONSTRAINT file_share_sessions_currency_form CHECK (currency COLLATE "C" ~ '^[A-Za-z]{3}$'),
    CONSTRAINT file_share_sessions_title_length CHECK (char_length(title) <= 256),
    CONSTRAINT file_share_sessions_file_name_length CHECK (char_length(file_name) <= 256),
    CONSTRAINT file_share_sessions_file_size_bytes_range CHECK (file_size_bytes >= 0),
    CONSTRAINT file_share_sessions_ttl_seconds_range CHECK (ttl_seconds BETWEEN 0 AND 315360000)
);
-- The lists of one customer and of the workspace are read from these alone, what they sort by included.
CREATE INDEX file_share_sessions_of_customer
    ON portal.file_share_sessions (workspace_id, customer_id, created_at, id) INCLUDE (status, download_count);
CREATE INDEX file_share_sessions_of_workspace
    ON portal.file_share_sessions (workspace_id, created_at, id) INCLUDE (status, download_count);
-- What is to flip to expired.
CREATE INDEX file_share_sessions_expiry ON portal.file_share_sessions (expires_at)
    WHERE status IN ('created', 'active') AND expires_at IS NOT NULL;

CREATE TABLE portal.file_share_downloads (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    modified_at   timestamptz,
    workspace_id  uuid        NOT NULL,
    session_id    uuid        NOT NULL,
    customer_id   uuid,
    slot_number   integer     NOT NULL,

    CONSTRAINT file_share_downloads_session
        FOREIGN KEY (workspace_id, session_id) REFERENCES portal.file_share_sessions (workspace_id, id),
    CONSTRAINT file_share_downloads_customer
        FOREIGN KEY (workspace_id, customer_id) REFERENCES portal.customers (workspace_id, id),
    CONSTRAINT file_share_downloads_slot_number_range CHECK (slot_number >= 0)
);
CREATE INDEX file_share_downloads_of_session
    ON portal.file_share_downloads (workspace_id, session_id, created_at, id);
CREATE INDEX file_share_downloads_of_customer
    ON portal.file_share_downloads (workspace_id, customer_id, session_id, created_at, id)
    WHERE customer_id IS NOT NULL;

-- customer_id: the buyer, where it is a customer.
CREATE TABLE portal.file_share_payments (
    id                          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at                  timestamptz NOT NULL DEFAULT now(),
    modified_at                 timestamptz,
    workspace_id                uuid        NOT NULL,
    session_id                  uuid        NOT NULL,
    customer_id                 uuid,
    status                      text        NOT NULL DEFAULT 'pending' COLLATE "C",
    amount_cents                bigint      NOT NULL,
    currency                    text        NOT NULL,
    platform_fee_cents          bigint      NOT NULL DEFAULT 0,
    stripe_checkout_session_id  text,
    stripe_payment_intent_id    text,
    buyer_email                 text,
    buyer_name                  text,

    CONSTRAINT file_share_payments_session
        FOREIGN KEY (workspace_id, session_id) REFERENCES portal.file_share_sessions (workspace_id, id),
    CONSTRAINT file_share_payments_customer
        FOREIGN KEY (workspace_id, customer_id) REFERENCES portal.customers (workspace_id, id),
    CONSTRAINT file_share_payments_status_known CHECK (status IN ('pending', 'completed', 'refunded', 'failed')),
    CONSTRAINT file_share_payments_amount_cents_range CHECK (amount_cents >= 0),
    CONSTRAINT file_share_payments_currency_form CHECK (currency COLLATE "C" ~ '^[A-Za-z]{3}$'),
    CONSTRAINT file_share_payments_platform_fee_cents_range CHECK (platform_fee_cents >= 0),
    CONSTRAINT file_share_payments_stripe_checkout_session_id_length
        CHECK (char_length(stripe_checkout_session_id) BETWEEN 1 AND 256),
    CONSTRAINT file_share_payments_stripe_payment_intent_id_length
        CHECK (char_length(stripe_payment_intent_id) BETWEEN 1 AND 256),
    CONSTRAINT file_share_payments_buyer_email_form CHECK (portal.is_email(buyer_email)),
    CONSTRAINT file_share_payments_buyer_name_length CHECK (char_length(buyer_name) <= 256)
);
CREATE INDEX file_share_payments_of_session
    ON portal.file_share_payments (workspace_id, session_id, created_at, id);
CREATE INDEX file_share_payments_of_customer
    ON portal.file_share_payments (workspace_id, customer_id, created_at, id) WHERE customer_id IS NOT NULL;
CREATE INDEX file_share_payments_of_buyer
    ON portal.file_share_payments (workspace_id, customer_id, session_id, created_at, id)
    WHERE customer_id IS NOT NULL;

-- Who has paid for a session, or downloaded it, and is not its owner: kept by the triggers below, in the order in
-- which a customer's list shows sessions. So that list is two index scans merged, and neither needs the sessions.
CREATE TABLE portal.file_share_buyers (
    workspace_id        uuid        NOT NULL,
    customer_id         uuid        NOT NULL,
    session_id          uuid        NOT NULL,
    session_created_at  timestamptz NOT NULL,

    PRIMARY KEY (workspace_id, customer_id, session_id),
    CONSTRAINT file_share_buyers_session FOREIGN KEY (workspace_id, session_id)
        REFERENCES portal.file_share_sessions (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX file_share_buyers_of_customer
    ON portal.file_share_buyers (workspace_id, customer_id, session_created_at, session_id);
CREATE INDEX file_share_buyers_session ON portal.file_share_buyers (workspace_id, session_id);

-- ---- sessions

-- What is told of a session together: its slugs, its end, when it became what it is.
CREATE FUNCTION portal.complete_file_share_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    NEW.short_slug := coalesce(NEW.short_slug, portal.random_slug(10));
    NEW.long_slug := coalesce(NEW.long_slug, portal.random_slug(32));
    -- a new life counts from the beginning, unless an end is told with it
    IF TG_OP = 'INSERT' OR NEW.ttl_seconds IS DISTINCT FROM OLD.ttl_seconds THEN
        IF TG_OP = 'INSERT' AND NEW.expires_at IS NULL
           OR TG_OP = 'UPDATE' AND NEW.expires_at IS NOT DISTINCT FROM OLD.expires_at THEN
            NEW.expires_at := CASE WHEN NEW.ttl_seconds BETWEEN 1 AND 315360000
                                   THEN NEW.created_at + make_interval(secs => NEW.ttl_seconds) END;
        END IF;
    END IF;
    IF NEW.status = 'active' AND NEW.activated_at IS NULL THEN
        NEW.activated_at := CASE TG_OP WHEN 'INSERT' THEN NEW.created_at ELSE now() END;
    END IF;
    IF NEW.status = 'completed' AND NEW.completed_at IS NULL THEN
        NEW.completed_at := CASE TG_OP WHEN 'INSERT' THEN NEW.created_at ELSE now() END;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER complete BEFORE INSERT OR UPDATE ON portal.file_share_sessions
    FOR EACH ROW EXECUTE FUNCTION portal.complete_file_share_session();
CREATE TRIGGER modified BEFORE UPDATE ON portal.file_share_sessions
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();

-- file_sharing_session.created, .updated, .expired. A download announces itself: what it changes here, from within
-- its own trigger, is not told a second time. (No site may write download_count itself.)
CREATE FUNCTION portal.announce_file_share_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND pg_trigger_depth() > 1 AND NEW.download_count = OLD.download_count + 1 THEN
        RETURN NULL;
    END IF;
    PERFORM portal.announce(
        NEW.workspace_id,
        CASE WHEN TG_OP = 'INSERT' THEN 'file_sharing_session.created'
             WHEN NEW.status = 'expired' AND OLD.status <> 'expired' THEN 'file_sharing_session.expired'
             ELSE 'file_sharing_session.updated' END,
        jsonb_build_object('customer', NEW.customer_id), to_jsonb(NEW));
    RETURN NULL;
END
$$;
CREATE TRIGGER announced_first AFTER INSERT ON portal.file_share_sessions
    FOR EACH ROW EXECUTE FUNCTION portal.announce_file_share_session();
CREATE TRIGGER announced AFTER UPDATE ON portal.file_share_sessions
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.announce_file_share_session();

-- ---- buyers

-- Makes file_share_buyers say of one customer and one session what downloads and payments say. The session's row is
-- locked, so that of two changes at once the later one sees the earlier.
CREATE FUNCTION portal.settle_file_share_buyer(workspace uuid, session uuid, customer uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
DECLARE
    owner uuid;
    made_at timestamptz;
BEGIN
    IF customer IS NULL THEN
        RETURN;
    END IF;
    SELECT s.customer_id, s.created_at INTO owner, made_at FROM portal.file_share_sessions s
        WHERE s.workspace_id = workspace AND s.id = session FOR NO KEY UPDATE;
    IF owner <> customer
       AND (EXISTS (SELECT FROM portal.file_share_payments p
                     WHERE p.workspace_id = workspace AND p.session_id = session AND p.customer_id = customer)
            OR EXISTS (SELECT FROM portal.file_share_downloads d
                        WHERE d.workspace_id = workspace AND d.session_id = session AND d.customer_id = customer)) THEN
        INSERT INTO portal.file_share_buyers AS b (workspace_id, customer_id, session_id, session_created_at)
            VALUES (workspace, customer, session, made_at)
            ON CONFLICT (workspace_id, customer_id, session_id) DO UPDATE
               SET session_created_at = EXCLUDED.session_created_at
             WHERE b.session_created_at <> EXCLUDED.session_created_at;
    ELSE
        DELETE FROM portal.file_share_buyers b
            WHERE b.workspace_id = workspace AND b.customer_id = customer AND b.session_id = session;
    END IF;
END
$$;

CREATE FUNCTION portal.settle_file_share_buyers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM portal.settle_file_share_buyer(OLD.workspace_id, OLD.session_id, OLD.customer_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM portal.settle_file_share_buyer(NEW.workspace_id, NEW.session_id, NEW.customer_id);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER buyers AFTER INSERT OR DELETE OR UPDATE OF customer_id, session_id ON portal.file_share_payments
    FOR EACH ROW EXECUTE FUNCTION portal.settle_file_share_buyers();
CREATE TRIGGER buyers AFTER INSERT OR DELETE OR UPDATE OF customer_id, session_id ON portal.file_share_downloads
    FOR EACH ROW EXECUTE FUNCTION portal.settle_file_share_buyers();

-- Another owner, or another beginning: by the schema's owner alone.
CREATE FUNCTION portal.resettle_file_share_buyers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
DECLARE
    buyer uuid;
BEGIN
    FOR buyer IN SELECT customer_id FROM portal.file_share_payments
                  WHERE workspace_id = NEW.workspace_id AND session_id = NEW.id
                 UNION SELECT customer_id FROM portal.file_share_downloads
                  WHERE workspace_id = NEW.workspace_id AND session_id = NEW.id LOOP
        PERFORM portal.settle_file_share_buyer(NEW.workspace_id, NEW.id, buyer);
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER buyers AFTER UPDATE ON portal.file_share_sessions
    FOR EACH ROW WHEN ((OLD.customer_id, OLD.created_at) IS DISTINCT FROM (NEW.customer_id, NEW.created_at))
    EXECUTE FUNCTION portal.resettle_file_share_buyers();

-- ---- downloads

-- Counts the download in its session, activates and completes it. The session's row decides, one download after the
-- other, so that however many come at once there are never more than max_downloads.
CREATE FUNCTION portal.count_file_share_download() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
DECLARE
    counted integer;
BEGIN
    IF NEW.workspace_id IS NULL THEN
        NEW.workspace_id := (SELECT workspace_id FROM portal.file_share_sessions
                              WHERE id = NEW.session_id AND portal.may_write(workspace_id));
    END IF;
    IF NOT portal.may_write(NEW.workspace_id) THEN
        RETURN NEW;    -- row-level security refuses it next
    END IF;
    UPDATE portal.file_share_sessions AS s
       SET download_count = download_count + 1,
           status = CASE WHEN status NOT IN ('created', 'active') THEN status
                         WHEN max_downloads > 0 AND download_count + 1 >= max_downloads THEN 'completed'
                         ELSE 'active' END,
           activated_at = coalesce(activated_at, NEW.created_at),
           completed_at = CASE WHEN status IN ('created', 'active') AND max_downloads > 0
                                    AND download_count + 1 >= max_downloads
                               THEN coalesce(completed_at, NEW.created_at) ELSE completed_at END
     WHERE workspace_id = NEW.workspace_id AND id = NEW.session_id
       AND (max_downloads = 0 OR download_count < max_downloads)
    RETURNING download_count INTO counted;
    IF counted IS NULL AND EXISTS (SELECT FROM portal.file_share_sessions
                                    WHERE workspace_id = NEW.workspace_id AND id = NEW.session_id) THEN
        RAISE EXCEPTION 'Download limit reached.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'file_share_downloads_limit';
    END IF;
    NEW.slot_number := coalesce(NEW.slot_number, counted, 0);
    RETURN NEW;
END
$$;
CREATE TRIGGER counted BEFORE INSERT ON portal.file_share_downloads
    FOR EACH ROW EXECUTE FUNCTION portal.count_file_share_download();
CREATE TRIGGER modified BEFORE UPDATE ON portal.file_share_downloads
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();

-- Who may see what a buyer did: the session's owner, and the buyer. "customer" is an id, or a list of two.
CREATE FUNCTION portal.file_share_audience(owner uuid, buyer uuid) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = portal, pg_temp
RETURN jsonb_build_object('customer', CASE WHEN buyer IS NULL OR buyer = owner THEN to_jsonb(owner)
                                           ELSE jsonb_build_array(owner, buyer) END);

-- file_sharing_session.download_completed and .payment_received carry the session, the same for all who see them:
-- never another's payment.
CREATE FUNCTION portal.announce_file_share_buyer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
DECLARE
    session portal.file_share_sessions;
BEGIN
    SELECT * INTO session FROM portal.file_share_sessions s
        WHERE s.workspace_id = NEW.workspace_id AND s.id = NEW.session_id;
    PERFORM portal.announce(
        NEW.workspace_id,
        CASE TG_TABLE_NAME WHEN 'file_share_downloads' THEN 'file_sharing_session.download_completed'
                           ELSE 'file_sharing_session.payment_received' END,
        portal.file_share_audience(session.customer_id, NEW.customer_id), to_jsonb(session));
    RETURN NULL;
END
$$;
CREATE TRIGGER announced_first AFTER INSERT ON portal.file_share_downloads
    FOR EACH ROW EXECUTE FUNCTION portal.announce_file_share_buyer();
CREATE TRIGGER announced_first AFTER INSERT ON portal.file_share_payments
    FOR EACH ROW EXECUTE FUNCTION portal.announce_file_share_buyer();

-- ---- payments

CREATE FUNCTION portal.complete_file_share_payment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.workspace_id IS NULL THEN
            NEW.workspace_id := (SELECT workspace_id FROM portal.file_share_sessions
                                  WHERE id = NEW.session_id AND portal.may_write(workspace_id));
        END IF;
        IF NEW.currency IS NULL AND portal.may_write(NEW.workspace_id) THEN
            NEW.currency := (SELECT currency FROM portal.file_share_sessions
                              WHERE workspace_id = NEW.workspace_id AND id = NEW.session_id);
        END IF;
        -- of a session that is not there: the reference is what is refused
        NEW.currency := coalesce(NEW.currency, 'usd');
    END IF;
    IF strpos(NEW.buyer_email, '@') > 0 THEN
        NEW.buyer_email := split_part(NEW.buyer_email, '@', 1) || '@'
                        || lower(substr(NEW.buyer_email, strpos(NEW.buyer_email, '@') + 1) COLLATE "C");
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER complete BEFORE INSERT OR UPDATE ON portal.file_share_payments
    FOR EACH ROW EXECUTE FUNCTION portal.complete_file_share_payment();
CREATE TRIGGER modified BEFORE UPDATE ON portal.file_share_payments
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();

-- payment.updated: its customer's alone.
CREATE FUNCTION portal.announce_file_share_payment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM portal.announce(
        NEW.workspace_id, 'payment.updated',
        CASE WHEN NEW.customer_id IS NOT NULL THEN jsonb_build_object('customer', NEW.customer_id) END,
        to_jsonb(NEW));
    RETURN NULL;
END
$$;
CREATE TRIGGER announced AFTER UPDATE ON portal.file_share_payments
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.announce_file_share_payment();

-- A key is good for as long as what it made.
CREATE FUNCTION portal.forget_deleted_idempotency_keys() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    DELETE FROM portal.idempotency_keys WHERE workspace_id = OLD.workspace_id AND resource_id = OLD.id;
    RETURN NULL;
END
$$;
DO $$
DECLARE
    noun text;
BEGIN
    FOREACH noun IN ARRAY ARRAY['file_share_sessions', 'file_share_downloads', 'file_share_payments'] LOOP
        EXECUTE format('CREATE TRIGGER forget_keys AFTER DELETE ON portal.%I FOR EACH ROW '
                       'EXECUTE FUNCTION portal.forget_deleted_idempotency_keys()', noun);
        EXECUTE format('ALTER TABLE portal.%I ENABLE ROW LEVEL SECURITY', noun);
        EXECUTE format('CREATE POLICY product ON portal.%I TO portal_web, portal_helper '
                       'USING (true) WITH CHECK (true)', noun);
        EXECUTE format('CREATE POLICY site ON portal.%I TO portal_site '
                       'USING (workspace_id IN (SELECT portal.site_workspaces())) '
                       'WITH CHECK (workspace_id IN (SELECT portal.site_workspaces()))', noun);
    END LOOP;
END
$$;

-- ---- who may do what

-- PUBLIC may call what nobody forbids; these are for triggers alone, or they would write where the caller may not.
REVOKE EXECUTE ON FUNCTION portal.announce(uuid, text, jsonb, jsonb), portal.may_write(uuid), portal.random_slug(integer),
    portal.settle_file_share_buyer(uuid, uuid, uuid), portal.file_share_audience(uuid, uuid) FROM PUBLIC;

GRANT SELECT, INSERT, UPDATE ON portal.file_share_sessions, portal.file_share_downloads, portal.file_share_payments
    TO portal_web;
GRANT SELECT ON portal.file_share_buyers TO portal_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON portal.file_share_sessions, portal.file_share_downloads,
    portal.file_share_payments, portal.file_share_buyers
    TO portal_helper;

GRANT SELECT, DELETE ON portal.file_share_sessions, portal.file_share_downloads, portal.file_share_payments
    TO portal_site;
GRANT INSERT (id, created_at, workspace_id, customer_id, short_slug, long_slug, status, max_downloads, download_count,
              price_cents, currency, title, file_name, file_size_bytes, ttl_seconds, expires_at, activated_at,
              completed_at, user_id, share_id),
      UPDATE (short_slug, long_slug, status, max_downloads, price_cents, currency, title, file_name, file_size_bytes,
              ttl_seconds, expires_at, activated_at, completed_at, user_id, share_id)
    ON portal.file_share_sessions TO portal_site;
GRANT INSERT (id, created_at, workspace_id, session_id, customer_id, slot_number),
      UPDATE (customer_id, slot_number)
    ON portal.file_share_downloads TO portal_site;
GRANT INSERT (id, created_at, workspace_id, session_id, customer_id, status, amount_cents, currency,
              platform_fee_cents, stripe_checkout_session_id, stripe_payment_intent_id, buyer_email, buyer_name),
      UPDATE (customer_id, status, amount_cents, currency, platform_fee_cents, stripe_checkout_session_id,
              stripe_payment_intent_id, buyer_email, buyer_name)
    ON portal.file_share_payments TO portal_site;
