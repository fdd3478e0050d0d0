-- Images whose bytes an existing corpus has.
-- inputs: images(row, sha256), known(sha256)
-- outputs: row UInt64
-- functions: key128
WITH files AS (
    SELECT row, key128(sha256, NULL) AS file, 0 AS known FROM images WHERE sha256 IS NOT NULL
    UNION ALL
    SELECT NULL, key128(sha256, NULL), 1 FROM known WHERE sha256 IS NOT NULL
),
-- A window sorts, and so spills; a join would hold one side in memory.
marked AS (
    SELECT row, max(known) OVER (PARTITION BY file) AS known FROM files
)
SELECT row FROM marked WHERE known = 1 AND row IS NOT NULL
ORDER BY row
