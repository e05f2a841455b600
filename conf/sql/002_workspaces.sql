-- Workspaces (tenants) and their access tokens.

CREATE TABLE portal.workspaces (
    id                        uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at                timestamptz NOT NULL DEFAULT now(),
    modified_at               timestamptz,
    slug                      text        NOT NULL,
    name                      text        NOT NULL,
    avatar_url                text,
    feature_settings          jsonb       NOT NULL DEFAULT '{}',
    customer_portal_settings  jsonb       NOT NULL DEFAULT '{}',
    mail_from_name            text,
    mail_reply_to             text,
    return_hosts              text[]      NOT NULL DEFAULT '{}',
    share_url                 text,
    blocked_at                timestamptz,
    deleted_at                timestamptz,

    CONSTRAINT workspaces_slug_form CHECK (slug COLLATE "C" ~ '^[a-z0-9-]{3,63}$'),
    CONSTRAINT workspaces_slug_reserved CHECK (slug NOT IN (
        'api', 'client-portal', 'portal', 'portal-assets', 'dashboard', 'settings', 'login', 'signup', 'oauth2',
        'admin', 'docs', 'download', 'share', 'file-sharing', 'metrics', 'health')),
    CONSTRAINT workspaces_name_length CHECK (char_length(name) BETWEEN 1 AND 256),
    CONSTRAINT workspaces_avatar_url_form CHECK (char_length(avatar_url) <= 2083 AND avatar_url ~ '^https?://'),
    CONSTRAINT workspaces_feature_settings_form CHECK (
        jsonb_typeof(feature_settings) = 'object'
        AND jsonb_typeof(coalesce(feature_settings -> 'member_model_enabled', 'false')) = 'boolean'),
    CONSTRAINT workspaces_customer_portal_settings_form CHECK (jsonb_typeof(customer_portal_settings) = 'object'),
    CONSTRAINT workspaces_mail_from_name_form CHECK (
        char_length(mail_from_name) BETWEEN 1 AND 256 AND mail_from_name !~ '[[:cntrl:]]'),
    CONSTRAINT workspaces_mail_reply_to_form CHECK (portal.is_email(mail_reply_to)),
    CONSTRAINT workspaces_return_hosts_form CHECK (array_position(return_hosts, NULL) IS NULL),
    CONSTRAINT workspaces_share_url_form CHECK (char_length(share_url) <= 2083 AND share_url ~ '^https?://')
);
CREATE UNIQUE INDEX workspaces_slug_living ON portal.workspaces (slug) WHERE deleted_at IS NULL;

CREATE TRIGGER modified BEFORE UPDATE ON portal.workspaces
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
-- What a cached credential says of its workspace.
CREATE TRIGGER changed AFTER UPDATE ON portal.workspaces
    FOR EACH ROW WHEN ((OLD.slug, OLD.feature_settings, OLD.blocked_at, OLD.deleted_at)
        IS DISTINCT FROM (NEW.slug, NEW.feature_settings, NEW.blocked_at, NEW.deleted_at))
    EXECUTE FUNCTION portal.tell_changed();
CREATE TRIGGER deleted AFTER DELETE ON portal.workspaces
    FOR EACH ROW EXECUTE FUNCTION portal.tell_changed();

-- Only a keyed hash of a token is stored; secret_id names the key it was made with.
CREATE TABLE portal.workspace_access_tokens (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    modified_at   timestamptz,
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    token_hash    text        NOT NULL,
    secret_id     text        NOT NULL,
    scopes        text[]      NOT NULL,
    comment       text        NOT NULL DEFAULT '',
    expires_at    timestamptz,
    last_used_at  timestamptz,
    revoked_at    timestamptz,

    CONSTRAINT workspace_access_tokens_token_hash UNIQUE (token_hash),
    CONSTRAINT workspace_access_tokens_token_hash_form CHECK (token_hash COLLATE "C" ~ '^[0-9a-f]{64}$'),
    CONSTRAINT workspace_access_tokens_comment_length CHECK (char_length(comment) <= 256),
    CONSTRAINT workspace_access_tokens_scopes_known CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY[
        'customer_sessions:write', 'member_sessions:write', 'customers:read', 'customers:write', 'members:read',
        'members:write', 'client_portal:read', 'client_portal:write', 'file_sharing:read', 'file_sharing:write',
        'payments:read', 'payments:write', 'webhooks:read', 'webhooks:write', 'workspaces:read', 'workspaces:write',
        'workspace_access_tokens:read', 'workspace_access_tokens:write'])
);
CREATE INDEX workspace_access_tokens_workspace ON portal.workspace_access_tokens (workspace_id);

CREATE TRIGGER modified BEFORE UPDATE OF scopes, comment, expires_at, revoked_at ON portal.workspace_access_tokens
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION portal.touch_modified();
CREATE TRIGGER changed AFTER UPDATE ON portal.workspace_access_tokens
    FOR EACH ROW WHEN ((OLD.scopes, OLD.expires_at, OLD.revoked_at)
        IS DISTINCT FROM (NEW.scopes, NEW.expires_at, NEW.revoked_at))
    EXECUTE FUNCTION portal.tell_changed();
CREATE TRIGGER deleted AFTER DELETE ON portal.workspace_access_tokens
    FOR EACH ROW EXECUTE FUNCTION portal.tell_changed();
