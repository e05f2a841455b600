-- The client portal: contacts and companies, its configuration per workspace, its tokens.

-- Contacts and companies are numbered per workspace, from 1, or keep the id they are given.
CREATE TABLE portal.id_counters (
    workspace_id  uuid    NOT NULL REFERENCES portal.workspaces (id),
    noun          text    NOT NULL,
    last          bigint  NOT NULL,
    PRIMARY KEY (workspace_id, noun)
);

CREATE FUNCTION portal.number_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF NEW.id IS NULL THEN
        INSERT INTO portal.id_counters AS counter (workspace_id, noun, last) VALUES (NEW.workspace_id, TG_TABLE_NAME, 1)
            ON CONFLICT (workspace_id, noun) DO UPDATE SET last = counter.last + 1
            RETURNING last INTO NEW.id;
    ELSIF NEW.id BETWEEN 1 AND 4611686018427387904 THEN
        -- a given id near the end of the range does not use up the numbers below it
        INSERT INTO portal.id_counters AS counter (workspace_id, noun, last)
            SELECT NEW.workspace_id, TG_TABLE_NAME, NEW.id
            WHERE EXISTS (SELECT 1 FROM portal.workspaces WHERE id = NEW.workspace_id)
            ON CONFLICT (workspace_id, noun) DO UPDATE SET last = EXCLUDED.last WHERE counter.last < EXCLUDED.last;
    END IF;
    RETURN NEW;
END
$$;

CREATE TABLE portal.companies (
    id            bigint      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    modified_at   timestamptz,
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    name          text        NOT NULL,
    email         text,
    customer_id   uuid,
    external_id   text,
    deleted_at    timestamptz,

    PRIMARY KEY (workspace_id, id),
    CONSTRAINT companies_customer FOREIGN KEY (workspace_id, customer_id) REFERENCES portal.customers (workspace_id, id),
    CONSTRAINT companies_id_positive CHECK (id > 0),
    CONSTRAINT companies_name_length CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT companies_email_form CHECK (portal.is_email(email)),
    CONSTRAINT companies_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 256)
);
CREATE UNIQUE INDEX companies_external_id_living ON portal.companies (workspace_id, external_id)
    WHERE deleted_at IS NULL;

CREATE TABLE portal.contacts (
    id            bigint      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    modified_at   timestamptz,
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    name          text        NOT NULL,
    email         text,
    company_id    bigint,
    customer_id   uuid,
    external_id   text,
    deleted_at    timestamptz,

    PRIMARY KEY (workspace_id, id),
    CONSTRAINT contacts_company FOREIGN KEY (workspace_id, company_id) REFERENCES portal.companies (workspace_id, id),
    CONSTRAINT contacts_customer FOREIGN KEY (workspace_id, customer_id) REFERENCES portal.customers (workspace_id, id),
    CONSTRAINT contacts_id_positive CHECK (id > 0),
    CONSTRAINT contacts_name_length CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT contacts_email_form CHECK (portal.is_email(email)),
    CONSTRAINT contacts_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 256)
);
CREATE UNIQUE INDEX contacts_external_id_living ON portal.contacts (workspace_id, external_id)
    WHERE deleted_at IS NULL;
CREATE INDEX contacts_company ON portal.contacts (workspace_id, company_id);

CREATE TRIGGER numbered BEFORE INSERT ON portal.companies FOR EACH ROW EXECUTE FUNCTION portal.number_row();
CREATE TRIGGER numbered BEFORE INSERT ON portal.contacts FOR EACH ROW EXECUTE FUNCTION portal.number_row();
CREATE TRIGGER email BEFORE INSERT OR UPDATE OF email ON portal.companies
    FOR EACH ROW EXECUTE FUNCTION portal.normalise_email();
CREATE TRIGGER email BEFORE INSERT OR UPDATE OF email ON portal.contacts
    FOR EACH ROW EXECUTE FUNCTION portal.normalise_email();
CREATE TRIGGER modified BEFORE UPDATE ON portal.companies
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
CREATE TRIGGER modified BEFORE UPDATE ON portal.contacts
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();

