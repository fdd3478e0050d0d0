"""Encoding of images and texts, memory and start: open_clip against ours on the same libtorch, alternating.

Run by scripts/bench_models. Prints a JSON line a model and precision: medians of the rounds, and ratios.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

arguments = argparse.ArgumentParser()
arguments.add_argument("--encode", required=True, help="example `encode` of clip-model")
arguments.add_argument("--cli", required=True, help="clip-data")
arguments.add_argument("--rounds", type=int, default=3)
arguments.add_argument("--batch", type=int, default=16)
arguments.add_argument("--steps", type=int, default=4)
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--models", nargs="*", default=["ViT-B-32-quickgelu", "RN50-quickgelu"])
arguments.add_argument("--precisions", nargs="*", default=["fp32", "bf16"])
a = arguments.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)

THEIRS = """
import json, sys, time, torch, open_clip
folder, precision, batch, steps, threads, way = sys.argv[1:]
batch, steps = int(batch), int(steps)
torch.set_num_threads(int(threads))
# amp: the weights stay in f32 and are cast at every call. pure: cast once.
pure = precision == "bf16" and way == "pure"
model = open_clip.create_model("local-dir:" + folder, precision="pure_bf16" if pure else "fp32").eval()
size = model.visual.image_size
size = size if isinstance(size, tuple) else (size, size)
images = torch.randn(batch, 3, *size)
if pure:
    images = images.bfloat16()
if precision == "bf16":
    model = model.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
texts = torch.zeros(batch, 77, dtype=torch.long)
texts[:, 0], texts[:, 20] = 49406, 49407
texts[:, 1:20] = torch.arange(19) * 17 + 317
best = {}
with torch.inference_mode(), torch.amp.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16" and not pure):
    for name, work in (("image_per_s", lambda: model.encode_image(images)), ("text_per_s", lambda: model.encode_text(texts))):
        times = []
        for _ in range(steps + 2):
            t = time.perf_counter(); work(); times.append(time.perf_counter() - t)
        best[name] = batch / min(times[2:])
print(json.dumps(best))
"""
FIRST = """
import sys, torch, open_clip
from PIL import Image
model, _, preprocess = open_clip.create_model_and_transforms("local-dir:" + sys.argv[1])
with torch.inference_mode():
    features = model.eval().encode_image(preprocess(Image.open(sys.argv[2])).unsqueeze(0), normalize=True)
assert features.shape[0] == 1
"""


def run(command):
    """Seconds, peak MiB and standard output of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {command}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024, out


def medians(rows):
    return {key: round(statistics.median(row[key] for row in rows), 2) for key in rows[0]}


def prepare(name, folder):
    """Random weights: arithmetic does not mind."""
    code = ("import sys, json, torch, open_clip; from safetensors.torch import save_file; torch.manual_seed(0);"
            "m = open_clip.create_model(sys.argv[1]); f = sys.argv[2];"
            "json.dump({'model_cfg': open_clip.get_model_config(sys.argv[1]), 'preprocess_cfg': {}}, open(f + '/open_clip_config.json', 'w'));"
            "save_file({k: v.contiguous() for k, v in m.state_dict().items()}, f + '/open_clip_model.safetensors')")
    subprocess.run([sys.executable, "-c", code, name, folder], check=True, stderr=subprocess.DEVNULL)


for name in a.models:
    with tempfile.TemporaryDirectory() as folder:
        prepare(name, folder)
        for precision in a.precisions:
            ways = ["amp"] if precision == "fp32" else ["amp", "pure"]
            ours, theirs = [], {way: [] for way in ways}
            for _ in range(a.rounds):
                _, memory, out = run([a.encode, folder, precision, str(a.batch), str(a.steps)])
                ours.append(json.loads(out) | {"mib": memory})
                for way in ways:
                    command = [sys.executable, "-c", THEIRS, folder, precision, str(a.batch), str(a.steps), str(a.threads), way]
                    _, memory, out = run(command)
                    theirs[way].append(json.loads(out) | {"mib": memory})
            ours = medians(ours)
            for way in ways:
                other = medians(theirs[way])
                ratio = {"image": ours["image_per_s"] / other["image_per_s"], "text": ours["text_per_s"] / other["text_per_s"],
                         "padded_text": ours["padded_text_per_s"] / other["text_per_s"], "memory": ours["mib"] / other["mib"]}
                print(json.dumps({"model": name, "precision": precision, "open_clip": other | {"way": way}, "ours": ours,
                                  "ratio": {k: round(v, 2) for k, v in ratio.items()}}), flush=True)
        if "fp32" in a.precisions:
            images = Path(folder) / "images"
            images.mkdir()
            from PIL import Image

            Image.effect_noise((500, 375), 90).convert("RGB").save(images / "one.jpg")
            rows = []
            for round_ in range(a.rounds):
                out = str(Path(folder) / f"out{round_}")
                ours = run([a.cli, "embed", "--model", folder, "--input", str(images), "--output", out])
                theirs = run([sys.executable, "-c", FIRST, folder, str(images / "one.jpg")])
                rows.append({"ours_s": ours[0], "open_clip_s": theirs[0], "ours_mib": ours[1], "open_clip_mib": theirs[1]})
            row = medians(rows)
            print(json.dumps({"model": name, "first_embedding": row, "ratio": {
                "seconds": round(row["ours_s"] / row["open_clip_s"], 2),
                "memory": round(row["ours_mib"] / row["open_clip_mib"], 2)}}), flush=True)
