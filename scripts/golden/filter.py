#!/usr/bin/env python3
"""Writes what scripts/golden/filter found into the folders of the tests.

    filter.py WORK CRATES
"""
import gzip
import hashlib
import json
import pathlib
import sys
import tempfile

import nltk
import numpy as np
import pyarrow.parquet as pq

work, crates = map(pathlib.Path, sys.argv[1:])
golden = crates / "clip-filter" / "data" / "golden"
golden.mkdir(parents=True, exist_ok=True)
found = {}
for path in sorted(work.glob("*.npy")):
    uids = np.load(path)
    found[path.stem] = {"pairs": len(uids), "sha256": hashlib.sha256(uids.tobytes()).hexdigest()}
(golden / "datacomp.json").write_text(json.dumps(found, indent=1) + "\n")
tables = sorted((work / "pool" / "metadata").glob("*.parquet"))
labels = [label for table in tables for label in pq.read_table(table, columns=["gcld3"])["gcld3"].to_pylist()]
np.packbits([label == "en" for label in labels], bitorder="little").tofile(golden / "gcld3.bin")
np.savez_compressed(golden / "packed.npz", a=np.array([[1, -0.5], [2**-24, 65504]], "f2"))

nltk.data.path.insert(0, str(pathlib.Path(tempfile.gettempdir()) / "datacomp-nltk"))
from nltk.corpus import wordnet  # noqa: E402

words = set()
folder = pathlib.Path("/usr/share/wordnet")
for part in ("noun", "verb", "adj", "adv"):
    lemmas = [line.split(" ", 1)[0] for line in open(folder / f"index.{part}") if line[0] != " "]
    irregular = [line.split()[0] for line in open(folder / f"{part}.exc") if line.strip()]
    for word in sorted(lemmas, key=lambda w: hashlib.sha256(w.encode()).digest())[:600]:
        words |= {word, word + "s", word + "es", word.rstrip("e") + "ing", word.rstrip("e") + "ed", word + "er",
                  word.rstrip("y") + "iest", word.title(), word.upper() + "S", word + "men"}
    words |= set(sorted(irregular, key=lambda w: hashlib.sha256(w.encode()).digest())[:400])
words |= {"", "s", "ss", "sses", "women", "Männer", "ΟΔΟΣ", "a.d.", "dog's", "dog,", "ies", "men", "xes", "12", "iPhone",
          "axes", "leaves", "running", "better", "best", "seses", "eded", "ingings", "churches", "boxes"}
rows = []
for word in sorted(words):
    synsets = wordnet.synsets(word)
    rows.append(f"{word}\t{synsets[0].offset() if synsets else '-'}\n")
with open(crates / "clip-query" / "data" / "golden" / "first_synsets.tsv.gz", "wb") as file, \
        gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="", compresslevel=9) as packed:
    packed.write("".join(rows).encode())
print(f"{json.dumps(found)}\n{len(rows)} words, {sum(row[-2] != '-' for row in rows)} with a synset")
