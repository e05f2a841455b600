-- Who may do what. portal_web: workers. portal_helper: mail, events, purging. portal_site: a site's own backend,
-- which writes its customers, members, contacts and companies by SQL and sees only its own workspaces.

GRANT SELECT, INSERT, UPDATE ON
    portal.workspaces, portal.workspace_access_tokens, portal.customers, portal.members, portal.customer_sessions,
    portal.member_sessions, portal.companies, portal.contacts, portal.client_portal_configs,
    portal.client_portal_tokens, portal.outbox
    TO portal_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON portal.idempotency_keys TO portal_web;
GRANT SELECT ON portal.events, portal.id_counters TO portal_web;
GRANT INSERT ON portal.audit_log TO portal_web;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA portal TO portal_helper;
GRANT EXECUTE ON FUNCTION portal.token_event_data(portal.client_portal_tokens) TO portal_helper, portal_web;

DO $$
BEGIN
    IF to_regclass('portal.schema_migrations') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON portal.schema_migrations FROM portal_helper;
        GRANT SELECT ON portal.schema_migrations TO portal_web, portal_helper;
    END IF;
END
$$;

-- Which workspaces a site's login role stands for. The operator writes it:
--   CREATE ROLE acme_site LOGIN PASSWORD '…' IN ROLE portal_site;
--   INSERT INTO portal.site_roles SELECT 'acme_site', id FROM portal.workspaces WHERE slug = 'acme';
CREATE TABLE portal.site_roles (
    role_name     name NOT NULL,
    workspace_id  uuid NOT NULL REFERENCES portal.workspaces (id),
    PRIMARY KEY (role_name, workspace_id)
);

-- session_user, which SET ROLE and a SECURITY DEFINER function leave alone.
CREATE FUNCTION portal.site_workspaces() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = portal, pg_temp
BEGIN ATOMIC
    SELECT workspace_id FROM portal.site_roles WHERE role_name = session_user;
END;
GRANT EXECUTE ON FUNCTION portal.site_workspaces() TO portal_site;

GRANT SELECT (id, created_at, modified_at, slug, name, avatar_url, feature_settings, customer_portal_settings,
              mail_from_name, mail_reply_to, return_hosts, share_url, blocked_at, deleted_at)
    ON portal.workspaces TO portal_site;
GRANT UPDATE (name, avatar_url, feature_settings, customer_portal_settings, mail_from_name, mail_reply_to,
              return_hosts, share_url)
    ON portal.workspaces TO portal_site;
GRANT SELECT, DELETE ON portal.customers, portal.members, portal.contacts, portal.companies TO portal_site;
GRANT INSERT (id, created_at, workspace_id, external_id, email, email_verified, name, type, billing_name,
              billing_address, metadata, blocked_at, deleted_at),
      UPDATE (external_id, email, email_verified, name, type, billing_name, billing_address, metadata, blocked_at,
              deleted_at)
    ON portal.customers TO portal_site;
GRANT INSERT (id, created_at, workspace_id, customer_id, external_id, email, name, role, deleted_at),
      UPDATE (external_id, email, name, role, deleted_at)
    ON portal.members TO portal_site;
GRANT INSERT (id, created_at, workspace_id, name, email, company_id, customer_id, external_id, deleted_at),
      UPDATE (name, email, company_id, customer_id, external_id, deleted_at)
    ON portal.contacts TO portal_site;
GRANT INSERT (id, created_at, workspace_id, name, email, customer_id, external_id, deleted_at),
      UPDATE (name, email, customer_id, external_id, deleted_at)
    ON portal.companies TO portal_site;
GRANT SELECT, INSERT, UPDATE ON portal.client_portal_configs TO portal_site;

-- Row-level security binds portal_site; our own roles filter by workspace in every statement.
DO $$
DECLARE
    noun text;
    workspace text;
BEGIN
    FOREACH noun IN ARRAY ARRAY['workspaces', 'customers', 'members', 'companies', 'contacts',
                                'client_portal_configs'] LOOP
        workspace := CASE noun WHEN 'workspaces' THEN 'id' ELSE 'workspace_id' END;
        EXECUTE format('ALTER TABLE portal.%I ENABLE ROW LEVEL SECURITY', noun);
        EXECUTE format('CREATE POLICY product ON portal.%I TO portal_web, portal_helper '
                       'USING (true) WITH CHECK (true)', noun);
        EXECUTE format('CREATE POLICY site ON portal.%I TO portal_site '
                       'USING (%I IN (SELECT portal.site_workspaces())) '
                       'WITH CHECK (%2$I IN (SELECT portal.site_workspaces()))', noun, workspace);
    END LOOP;
END
$$;
