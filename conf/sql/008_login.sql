-- Login by e-mailed code, and what a person may know of their own sessions.

-- A cookie is called __Host-portal_<slug>, and __Host-portal_challenge is the login's own. Not for what there is.
ALTER TABLE portal.workspaces ADD CONSTRAINT workspaces_slug_not_challenge CHECK (slug <> 'challenge') NOT VALID;

-- One row per request for a code, whether or not anybody fits: `id` is the challenge_id, and the code is made of it
-- and the server secret (it is stored nowhere). `email` is what was typed, in the form addresses are compared in;
-- workspace_id and customer_id are what was asked for and need not exist: they refer to nothing, so that a request
-- costs the same for both. `address_key`: the client's address by HMAC. `decoy`: its code goes to nobody, so nobody
-- can know it. selection_*: the choice that the proof left open, and what was offered.
CREATE TABLE portal.login_challenges (
    id                    uuid        PRIMARY KEY,
    created_at            timestamptz NOT NULL DEFAULT now(),
    workspace_id          uuid,
    customer_id           uuid,
    email                 text        NOT NULL,
    address_key           text        NOT NULL,
    decoy                 boolean     NOT NULL,
    tries                 integer     NOT NULL DEFAULT 0,
    resends               integer     NOT NULL DEFAULT 0,
    expires_at            timestamptz NOT NULL,
    consumed_at           timestamptz,
    selection_hash        text,
    selection_secret_id   text,
    selection_of          text,
    selection_offered     uuid[],
    selection_expires_at  timestamptz,

    CONSTRAINT login_challenges_email_key CHECK (email = portal.email_key(email)),
    CONSTRAINT login_challenges_selection_hash UNIQUE (selection_hash),
    CONSTRAINT login_challenges_selection_hash_form CHECK (selection_hash COLLATE "C" ~ '^[0-9a-f]{64}$'),
    CONSTRAINT login_challenges_selection_of_known CHECK (selection_of IN ('workspace', 'customer'))
);
-- None on expires_at, and none of the open ones only: while the table is small a plan would take them for the id.
CREATE INDEX login_challenges_address ON portal.login_challenges (address_key);
CREATE INDEX login_challenges_created ON portal.login_challenges (created_at);
CREATE INDEX login_challenges_email ON portal.login_challenges (email);

-- Whoever may sign in with this address: a living member, where the workspace has the member model; else the customer.
-- A customer without a living member signs in as its owner, who is made then (member_id is NULL); but a member who was
-- removed does not come back that way.
CREATE INDEX members_login ON portal.members (lower(email COLLATE "C")) WHERE deleted_at IS NULL;
CREATE INDEX customers_login ON portal.customers (lower(email COLLATE "C")) WHERE deleted_at IS NULL;

