-- What REST refuses is refused to plain SQL, too; changing, deleting and erasing customers; access tokens that make
-- access tokens.

-- ---- the rules of src/portal/email.cpp and billing_address.cpp

-- Atoms of the local part, labels of the domain: at most 64, 253 and 254 bytes. Beyond ASCII anything that shows:
-- spaces, controls and format characters look like nothing, or reorder what follows.
CREATE OR REPLACE FUNCTION portal.is_email(email text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length(email) <= 254
   AND octet_length(split_part(email, '@', 1)) <= 64
   AND octet_length(split_part(email, '@', 2)) <= 253
   AND email COLLATE "C" !~ ('[\u0080-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000'
                          || '\ufeff\ufff0-\ufffb\U000e0000-\U000e0fff]')
   AND email COLLATE "C" ~ ('^[A-Za-z0-9!#$%&''*+/=?^_`{|}~\u0080-\U0010ffff-]+'
                         || '(\.[A-Za-z0-9!#$%&''*+/=?^_`{|}~\u0080-\U0010ffff-]+)*'
                         || '@[A-Za-z0-9\u0080-\U0010ffff-]+(\.[A-Za-z0-9\u0080-\U0010ffff-]+)+$')
   AND split_part(email, '@', 2) COLLATE "C" !~ '(^|\.)-|-(\.|$)'
   AND NOT EXISTS (SELECT FROM unnest(string_to_array(split_part(email, '@', 2), '.')) label
                    WHERE octet_length(label) > 63);

-- Six members, ISO 3166 codes; null where nothing is stored.
CREATE FUNCTION portal.is_billing_address(address jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_typeof(address) = 'object'
   AND NOT EXISTS (SELECT FROM jsonb_each(address) part
                    WHERE part.key NOT IN ('country', 'line1', 'line2', 'postal_code', 'city', 'state')
                       OR jsonb_typeof(part.value) NOT IN ('string', 'null')
                       OR char_length(part.value #>> '{}') > 256)
   AND coalesce(address ->> 'country' = ANY (string_to_array(
        'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY '
        'BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK '
        'FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR '
        'IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK '
        'ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM '
        'PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF '
        'TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW', ' ')),
        false)
   AND CASE address ->> 'country'
       WHEN 'US' THEN coalesce(address ->> 'state' = ANY (string_to_array(
        'US-AL US-AK US-AZ US-AR US-CA US-CO US-CT US-DE US-FL US-GA US-HI US-ID US-IL US-IN US-IA US-KS US-KY US-LA '
        'US-ME US-MD US-MA US-MI US-MN US-MS US-MO US-MT US-NE US-NV US-NH US-NJ US-NM US-NY US-NC US-ND US-OH US-OK '
        'US-OR US-PA US-RI US-SC US-SD US-TN US-TX US-UT US-VT US-VA US-WA US-WV US-WI US-WY US-DC US-AS US-GU US-MP '
        'US-PR US-UM US-VI', ' ')), false)
       WHEN 'CA' THEN coalesce(address ->> 'state' = ANY (string_to_array(
        'CA-AB CA-BC CA-MB CA-NB CA-NL CA-NS CA-NT CA-NU CA-ON CA-PE CA-QC CA-SK CA-YT', ' ')), false)
       ELSE true END;
GRANT EXECUTE ON FUNCTION portal.is_billing_address(jsonb) TO portal_web, portal_helper, portal_site;

-- "us" is US, "ny" is US-NY; what is absent is null, what is unknown is left out.
CREATE FUNCTION portal.normalise_billing_address() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
DECLARE
    country text;
    state text;
BEGIN
    IF jsonb_typeof(NEW.billing_address) = 'null' THEN
        NEW.billing_address := NULL;
    ELSIF jsonb_typeof(NEW.billing_address) = 'object' THEN
        country := upper((NEW.billing_address ->> 'country') COLLATE "C");
        state := NEW.billing_address ->> 'state';
        IF country IN ('US', 'CA') AND state IS NOT NULL THEN
            state := country || '-' || regexp_replace(upper(state COLLATE "C"), '^' || country || '-', '');
        END IF;
        NEW.billing_address := jsonb_build_object(
            'country', country, 'line1', NEW.billing_address -> 'line1', 'line2', NEW.billing_address -> 'line2',
            'postal_code', NEW.billing_address -> 'postal_code', 'city', NEW.billing_address -> 'city', 'state', state);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER billing_address BEFORE INSERT OR UPDATE OF billing_address ON portal.customers
    FOR EACH ROW WHEN (NEW.billing_address IS NOT NULL) EXECUTE FUNCTION portal.normalise_billing_address();
-- what is stored already was checked when REST took it
ALTER TABLE portal.customers DROP CONSTRAINT customers_billing_address_form,
    ADD CONSTRAINT customers_billing_address_form CHECK (
        billing_address IS NULL OR portal.is_billing_address(billing_address)) NOT VALID;

CREATE FUNCTION portal.is_host_list(hosts text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NOT EXISTS (SELECT FROM unnest(hosts) host
                    WHERE host IS NULL OR host COLLATE "C" !~ '^[A-Za-z0-9.:\[\]-]{1,255}$');
GRANT EXECUTE ON FUNCTION portal.is_host_list(text[]) TO portal_web, portal_helper, portal_site;
ALTER TABLE portal.workspaces DROP CONSTRAINT workspaces_return_hosts_form,
    ADD CONSTRAINT workspaces_return_hosts_form CHECK (portal.is_host_list(return_hosts)) NOT VALID;

-- No module twice, as REST says.
CREATE FUNCTION portal.is_distinct(words text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cardinality(words) = (SELECT count(DISTINCT word) FROM unnest(words) word);
GRANT EXECUTE ON FUNCTION portal.is_distinct(text[]) TO portal_web, portal_helper, portal_site;
ALTER TABLE portal.client_portal_configs
    ADD CONSTRAINT client_portal_configs_modules_distinct CHECK (portal.is_distinct(enabled_modules)) NOT VALID;

-- Members are a site's to make only under the member model (REST: 403). Our own roles make them where they must.
CREATE POLICY member_model ON portal.members AS RESTRICTIVE FOR INSERT TO portal_site
    WITH CHECK (EXISTS (SELECT FROM portal.workspaces w
                         WHERE w.id = workspace_id AND (w.feature_settings ->> 'member_model_enabled')::boolean));

-- ---- deleting a customer

-- Its members go with it, and their sessions; a key that made it has nothing to show any more.
CREATE FUNCTION portal.end_customer_members() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.members SET deleted_at = NEW.deleted_at
     WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.id AND deleted_at IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER end_members AFTER UPDATE ON portal.customers
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION portal.end_customer_members();
CREATE TRIGGER forget_keys AFTER UPDATE ON portal.customers
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION portal.forget_idempotency_keys();
CREATE TRIGGER forget_keys AFTER UPDATE ON portal.workspace_access_tokens
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
    EXECUTE FUNCTION portal.forget_idempotency_keys();

-- ---- changing a customer

-- The rules one UPDATE cannot tell of, all of those that are broken: email_taken, external_id_taken,
-- external_id_fixed, type_downgrade. A function, because of the handler: the violation of a unique index would
-- otherwise write the address into the server's log. No row: no such customer.
CREATE FUNCTION portal.change_customer(workspace uuid, which uuid, external text, change jsonb)
RETURNS TABLE (refused text[], changed portal.customers)
LANGUAGE plpgsql SET search_path = portal, pg_temp AS $$
DECLARE
    present portal.customers;
    violated text;
BEGIN
    SELECT * INTO present
      FROM portal.customers c
     WHERE c.workspace_id = workspace AND c.deleted_at IS NULL AND (c.id = which OR c.external_id = external)
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    refused := '{}';
    IF EXISTS (SELECT FROM portal.customers c
                WHERE c.workspace_id = workspace AND c.deleted_at IS NULL AND c.id <> present.id
                  AND lower(c.email COLLATE "C") = lower((change ->> 'email') COLLATE "C")) THEN
        refused := refused || 'email_taken'::text;
    END IF;
    IF change ? 'external_id' AND present.external_id IS NOT NULL THEN
        IF change ->> 'external_id' IS DISTINCT FROM present.external_id THEN
            refused := refused || 'external_id_fixed'::text;
        END IF;
    ELSIF EXISTS (SELECT FROM portal.customers c
                   WHERE c.workspace_id = workspace AND c.deleted_at IS NULL AND c.id <> present.id
                     AND c.external_id = change ->> 'external_id') THEN
        refused := refused || 'external_id_taken'::text;
    END IF;
    IF change ? 'type' AND present.type = 'team' AND change ->> 'type' IS DISTINCT FROM 'team' THEN
        refused := refused || 'type_downgrade'::text;
    END IF;
    IF refused = '{}' THEN
        BEGIN
            UPDATE portal.customers c SET
                email = CASE WHEN change ? 'email' THEN change ->> 'email' ELSE c.email END,
                -- another address is another proof
                email_verified = c.email_verified AND (NOT change ? 'email'
                    OR lower(c.email COLLATE "C") = lower((change ->> 'email') COLLATE "C")),
                external_id = CASE WHEN change ? 'external_id' THEN change ->> 'external_id' ELSE c.external_id END,
                name = CASE WHEN change ? 'name' THEN change ->> 'name' ELSE c.name END,
                type = CASE WHEN change ? 'type' THEN change ->> 'type' ELSE c.type END,
                billing_address = CASE WHEN change ? 'billing_address' THEN nullif(change -> 'billing_address', 'null')
                                       ELSE c.billing_address END,
                metadata = CASE WHEN change ? 'metadata' THEN coalesce(nullif(change -> 'metadata', 'null'), '{}')
                                ELSE c.metadata END,
                blocked_at = CASE WHEN NOT change ? 'blocked' THEN c.blocked_at
                                  WHEN (change ->> 'blocked')::boolean THEN coalesce(c.blocked_at, now()) END
             WHERE c.id = present.id
            RETURNING * INTO changed;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
            refused := ARRAY[CASE violated WHEN 'customers_email_living' THEN 'email_taken'
                                           ELSE 'external_id_taken' END];
        END;
    END IF;
    RETURN NEXT;
END
$$;

GRANT EXECUTE ON FUNCTION portal.change_customer(uuid, uuid, text, jsonb) TO portal_web, portal_helper;

-- ---- erasing a customer

-- One row here wipes a person everywhere: whoever inserts it, the triggers below do the work, one for each place the
-- person's data went. A later table adds its own, named erase_…, in its own migration; the customer's and the members'
-- rows are wiped after all of them, so that each may still look up ids and addresses.
CREATE TABLE portal.erasures (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    customer_id   uuid        NOT NULL,

    CONSTRAINT erasures_customer FOREIGN KEY (workspace_id, customer_id)
        REFERENCES portal.customers (workspace_id, id) ON DELETE CASCADE,
    CONSTRAINT erasures_once UNIQUE (workspace_id, customer_id)
);

-- Every address the customer and its members have, as addresses are compared.
CREATE FUNCTION portal.addresses_of(customer uuid) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = portal, pg_temp
BEGIN ATOMIC
    SELECT portal.email_key(email) FROM portal.customers WHERE id = customer
    UNION
    SELECT portal.email_key(email) FROM portal.members WHERE customer_id = customer;
END;

-- A row as an event or an answer holds it, without what tells who it is.
CREATE FUNCTION portal.without_person(data jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = portal, pg_temp
RETURN data || (
    SELECT coalesce(jsonb_object_agg(part.key, part.value), '{}')
      FROM jsonb_each('{"email": "anonymous@anonymized.invalid", "email_verified": false, "name": null,
                        "billing_name": null, "billing_address": null, "metadata": {}, "external_id": null,
                        "buyer_email": null, "buyer_name": null}') part
     WHERE data ? part.key);

CREATE INDEX events_audience_customer ON portal.events (workspace_id, (audience ->> 'customer'))
    WHERE audience ->> 'customer' IS NOT NULL;
CREATE INDEX events_data_customer ON portal.events (workspace_id, (data ->> 'customer_id'))
    WHERE data ->> 'customer_id' IS NOT NULL;
CREATE INDEX contacts_customer_linked ON portal.contacts (workspace_id, customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX companies_customer_linked ON portal.companies (workspace_id, customer_id) WHERE customer_id IS NOT NULL;
-- of all sessions, ended ones too: what is erased and exported
CREATE INDEX customer_sessions_of_customer ON portal.customer_sessions (workspace_id, customer_id);
CREATE INDEX member_sessions_of_customer ON portal.member_sessions (workspace_id, customer_id);

-- It is deleted first: sessions end, and the event that says so is wiped with the others.
CREATE FUNCTION portal.erase_begin() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.customers SET deleted_at = now()
     WHERE workspace_id = NEW.workspace_id AND id = NEW.customer_id AND deleted_at IS NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER delete_first BEFORE INSERT ON portal.erasures FOR EACH ROW EXECUTE FUNCTION portal.erase_begin();

-- Addressees linked to the customer that are the same person, by address; the company itself is none. Their links end.
CREATE FUNCTION portal.erase_addressees() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.contacts SET name = 'Anonymized', email = NULL, external_id = NULL
     WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id
       AND portal.email_key(email) IN (SELECT portal.addresses_of(NEW.customer_id));
    UPDATE portal.companies SET email = NULL
     WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id
       AND portal.email_key(email) IN (SELECT portal.addresses_of(NEW.customer_id));
    RETURN NULL;
END
$$;
CREATE TRIGGER erase_addressees AFTER INSERT ON portal.erasures
    FOR EACH ROW EXECUTE FUNCTION portal.erase_addressees();

CREATE FUNCTION portal.erase_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.events SET data = portal.without_person(data)
     WHERE workspace_id = NEW.workspace_id
       AND (audience ->> 'customer' = NEW.customer_id::text OR data ->> 'customer_id' = NEW.customer_id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER erase_events AFTER INSERT ON portal.erasures FOR EACH ROW EXECUTE FUNCTION portal.erase_events();

CREATE FUNCTION portal.erase_idempotency_keys() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    DELETE FROM portal.idempotency_keys
     WHERE workspace_id = NEW.workspace_id AND resource_id IN (
           SELECT NEW.customer_id
           UNION ALL SELECT id FROM portal.members WHERE customer_id = NEW.customer_id
           UNION ALL SELECT id FROM portal.customer_sessions
                      WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id
           UNION ALL SELECT id FROM portal.member_sessions
                      WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER erase_idempotency_keys AFTER INSERT ON portal.erasures
    FOR EACH ROW EXECUTE FUNCTION portal.erase_idempotency_keys();

-- Mail to the customer, its members and its erased addressees: nothing more is sent, and what a mail server answered
-- (which may quote an address) and what was written to them goes.
CREATE FUNCTION portal.erase_mail() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.outbox o
       SET payload = '{}', reply = NULL,
           state = CASE state WHEN 'queued' THEN 'failed' ELSE state END,
           failed_at = CASE state WHEN 'queued' THEN now() ELSE failed_at END
     WHERE o.workspace_id = NEW.workspace_id
       AND (o.member_id IN (SELECT id FROM portal.members
                             WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id)
            OR o.token_id IN (
               SELECT t.id
                 FROM portal.client_portal_tokens t
                 LEFT JOIN portal.contacts p ON p.workspace_id = t.workspace_id AND p.id = t.contact_id
                 LEFT JOIN portal.companies f ON f.workspace_id = t.workspace_id AND f.id = t.company_id
                WHERE t.workspace_id = NEW.workspace_id AND coalesce(p.email, f.email) IS NULL
                  AND coalesce(p.customer_id, f.customer_id) = NEW.customer_id));
    RETURN NULL;
END
$$;
CREATE TRIGGER erase_mail AFTER INSERT ON portal.erasures FOR EACH ROW EXECUTE FUNCTION portal.erase_mail();

CREATE FUNCTION portal.erase_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.customer_sessions SET return_url = NULL
     WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id AND return_url IS NOT NULL;
    UPDATE portal.member_sessions SET return_url = NULL
     WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id AND return_url IS NOT NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER erase_sessions AFTER INSERT ON portal.erasures FOR EACH ROW EXECUTE FUNCTION portal.erase_sessions();

-- Last by its name.
CREATE FUNCTION portal.erase_person() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.members
       SET email = 'anonymous-' || id || '@anonymized.invalid', name = NULL, external_id = NULL,
           deleted_at = coalesce(deleted_at, now())
     WHERE workspace_id = NEW.workspace_id AND customer_id = NEW.customer_id;
    UPDATE portal.customers
       SET email = 'anonymous-' || id || '@anonymized.invalid', email_verified = false, name = NULL,
           external_id = NULL, billing_name = NULL, billing_address = NULL, metadata = '{}'
     WHERE workspace_id = NEW.workspace_id AND id = NEW.customer_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER finally_erase_person AFTER INSERT ON portal.erasures
    FOR EACH ROW EXECUTE FUNCTION portal.erase_person();

-- ---- access tokens

-- A write scope includes its read.
CREATE FUNCTION portal.scopes_within(scopes text[], granted text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NOT EXISTS (SELECT FROM unnest(scopes) scope
                    WHERE NOT (scope = ANY (granted)
                               OR scope LIKE '%:read' AND replace(scope, ':read', ':write') = ANY (granted)));
GRANT EXECUTE ON FUNCTION portal.scopes_within(text[], text[]) TO portal_web, portal_helper;

-- ---- grants

GRANT SELECT, INSERT ON portal.erasures TO portal_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON portal.erasures TO portal_helper;
GRANT SELECT, INSERT (workspace_id, customer_id) ON portal.erasures TO portal_site;
ALTER TABLE portal.erasures ENABLE ROW LEVEL SECURITY;
CREATE POLICY product ON portal.erasures TO portal_web, portal_helper USING (true) WITH CHECK (true);
CREATE POLICY site ON portal.erasures TO portal_site
    USING (workspace_id IN (SELECT portal.site_workspaces()))
    WITH CHECK (workspace_id IN (SELECT portal.site_workspaces()));

-- A function that runs with its owner's rights is nobody's to call but those named, and nobody's to hang on a table of
-- their own as a trigger, where they would choose what it is told. (Default privileges of a schema only add: what 001
-- wanted to take away was still there.) A later migration does the same for its own.
DO $$
DECLARE
    signature regprocedure;
BEGIN
    FOR signature IN SELECT oid FROM pg_proc WHERE pronamespace = 'portal'::regnamespace AND prosecdef LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', signature);
    END LOOP;
END
$$;
