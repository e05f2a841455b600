-- feature_settings.require_code: whoever opens a client portal's link on a new device also enters a code that is mailed to
-- the addressee (contract/client-portal.md).
ALTER TABLE portal.workspaces ADD CONSTRAINT workspaces_require_code_form
    CHECK (jsonb_typeof(coalesce(feature_settings -> 'require_code', 'false')) = 'boolean');

-- One row per code: `id` is the challenge_id, and the code is made of it and the server secret, stored nowhere.
CREATE TABLE portal.link_challenges (
    id            uuid        PRIMARY KEY,
    created_at    timestamptz NOT NULL DEFAULT now(),
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    token_id      uuid        NOT NULL,
    tries         integer     NOT NULL DEFAULT 0,
    resends       integer     NOT NULL DEFAULT 0,
    expires_at    timestamptz NOT NULL,
    consumed_at   timestamptz,

    CONSTRAINT link_challenges_workspace_id UNIQUE (workspace_id, id),
    CONSTRAINT link_challenges_token FOREIGN KEY (workspace_id, token_id)
        REFERENCES portal.client_portal_tokens (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX link_challenges_token ON portal.link_challenges (token_id);
CREATE INDEX link_challenges_created ON portal.link_challenges (created_at);

ALTER TABLE portal.outbox
    ADD COLUMN link_challenge_id uuid,
    DROP CONSTRAINT outbox_kind_known,
    ADD CONSTRAINT outbox_kind_known
        CHECK (kind IN ('portal_invitation', 'login_code', 'link_code', 'member_invitation', 'webhook_disabled')),
    ADD CONSTRAINT outbox_link_challenge FOREIGN KEY (workspace_id, link_challenge_id)
        REFERENCES portal.link_challenges (workspace_id, id) ON DELETE CASCADE,
    ADD CONSTRAINT outbox_link_code CHECK ((kind = 'link_code') = (link_challenge_id IS NOT NULL));
CREATE INDEX outbox_link_challenge ON portal.outbox (link_challenge_id) WHERE link_challenge_id IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON portal.link_challenges TO portal_web;
-- UPDATE: a purge locks what it deletes
GRANT SELECT, UPDATE, DELETE ON portal.link_challenges TO portal_helper;
