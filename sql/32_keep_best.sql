-- Of the members of each cluster the largest stays, then the one with the longest caption, then the first.
-- inputs: clusters(row, root), images(row, original_width, original_height, caption, url)
-- outputs: row UInt64, cluster UInt64, caption Utf8, url Utf8
WITH members AS (
    SELECT c.row, c.root, coalesce(i.caption, '') AS caption, coalesce(i.url, '') AS url,
           CAST(i.original_width AS BIGINT) * i.original_height AS area
    FROM clusters c JOIN images i ON c.row = i.row
),
ranked AS (
    SELECT row, caption, url,
           first_value(row) OVER (
               PARTITION BY root
               ORDER BY area DESC NULLS LAST, character_length(caption) DESC, row
           ) AS "cluster"
    FROM members
)
SELECT row, "cluster", caption, url
FROM ranked
-- Whoever stays comes first, then the others in their order.
ORDER BY "cluster", row <> "cluster", row
