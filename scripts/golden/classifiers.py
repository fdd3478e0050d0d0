#!/usr/bin/env python3
"""Golden predictions of fastText classifiers: models of every loss, and what C++ fastText says to 10,000 lines.

    scripts/golden/classifiers

The lines and the labels to train on are those of languages.tsv.gz; the models and the predictions are those of
fasttext-wheel 0.9.2, which wraps the C++ program. Writes to OUT, each packed: NAME.bin and NAME.ftz, labels.tsv
(for each line, the likeliest label of each model) and top.tsv (model, number of the line, k, threshold, then
label:probability of each label that is predicted).
"""
import collections
import gzip
import pathlib
import sys
import tempfile

import fasttext

golden, out = sys.argv[1], pathlib.Path(sys.argv[2])
rows = [row.split("\t", 2) for row in gzip.open(golden, "rt", newline="\n").read().removesuffix("\n").split("\n")]
lines = [line for _, _, line in rows]
assert len(lines) == 10_000
common = [label for label, _ in collections.Counter(label for label, _, _ in rows).most_common(15)]

# Of each loss a model and one that is quantised, so that every way through the format is taken: with and without runs
# of words, subwords and buckets; a dictionary that is cut to its best rows; norms apart; a last part that is narrower;
# an output that is quantised, which needs 256 labels.
few = lambda label, line: label if label in common else "other"
many = lambda label, line: f"{label}_{len(line) % 6}"
MODELS = {
    "hs.bin": (few, dict(loss="hs", dim=4, minn=2, maxn=3, bucket=700, minCount=9), None),
    "hs.ftz": (few, dict(loss="hs", dim=6, minn=2, maxn=4, bucket=2000, minCount=5, wordNgrams=2), dict(cutoff=1200, qnorm=True)),
    "softmax.bin": (few, dict(loss="softmax", dim=4, minCount=7), None),
    "softmax.ftz": (few, dict(loss="softmax", dim=5, minn=1, maxn=3, bucket=900, minCount=7), dict(dsub=2, qnorm=False)),
    "ova.bin": (few, dict(loss="ova", dim=4, wordNgrams=3, bucket=800, minCount=7), None),
    "ova.ftz": (few, dict(loss="ova", dim=8, minn=3, maxn=3, bucket=900, minCount=7), dict(dsub=3, qnorm=True)),
    "ns.bin": (few, dict(loss="ns", dim=4, minn=2, maxn=2, bucket=600, minCount=9, wordNgrams=2), None),
    "ns.ftz": (many, dict(loss="ns", dim=4, minn=2, maxn=3, bucket=600, minCount=9), dict(dsub=2, qnorm=True, qout=True)),
}


def pack(name, data):
    with open(out / f"{name}.gz", "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="", compresslevel=9) as packed:
        packed.write(data)
    return (out / f"{name}.gz").stat().st_size


out.mkdir(exist_ok=True)
best, top = [], []
with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    for name, (label_of, options, quantise) in MODELS.items():
        # A line with a zero or a line end of its own would be several lines to the program that trains.
        text = [f"__label__{label_of(label, line)} {' '.join(line.split())}\n" for label, _, line in rows if line.strip()]
        (work / "train.txt").write_text("".join(text))
        model = fasttext.train_supervised(str(work / "train.txt"), thread=1, epoch=12, lr=0.5, seed=7, verbose=0, **options)
        if quantise is not None:
            model.quantize(**quantise)
        model.save_model(str(work / name))
        size = pack(name, (work / name).read_bytes())
        # As it reads its own file.
        model = fasttext.load_model(str(work / name))
        # The binding's own predict() refuses line ends and fails with NumPy 2; this is what it calls.
        ask = lambda line, k, threshold: model.f.predict(line + "\n", k, threshold, "strict")
        found = [ask(line, 1, 0.0) for line in lines]
        best.append([rows[0][1].removeprefix("__label__") if rows else "" for rows in found])
        for number, line in enumerate(lines):
            if number % 250 == 0 or number >= 9_950:
                for k, threshold in [(1, 0.0), (3, 0.0), (-1, 0.05)]:
                    pairs = "\t".join(f"{label.removeprefix('__label__')}:{prob:.5f}" for prob, label in ask(line, k, threshold))
                    top.append(f"{name}\t{number}\t{k}\t{threshold}\t{pairs}".rstrip("\t") + "\n")
        labels = len(model.f.getLabels("strict")[0])
        print(f"{name}: {labels} labels, {len(set(best[-1]))} predicted, {size} bytes")
header = "\t".join(MODELS) + "\n"
print(pack("labels.tsv", (header + "".join("\t".join(row) + "\n" for row in zip(*best))).encode()), "bytes of labels")
print(pack("top.tsv", "".join(top).encode()), "bytes of probabilities,", len(top), "rows")
