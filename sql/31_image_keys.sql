-- What the clustering of near copies needs of each image; a flat image has no hash to compare.
-- inputs: images(row, phash, flat, original_width, original_height, caption)
-- outputs: row UInt64, phash UInt64?, area UInt64, caption Utf8
SELECT row, CASE WHEN flat THEN NULL ELSE phash END AS phash,
       coalesce(CAST(original_width AS BIGINT) * original_height, 0) AS area,
       coalesce(caption, '') AS caption
FROM images
ORDER BY row
