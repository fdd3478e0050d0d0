-- How many pairs each query has, once a pair.
-- inputs: pairs(queries)
-- outputs: query UInt32, count UInt64
SELECT query, count(*) AS count
FROM (SELECT unnest(queries) AS query FROM pairs)
GROUP BY query
ORDER BY query
