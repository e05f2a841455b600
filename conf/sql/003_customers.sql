-- Customers, their members, and the sessions of both.

CREATE TABLE portal.customers (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    modified_at      timestamptz,
    workspace_id     uuid        NOT NULL REFERENCES portal.workspaces (id),
    external_id      text,
    email            text        NOT NULL,
    email_verified   boolean     NOT NULL DEFAULT false,
    name             text,
    type             text,
    billing_name     text,
    billing_address  jsonb,
    metadata         jsonb       NOT NULL DEFAULT '{}',
    blocked_at       timestamptz,
    deleted_at       timestamptz,

    CONSTRAINT customers_workspace_id UNIQUE (workspace_id, id),
    CONSTRAINT customers_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 256),
    CONSTRAINT customers_email_form CHECK (portal.is_email(email)),
    CONSTRAINT customers_name_length CHECK (char_length(name) <= 256),
    CONSTRAINT customers_type_known CHECK (type IN ('individual', 'team')),
    CONSTRAINT customers_billing_name_length CHECK (char_length(billing_name) <= 256),
    CONSTRAINT customers_billing_address_form CHECK (jsonb_typeof(billing_address) IN ('object', 'null')),
    CONSTRAINT customers_metadata_form CHECK (coalesce(portal.object_size(metadata) <= 50, false))
);
CREATE UNIQUE INDEX customers_email_living ON portal.customers (workspace_id, lower(email COLLATE "C"))
    WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX customers_external_id_living ON portal.customers (workspace_id, external_id)
    WHERE deleted_at IS NULL;
CREATE INDEX customers_created ON portal.customers (workspace_id, created_at, id);

CREATE FUNCTION portal.customer_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF OLD.external_id IS NOT NULL AND NEW.external_id IS DISTINCT FROM OLD.external_id AND NEW.deleted_at IS NULL THEN
        RAISE EXCEPTION 'Customer external ID cannot be updated.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'customers_external_id_fixed';
    END IF;
    IF OLD.type = 'team' AND NEW.type IS DISTINCT FROM 'team' THEN
        RAISE EXCEPTION 'Customer type cannot be downgraded from ''team'' to ''individual''.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'customers_type_downgrade';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER email BEFORE INSERT OR UPDATE OF email ON portal.customers
    FOR EACH ROW EXECUTE FUNCTION portal.normalise_email();
CREATE TRIGGER rules BEFORE UPDATE OF external_id, type ON portal.customers
    FOR EACH ROW EXECUTE FUNCTION portal.customer_rules();
CREATE TRIGGER modified BEFORE UPDATE ON portal.customers
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
CREATE TRIGGER changed AFTER UPDATE ON portal.customers
    FOR EACH ROW WHEN ((OLD.blocked_at, OLD.deleted_at) IS DISTINCT FROM (NEW.blocked_at, NEW.deleted_at))
    EXECUTE FUNCTION portal.tell_changed();
CREATE TRIGGER deleted AFTER DELETE ON portal.customers
    FOR EACH ROW EXECUTE FUNCTION portal.tell_changed();

CREATE TABLE portal.members (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    modified_at   timestamptz,
    workspace_id  uuid        NOT NULL,
    customer_id   uuid        NOT NULL,
    external_id   text,
    email         text        NOT NULL,
    name          text,
    role          text        NOT NULL DEFAULT 'member',
    deleted_at    timestamptz,

    CONSTRAINT members_customer FOREIGN KEY (workspace_id, customer_id) REFERENCES portal.customers (workspace_id, id),
    CONSTRAINT members_workspace_id UNIQUE (workspace_id, customer_id, id),
    CONSTRAINT members_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 256),
    CONSTRAINT members_email_form CHECK (portal.is_email(email)),
    CONSTRAINT members_name_length CHECK (char_length(name) <= 256),
    CONSTRAINT members_role_known CHECK (role IN ('owner', 'billing_manager', 'member')),
    -- At most one owner. Deferrable, so that a hand-over in one statement does not depend on the order of its rows.
    CONSTRAINT members_one_owner EXCLUDE USING btree (customer_id WITH =)
        WHERE (role = 'owner' AND deleted_at IS NULL) DEFERRABLE INITIALLY IMMEDIATE
);
CREATE UNIQUE INDEX members_email_living ON portal.members (customer_id, lower(email COLLATE "C"))
    WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX members_external_id_living ON portal.members (customer_id, external_id)
    WHERE deleted_at IS NULL;

CREATE TRIGGER email BEFORE INSERT OR UPDATE OF email ON portal.members
    FOR EACH ROW EXECUTE FUNCTION portal.normalise_email();
-- Not "BEFORE UPDATE": a get-or-create touches modified_at alone, and changes nothing.
CREATE TRIGGER modified BEFORE UPDATE OF external_id, email, name, role, deleted_at ON portal.members
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
CREATE TRIGGER changed AFTER UPDATE ON portal.members
    FOR EACH ROW WHEN ((OLD.role, OLD.deleted_at) IS DISTINCT FROM (NEW.role, NEW.deleted_at))
    EXECUTE FUNCTION portal.tell_changed();
CREATE TRIGGER deleted AFTER DELETE ON portal.members
    FOR EACH ROW EXECUTE FUNCTION portal.tell_changed();

-- At least one owner where there are members, and one member where the customer is no team: looked at when the
-- transaction commits, so that it may insert members in any order. The customer's row is locked first: of two
-- transactions that are each right by themselves the second sees the first.
CREATE FUNCTION portal.check_members() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
DECLARE
    customer uuid := coalesce(NEW.customer_id, OLD.customer_id);
    customer_type text;
    living bigint;
    owners bigint;
