-- Images whose bytes an existing corpus has.
-- inputs: images(row, sha256), known(sha256)
-- outputs: row UInt64
WITH files AS (
    SELECT row, sha256, 0 AS known FROM images WHERE sha256 IS NOT NULL
    UNION ALL
    SELECT NULL, sha256, 1 FROM known WHERE sha256 IS NOT NULL
),
-- A window sorts, and so spills; a join would hold one side in memory.
marked AS (
    SELECT row, max(known) OVER (PARTITION BY sha256) AS known FROM files
)
SELECT row FROM marked WHERE known = 1 AND row IS NOT NULL
ORDER BY row
