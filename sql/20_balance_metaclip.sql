-- A pair stays if any of its queries draws it, with probability most / count (MetaCLIP's rule: exceeds the limit).
-- inputs: pairs(row, uid, queries), counts(query, count, most)
-- outputs: row UInt64, reason Utf8?, query UInt32?, keep_prob Float32
-- functions: draw, rarity, rarest, surprise, keep_probability
-- parameters: seed, require_match
WITH entries AS (
    SELECT row, uid, unnest(queries) AS query FROM pairs
),
drawn AS (
    SELECT e.row,
           -- The rarest of the queries that drew the pair; null when none did.
           min(CASE WHEN draw($seed, e.uid, e.query) * c.count < c.most
                    THEN rarity(c.count, e.query) END) AS key,
           sum(surprise(c.count, c.most)) AS bits
    FROM counts c JOIN entries e ON c.query = e.query
    GROUP BY e.row
)
SELECT row, CASE WHEN key IS NULL THEN 'not_drawn' END AS reason,
       rarest(key) AS query, keep_probability(bits) AS keep_prob
FROM drawn
UNION ALL
SELECT row, CASE WHEN $require_match = 1 THEN 'no_query' END, NULL, 1.0 - $require_match
FROM pairs WHERE coalesce(array_length(queries), 0) = 0
ORDER BY row
