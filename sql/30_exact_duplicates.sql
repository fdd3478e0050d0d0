-- Files with the same bytes form a cluster under the one that stays: largest, then longest caption, then first.
-- inputs: images(row, sha256, original_width, original_height, caption)
-- outputs: row UInt64, reason Utf8?, cluster UInt64
WITH clustered AS (
    SELECT row,
           first_value(row) OVER (
               -- A row without a hash is alone.
               PARTITION BY coalesce(sha256, CAST(row AS VARCHAR))
               ORDER BY CAST(original_width AS BIGINT) * original_height DESC NULLS LAST,
                        character_length(caption) DESC, row
           ) AS "cluster"
    FROM images
)
SELECT row, CASE WHEN row <> "cluster" THEN 'exact_duplicate' END AS reason, "cluster"
FROM clustered
ORDER BY row
