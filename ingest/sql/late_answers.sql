-- Takes response halves of a feed whose request was given up as unanswered, and adds them to that request's stored lines.
-- The request stays unanswered: when its try ended, or the idle time-out passed, it was.
-- Needs the partial index on request (endpoint, ts) WHERE outcome > 0 and the one on detail (line_id).
WITH late AS (
    SELECT h.id, h.line_id, h.raw, given_up.line_id AS request_line_id, given_up.ts
    FROM ingest_requesthalf h
    CROSS JOIN LATERAL (
        SELECT r.line_id, r.ts, r.client_id, r.method, d.client_port
        FROM ingest_request r
        JOIN ingest_request_detail d ON d.line_id = r.line_id AND d.ts = r.ts
        WHERE r.endpoint_id = h.endpoint_id AND r.ts = h.ts AND r.outcome > 0 AND r.outcome = 4
        OFFSET 0
    ) AS given_up
    JOIN ingest_client c ON c.id = given_up.client_id
    WHERE h.feed_id = %(feed)s
      AND h.line ->> 0 = 'response'
      AND c.address = h.line ->> 7
      AND given_up.client_port IS NOT DISTINCT FROM (h.line ->> 8)::int
      AND given_up.method = coalesce(array_position(%(methods)s::text[], h.line ->> 15), 0)
    FOR UPDATE OF h SKIP LOCKED
),
noted AS (
    UPDATE ingest_request_detail d SET response_line_id = late.line_id, raw = d.raw || E'\n' || late.raw
    FROM late
    WHERE d.line_id = late.request_line_id AND d.ts = late.ts
)
DELETE FROM ingest_requesthalf h USING late WHERE h.id = late.id
