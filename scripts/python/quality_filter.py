"""A data filtering network on a made pool; see scripts/quality_filter."""

import argparse
import collections
import io
import json
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import fashion_mnist

parser = argparse.ArgumentParser()
parser.add_argument("--bin", type=Path, required=True)
parser.add_argument("--work", type=Path, required=True)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--epochs", type=int, default=2, help="times POOL samples that every training sees")
parser.add_argument("--top", type=float, default=0.5, help="the share of the pool that a filter keeps")
args = parser.parse_args()

POOL, CLEAN = 20_000, 1_000
# What is wrong with the half of the pool that is not clean; a listing is a row of images of one class.
NOISE, LISTING = {"shuffled": 2_000, "templated": 2_000, "copied": 6_000}, 100
TEMPLATES = ["a photo of a {} by {}", "{} from {}", "the new {}, {}", "{}: a {} for every day", "buy this {} by {}", "a {} of {}", "my {} from {}", "{} - {} shop"]
WITHOUT = ["image {}", "click to enlarge, {}", "product photo {}", "{} - free shipping", "view {} of 4"]
SYLLABLES = "ka lo mi ren tu vas sil dor be ny pra ol".split()
VISION = dict(image_size=32, layers=[1, 1, 1, 1], width=16, head_width=64)
TEXT = dict(context_length=20, vocab_size=49408, width=32, heads=2, layers=1)
MODEL = dict(embed_dim=64, quick_gelu=True, vision_cfg=VISION, text_cfg=TEXT)
RECIPE = dict(batch_size=128, lr=1e-3, beta1=0.9, beta2=0.98, eps=1e-6, wd=0.2, warmup=50, precision="auto", augment="rrc(0.8,1)", grad_clip_norm=1.0)
# The filtering network is the CLIP of the whole pool, trained further on the clean pairs.
NETWORK = ("--train-num-samples", CLEAN, "--epochs", 8, "--warmup", 10)
# Of Student's distribution, two-sided 95%, by degrees of freedom.
STUDENT = [12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


def run(*command):
    done = subprocess.run([args.bin / "clip-data", *map(str, command)], text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def whole(folder, make):
    """Makes a folder under another name and renames it, so that it is there whole or not at all."""
    if not folder.exists():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(part)
        part.rename(folder)
    return folder


def png(image):
    out = io.BytesIO()
    Image.fromarray(image).convert("RGB").save(out, "PNG")
    return out.getvalue()


def test_set(folder):
    """A folder for each class."""
    images, names = fashion_mnist.part("t10k")
    for at, (image, name) in enumerate(zip(images, names)):
        path = folder / name / f"{at:05}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(image))


def captions(names, draw):
    """Caption and kind of each pair of the pool, of which these are the classes."""
    brands = ["".join(draw.sample(SYLLABLES, draw.choice((2, 3)))) for _ in range(200)]
    found = [(draw.choice(TEMPLATES).format(name, draw.choice(brands)), "clean") for name in names]
    rows = draw.sample(range(len(names)), sum(NOISE.values()))
    shuffled, rows = rows[: NOISE["shuffled"]], rows[NOISE["shuffled"] :]
    others = draw.sample(shuffled, len(shuffled))
    texts = [found[row][0] for row in others]
    for row, text in zip(shuffled, texts):
        found[row] = (text, "shuffled")
    templated, rows = rows[: NOISE["templated"]], rows[NOISE["templated"] :]
    for row in templated:
        found[row] = (draw.choice(WITHOUT).format(draw.choice(brands + list("1234"))), "templated")
    # A listing has the caption of an item of another class on all of its images, as in a shop that sells what goes with it.
    classes = collections.defaultdict(list)
    for row in rows:
        classes[names[row]].append(row)
    for name, members in sorted(classes.items()):
        for first in range(0, len(members), LISTING):
            other = draw.choice([other for other in fashion_mnist.CLASSES if other != name])
            text = draw.choice(TEMPLATES).format(other, draw.choice(brands))
            for row in members[first : first + LISTING]:
                found[row] = (text, "copied")
    return found


def shards(folder, rows, images, pairs):
    """Four shards of pairs, with a table beside each."""
    for shard in range(4):
        table = collections.defaultdict(list)
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for at in range(shard, len(rows), 4):
                caption, kind = pairs[at]
                key, uid = f"{shard:05}{at:06}", f"{rows[at]:032x}"
                row = {"key": key, "uid": uid, "caption": caption, "kind": kind}
                for name, value in row.items():
                    table[name].append(value)
                del row["kind"]
                for field, data in (("png", png(images[rows[at]])), ("txt", caption.encode()), ("json", json.dumps(row).encode())):
                    info = tarfile.TarInfo(f"{key}.{field}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        pq.write_table(pa.table(table), folder / f"{shard:05}.parquet")


def pool(folder, seed):
    """`clean`, the pairs that the filtering network is trained on, and `pool`: no image is in both."""
    images, names = fashion_mnist.part("train")
    draw = random.Random(seed)
    rows = draw.sample(range(len(images)), CLEAN + POOL)
    brands = ["".join(draw.sample(SYLLABLES, 2)) for _ in range(200)]
    clean = [(draw.choice(TEMPLATES).format(names[row], draw.choice(brands)), "clean") for row in rows[:CLEAN]]
    for name, rows, pairs in (("clean", rows[:CLEAN], clean), ("pool", rows[CLEAN:], captions([names[row] for row in rows[CLEAN:]], draw))):
        (folder / name).mkdir()
        shards(folder / name, rows, images, pairs)


def train(work, name, data, seed, *more):
    """Trains on shards, by default on as many samples as all do; the zero-shot accuracy in percent, and seconds."""
    out = work / f"{name}.json"
    if not out.exists():
        preset = work / "preset.json"
        preset.write_text(json.dumps(dict(model_cfg=MODEL, train=RECIPE)))
        how = more or ("--train-num-samples", POOL, "--epochs", args.epochs)
        run("train", "--preset", preset, "--train-data", data, *how, "--seed", seed, "--workers", 1,
            "--device", "cpu", "--save-frequency", 0, "--keep", 1, "--logs", work / "logs", "--name", name)  # fmt: skip
        run("eval", "zero-shot", "--model", work / "logs" / name, "--dataset", args.work / "test", "--device", "cpu", "--no-classifier-cache", "--out", out)
    steps = (work / "logs" / name / "steps.jsonl").read_text().splitlines()
    return 100 * json.loads(out.read_text())["metrics"]["acc1"], sum(json.loads(step)["seconds"] for step in steps)


def newest(run):
    """The newest checkpoint of a run."""
    return max((run / "checkpoints").glob("step_*"))


def chosen(work, name, *how):
    """The shards of the pairs that `clip-data filter` chooses, and how many of each kind they are."""
    subset = work / f"subset-{name}.npy"
    if not subset.exists():
        run("filter", *how, "-o", subset)
    folder = whole(work / f"chosen-{name}", lambda part: run("reshard", "-i", work / "data/pool", "-o", part, "-s", subset, "--shard-size", 5000, "--overwrite"))
    kinds = {}
    for table in sorted((work / "data/pool").glob("*.parquet")):
        columns = pq.read_table(table, columns=["uid", "kind"]).to_pydict()
        kinds.update(zip((int(uid, 16) for uid in columns["uid"]), columns["kind"]))
    return folder, collections.Counter(kinds[int(high) << 64 | int(low)] for high, low in np.load(subset))


def scored(work, name):
    """The scores of the pool by a trained model."""
    return whole(work / f"scores-{name}", lambda part: run("score", work / "data/pool", "--model", work / "logs" / name, "--device", "cpu", "--out", part))


def of_seed(seed):
    # What other settings made is not this run's.
    work = args.work / f"epochs-{args.epochs}-top-{args.top}" / f"seed-{seed}"
    whole(work / "data", lambda part: pool(part, seed))
    top = ("--top", f"clip_similarity={args.top}")
    found = {"raw": train(work, "raw", work / "data/pool", seed)}
    found["network"] = train(work, "network", work / "data/clean", seed, "--pretrained", newest(work / "logs/raw"), *NETWORK)
    ways = {"clean": (work / "data/pool", "--where", "kind = 'clean'"), "by-network": (scored(work, "network"), *top), "by-raw": (scored(work, "raw"), *top)}
    kinds = {}
    for name, how in ways.items():
        folder, kinds[name] = chosen(work, name, *how)
        found[name] = train(work, name, folder, seed)
    print(f"seed {seed}: " + ", ".join(f"{name} {accuracy:.2f}%" for name, (accuracy, _) in found.items()), flush=True)
    return found, kinds


def interval(numbers):
    """Mean and half the width of its 95% interval over seeds."""
    half = STUDENT[len(numbers) - 2] * statistics.stdev(numbers) / len(numbers) ** 0.5 if len(numbers) > 1 else float("nan")
    return statistics.mean(numbers), half


whole(args.work / "test", test_set)
seeds = [of_seed(seed) for seed in range(args.seeds)]
NAMES = {"raw": "the whole pool", "clean": "its clean half", "network": f"the whole pool, then {CLEAN:,} clean pairs: the network", "by-raw": "top by the CLIP of the whole pool", "by-network": "top by the network"}
print(f"\n| trained on | pairs | clean | shuffled | templated | copied |{''.join(f' seed {seed} |' for seed in range(args.seeds))} mean |")
print("|---|---|---|---|---|---|" + "---|" * (args.seeds + 1))
for name, title in NAMES.items():
    counts = {"raw": collections.Counter({"clean": POOL - sum(NOISE.values()), **NOISE}), "network": collections.Counter(clean=CLEAN)}.get(name)
    counts = counts or sum((kinds[name] for _, kinds in seeds), collections.Counter())
    total = counts.total()
    shares = "".join(f" {100 * counts[kind] / total:.1f}% |" for kind in ("clean", *NOISE))
    accuracy = [found[name][0] for found, _ in seeds]
    print(f"| {title} | {total // (1 if name in ('raw', 'network') else args.seeds):,} |{shares}{''.join(f' {a:.2f}% |' for a in accuracy)} {statistics.mean(accuracy):.2f}% |")


def difference(a, b):
    return [found[a][0] - found[b][0] for found, _ in seeds]


gap, recovered, better = difference("clean", "raw"), difference("by-network", "raw"), difference("by-network", "by-raw")
print()
for what, numbers in (("clean over raw", gap), ("the network's choice over raw", recovered), ("the network's choice over the raw CLIP's", better)):
    mean, half = interval(numbers)
    print(f"{what}: {mean:+.2f} points, 95% interval over seeds {mean - half:+.2f} to {mean + half:+.2f}")
share = statistics.mean(recovered) / statistics.mean(gap)
clear = all(interval(numbers)[0] > interval(numbers)[1] for numbers in (gap, recovered, better))
longest = max(seconds for found, _ in seeds for _, seconds in found.values())
print(f"recovered {100 * share:.0f}% of the gap (goal 70%); {statistics.mean(better):+.2f} points (goal 2); longest training {longest / 60:.1f} minutes (goal 4)")
sys.exit(not (clear and share >= 0.7 and statistics.mean(better) >= 2 and longest <= 240))
