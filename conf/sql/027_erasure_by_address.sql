-- An erasure finds a person's events by address, too, and leaves other workspaces' codes alone.

-- The codes of other workspaces, and those asked for without one, are not this workspace's to delete: the latter end by
-- themselves, and housekeeping deletes them.
CREATE OR REPLACE FUNCTION portal.erase_login_challenges() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    DELETE FROM portal.login_challenges
     WHERE workspace_id = NEW.workspace_id AND email IN (SELECT portal.addresses_of(NEW.customer_id));
    RETURN NULL;
END
$$;

CREATE INDEX events_buyer_email ON portal.events (workspace_id, portal.email_key(data ->> 'buyer_email'))
    WHERE data ->> 'buyer_email' IS NOT NULL;

-- A payment's event names its buyer, whosever the payment is.
CREATE OR REPLACE FUNCTION portal.erase_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.events SET data = portal.without_person(data)
     WHERE workspace_id = NEW.workspace_id
       AND (audience ->> 'customer' = NEW.customer_id::text OR data ->> 'customer_id' = NEW.customer_id::text
            OR portal.email_key(data ->> 'buyer_email') = ANY (ARRAY(SELECT portal.addresses_of(NEW.customer_id))));
    RETURN NULL;
END
$$;
