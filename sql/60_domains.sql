-- The hosts of images: how many pairs of each were kept and dropped, the largest first.
-- inputs: pairs(url), rejects(url)
-- outputs: host Utf8, kept UInt64, dropped UInt64, kept_share Float64
-- functions: host
-- parameters: top
WITH seen AS (
    SELECT host(url) AS host, 1 AS kept, 0 AS dropped FROM pairs
    UNION ALL
    SELECT host(url), 0, 1 FROM rejects
),
counted AS (
    SELECT coalesce(host, '?') AS host, sum(kept) AS kept, sum(dropped) AS dropped
    FROM seen GROUP BY coalesce(host, '?')
)
SELECT host, kept, dropped, CAST(kept AS DOUBLE) / (kept + dropped) AS kept_share
FROM counted
ORDER BY kept DESC, dropped DESC, host
LIMIT $top
