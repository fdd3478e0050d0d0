-- How many pairs each query had before the balance and has after it, counting a pair for all of its queries.
-- inputs: pairs(row, queries), decisions(row, reason)
-- outputs: query UInt32, before UInt64, after UInt64
SELECT e.query, count(*) AS before, sum(CASE WHEN d.reason IS NULL THEN 1 ELSE 0 END) AS after
FROM decisions d JOIN (SELECT row, unnest(queries) AS query FROM pairs) e ON d.row = e.row
GROUP BY e.query
ORDER BY e.query
