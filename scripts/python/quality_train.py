"""Zero-shot accuracy after the same training by both; see scripts/quality_train."""

import argparse
import glob
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile

import fashion_mnist
import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

parser = argparse.ArgumentParser()
parser.add_argument("--bin", required=True)
parser.add_argument("--work", required=True)
parser.add_argument("--cifar10")
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--samples", type=int, default=20_000)
args = parser.parse_args()

TEMPLATES = ["a photo of a {}.", "a picture of a {}.", "an image of a {}", "this is a {}", "a {}", "one {}", "a small {}", "a close view of a {}"]
VISION = dict(image_size=32, layers=3, width=128, patch_size=4, head_width=32)
TEXT = dict(context_length=16, vocab_size=49408, width=96, heads=3, layers=2)
MODEL = dict(embed_dim=96, quick_gelu=True, vision_cfg=VISION, text_cfg=TEXT)
BATCH = 128


def fashion():
    """(class, PNG) of the training and test parts."""
    for part in ["train", "t10k"]:
        yield [(name, png(Image.fromarray(image))) for image, name in zip(*fashion_mnist.part(part))]


def cifar(path):
    parts = {"train": [], "test": []}
    with tarfile.open(path) as archive:
        for member in archive:
            names = member.name.split("/")
            if member.isfile() and names[-1].endswith((".jpg", ".png")):
                image = Image.open(io.BytesIO(archive.extractfile(member).read()))
                parts[names[-3]].append((names[-2], png(image)))
    return [parts["train"], parts["test"]]


def png(image):
    out = io.BytesIO()
    image.convert("RGB").save(out, "png")
    return out.getvalue()


def write(name, parts):
    """Shards with captions for training, a folder for each class for the test."""
    folder = f"{args.work}/{name}"
    if os.path.exists(f"{folder}/done"):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    train, test = parts
    draw = random.Random(0)
    draw.shuffle(train)
    os.makedirs(f"{folder}/train")
    for shard in range(4):
        with tarfile.open(f"{folder}/train/{shard:05}.tar", "w") as tar:
            for at, (label, image) in enumerate(train[: args.samples][shard::4]):
                text = draw.choice(TEMPLATES).format(label).encode()
                for field, data in [("png", image), ("txt", text)]:
                    info = tarfile.TarInfo(f"{shard:05}{at:06}.{field}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    for at, (label, image) in enumerate(test):
        os.makedirs(f"{folder}/test/{label}", exist_ok=True)
        with open(f"{folder}/test/{label}/{at:05}.png", "wb") as file:
            file.write(image)
    open(f"{folder}/done", "w").close()
    return folder


def model_folder(path, state):
    os.makedirs(path, exist_ok=True)
    preprocess = dict(mean=list(open_clip.OPENAI_DATASET_MEAN), std=list(open_clip.OPENAI_DATASET_STD), interpolation="bicubic", resize_mode="shortest")
    json.dump(dict(model_cfg=MODEL, preprocess_cfg=preprocess), open(f"{path}/open_clip_config.json", "w"))
    save_file({k: v.clone().contiguous() for k, v in state.items()}, f"{path}/open_clip_model.safetensors")
    return path


def call(command, env=None):
    done = subprocess.run(command, env=env, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def accuracy(model, data):
    out = f"{args.work}/scores.json"
    call([f"{args.bin}/clip-data", "eval", "zero-shot", "--model", model, "--dataset", data, "--output", out])
    return 100 * json.load(open(out))["metrics"]["acc1"]


def train(name, data, seed):
    torch.manual_seed(seed)
    init = model_folder(f"{args.work}/init", open_clip.CLIP(**MODEL).state_dict())
    runs = f"{args.work}/runs"
    shutil.rmtree(runs, ignore_errors=True)
    steps = args.samples * args.epochs // BATCH
    common = [
        "--batch-size", str(BATCH), "--epochs", str(args.epochs), "--lr", "1e-3", "--wd", "0.1", "--beta1", "0.9", "--beta2", "0.98", "--eps", "1e-6",
        "--warmup", str(steps // 10), "--precision", "fp32", "--workers", "1", "--seed", str(seed), "--logs", runs,
    ]  # fmt: skip
    preset = f"{args.work}/preset.json"
    json.dump(dict(model_cfg=MODEL, train=dict(augment="rrc(0.9,1)")), open(preset, "w"))
    call([f"{args.bin}/clip-data", "train", "--preset", preset, "--pretrained", init, "--train-data", f"{data}/train", "--name", "ours", *common])
    ours = accuracy(f"{runs}/ours", f"{data}/test")
    env = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    call([
        sys.executable, "-m", "open_clip_train.main", "--model", f"local-dir:{init}", "--train-data", f"{data}/train/{{00000..00003}}.tar",
        "--dataset-type", "webdataset", "--train-num-samples", str(args.samples), "--name", "theirs", "--save-most-recent", *common,
    ], env)  # fmt: skip
    newest = sorted(glob.glob(f"{runs}/theirs/checkpoints/epoch_*.pt"), key=os.path.getmtime)[-1]
    state = torch.load(newest, map_location="cpu", weights_only=True)["state_dict"]
    state = {re.sub("^module.", "", key): value for key, value in state.items()}
    theirs = accuracy(model_folder(f"{args.work}/theirs", state), f"{data}/test")
    print(f"{name}, seed {seed}: ours {ours:.2f}%, open_clip {theirs:.2f}%", flush=True)
    return ours, theirs


os.makedirs(args.work, exist_ok=True)
sets = [("Fashion-MNIST", lambda: fashion())]
if args.cifar10:
    sets.append(("CIFAR-10", lambda: cifar(args.cifar10)))
for name, parts in sets:
    data = write(name, parts())
    pairs = [train(name, data, seed) for seed in range(args.seeds)]
    mine, other = np.mean(pairs, axis=0)
    print(f"{name}: ours {mine:.2f}%, open_clip {other:.2f}%, difference {mine - other:+.2f} points over {args.seeds} seeds", flush=True)
