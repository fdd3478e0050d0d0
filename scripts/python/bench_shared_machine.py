"""Training, embed and eval alone and beside one busy process; see scripts/bench_shared_machine."""

import argparse
import io
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tarfile
import time
import zlib

# What an environment variable says about threads that wait: libgomp's spins, then sleeps.
SETTINGS = {
    # libgomp's default; `own` leaves it to the executable.
    "none": {"GOMP_SPINCOUNT": "300000"},
    "0": {"GOMP_SPINCOUNT": "0"},
    "1000": {"GOMP_SPINCOUNT": "1000"},
    "10000": {"GOMP_SPINCOUNT": "10000"},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "own": {},
}

parser = argparse.ArgumentParser()
parser.add_argument("--bin", required=True)
parser.add_argument("--work", required=True)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--workloads", nargs="+", default=["emoji", "ViT-B-32", "embed", "eval"])
parser.add_argument("--settings", nargs="+", default=["none", "0", "1000", "10000", "passive"], choices=list(SETTINGS))
parser.add_argument("--images", type=int, default=48, help="for embed and eval")
parser.add_argument("--steps", type=int, default=7, help="of a ViT-B-32; the emoji model takes twice as many")
args = parser.parse_args()
CLIP = os.path.join(args.bin, "clip-data")


def png(number, side=224):
    """A smooth image of two colours that depend on `number`."""
    rows = bytearray()
    for y in range(side):
        rows.append(0)
        for x in range(side):
            rows += bytes(((number * 37 + x) % 256, (number * 91 + y) % 256, (number * 53) % 256))
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows), 1)) + chunk(b"IEND", b"")


def prepare():
    """A shard of pairs, a folder for each of two classes, and a ViT-B-32 of one step."""
    os.makedirs(args.work, exist_ok=True)
    shard = os.path.join(args.work, f"{args.images}.tar")
    if not os.path.exists(shard):
        with tarfile.open(shard + ".part", "w") as tar:
            for number in range(args.images):
                for extension, data in (("png", png(number)), ("txt", f"image number {number}".encode())):
                    entry = tarfile.TarInfo(f"{number:09}.{extension}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
        os.rename(shard + ".part", shard)
    classes = os.path.join(args.work, f"classes-{args.images}")
    if not os.path.isdir(classes):
        for number in range(args.images):
            folder = os.path.join(classes, ("cat", "dog")[number % 2])
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"{number}.png"), "wb") as file:
                file.write(png(number))
    model = os.path.join(args.work, "model")
    if not os.path.isdir(model):
        train(["--model", "ViT-B-32", "--batch-size", "2", "--train-num-samples", "2"], dict(os.environ))
        steps = os.path.join(args.work, "logs/run/checkpoints")
        shutil.copytree(os.path.join(steps, sorted(n for n in os.listdir(steps) if n.startswith("step_"))[-1]), model)
    return shard, classes, model


def run(command, env):
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-3000:]}\nexit code {done.returncode}")


def train(flags, env):
    """The median of a short run's steps, without the first two."""
    logs = os.path.join(args.work, "logs")
    shutil.rmtree(logs, ignore_errors=True)
    command = [CLIP, "train", "--dataset-type", "synthetic", "--epochs", "1", "--precision", "fp32", "--workers", "1"]
    run([*command, "--save-frequency", "0", "--logs", logs, "--name", "run", *flags], env)
    steps = [json.loads(line)["seconds"] for line in open(os.path.join(logs, "run/steps.jsonl"))]
    return statistics.median(steps[2:] or steps)


def timed(command, env):
    started = time.monotonic()
    run(command, env)
    return time.monotonic() - started


def measure(workload, env, shard, classes, model):
    """Seconds: of a step, or of the whole command."""
    out = os.path.join(args.work, "out")
    shutil.rmtree(out, ignore_errors=True)
    if workload == "emoji":
        return train(["--preset", "emoji", "--train-num-samples", str(128 * 2 * args.steps)], env)
    if workload == "ViT-B-32":
        return train(["--model", "ViT-B-32", "--batch-size", "8", "--train-num-samples", str(8 * args.steps)], env)
    if workload == "embed":
        return timed([CLIP, "embed", "--model", model, "--input", shard, "--out", out], env)
    if workload == "eval":
        return timed([CLIP, "eval", "zero-shot", "--model", model, "--no-classifier-cache", "--dataset", f"two={classes}"], env)
    sys.exit(f"{workload}: emoji, ViT-B-32, embed or eval")


def main():
    inputs = prepare()
    plain = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    for workload in args.workloads:
        found = {(name, beside): [] for name in args.settings for beside in (False, True)}
        for _ in range(args.rounds):
            for name in args.settings:
                for beside in (False, True):
                    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if beside else None
                    try:
                        found[name, beside].append(measure(workload, dict(plain, **SETTINGS[name]), *inputs))
                    finally:
                        if busy:
                            busy.kill()
                            busy.wait()
        base = statistics.median(found[args.settings[0], False])
        for name in args.settings:
            alone, beside = (statistics.median(found[name, busy]) for busy in (False, True))
            print(
                f"{workload:9} {name:8} alone {alone:7.3f} s ({100 * base / alone:4.0f}% of {args.settings[0]}'s speed), "
                f"beside one busy process {beside:7.3f} s ({100 * alone / beside:3.0f}% kept); "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


main()
