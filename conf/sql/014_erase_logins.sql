-- What an erased person has typed to sign in goes, too, with its mail; at other workspaces their codes stay.
CREATE FUNCTION portal.erase_login_challenges() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    DELETE FROM portal.login_challenges
     WHERE email IN (SELECT portal.addresses_of(NEW.customer_id))
       AND (workspace_id IS NULL OR workspace_id = NEW.workspace_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER erase_login_challenges AFTER INSERT ON portal.erasures
    FOR EACH ROW EXECUTE FUNCTION portal.erase_login_challenges();
REVOKE EXECUTE ON FUNCTION portal.erase_login_challenges() FROM PUBLIC;
