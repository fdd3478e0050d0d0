#!/usr/bin/env python3
"""What a NumPy version of SemDeDup's rule, and of the choice of clusters by targets, keeps of made embeddings; and how well
scikit-learn's k-means fits made points.

    semantic.py OUT.json

The embeddings are made of one hash, the same in clip-filter's tests. All is computed in 64 bits; that no choice hangs on
the last bits is asserted.
"""
import hashlib
import json
import pathlib
import sys

import numpy as np
from sklearn.cluster import KMeans

ROWS, WIDTH, CLUSTERS, TARGETS, GROUPS = 50_000, 32, 100, 25, 12_000


def mix(x):
    """splitmix64 of an array."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def matrix(first, rows):
    """Numbers from -2 to 2 in steps of 1/64."""
    numbers = mix(np.arange(first, first + rows * WIDTH, dtype=np.uint64)) % np.uint64(256)
    return ((numbers.astype(np.int64) - 128) / 64).reshape(rows, WIDTH)


def normalised(x):
    return (x / np.sqrt((x * x).sum(axis=1, keepdims=True))).astype(np.float32).astype(np.float64)


def nearest(x, centroids):
    distances = (centroids * centroids).sum(axis=1) - 2 * x @ centroids.T
    two = np.partition(distances, 1, axis=1)[:, :2]
    print("least difference of two centroids:", (two[:, 1] - two[:, 0]).min(), file=sys.stderr)
    assert (two[:, 1] - two[:, 0]).min() > 1e-6
    return distances.argmin(axis=1)


def semdedup(x, labels, centroids, epsilon, keep):
    """sort_clusters.py (cosine) and semdedup.py: the numbers of the rows that are kept."""
    kept = []
    for cluster in range(len(centroids)):
        items = np.flatnonzero(labels == cluster)
        centroid = centroids[cluster]
        cosine = (x[items] * centroid).sum(axis=1) / np.sqrt((centroid * centroid).sum())
        order = sorted(zip(items, 1 - cosine), key=lambda item: item[1], reverse=True)
        items = np.array([item for item, _ in order], dtype=np.int64)
        if keep == "easy":
            items = items[::-1]
        products = x[items] @ x[items].T
        above = np.triu(products, 1)
        gap = np.abs(above[above > 0] - (1 - epsilon)).min(initial=1)
        assert gap > 1e-12, gap
        kept.append(items[~(above.max(axis=0, initial=0) > 1 - epsilon)])
    return np.sort(np.concatenate(kept))


rows = np.arange(ROWS, dtype=np.uint64)
groups = (mix(rows * np.uint64(16) + np.uint64(7)) % np.uint64(GROUPS)).astype(np.int64)
# How far a row is from the centre of its group: none for an eighth of them, which are exact copies.
away = (mix(rows * np.uint64(16) + np.uint64(8)) % np.uint64(256)).astype(np.int64)
away = np.where(away < 32, 0, away) / 512
x = matrix(1 << 40, GROUPS)[groups] + away[:, None] * matrix(1 << 41, ROWS)
x = normalised(x)
centroids = matrix(1 << 50, CLUSTERS) / 8
labels = nearest(x, centroids)
wanted = np.zeros(CLUSTERS, bool)
wanted[nearest(normalised(matrix(1 << 51, TARGETS)), centroids)] = True
found = {}
for name, epsilon, keep in [("hard 0.05", 0.05, "hard"), ("easy 0.05", 0.05, "easy"), ("hard 0.2", 0.2, "hard")]:
    found[name] = semdedup(x, labels, centroids, epsilon, keep)
found["targets"] = np.flatnonzero(wanted[labels])
near = found["targets"]
both = np.zeros(ROWS, bool)
both[semdedup(x[near], labels[near], centroids, 0.05, "hard")] = True
found["targets hard 0.05"] = near[np.flatnonzero(both[:len(near)])]
golden = {
    name: {"pairs": len(kept), "sha256": hashlib.sha256(kept.astype("<u4").tobytes()).hexdigest()}
    for name, kept in found.items()
}
# Points around 400 centres, of which the first have far more than the last, in 200 clusters.
draws = (mix(rows[:6000] * np.uint64(16) + np.uint64(9)) % np.uint64(1 << 20)).astype(np.int64)
points = (matrix(1 << 52, 400)[draws * draws * 400 >> 40] + 0.25 * matrix(1 << 53, 6000)).astype(np.float32)
inertia = [KMeans(200, n_init=1, random_state=seed).fit(points).inertia_ for seed in range(9)]
golden["k-means"] = {"inertia": float(np.median(inertia))}
text = json.dumps(golden, indent=1) + "\n"
pathlib.Path(sys.argv[1]).write_text(text)
print(text)
