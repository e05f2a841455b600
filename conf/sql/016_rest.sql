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

-- ---- checks of every row that is written

-- The rules of 001 and 012, as expressions that PostgreSQL puts into a check itself: one with a query inside is called
-- as a function for each row, which made these most of what an import took.

-- Labels of a domain: at most 63 bytes.
CREATE FUNCTION portal.labels_fit(domain text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NOT EXISTS (SELECT FROM unnest(string_to_array(domain, '.')) label WHERE octet_length(label) > 63);
GRANT EXECUTE ON FUNCTION portal.labels_fit(text) TO portal_web, portal_helper, portal_site;

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
   AND (octet_length(split_part(email, '@', 2)) <= 63 OR portal.labels_fit(split_part(email, '@', 2)));

CREATE OR REPLACE FUNCTION portal.object_size(value jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(value) = 'object'
            THEN jsonb_array_length(jsonb_path_query_array(value, 'strict $.keyvalue()')) END;

CREATE OR REPLACE FUNCTION portal.is_billing_address(address jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_typeof(address) = 'object'
   AND address - ARRAY['country', 'line1', 'line2', 'postal_code', 'city', 'state'] = '{}'
   AND NOT address @? 'strict $.* ? (@.type() != "string" && @.type() != "null")'
   AND coalesce(greatest(char_length(address ->> 'country'), char_length(address ->> 'line1'),
                         char_length(address ->> 'line2'), char_length(address ->> 'postal_code'),
                         char_length(address ->> 'city'), char_length(address ->> 'state')) <= 256, true)
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

-- ---- downloads that are imported

-- As 009 has it, and: an import tells what was counted already, SET LOCAL portal.count_downloads = 'off'. A site's own
-- downloads always count.
CREATE OR REPLACE FUNCTION portal.count_file_share_download() RETURNS trigger
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
    IF current_setting('portal.count_downloads', true) = 'off'
       AND NOT EXISTS (SELECT FROM portal.site_roles WHERE role_name = session_user) THEN
        NEW.slot_number := coalesce(NEW.slot_number, 0);
        RETURN NEW;
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

-- ---- imports that say nothing

-- Is a change told? As 007 has it, but as an expression, so that a trigger that has nothing to say is not called. Own
-- roles may be silent; a site's own role cannot.
CREATE FUNCTION portal.announces() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN current_setting('portal.announce', true) IS DISTINCT FROM 'off'
    OR pg_has_role(session_user, 'portal_site', 'MEMBER') AND NOT pg_has_role(session_user, 'portal_owner', 'MEMBER');
GRANT EXECUTE ON FUNCTION portal.announces() TO portal_web, portal_helper, portal_site;

CREATE OR REPLACE FUNCTION portal.announce(workspace uuid, type text, audience jsonb, data jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF portal.announces() THEN
        INSERT INTO portal.events (workspace_id, type, audience, data) VALUES (workspace, type, audience, data);
    END IF;
END
$$;

CREATE OR REPLACE TRIGGER announced_first AFTER INSERT ON portal.customers
    FOR EACH ROW WHEN (NEW.deleted_at IS NULL AND portal.announces()) EXECUTE FUNCTION portal.announce_customer();
CREATE OR REPLACE TRIGGER announced_first AFTER INSERT ON portal.portal_items
    FOR EACH ROW WHEN (NEW.deleted_at IS NULL AND portal.announces()) EXECUTE FUNCTION portal.announce_portal_item();
CREATE OR REPLACE TRIGGER announced_first AFTER INSERT ON portal.file_share_sessions
    FOR EACH ROW WHEN (portal.announces()) EXECUTE FUNCTION portal.announce_file_share_session();
CREATE OR REPLACE TRIGGER announced_first AFTER INSERT ON portal.file_share_downloads
    FOR EACH ROW WHEN (portal.announces()) EXECUTE FUNCTION portal.announce_file_share_buyer();
CREATE OR REPLACE TRIGGER announced_first AFTER INSERT ON portal.file_share_payments
    FOR EACH ROW WHEN (portal.announces()) EXECUTE FUNCTION portal.announce_file_share_buyer();

-- An address in the stored form stays as it is.
CREATE OR REPLACE TRIGGER billing_address BEFORE INSERT OR UPDATE OF billing_address ON portal.customers
    FOR EACH ROW WHEN (NEW.billing_address IS NOT NULL
        AND NOT (NEW.billing_address ?& '{country,line1,line2,postal_code,city,state}'
                 AND portal.is_billing_address(NEW.billing_address)))
    EXECUTE FUNCTION portal.normalise_billing_address();
