-- The captions that the row which stays of a cluster gains, in their order.
-- inputs: captions(cluster, place, caption)
-- outputs: cluster UInt64, caption Utf8
SELECT "cluster", caption
FROM captions
ORDER BY "cluster", place
