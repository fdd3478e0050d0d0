-- Files with the same bytes form a cluster under the best of them: largest, then longest caption, then first.
-- inputs: images(row, sha256, phash, flat, original_width, original_height, caption)
-- outputs: row UInt64, cluster UInt64, phash UInt64?
-- functions: key128
WITH measured AS (
    -- What is sorted below stays small: 16 bytes of a file, lengths, not captions. A row without a
    -- file's hash is alone.
    SELECT row, key128(sha256, CASE WHEN sha256 IS NULL THEN CAST(row AS VARCHAR) END) AS file,
           -- A flat image has no hash to compare.
           CASE WHEN NOT flat THEN phash END AS phash,
           CAST(original_width AS BIGINT) * original_height AS area,
           character_length(caption) AS length
    FROM images
)
SELECT row,
       first_value(row) OVER (
           PARTITION BY file ORDER BY area DESC NULLS LAST, length DESC, row
       ) AS "cluster",
       phash
FROM measured
ORDER BY row
