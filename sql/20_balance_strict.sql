-- A pair stays if it is among the first `most` draws of every one of its queries: no query exceeds its limit.
-- inputs: pairs(row, uid, queries), counts(query, count, most)
-- outputs: row UInt64, reason Utf8?, query UInt32?, keep_prob Float32
-- functions: draw, rarity, rarest
-- parameters: seed, require_match
WITH drawn AS (
    -- One draw a pair, not one a query: who is early in one queue is early in all, so more pairs stay.
    SELECT row, draw($seed, uid, 4294967295) AS draw, queries FROM pairs
),
entries AS (
    SELECT row, draw, unnest(queries) AS query FROM drawn
),
ranked AS (
    SELECT row, query, row_number() OVER (PARTITION BY query ORDER BY draw, row) AS place
    FROM entries
),
joined AS (
    -- All queries of a pair are of one language, and have one limit.
    SELECT r.row, max(r.place) AS place, max(c.count) AS largest, max(c.most) AS most,
           rarest(min(rarity(c.count, r.query))) AS query
    FROM counts c JOIN ranked r ON c.query = r.query
    GROUP BY r.row
)
SELECT row, CASE WHEN place > most THEN 'over_limit' END AS reason,
       query, least(1.0, CAST(most AS DOUBLE) / largest) AS keep_prob
FROM joined
UNION ALL
SELECT row, CASE WHEN $require_match = 1 THEN 'no_query' END, NULL, 1.0 - $require_match
FROM pairs WHERE coalesce(array_length(queries), 0) = 0
ORDER BY row
