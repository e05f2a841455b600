-- What opens an event stream where no header can be sent (contract/events.md). The ticket itself is this row's id and a
-- MAC of it under the server secret: nothing here opens anything.
CREATE TABLE portal.stream_tickets (
    id            uuid        PRIMARY KEY,
    created_at    timestamptz NOT NULL DEFAULT now(),
    workspace_id  uuid        NOT NULL REFERENCES portal.workspaces (id),
    kind          text        NOT NULL,
    session_id    uuid        NOT NULL,
    expires_at    timestamptz NOT NULL,
    opened_at     timestamptz,

    CONSTRAINT stream_tickets_kind_known CHECK (kind IN ('customer', 'member', 'portal'))
);
CREATE INDEX stream_tickets_expiry ON portal.stream_tickets (expires_at);

GRANT SELECT, INSERT, UPDATE ON portal.stream_tickets TO portal_web;
-- UPDATE: a purge locks what it deletes
GRANT SELECT, UPDATE, DELETE ON portal.stream_tickets TO portal_helper;
