#!/usr/bin/env python3
"""Times k-means of scikit-learn's and ours in turn, and compares their inertia.

    bench_semantic.py CLIP_DATA ROUNDS
"""
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.cluster import KMeans

executable, rounds = sys.argv[1], int(sys.argv[2])
ROWS, WIDTH, CENTRES, CLUSTERS, FILES = 50_000, 512, 2_000, 500, 5


def made():
    """Embeddings around centres of very different sizes, as 16-bit numbers of norm 1."""
    rng = np.random.default_rng(1)
    shares = 1 / np.arange(1, CENTRES + 1) ** 0.7
    centres = rng.standard_normal((CENTRES, WIDTH), dtype=np.float32)
    rows = centres[rng.choice(CENTRES, ROWS, p=shares / shares.sum())]
    rows += 0.8 * rng.standard_normal(rows.shape, dtype=np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def inertia(rows, centroids):
    rows, centroids = rows.astype(np.float64), centroids.astype(np.float64)
    squares = (centroids**2).sum(axis=1)
    return sum(
        ((part**2).sum(axis=1) + (squares - 2 * part @ centroids.T).min(axis=1)).sum()
        for part in np.array_split(rows, 50))


def command(folder, seed):
    arguments = [executable, "filter", f"{folder}/pool", "--clusters", str(CLUSTERS), "--semdedup", "0.1", "--seed",
                 str(seed), "--save-centroids", f"{folder}/centroids.npy", "-o", f"{folder}/subset.npy"]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = subprocess.run(arguments, stdout=subprocess.DEVNULL).returncode
        os.write(write, f"{code} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    code, peak = os.read(read, 100).decode().split()
    assert code == "0", code
    return int(peak) / 1000


half = made()
rows = half.astype(np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
print("| round | scikit-learn s | inertia | iterations | ours s | inertia | iterations | peak MB |\n|---|---|---|---|---|---|---|---|")
theirs, ours, ratios = [], [], []
with tempfile.TemporaryDirectory() as folder:
    pool = pathlib.Path(folder) / "pool"
    pool.mkdir()
    for file, part in enumerate(np.array_split(np.arange(ROWS), FILES)):
        pq.write_table(pa.table({"uid": [f"{row:032x}" for row in part]}), pool / f"{file:08}.parquet")
        np.savez(pool / f"{file:08}.npz", l14_img=half[part])
    for seed in range(rounds):
        start = time.monotonic()
        fitted = KMeans(CLUSTERS, n_init=1, random_state=seed).fit(rows)
        theirs.append(time.monotonic() - start)
        start = time.monotonic()
        peak = command(folder, seed)
        ours.append(time.monotonic() - start)
        report = json.loads((pathlib.Path(folder) / "subset.json").read_text())
        both = [inertia(rows, centroids) for centroids in (fitted.cluster_centers_, np.load(f"{folder}/centroids.npy"))]
        ratios.append(both[1] / both[0])
        print(f"| {seed} | {theirs[-1]:.1f} | {both[0]:.1f} | {fitted.n_iter_} | {ours[-1]:.1f} | {both[1]:.1f} "
              f"| {report['clustering']['iterations']} | {peak:.0f} |", flush=True)
print(f"\nmedians: scikit-learn {statistics.median(theirs):.1f} s, ours {statistics.median(ours):.1f} s; "
      f"inertia of ours over theirs {statistics.median(ratios):.4f}")
sys.exit(statistics.median(ratios) > 1.01 or statistics.median(ours) > statistics.median(theirs))
