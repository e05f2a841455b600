-- Events get their numbers after the commit, from the helper: contiguous per workspace, and in commit order for the
-- changes of one row. What a stream replays is found by audience and number.

-- The order in which events were written. Two changes of one row follow each other here too, as the second waits for
-- the first's commit; numbers are given in this order.
ALTER TABLE portal.events ADD COLUMN sequence bigint GENERATED ALWAYS AS IDENTITY;
DROP INDEX portal.events_unnumbered;
CREATE INDEX events_unnumbered ON portal.events (sequence) WHERE number IS NULL;

-- How far a workspace is: the newest number given, and the newest one handed to whoever fans out.
CREATE TABLE portal.event_counters (
    workspace_id  uuid    PRIMARY KEY REFERENCES portal.workspaces (id),
    numbered      bigint  NOT NULL DEFAULT 0,
    published     bigint  NOT NULL DEFAULT 0
);

-- Which events an audience sees. audience: "workspace", "customer:<uuid>", "contact:<number>", "company:<number>".
CREATE TABLE portal.event_audiences (
    workspace_id  uuid    NOT NULL,
    audience      text    NOT NULL,
    number        bigint  NOT NULL,
    PRIMARY KEY (workspace_id, audience, number)
);
-- That replaces it.
DROP INDEX portal.events_history;

-- The newest number the purge has taken from an audience: whoever has seen less cannot resume.
CREATE TABLE portal.event_floors (
    workspace_id  uuid    NOT NULL,
    audience      text    NOT NULL,
    number        bigint  NOT NULL,
    PRIMARY KEY (workspace_id, audience)
);

-- The helper whose turn it is to number and publish.
CREATE TABLE portal.event_publisher (
    single  boolean      PRIMARY KEY DEFAULT true CHECK (single),
    helper  uuid,
    until   timestamptz  NOT NULL DEFAULT '-infinity'
);
INSERT INTO portal.event_publisher DEFAULT VALUES;

-- The audiences of portal.events.audience: {"workspace": true}, {"customer": id or [ids]}, {"contact": n, "company": n}.
CREATE FUNCTION portal.audiences_of(audience jsonb) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT CASE part.key WHEN 'workspace' THEN part.key ELSE part.key || ':' || one.value END
      FROM jsonb_each(CASE jsonb_typeof(audience) WHEN 'object' THEN audience END) part,
           jsonb_array_elements_text(CASE jsonb_typeof(part.value) WHEN 'array' THEN part.value
                                          ELSE jsonb_build_array(part.value) END) one
     WHERE part.key IN ('customer', 'contact', 'company') AND one.value IS NOT NULL
        OR part.key = 'workspace' AND one.value = 'true';
END;

-- What was published before an erasure is wiped from wherever it waits to be read.
CREATE FUNCTION portal.tell_erased() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = portal, pg_temp AS $$
BEGIN
    PERFORM pg_notify('portal_erased', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER told AFTER INSERT ON portal.erasures FOR EACH STATEMENT EXECUTE FUNCTION portal.tell_erased();
REVOKE EXECUTE ON FUNCTION portal.tell_erased(), portal.audiences_of(jsonb) FROM PUBLIC;

GRANT SELECT ON portal.event_counters, portal.event_audiences, portal.event_floors TO portal_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON portal.event_counters, portal.event_audiences, portal.event_floors,
    portal.event_publisher TO portal_helper;
GRANT EXECUTE ON FUNCTION portal.audiences_of(jsonb) TO portal_helper;
