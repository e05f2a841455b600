-- What REST refuses, erases and lists, and 009 to 015 did not.

-- A cookie of signing in has this name, as src/portal/slug.cpp says.
CREATE OR REPLACE FUNCTION portal.is_slug(slug text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN slug COLLATE "C" ~ '^[a-z0-9-]{3,63}$'
   AND slug NOT IN ('api', 'client-portal', 'portal', 'portal-assets', 'dashboard', 'settings', 'login', 'signup',
                    'oauth2', 'admin', 'docs', 'download', 'share', 'file-sharing', 'metrics', 'health', 'challenge');

-- ---- erasing a customer

-- A row as an event or an answer holds it, without what tells who it is. What is never null is a word instead.
CREATE OR REPLACE FUNCTION portal.without_person(data jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = portal, pg_temp
RETURN data || (
    SELECT coalesce(jsonb_object_agg(part.key, part.value), '{}')
      FROM jsonb_each('{"email": "anonymous@anonymized.invalid", "email_verified": false, "name": null,
                        "billing_name": null, "billing_address": null, "metadata": {}, "external_id": null,
                        "buyer_email": null, "buyer_name": null, "title": null, "file_name": null}') part
     WHERE data ? part.key);

-- Sessions of people: where they were to return to, and the words for their devices.
CREATE OR REPLACE FUNCTION portal.erase_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.customer_sessions SET return_url = NULL, device = NULL
     WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id
       AND num_nonnulls(return_url, device) > 0;
    UPDATE portal.member_sessions SET return_url = NULL, device = NULL
     WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id
       AND num_nonnulls(return_url, device) > 0;
    RETURN NULL;
END
$$;

-- What its files are called. After the events, which are wiped first: what this announces is clean.
CREATE FUNCTION portal.erase_file_share_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.file_share_sessions SET title = NULL, file_name = NULL
     WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id
       AND num_nonnulls(title, file_name) > 0;
    RETURN NULL;
END
$$;
CREATE TRIGGER erase_file_share_sessions AFTER INSERT ON portal.erasures
    FOR EACH ROW EXECUTE FUNCTION portal.erase_file_share_sessions();

-- What the portal showed its contacts: what it was called, where it lay and what it held, in the items and in what was
-- told of them. Sums and states stay: the workspace has to account for them.
CREATE INDEX events_of_contact ON portal.events (workspace_id, (data ->> 'contact_id'))
    WHERE data ->> 'contact_id' IS NOT NULL;
CREATE FUNCTION portal.erase_portal_items() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
DECLARE
    addressees bigint[] := ARRAY(SELECT id FROM portal.contacts
                                  WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id);
BEGIN
    UPDATE portal.events
       SET data = data || '{"title": "Anonymized", "url": null, "data": null}'
     WHERE workspace_id = NEW.workspace_id AND data ->> 'contact_id' = ANY (addressees::text[])
       AND type LIKE 'portal\_item.%';
    UPDATE portal.portal_items SET title = 'Anonymized', url = NULL, data = NULL
     WHERE workspace_id = NEW.workspace_id AND contact_id = ANY (addressees);
    RETURN NULL;
END
$$;
CREATE TRIGGER erase_portal_items AFTER INSERT ON portal.erasures
    FOR EACH ROW EXECUTE FUNCTION portal.erase_portal_items();
REVOKE EXECUTE ON FUNCTION portal.erase_file_share_sessions(), portal.erase_portal_items() FROM PUBLIC;
