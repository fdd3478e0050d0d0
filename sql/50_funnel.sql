-- Why rows were dropped: for each stage and reason the rows, their hosts, and the share of the stage's rejects.
-- inputs: rejects(stage, reason, url)
-- outputs: stage Utf8, reason Utf8, rows UInt64, hosts UInt64, share Float64
-- functions: host
WITH counted AS (
    SELECT stage, reason, count(*) AS rows, count(DISTINCT host(url)) AS hosts
    FROM rejects GROUP BY stage, reason
),
totals AS (
    SELECT stage, sum(rows) AS total FROM counted GROUP BY stage
)
SELECT c.stage, c.reason, c.rows, c.hosts, CAST(c.rows AS DOUBLE) / t.total AS share
FROM totals t JOIN counted c ON t.stage = c.stage
ORDER BY c.stage, c.rows DESC, c.reason
