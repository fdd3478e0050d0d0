#!/usr/bin/env python3
"""Labels that C++ fastText gives with models that `clip-data classifier train` made.

    trained_classifiers.py CLIP_DATA LANGUAGES.tsv.gz OUT

The texts are the lines of languages.tsv.gz without control characters, those of the label `en` against the others. Writes
for each loss LOSS.tsv.gz: the model's SHA-256, then for each text the likeliest label and its probability.
"""
import gzip
import hashlib
import pathlib
import subprocess
import sys
import tempfile

import fasttext

executable, golden, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
rows = [row.split("\t", 2) for row in gzip.open(golden, "rt", newline="\n").read().removesuffix("\n").split("\n")]
rows = [(label, line) for label, _, line in rows if all(ord(c) >= 32 for c in line)]
OPTIONS = {
    "softmax": "--dim 6 --epoch 3",
    "hs": "--dim 4 --epoch 3 --minn 2 --maxn 3 --bucket 900 --minCount 3",
    "one-vs-all": "--dim 5 --epoch 2 --wordNgrams 2 --bucket 1500 --minCount 2",
    "ns": "--dim 4 --epoch 3 --neg 3 --minn 3 --maxn 4 --bucket 700 --minCount 4 --wordNgrams 3",
}

out.mkdir(exist_ok=True)
with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    for name, wanted in (("positive", True), ("negative", False)):
        (work / name).write_text("".join(f"{line}\n" for label, line in rows if (label == "en") == wanted))
    for loss, options in OPTIONS.items():
        model = work / f"{loss}.bin"
        subprocess.run([executable, "classifier", "train", "--positive", work / "positive", "--negative", work / "negative",
                        "--out", model, "--loss", loss, "--lr", "0.5", "--seed", "3", *options.split()], check=True)
        read = fasttext.load_model(str(model))
        assert sorted(read.f.getLabels("strict")[0]) == ["__label__negative", "__label__positive"]
        # The binding's own predict() fails with NumPy 2; this is what it calls.
        found = [read.f.predict(line + "\n", 1, 0.0, "strict") for _, line in rows]
        text = hashlib.sha256(model.read_bytes()).hexdigest() + "\n"
        text += "".join("\t".join(f"{label.removeprefix('__label__')}\t{prob:.5f}" for prob, label in one) + "\n" for one in found)
        with open(out / f"{loss}.tsv.gz", "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="", compresslevel=9) as packed:
            packed.write(text.encode())
        print(loss, sum(one[0][1] == "__label__positive" for one in found if one), "of", len(rows), "positive")
