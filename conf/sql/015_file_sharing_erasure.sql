-- A customer who is erased is nobody in payments, its own and those made with one of its addresses.

CREATE INDEX file_share_payments_buyer_email
    ON portal.file_share_payments (workspace_id, portal.email_key(buyer_email)) WHERE buyer_email IS NOT NULL;

CREATE FUNCTION portal.erase_file_share_payments() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    UPDATE portal.file_share_payments
       SET buyer_email = NULL, buyer_name = NULL
     WHERE workspace_id = NEW.workspace_id
       AND (customer_id = NEW.customer_id
            OR portal.email_key(buyer_email) = ANY (ARRAY(SELECT portal.addresses_of(NEW.customer_id))))
       AND (buyer_email IS NOT NULL OR buyer_name IS NOT NULL);
    RETURN NULL;
END
$$;
-- after the events, which are wiped first: what this announces is clean
CREATE TRIGGER erase_file_share_payments AFTER INSERT ON portal.erasures
    FOR EACH ROW EXECUTE FUNCTION portal.erase_file_share_payments();
REVOKE EXECUTE ON FUNCTION portal.erase_file_share_payments() FROM PUBLIC;
