"""Opens and asks fastText models in three ways, and compares the labels. Run by scripts/bench_fasttext."""
import gzip
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

work, golden, lid, readers = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:]
CPP = """
import fasttext, json, resource, sys, time
model, lines, rounds, out = sys.argv[1:]
lines = open(lines, newline="\\n").read().removesuffix("\\n").split("\\n")
start = time.perf_counter()
model = fasttext.load_model(model).f
opened = time.perf_counter() - start
ends = [line + "\\n" for line in lines]
start = time.perf_counter()
for _ in range(int(rounds)):
    for line in ends:
        model.predict(line, 1, 0.0, "strict")
seconds = time.perf_counter() - start
labels = [(model.predict(line, 1, 0.0, "strict") or [(0, "")])[0][1] for line in ends]
open(out, "w").write("".join(label.removeprefix("__label__") + "\\n" for label in labels))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"open_seconds": opened, "lines_per_second": len(lines) * int(rounds) / seconds, "peak_mb": peak}))
"""

rows = gzip.open(golden / "languages.tsv.gz", "rt", newline="\n").read().removesuffix("\n").split("\n")
rows = [row.split("\t", 2) for row in rows]
(work / "lines.txt").write_text("".join(line + "\n" for _, _, line in rows))
for packed in (golden / "classifiers").glob("*.ftz.gz"):
    (work / packed.stem).write_bytes(gzip.open(packed).read())
# A model of the size that captions are filtered with: pairs of words, 100 numbers, 200,000 buckets.
train = """
import fasttext, sys
fasttext.train_supervised(sys.argv[1], thread=1, epoch=2, dim=100, wordNgrams=2, bucket=200000, verbose=0).save_model(sys.argv[2])
"""
(work / "train.txt").write_text("".join(f"__label__{l} {' '.join(t.split())}\n" for l, _, t in rows if t.strip()))
subprocess.run([sys.executable, "-c", train, work / "train.txt", work / "large.bin"], check=True)
models = {"lid.176.ftz (hs)": lid, "large.bin (softmax)": work / "large.bin"}
models |= {f"golden {loss}.ftz": work / f"{loss}.ftz" for loss in ("softmax", "ova", "ns")}
for name, model in models.items():
    found = {}
    ways = {
        "own": [readers, "own"],
        "crate": [readers, "crate"],
        "cpp": [sys.executable, "-c", CPP],
    }
    runs = {way: [] for way in ways}
    for _ in range(5):
        for way, command in ways.items():
            out = work / f"{way}.labels"
            done = subprocess.run([*command, model, work / "lines.txt", "5", out], capture_output=True, text=True)
            if done.returncode:
                found[way] = None
                continue
            runs[way].append(json.loads(done.stdout))
            found[way] = out.read_text().split("\n")
    for way in ways:
        if found[way] is None:
            print(f"{name:24} {way:6} fails")
            continue
        equal = sum(a == b for a, b in zip(found[way], found["cpp"])) - 1
        median = lambda key: statistics.median(run[key] for run in runs[way])
        print(f"{name:24} {way:6} open {median('open_seconds'):.3f} s, {median('lines_per_second'):9.0f} lines/s, "
              f"{median('peak_mb'):4.0f} MB, labels of C++ {equal}/{len(rows)}")
