#!/usr/bin/env python3
"""A made pool in DataComp's layout, the same in Python and in clip-filter's tests.

    filter_pool.py OUT FILES ROWS WIDTH CENTROIDS LINES.tsv.gz WORDNET

Writes OUT/metadata/NNNNNNNN.{parquet,npz} (FILES of ROWS pairs, embeddings of WIDTH numbers), centroids.npy,
targets.npy and synsets.txt. All numbers come from one hash of the row and the field; captions are lines in some 100
languages (LINES), and made ones. The column `gcld3` has gcld3's label.
"""
import gzip
import pathlib
import sys

import gcld3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MASK = (1 << 64) - 1
ADJECTIVES = ["red", "old", "small", "wooden", "bright", "quiet", "women's", "Running"]
NOUNS = ["dogs", "house", "mice", "iPhone 6s", "apples", "wolves", "boxes", "bridge", "XK-9", "churches", "Churchmen", "cities"]
FRAMES = [
    "a photo of a {a} {n}", "{a} {n}", "{n}", "The {n} was {a} and the people were walking over it",
    "das {a} Haus und der Hund im Garten: {n}", "une photo de la petite maison, {n}", "{a}\n{n} on\nthe table",
    "{n}\u00a0{a}\u00a0x", "  {a}   {n}  for sale \t", "una casa vieja con un perro {a} {n}", "{a}", "x {n}",
]


def mix(x):
    """splitmix64 of numbers or of an array of them."""
    if isinstance(x, np.ndarray):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def draw(row, field):
    return mix(row * 16 + field)


def caption(row, lines):
    kind = draw(row, 2)
    if kind % 4 == 0:
        return lines[(kind >> 8) % len(lines)]
    frame = FRAMES[(kind >> 8) % len(FRAMES)]
    return frame.format(a=ADJECTIVES[(kind >> 24) % len(ADJECTIVES)], n=NOUNS[(kind >> 32) % len(NOUNS)])


def side(number):
    """A side of up to 1,200 pixels; every eighth is a multiple of 200."""
    return 200 * (1 + (number >> 8) % 6) if number % 8 == 0 else 1 + (number >> 8) % 1200


def score(number, steps):
    return np.float32(number % steps / 10000)


def matrix(first, rows, width):
    """Numbers from -2 to 2 in steps of 1/64: exact in 16 bits, and so are their products' sums in 32."""
    numbers = mix(np.arange(first, first + rows * width, dtype=np.uint64)) % np.uint64(256)
    return ((numbers.astype(np.int64) - 128) / 64).reshape(rows, width)


def main():
    out, files, rows, width, centroids = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:6])
    with gzip.open(sys.argv[6], "rb") as packed:
        lines = [line.split("\t", 2)[2] for line in packed.read().decode().removesuffix("\n").split("\n")]
    (out / "metadata").mkdir(parents=True, exist_ok=True)
    detector = gcld3.NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=1000)
    for file in range(files):
        numbers = range(file * rows, (file + 1) * rows)
        texts = [caption(row, lines) for row in numbers]
        table = pa.table({
            "uid": [f"{draw(row, 0):016x}{draw(row, 1):016x}" for row in numbers],
            "url": [f"https://images.example/{row}.jpg" for row in numbers],
            "text": texts,
            "original_width": pa.array([side(draw(row, 3)) for row in numbers], pa.int64()),
            "original_height": pa.array([side(draw(row, 4)) for row in numbers], pa.int64()),
            "clip_b32_similarity_score": pa.array([score(draw(row, 5), 4001) for row in numbers], pa.float32()),
            "clip_l14_similarity_score": pa.array([score(draw(row, 6), 3001) for row in numbers], pa.float32()),
            "gcld3": [detector.FindLanguage(text=text.replace("\n", " ")).language for text in texts],
        })
        path = out / "metadata" / f"{file:08}"
        pq.write_table(table, f"{path}.parquet")
        images = matrix((1 << 40) + file * rows * width, rows, width)
        np.savez(f"{path}.npz", l14_img=images.astype(np.float16))
    np.save(out / "centroids.npy", matrix(1 << 50, centroids, width).astype(np.float32))
    np.save(out / "targets.npy", matrix(1 << 51, max(centroids // 4, 1), width).astype(np.float32))
    nouns = open(pathlib.Path(sys.argv[7]) / "data.noun")
    offsets = [line[:8] for line in nouns if line[0] != " " and int(line[:8]) % 3 == 0]
    (out / "synsets.txt").write_text("".join(f"n{offset}\n" for offset in offsets))


if __name__ == "__main__":
    main()
