"""Benchmarks of training; see scripts/bench_train."""

import argparse
import json
import os
import re
import random
import shutil
import statistics
import sys

from measure import run
from pairs import write_shard

parser = argparse.ArgumentParser()
parser.add_argument("--bin", required=True)
parser.add_argument("--work", required=True)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--steps", type=int, help="8 on the processor, 60 on a GPU; the first two, or ten, are not counted")
parser.add_argument("--models", nargs="+", default=["ViT-B-32", "RN50"])
parser.add_argument("--batch", type=int, help="16 for transformers and 8 for ResNets; on a GPU 256")
parser.add_argument("--workers", type=int, help="1; on a GPU the machine's cores")
parser.add_argument("--tokens", type=int, nargs="+", default=[8, 77], help="lengths of the captions; open_clip pads all to 77")
parser.add_argument("--precisions", nargs="+", default=["fp32", "amp_bf16"])
parser.add_argument("what", nargs="*")
args = parser.parse_args()
what = args.what or ["compute", "processes", "big-batch"]

gpu = args.device == "cuda"
args.steps = args.steps or (60 if gpu else 8)
args.workers = args.workers or (os.cpu_count() if gpu else 1)
warm = 10 if gpu else 2
# Theirs must not see the libtorch of scripts/setup; where a driver is, they must.
libraries = [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if "/libtorch-" not in path]
plain = dict(os.environ, LD_LIBRARY_PATH=":".join(filter(None, libraries)))
folder = os.path.join(args.work, "runs")


def fresh():
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def shard(tokens, pairs):
    """Made pairs: one smooth image each, a caption of exactly `tokens` tokens, its first and last included."""
    path = os.path.join(args.work, f"pairs-{tokens}-{pairs}.tar")
    if not os.path.exists(path):
        # Each of these words is one token, so a caption has two more tokens than words.
        words = "a red old house river garden mountain view of in on with small large photo image cat dog city street".split()
        draw = random.Random(0)
        write_shard(path, [" ".join(draw.choice(words) for _ in range(tokens - 2)) for _ in range(pairs)])
    return path


def settings(model, precision, batch, processes, tokens):
    pairs = args.steps * batch * processes
    return [
        "--train-data", shard(tokens, pairs), "--dataset-type", "webdataset", "--train-num-samples", str(pairs),
        "--model", model, "--batch-size", str(batch), "--epochs", "1", "--workers", str(args.workers), "--warmup", "10",
        "--precision", precision, "--logs", fresh(), "--name", "run", "--log-every-n-steps", "1", "--seed", "0",
        "--device", args.device,
    ]  # fmt: skip


def ours(model, precision, batch, processes, tokens):
    command = [f"{args.bin}/clip-data", "train", *settings(model, precision, batch, processes, tokens)]
    command += ["--save-minutes", "1000", "--augment", "rrc(0.9,1)"]
    if processes > 1:
        command += ["--nproc", str(processes)]
    output, took = run(command, env=dict(os.environ))
    steps = [json.loads(line) for line in open(f"{folder}/run/steps.jsonl")]
    if gpu:
        took["peak_mib"] = float(re.search(r"at most ([0-9]+) MiB of GPU memory", output)[1])
    return statistics.median(step["seconds"] for step in steps[warm:]), took


def theirs(model, precision, batch, processes, tokens):
    trainer = [os.path.join(os.path.dirname(__file__), "open_clip_gpu.py")] if gpu else ["-m", "open_clip_train.main"]
    if processes > 1:
        # What comes after "--" is not torchrun's: it would take --logs for one of its own.
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--"]
        trainer = [*torchrun, os.path.join(os.path.dirname(__file__), "open_clip_gpu.py" if gpu else "open_clip_ddp.py")]
    command = [sys.executable, *trainer, *settings(model, precision, batch, processes, tokens)]
    env = plain
    if processes > 1:
        command += ["--dist-backend", "nccl" if gpu else "gloo", "--local-loss", "--gather-with-grad"]
        env = dict(plain, OMP_NUM_THREADS=str(max(1, os.cpu_count() // processes)))
    output, took = run(command, env=env)
    if gpu:
        took["peak_mib"] = float(re.search(r"at most ([0-9]+) MiB of GPU memory", output)[1])
    log = open(f"{folder}/run/out.log").read()
    times = [float(time) for time in re.findall(r"Batch \(t\): ([0-9.]+),", log)]
    return statistics.median(times[warm:]), took


def side_by_side(model, precision, batch, processes=1):
    for tokens in args.tokens:
        both = [[side(model, precision, batch, processes, tokens) for side in (ours, theirs)] for _ in range(args.rounds)]
        mine, other = (statistics.median(r[side][0] for r in both) for side in (0, 1))
        memory, others = (statistics.median(r[side][1]["peak_mib"] for r in both) for side in (0, 1))
        print(
            f"{model} {precision} batch {batch} x {processes}, captions of {tokens} tokens: ours {mine:.3f} s a step, "
            f"open_clip {other:.3f} s (texts padded to 77): {other / mine:.3f}x the steps a second; "
            f"memory {memory:.0f} and {others:.0f} MiB: {memory / others:.2f}x",
            flush=True,
        )


def loader(shards):
    side, batch, steps = 224, 50, 60
    python = os.path.join(os.path.dirname(__file__), "wds_loader.py")
    mine, other = [], []
    for _ in range(args.rounds):
        output, took = run([f"{args.bin}/examples/loader", shards, str(side), str(batch), "1", str(steps)], env=dict(os.environ))
        mine.append(steps * batch / took["cpu"])
        output, _ = run([sys.executable, python, shards, str(side), str(batch), str(steps)], env=plain)
        other.append(float(output.strip().splitlines()[-1]))
    mine, other = statistics.median(mine), statistics.median(other)
    print(f"loader at {side} px: ours {mine:.0f} samples a second of one core, open_clip {other:.0f}: {mine / other:.2f}x", flush=True)


def big_batch():
    preset = os.path.join(args.work, "tiny.json")
    vision = dict(image_size=32, layers=2, width=64, patch_size=8, head_width=32)
    text = dict(context_length=16, vocab_size=49408, width=64, heads=2, layers=2)
    model = dict(embed_dim=64, quick_gelu=True, vision_cfg=vision, text_cfg=text)
    json.dump(dict(model_cfg=model, train=dict(batch_size=32768, epochs=1, warmup=2, precision="fp32")), open(preset, "w"))
    command = [f"{args.bin}/clip-data", "train", "--preset", preset, "--dataset-type", "synthetic", "--train-num-samples", str(2 * 32768)]
    _, took = run([*command, "--logs", fresh(), "--name", "run"], env=dict(os.environ))
    steps = [json.loads(line) for line in open(f"{folder}/run/steps.jsonl")]
    seconds = statistics.median(step["seconds"] for step in steps)
    print(f"a batch of 32768 of a tiny model: {seconds:.1f} s a step, {took['peak_mib']:.0f} MiB", flush=True)


os.makedirs(args.work, exist_ok=True)
at = 0
while at < len(what):
    if what[at] == "compute":
        for precision in args.precisions:
            for model in args.models:
                side_by_side(model, precision, args.batch or (256 if gpu else 8 if model.startswith("RN") else 16))
    elif what[at] == "processes":
        side_by_side("ViT-B-32", "fp32", 8, processes=2)
    elif what[at] == "loader":
        at += 1
        loader(what[at])
    elif what[at] == "big-batch":
        big_batch()
    else:
        raise SystemExit(f"{what[at]}: compute, processes, loader SHARDS or big-batch")
    at += 1
