-- Of pairs with the same address and caption the lowest row stays.
-- inputs: pairs(row, url, caption)
-- outputs: row UInt64, reason Utf8?
SELECT row,
       CASE WHEN row_number() OVER (PARTITION BY url, caption ORDER BY row) > 1
            THEN 'duplicate_pair' END AS reason
FROM pairs
ORDER BY row
