-- A URL's scheme is the same in either case (RFC 3986, 3.1): what the API takes as one is stored as it was sent.
ALTER TABLE portal.workspaces
    DROP CONSTRAINT workspaces_avatar_url_form,
    ADD CONSTRAINT workspaces_avatar_url_form CHECK (char_length(avatar_url) <= 2083 AND avatar_url ~* '^https?://'),
    DROP CONSTRAINT workspaces_share_url_form,
    ADD CONSTRAINT workspaces_share_url_form CHECK (char_length(share_url) <= 2083 AND share_url ~* '^https?://');
ALTER TABLE portal.client_portal_configs
    DROP CONSTRAINT client_portal_configs_portal_logo_form,
    ADD CONSTRAINT client_portal_configs_portal_logo_form CHECK (char_length(portal_logo) BETWEEN 1 AND 2083
        AND portal_logo !~ '[[:cntrl:]]' AND (portal_logo ~* '^https://'
            OR portal_logo !~ '(\\|^[A-Za-z][A-Za-z0-9+.-]*:|(^|/)(\.\.?)?(/|$))'));
