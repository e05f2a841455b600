-- Items of the client portal: the invoices, proposals, tasks … of contacts and companies.

-- The next number of a noun in a workspace. The counter's row is locked until the end of the transaction.
CREATE FUNCTION portal.next_number(workspace uuid, noun text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = portal, pg_temp
BEGIN ATOMIC
    INSERT INTO portal.id_counters AS counter (workspace_id, noun, last) VALUES (workspace, noun, 1)
        ON CONFLICT (workspace_id, noun) DO UPDATE SET last = counter.last + 1
        RETURNING last;
END;
GRANT EXECUTE ON FUNCTION portal.next_number(uuid, text) TO portal_web, portal_helper;

CREATE TABLE portal.portal_items (
    id            bigint      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    modified_at   timestamptz,
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    contact_id    bigint,
    company_id    bigint,
    module        text        NOT NULL,
    external_id   text        NOT NULL,
    title         text        NOT NULL,
    status        text        NOT NULL,
    amount_cents  bigint,
    currency      text,
    due_at        timestamptz,
    url           text,
    data          jsonb,
    deleted_at    timestamptz,

    PRIMARY KEY (workspace_id, id),
    CONSTRAINT portal_items_contact FOREIGN KEY (workspace_id, contact_id) REFERENCES portal.contacts (workspace_id, id),
    CONSTRAINT portal_items_company
        FOREIGN KEY (workspace_id, company_id) REFERENCES portal.companies (workspace_id, id),
    CONSTRAINT portal_items_one_addressee CHECK (num_nonnulls(contact_id, company_id) = 1),
    CONSTRAINT portal_items_id_positive CHECK (id > 0),
    CONSTRAINT portal_items_module_known CHECK (
        module IN ('invoices', 'proposals', 'contracts', 'tasks', 'projects', 'tickets', 'files')),
    CONSTRAINT portal_items_external_id_length CHECK (char_length(external_id) BETWEEN 1 AND 256),
    CONSTRAINT portal_items_title_length CHECK (char_length(title) BETWEEN 1 AND 256),
    CONSTRAINT portal_items_status_length CHECK (char_length(status) BETWEEN 1 AND 64),
    CONSTRAINT portal_items_amount_cents_range CHECK (amount_cents >= 0),
    CONSTRAINT portal_items_currency_form CHECK (currency COLLATE "C" ~ '^[A-Za-z]{3}$'),
    CONSTRAINT portal_items_due_at_range CHECK (due_at >= '0001-01-01T00:00:00Z' AND due_at < '10000-01-01T00:00:00Z'),
    -- http or https, a host, no userinfo, and nothing that a browser would read as another host
    CONSTRAINT portal_items_url_form CHECK (char_length(url) <= 2083 AND url COLLATE "C" !~ '[[:space:][:cntrl:]\\]'
        AND url COLLATE "C" ~* '^https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(:[0-9]{0,5})?([/?#]|$)'),
    CONSTRAINT portal_items_data_form CHECK (jsonb_typeof(data) = 'object')
);
CREATE UNIQUE INDEX portal_items_external_id_living ON portal.portal_items (workspace_id, module, external_id)
    WHERE deleted_at IS NULL;
CREATE INDEX portal_items_contact ON portal.portal_items (workspace_id, contact_id, module) WHERE contact_id IS NOT NULL;
CREATE INDEX portal_items_company ON portal.portal_items (workspace_id, company_id, module) WHERE company_id IS NOT NULL;

CREATE TRIGGER numbered BEFORE INSERT ON portal.portal_items FOR EACH ROW EXECUTE FUNCTION portal.number_row();
CREATE TRIGGER modified BEFORE UPDATE ON portal.portal_items
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();

-- portal_item.created, .updated, .deleted: told to the contact and, as a company sees its contacts' items, to the
-- contact's company; or to the company. An audience of two members is either's. What moves to another addressee is
-- told to the new one alone.
CREATE FUNCTION portal.announce_portal_item() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
DECLARE
    item portal.portal_items := coalesce(NEW, OLD);
BEGIN
    PERFORM portal.announce(
        item.workspace_id,
        CASE WHEN TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NEW.deleted_at IS NOT NULL) THEN 'portal_item.deleted'
             WHEN TG_OP = 'INSERT' OR OLD.deleted_at IS NOT NULL THEN 'portal_item.created'
             ELSE 'portal_item.updated' END,
        jsonb_strip_nulls(jsonb_build_object(
            'contact', item.contact_id,
            'company', coalesce(item.company_id, (SELECT company_id FROM portal.contacts
                                                   WHERE workspace_id = item.workspace_id AND id = item.contact_id)))),
        to_jsonb(item));
    RETURN NULL;
END
$$;
CREATE TRIGGER announced_first AFTER INSERT ON portal.portal_items
    FOR EACH ROW WHEN (NEW.deleted_at IS NULL) EXECUTE FUNCTION portal.announce_portal_item();
CREATE TRIGGER announced AFTER UPDATE ON portal.portal_items
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW AND (OLD.deleted_at IS NULL OR NEW.deleted_at IS NULL))
    EXECUTE FUNCTION portal.announce_portal_item();
CREATE TRIGGER announced_last AFTER DELETE ON portal.portal_items
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL) EXECUTE FUNCTION portal.announce_portal_item();

-- An Idempotency-Key is good for as long as what it made. The argument is the path it was made at: a contact and a
-- company may have one number.
CREATE FUNCTION portal.forget_numbered_keys() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    DELETE FROM portal.idempotency_keys
        WHERE workspace_id = OLD.workspace_id AND resource_id = portal.number_uuid(OLD.id) AND path = TG_ARGV[0];
    RETURN NULL;
END
$$;
DO $$
DECLARE
    noun text;
    path text;
BEGIN
    FOR noun, path IN VALUES ('contacts', '/api/contacts'), ('companies', '/api/companies'),
                             ('portal_items', '/api/portal-items') LOOP
        EXECUTE format('CREATE TRIGGER forget_keys AFTER UPDATE ON portal.%I FOR EACH ROW '
                       'WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) '
                       'EXECUTE FUNCTION portal.forget_numbered_keys(%L)', noun, path);
        EXECUTE format('CREATE TRIGGER forget_last_keys AFTER DELETE ON portal.%I FOR EACH ROW '
                       'EXECUTE FUNCTION portal.forget_numbered_keys(%L)', noun, path);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE ON portal.portal_items TO portal_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON portal.portal_items TO portal_helper;
GRANT SELECT, DELETE ON portal.portal_items TO portal_site;
GRANT INSERT (id, created_at, workspace_id, contact_id, company_id, module, external_id, title, status, amount_cents,
              currency, due_at, url, data, deleted_at),
      UPDATE (contact_id, company_id, module, external_id, title, status, amount_cents, currency, due_at, url, data,
              deleted_at)
    ON portal.portal_items TO portal_site;

ALTER TABLE portal.portal_items ENABLE ROW LEVEL SECURITY;
CREATE POLICY product ON portal.portal_items TO portal_web, portal_helper USING (true) WITH CHECK (true);
CREATE POLICY site ON portal.portal_items TO portal_site
    USING (workspace_id IN (SELECT portal.site_workspaces()))
    WITH CHECK (workspace_id IN (SELECT portal.site_workspaces()));
