-- Members: changed by parallel requests, invited by mail.

-- The living customer's type beside each member it has or had (one row without a member when it never had one).
-- Whoever changes members asks here first: the customer's row is locked, and only then are its members read, so that
-- of parallel changes each sees what the one before it has left. A single statement's own snapshot would not.
CREATE FUNCTION portal.lock_members(workspace uuid, customer uuid)
RETURNS TABLE (customer_type text, member portal.members)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM portal.customers c WHERE c.workspace_id = workspace AND c.id = customer FOR NO KEY UPDATE;
    RETURN QUERY
        SELECT c.type, m
          FROM portal.customers c
          LEFT JOIN portal.members m ON m.workspace_id = c.workspace_id AND m.customer_id = c.id
         WHERE c.workspace_id = workspace AND c.id = customer AND c.deleted_at IS NULL;
END
$$;

-- Undoes a statement that somebody was faster than: it is run once more.
CREATE FUNCTION portal.start_over() RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION 'overtaken by another change' USING ERRCODE = 'serialization_failure';
END
$$;
GRANT EXECUTE ON FUNCTION portal.lock_members(uuid, uuid), portal.start_over() TO portal_web, portal_helper;

CREATE INDEX members_created ON portal.members (workspace_id, created_at, id);

-- A key that made a member has nothing to show once they are removed.
CREATE TRIGGER forget_keys AFTER UPDATE ON portal.members
    FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION portal.forget_idempotency_keys();

-- Whom a member_invitation is for.
ALTER TABLE portal.members ADD CONSTRAINT members_own_workspace UNIQUE (workspace_id, id);
ALTER TABLE portal.outbox
    ADD COLUMN member_id uuid,
    ADD CONSTRAINT outbox_member FOREIGN KEY (workspace_id, member_id)
        REFERENCES portal.members (workspace_id, id) ON DELETE SET NULL (member_id);
CREATE INDEX outbox_member ON portal.outbox (member_id) WHERE member_id IS NOT NULL;
