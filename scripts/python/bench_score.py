"""Pairs a second of `clip-data score` and of a loop over open_clip, alternating, on the same shard and libtorch.

Run by scripts/bench_score. Both read the same JPEGs from the same tar with the same number of threads, decode the
next batch while one is computed, and encode every caption at 77 tokens (each caption is longer). Random weights:
arithmetic does not mind. A rate is of the pairs that one run has more than another, so that starts do not count.
"""
import argparse
import io
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

arguments = argparse.ArgumentParser()
arguments.add_argument("--cli", required=True, help="clip-data")
arguments.add_argument("--rounds", type=int, default=3)
arguments.add_argument("--pairs", type=int, default=256)
arguments.add_argument("--few", type=int, default=64)
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--model", default="ViT-B-32-quickgelu")
# With --threads 1: more threads wait for each other in loops.
arguments.add_argument("--processor", action="store_true", help="processor time in place of wall time, for a busy machine")
a = arguments.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)

THEIRS = """
import io, json, sys, tarfile, torch, open_clip
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset
folder, shard, out, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
model, _, preprocess = open_clip.create_model_and_transforms("local-dir:" + folder)
tokenizer = open_clip.SimpleTokenizer(context_length=77)

class Pairs(IterableDataset):
    def __iter__(self):
        with tarfile.open(shard) as tar:
            for member in tar:
                data = tar.extractfile(member).read()
                if member.name.endswith(".jpg"):
                    image = preprocess(Image.open(io.BytesIO(data)))
                elif member.name.endswith(".txt"):
                    yield member.name[:-4], image, tokenizer(data.decode())[0]

scores = {}
with torch.inference_mode():
    # A worker decodes while the model computes.
    for keys, images, texts in DataLoader(Pairs(), batch_size=64, num_workers=1):
        image = model.eval().encode_image(images, normalize=True)
        text = model.encode_text(texts, normalize=True)
        scores.update(zip(keys, (image * text).sum(-1).tolist()))
json.dump(scores, open(out, "w"))
"""


def clock():
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) if a.processor else time.perf_counter()


def seconds(command):
    start = clock()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"failed: {command}\n{done.stderr}")
    return clock() - start


def shard(path, pairs):
    from PIL import Image

    draw = random.Random(0)
    words = "red green old small round wooden bright quiet boat house dog chair lamp garden river clock".split()
    with tarfile.open(path, "w") as tar:
        for number in range(pairs):
            image = Image.effect_noise((320, 256), 60).convert("RGB").resize((340, 256))
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=92)
            text = " ".join(draw.choices(words, k=90))
            for kind, data in (("jpg", buffer.getvalue()), ("txt", text.encode())):
                member = tarfile.TarInfo(f"{number:06}.{kind}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


with tempfile.TemporaryDirectory() as folder:
    code = ("import sys, json, torch, open_clip; from safetensors.torch import save_file; torch.manual_seed(0);"
            "m = open_clip.create_model(sys.argv[1]); f = sys.argv[2];"
            "json.dump({'model_cfg': open_clip.get_model_config(sys.argv[1]), 'preprocess_cfg': {}}, open(f + '/open_clip_config.json', 'w'));"
            "save_file({k: v.contiguous() for k, v in m.state_dict().items()}, f + '/open_clip_model.safetensors')")
    subprocess.run([sys.executable, "-c", code, a.model, folder], check=True, stderr=subprocess.DEVNULL)
    shards = {}
    for pairs in (a.few, a.few + a.pairs):
        shards[pairs] = f"{folder}/{pairs}.tar"
        shard(shards[pairs], pairs)
    rates = {"ours": [], "open_clip": []}
    for round_ in range(a.rounds):
        times = {}
        for pairs, path in shards.items():
            out = f"{folder}/{round_}-{pairs}"
            ours = [a.cli, "score", path, "--model", folder, "--device", "cpu", "--threads", str(a.threads), "--out", out]
            theirs = [sys.executable, "-c", THEIRS, folder, path, out + ".json", str(a.threads)]
            times[pairs] = {"ours": seconds(ours), "open_clip": seconds(theirs)}
        for name, found in rates.items():
            found.append(a.pairs / (times[a.few + a.pairs][name] - times[a.few][name]))
    import pyarrow.parquet as parquet

    table = parquet.read_table(f"{folder}/0-{a.few + a.pairs}/00000.parquet", columns=["key", "clip_similarity"])
    ours = dict(zip(*(column.to_pylist() for column in table.columns)))
    theirs = json.load(open(f"{folder}/0-{a.few + a.pairs}.json"))
    assert ours.keys() == theirs.keys()
    medians = {name: round(statistics.median(found), 2) for name, found in rates.items()}
    print(json.dumps({
        "model": a.model, "pairs": a.pairs, "rounds": a.rounds, "threads": a.threads, "pairs_per_s": medians,
        "ratio": round(medians["ours"] / medians["open_clip"], 2),
        "ratios": [round(x / y, 2) for x, y in zip(rates["ours"], rates["open_clip"])],
        "largest_difference_of_cosines": max(abs(ours[key] - theirs[key]) for key in ours),
        "load": os.getloadavg()[0],
    }))
