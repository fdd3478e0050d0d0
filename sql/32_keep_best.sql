-- Of the members of each cluster the largest stays, then the one with the longest caption, then the first.
-- inputs: clusters(row, root, area, length, url, caption)
-- outputs: row UInt64, cluster UInt64, url UInt64, caption UInt64
WITH ranked AS (
    SELECT row, url, caption,
           first_value(row) OVER (
               PARTITION BY root ORDER BY area DESC NULLS LAST, length DESC, row
           ) AS "cluster"
    FROM clusters
)
SELECT row, "cluster", url, caption
FROM ranked
-- Whoever stays comes first, then the others in their order.
ORDER BY "cluster", row <> "cluster", row