-- A workspace without a row has the defaults.
CREATE TABLE portal.client_portal_configs (
    workspace_id           uuid        PRIMARY KEY REFERENCES portal.workspaces (id),
    created_at             timestamptz NOT NULL DEFAULT now(),
    modified_at            timestamptz,
    portal_name            text        NOT NULL DEFAULT 'Client Portal',
    portal_logo            text,
    primary_color          text        NOT NULL DEFAULT '#3B82F6',
    secondary_color        text        NOT NULL DEFAULT '#1E40AF',
    welcome_message        text        NOT NULL DEFAULT 'Welcome to your client portal!',
    enabled_modules        text[]      NOT NULL DEFAULT '{invoices,proposals,tasks}',
    is_active              boolean     NOT NULL DEFAULT true,
    allow_file_sharing     boolean     NOT NULL DEFAULT true,
    show_activity_feed     boolean     NOT NULL DEFAULT true,
    token_expiration_days  integer     NOT NULL DEFAULT 30,

    CONSTRAINT client_portal_configs_portal_name_length CHECK (char_length(portal_name) BETWEEN 1 AND 256),
    CONSTRAINT client_portal_configs_portal_logo_form CHECK (char_length(portal_logo) BETWEEN 1 AND 2083
        AND portal_logo !~ '[[:cntrl:]]' AND (portal_logo ~ '^https://'
            OR portal_logo !~ '(\\|^[A-Za-z][A-Za-z0-9+.-]*:|(^|/)(\.\.?)?(/|$))')),
    CONSTRAINT client_portal_configs_primary_color_form CHECK (primary_color COLLATE "C" ~ '^#[0-9A-Fa-f]{6}$'),
    CONSTRAINT client_portal_configs_secondary_color_form CHECK (secondary_color COLLATE "C" ~ '^#[0-9A-Fa-f]{6}$'),
    CONSTRAINT client_portal_configs_welcome_message_length CHECK (char_length(welcome_message) <= 2000),
    CONSTRAINT client_portal_configs_modules_known CHECK (array_position(enabled_modules, NULL) IS NULL AND
        enabled_modules <@ ARRAY['invoices', 'proposals', 'contracts', 'tasks', 'projects', 'tickets', 'files']),
    CONSTRAINT client_portal_configs_days_range CHECK (token_expiration_days BETWEEN 1 AND 3650)
);
CREATE TRIGGER modified BEFORE UPDATE ON portal.client_portal_configs
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON portal.client_portal_configs
    FOR EACH ROW EXECUTE FUNCTION portal.tell_workspace_changed();

-- Links of contacts and companies. Beside its hash a token is kept encrypted (AES-256-GCM, bound to the row's id),
-- because POST /token hands a living one out again. made_for: the invitation (outbox row) it was made for.
CREATE TABLE portal.client_portal_tokens (
    id                uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at        timestamptz NOT NULL DEFAULT now(),
    modified_at       timestamptz,
    workspace_id      uuid        NOT NULL REFERENCES portal.workspaces (id),
    contact_id        bigint,
    company_id        bigint,
    token_hash        text        NOT NULL,
    secret_id         text        NOT NULL,
    token_ciphertext  text,
    made_for          uuid,
    expires_at        timestamptz NOT NULL,
    last_accessed_at  timestamptz,
    access_count      bigint      NOT NULL DEFAULT 0,
    last_used_at      timestamptz,
    revoked_at        timestamptz,

    CONSTRAINT client_portal_tokens_workspace_id UNIQUE (workspace_id, id),
    CONSTRAINT client_portal_tokens_contact
        FOREIGN KEY (workspace_id, contact_id) REFERENCES portal.contacts (workspace_id, id),
    CONSTRAINT client_portal_tokens_company
        FOREIGN KEY (workspace_id, company_id) REFERENCES portal.companies (workspace_id, id),
    CONSTRAINT client_portal_tokens_one_addressee CHECK (num_nonnulls(contact_id, company_id) = 1),
    CONSTRAINT client_portal_tokens_token_hash UNIQUE (token_hash),
    CONSTRAINT client_portal_tokens_token_hash_form CHECK (token_hash COLLATE "C" ~ '^[0-9a-f]{64}$')
);
-- One standing link per addressee: of parallel get-or-creates all find the one that was first.
-- (Invitations each make their own, imported tokens cannot be shown again.)
CREATE UNIQUE INDEX client_portal_tokens_standing ON portal.client_portal_tokens
    (workspace_id, (contact_id IS NOT NULL), coalesce(contact_id, company_id))
    WHERE made_for IS NULL AND revoked_at IS NULL AND token_ciphertext IS NOT NULL;
CREATE INDEX client_portal_tokens_addressee ON portal.client_portal_tokens
    (workspace_id, (contact_id IS NOT NULL), coalesce(contact_id, company_id)) WHERE revoked_at IS NULL;

CREATE TRIGGER modified BEFORE UPDATE OF expires_at, revoked_at ON portal.client_portal_tokens
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
CREATE TRIGGER changed AFTER UPDATE ON portal.client_portal_tokens
    FOR EACH ROW WHEN ((OLD.expires_at, OLD.revoked_at) IS DISTINCT FROM (NEW.expires_at, NEW.revoked_at))
    EXECUTE FUNCTION portal.tell_changed();
CREATE TRIGGER deleted AFTER DELETE ON portal.client_portal_tokens
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now()) EXECUTE FUNCTION portal.tell_changed();

-- Changing an addressee's e-mail or customer, or deleting it, revokes its links: they may be in the wrong mailbox.
CREATE FUNCTION portal.revoke_addressee_tokens() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.client_portal_tokens SET revoked_at = now()
        WHERE workspace_id = NEW.workspace_id AND (contact_id IS NOT NULL) = (TG_TABLE_NAME = 'contacts')
          AND coalesce(contact_id, company_id) = NEW.id AND revoked_at IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER revoke_tokens AFTER UPDATE ON portal.contacts
    FOR EACH ROW WHEN ((OLD.email, OLD.customer_id) IS DISTINCT FROM (NEW.email, NEW.customer_id)
        OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL))
    EXECUTE FUNCTION portal.revoke_addressee_tokens();
CREATE TRIGGER revoke_tokens AFTER UPDATE ON portal.companies
    FOR EACH ROW WHEN ((OLD.email, OLD.customer_id) IS DISTINCT FROM (NEW.email, NEW.customer_id)
        OR (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL))
    EXECUTE FUNCTION portal.revoke_addressee_tokens();
