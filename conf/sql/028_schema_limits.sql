-- What the API can answer the schema can hold, and what the API refuses as a URL the schema refuses, too.

-- ---- downloads

-- As 016 has it, and: the count stays at the largest there is.
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
       SET download_count = least(download_count, 2147483646) + 1,
           status = CASE WHEN status NOT IN ('created', 'active') THEN status
                         WHEN max_downloads > 0 AND download_count >= max_downloads - 1 THEN 'completed'
                         ELSE 'active' END,
           activated_at = coalesce(activated_at, NEW.created_at),
           completed_at = CASE WHEN status IN ('created', 'active') AND max_downloads > 0
                                    AND download_count >= max_downloads - 1
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

-- As 009 has it, without reckoning beyond the largest count.
CREATE OR REPLACE FUNCTION portal.announce_file_share_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND pg_trigger_depth() > 1 AND NEW.download_count - 1 = OLD.download_count THEN
        RETURN NULL;
    END IF;
    PERFORM portal.announce(
        NEW.workspace_id,
        CASE WHEN TG_OP = 'INSERT' THEN 'file_sharing_session.created'
             WHEN NEW.status = 'expired' AND OLD.status <> 'expired' THEN 'file_sharing_session.expired'
             ELSE 'file_sharing_session.updated' END,
        jsonb_build_object('customer', NEW.customer_id), to_jsonb(NEW));
    RETURN NULL;
END
$$;

-- ---- a workspace's URLs

-- As portal_items has it: a host, no userinfo, and nothing that a browser would read as another host.
ALTER TABLE portal.workspaces
    DROP CONSTRAINT workspaces_avatar_url_form,
    ADD CONSTRAINT workspaces_avatar_url_form CHECK (char_length(avatar_url) <= 2083
        AND avatar_url COLLATE "C" !~ '[[:space:][:cntrl:]\\]'
        AND avatar_url COLLATE "C" ~* '^https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(:[0-9]{0,5})?([/?#]|$)')
        NOT VALID,
    DROP CONSTRAINT workspaces_share_url_form,
    ADD CONSTRAINT workspaces_share_url_form CHECK (char_length(share_url) <= 2083
        AND share_url COLLATE "C" !~ '[[:space:][:cntrl:]\\]'
        AND share_url COLLATE "C" ~* '^https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(:[0-9]{0,5})?([/?#]|$)')
        NOT VALID;
