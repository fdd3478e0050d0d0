-- Every pair of images whose hashes differ in at most `radius` bits, exactly as brute force finds them.
-- inputs: images(row, phash, flat)
-- outputs: a UInt64, b UInt64, distance UInt32
-- functions: hamming64, phash_band
-- parameters: radius
WITH bands AS (
    -- Two hashes within the radius agree in one of radius + 1 bands (pigeonhole).
    SELECT row, phash, band, phash_band(phash, band, $radius + 1) AS value
    FROM (SELECT row, phash, unnest(range(0, $radius + 1)) AS band
          FROM images WHERE phash IS NOT NULL AND NOT flat)
)
SELECT DISTINCT x.row AS a, y.row AS b, hamming64(x.phash, y.phash) AS distance
FROM bands x JOIN bands y ON x.band = y.band AND x.value = y.value AND x.row < y.row
WHERE hamming64(x.phash, y.phash) <= $radius
ORDER BY a, b
