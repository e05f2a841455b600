-- payment.updated tells of another status, and tells it to those who may see payments: a customer's sessions, owners and
-- billing managers, but no other member of the team.

-- As 017 has it, and {"payments": id}: those of a customer who may see its payments.
CREATE OR REPLACE FUNCTION portal.audiences_of(audience jsonb) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT CASE part.key WHEN 'workspace' THEN part.key ELSE part.key || ':' || one.value END
      FROM jsonb_each(CASE jsonb_typeof(audience) WHEN 'object' THEN audience END) part,
           jsonb_array_elements_text(CASE jsonb_typeof(part.value) WHEN 'array' THEN part.value
                                          ELSE jsonb_build_array(part.value) END) one
     WHERE part.key IN ('customer', 'payments', 'contact', 'company') AND one.value IS NOT NULL
        OR part.key = 'workspace' AND one.value = 'true';
END;

CREATE OR REPLACE FUNCTION portal.announce_file_share_payment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM portal.announce(
        NEW.workspace_id, 'payment.updated',
        CASE WHEN NEW.customer_id IS NOT NULL THEN jsonb_build_object('payments', NEW.customer_id) END,
        to_jsonb(NEW));
    RETURN NULL;
END
$$;
-- Waits for whoever is changing a payment: what that announces is there for the statements below.
CREATE OR REPLACE TRIGGER announced AFTER UPDATE ON portal.file_share_payments
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION portal.announce_file_share_payment();

-- What was announced before is not replayed to the whole team either. Each statement sees what a helper has numbered
-- while the one before it waited.
UPDATE portal.events SET audience = jsonb_build_object('payments', audience -> 'customer')
 WHERE type = 'payment.updated' AND audience ? 'customer';
DELETE FROM portal.event_audiences a
 USING portal.events e
 WHERE e.type = 'payment.updated' AND e.workspace_id = a.workspace_id AND e.number = a.number
   AND a.audience LIKE 'customer:%';
INSERT INTO portal.event_audiences (workspace_id, audience, number)
SELECT e.workspace_id, one, e.number
  FROM portal.events e, portal.audiences_of(e.audience) AS one
 WHERE e.type = 'payment.updated' AND e.number IS NOT NULL
    ON CONFLICT DO NOTHING;