BEGIN
    SELECT type INTO customer_type FROM portal.customers WHERE id = customer FOR NO KEY UPDATE;
    SELECT count(*), count(*) FILTER (WHERE role = 'owner') INTO living, owners
        FROM portal.members WHERE customer_id = customer AND deleted_at IS NULL;
    IF living > 0 AND owners <> 1 THEN
        RAISE EXCEPTION 'Customer must have exactly one owner.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'members_exactly_one_owner';
    END IF;
    IF living > 1 AND customer_type IS DISTINCT FROM 'team' THEN
        RAISE EXCEPTION 'An individual customer has one member.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'members_individual_has_one';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER members_exactly_one_owner
    AFTER INSERT OR DELETE OR UPDATE OF role, deleted_at, customer_id ON portal.members
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION portal.check_members();

CREATE TABLE portal.customer_sessions (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    modified_at   timestamptz,
    workspace_id  uuid        NOT NULL,
    customer_id   uuid        NOT NULL,
    token_hash    text        NOT NULL,
    secret_id     text        NOT NULL,
    return_url    text,
    expires_at    timestamptz NOT NULL,
    last_used_at  timestamptz,
    revoked_at    timestamptz,

    CONSTRAINT customer_sessions_customer
        FOREIGN KEY (workspace_id, customer_id) REFERENCES portal.customers (workspace_id, id),
    CONSTRAINT customer_sessions_token_hash UNIQUE (token_hash),
    CONSTRAINT customer_sessions_token_hash_form CHECK (token_hash COLLATE "C" ~ '^[0-9a-f]{64}$'),
    CONSTRAINT customer_sessions_return_url_form CHECK (char_length(return_url) BETWEEN 1 AND 2083)
);
CREATE INDEX customer_sessions_customer ON portal.customer_sessions (customer_id, expires_at) WHERE revoked_at IS NULL;

CREATE TABLE portal.member_sessions (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    modified_at   timestamptz,
    workspace_id  uuid        NOT NULL,
    customer_id   uuid        NOT NULL,
    member_id     uuid        NOT NULL,
    token_hash    text        NOT NULL,
    secret_id     text        NOT NULL,
    return_url    text,
    expires_at    timestamptz NOT NULL,
    last_used_at  timestamptz,
    revoked_at    timestamptz,

    CONSTRAINT member_sessions_member
        FOREIGN KEY (workspace_id, customer_id, member_id) REFERENCES portal.members (workspace_id, customer_id, id),
    CONSTRAINT member_sessions_token_hash UNIQUE (token_hash),
    CONSTRAINT member_sessions_token_hash_form CHECK (token_hash COLLATE "C" ~ '^[0-9a-f]{64}$'),
    CONSTRAINT member_sessions_return_url_form CHECK (char_length(return_url) BETWEEN 1 AND 2083)
);
CREATE INDEX member_sessions_customer ON portal.member_sessions (customer_id, expires_at) WHERE revoked_at IS NULL;
CREATE INDEX member_sessions_member ON portal.member_sessions (member_id) WHERE revoked_at IS NULL;

CREATE TRIGGER modified BEFORE UPDATE OF return_url, expires_at, revoked_at ON portal.customer_sessions
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
CREATE TRIGGER modified BEFORE UPDATE OF return_url, expires_at, revoked_at ON portal.member_sessions
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
CREATE TRIGGER changed AFTER UPDATE ON portal.customer_sessions
    FOR EACH ROW WHEN ((OLD.expires_at, OLD.revoked_at) IS DISTINCT FROM (NEW.expires_at, NEW.revoked_at))
    EXECUTE FUNCTION portal.tell_changed();
CREATE TRIGGER changed AFTER UPDATE ON portal.member_sessions
    FOR EACH ROW WHEN ((OLD.expires_at, OLD.revoked_at) IS DISTINCT FROM (NEW.expires_at, NEW.revoked_at))
    EXECUTE FUNCTION portal.tell_changed();
-- A purge of old rows tells nothing: nobody holds them any more.
CREATE TRIGGER deleted AFTER DELETE ON portal.customer_sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now()) EXECUTE FUNCTION portal.tell_changed();
CREATE TRIGGER deleted AFTER DELETE ON portal.member_sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now()) EXECUTE FUNCTION portal.tell_changed();

-- Deleting or blocking a customer or a member ends the sessions for good: unblocking does not bring them back.
CREATE FUNCTION portal.end_customer_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.customer_sessions SET revoked_at = now()
        WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.id AND revoked_at IS NULL AND expires_at > now();
    UPDATE portal.member_sessions SET revoked_at = now()
        WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.id AND revoked_at IS NULL AND expires_at > now();
    RETURN NULL;
END
$$;
CREATE TRIGGER end_sessions AFTER UPDATE ON portal.customers
    FOR EACH ROW WHEN ((OLD.blocked_at IS NULL AND NEW.blocked_at IS NOT NULL)
        OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL))
    EXECUTE FUNCTION portal.end_customer_sessions();

CREATE FUNCTION portal.end_member_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.member_sessions SET revoked_at = now()
        WHERE workspace_id = NEW.workspace_id AND member_id = NEW.id AND revoked_at IS NULL AND expires_at > now();
    RETURN NULL;
END
$$;
CREATE TRIGGER end_sessions AFTER UPDATE ON portal.members
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION portal.end_member_sessions();