CREATE FUNCTION portal.login_fits(address text, workspace uuid, customer uuid)
RETURNS TABLE (workspace_id uuid, slug text, workspace_name text, member_model boolean, customer_id uuid,
               customer_name text, member_id uuid, email text, name text, since timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT w.id, w.slug, w.name, true, c.id, c.name, m.id, m.email, m.name, m.created_at
      FROM portal.members m
      JOIN portal.customers c ON c.workspace_id = m.workspace_id AND c.id = m.customer_id
                             AND c.deleted_at IS NULL AND c.blocked_at IS NULL
      JOIN portal.workspaces w ON w.id = m.workspace_id AND w.deleted_at IS NULL AND w.blocked_at IS NULL
                              AND (w.feature_settings ->> 'member_model_enabled')::boolean
     WHERE lower(m.email COLLATE "C") = address AND m.deleted_at IS NULL
       AND (workspace IS NULL OR m.workspace_id = workspace) AND (customer IS NULL OR m.customer_id = customer)
    UNION ALL
    SELECT w.id, w.slug, w.name, w.member_model, c.id, c.name, NULL, c.email, c.name, c.created_at
      FROM portal.customers c
      JOIN (SELECT *, coalesce((feature_settings ->> 'member_model_enabled')::boolean, false) AS member_model
              FROM portal.workspaces) w
        ON w.id = c.workspace_id AND w.deleted_at IS NULL AND w.blocked_at IS NULL
      LEFT JOIN LATERAL (SELECT true AS there
                           FROM portal.members x
                          WHERE w.member_model AND x.workspace_id = c.workspace_id AND x.customer_id = c.id
                            AND (x.deleted_at IS NULL OR lower(x.email COLLATE "C") = address)
                          LIMIT 1) member ON true
     WHERE lower(c.email COLLATE "C") = address AND c.deleted_at IS NULL AND c.blocked_at IS NULL
       AND (workspace IS NULL OR c.workspace_id = workspace) AND (customer IS NULL OR c.id = customer)
       AND member.there IS NULL;
END;

-- A code's mail belongs to its challenge, and a challenge to no workspace. unsent: it is for nobody, and the helper
-- drops it where it would send another.
ALTER TABLE portal.outbox
    ALTER COLUMN workspace_id DROP NOT NULL,
    ADD COLUMN challenge_id uuid REFERENCES portal.login_challenges (id) ON DELETE CASCADE,
    ADD COLUMN unsent boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT outbox_owner CHECK ((kind = 'login_code') = (workspace_id IS NULL)
                                       AND (kind = 'login_code') = (challenge_id IS NOT NULL));
CREATE INDEX outbox_challenge ON portal.outbox (challenge_id) WHERE challenge_id IS NOT NULL;

-- device: words for the browser that signed in. parent_id: the link's session whose token was exchanged for this one,
-- which ends with it.
ALTER TABLE portal.customer_sessions
    ADD COLUMN signed_in_by text NOT NULL DEFAULT 'link',
    ADD COLUMN device text,
    ADD COLUMN parent_id uuid,
    ADD CONSTRAINT customer_sessions_workspace_id UNIQUE (workspace_id, id),
    ADD CONSTRAINT customer_sessions_signed_in_by_known CHECK (signed_in_by IN ('link', 'code', 'exchange')),
    ADD CONSTRAINT customer_sessions_parent FOREIGN KEY (workspace_id, parent_id)
        REFERENCES portal.customer_sessions (workspace_id, id) ON DELETE CASCADE;
ALTER TABLE portal.member_sessions
    ADD COLUMN signed_in_by text NOT NULL DEFAULT 'link',
    ADD COLUMN device text,
    ADD COLUMN parent_id uuid,
    ADD CONSTRAINT member_sessions_workspace_id UNIQUE (workspace_id, id),
    ADD CONSTRAINT member_sessions_signed_in_by_known CHECK (signed_in_by IN ('link', 'code', 'exchange')),
    ADD CONSTRAINT member_sessions_parent FOREIGN KEY (workspace_id, parent_id)
        REFERENCES portal.member_sessions (workspace_id, id) ON DELETE CASCADE;
CREATE INDEX customer_sessions_parent ON portal.customer_sessions (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX member_sessions_parent ON portal.member_sessions (parent_id) WHERE parent_id IS NOT NULL;

CREATE FUNCTION portal.end_exchanged_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    EXECUTE format('UPDATE portal.%I SET revoked_at = coalesce(revoked_at, $1), expires_at = least(expires_at, $2) '
                   'WHERE workspace_id = $3 AND parent_id = $4 AND revoked_at IS NULL', TG_TABLE_NAME)
        USING NEW.revoked_at, NEW.expires_at, NEW.workspace_id, NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER end_exchanged AFTER UPDATE ON portal.customer_sessions
    FOR EACH ROW WHEN ((OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) OR NEW.expires_at < OLD.expires_at)
    EXECUTE FUNCTION portal.end_exchanged_sessions();
CREATE TRIGGER end_exchanged AFTER UPDATE ON portal.member_sessions
    FOR EACH ROW WHEN ((OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) OR NEW.expires_at < OLD.expires_at)
    EXECUTE FUNCTION portal.end_exchanged_sessions();

GRANT SELECT, INSERT, UPDATE ON portal.login_challenges TO portal_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON portal.login_challenges TO portal_helper;
GRANT EXECUTE ON FUNCTION portal.login_fits(text, uuid, uuid) TO portal_web, portal_helper;
