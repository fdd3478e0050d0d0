-- All pairs stay; MetaCLIP's probability goes into a column for the loader to draw by.
-- inputs: pairs(row, queries), counts(query, count, most)
-- outputs: row UInt64, reason Utf8?, query UInt32?, keep_prob Float32
-- functions: rarity, rarest, surprise, keep_probability
-- parameters: require_match
WITH entries AS (
    SELECT row, unnest(queries) AS query FROM pairs
),
joined AS (
    SELECT e.row, min(rarity(c.count, e.query)) AS key, sum(surprise(c.count, c.most)) AS bits
    FROM counts c JOIN entries e ON c.query = e.query
    GROUP BY e.row
)
SELECT row, CAST(NULL AS VARCHAR) AS reason, rarest(key) AS query, keep_probability(bits) AS keep_prob
FROM joined
UNION ALL
SELECT row, CASE WHEN $require_match = 1 THEN 'no_query' END, NULL, 1.0 - $require_match
FROM pairs WHERE coalesce(array_length(queries), 0) = 0
ORDER BY row
