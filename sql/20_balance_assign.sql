-- Each pair is charged to its rarest query, which takes at most its limit (`most`), drawn at random (the paper's words, section 2.2).
-- inputs: pairs(row, uid, queries), counts(query, count, most)
-- outputs: row UInt64, reason Utf8?, query UInt32?, keep_prob Float32
-- functions: draw, charge, charged_query, charged_draw
-- parameters: seed, require_match
WITH entries AS (
    SELECT row, uid, unnest(queries) AS query FROM pairs
),
-- One number for each pair: what is grouped and sorted has no texts.
charged AS (
    SELECT e.row, min(charge(c.count, e.query, draw($seed, e.uid, e.query))) AS charge
    FROM counts c JOIN entries e ON c.query = e.query
    GROUP BY e.row
),
drawn AS (
    SELECT row, charged_query(charge) AS query, charged_draw(charge) AS draw FROM charged
),
totals AS (
    SELECT d.query, count(*) AS total, max(c.most) AS most
    FROM counts c JOIN drawn d ON c.query = d.query
    GROUP BY d.query
),
ranked AS (
    SELECT row, query, row_number() OVER (PARTITION BY query ORDER BY draw, row) AS place
    FROM drawn
)
SELECT r.row, CASE WHEN r.place > t.most THEN 'over_limit' END AS reason,
       r.query, least(1.0, CAST(t.most AS DOUBLE) / t.total) AS keep_prob
FROM totals t JOIN ranked r ON t.query = r.query
UNION ALL
SELECT row, CASE WHEN $require_match = 1 THEN 'no_query' END, NULL, 1.0 - $require_match
FROM pairs WHERE coalesce(array_length(queries), 0) = 0
ORDER BY row
