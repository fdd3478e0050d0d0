-- Of pairs with the same URL and caption the lowest row stays.
-- inputs: pairs(row, url, caption)
-- outputs: row UInt64, reason Utf8?
-- functions: key128
WITH keys AS (
    -- What is sorted is 24 bytes a pair, however long its texts are.
    SELECT row, key128(url, caption) AS pair FROM pairs
)
SELECT row,
       CASE WHEN row_number() OVER (PARTITION BY pair ORDER BY row) > 1
            THEN 'duplicate_pair' END AS reason
FROM keys
ORDER BY row
