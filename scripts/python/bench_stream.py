"""The start, memory and reads of streamed training; see scripts/bench_stream."""

import argparse
import glob
import io
import json
import os
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tarfile
import time
import zlib

parser = argparse.ArgumentParser()
parser.add_argument("--example", required=True)
parser.add_argument("--work", required=True)
parser.add_argument("--shards", type=int, default=40_000)
parser.add_argument("--pairs", type=int, default=10_000)
parser.add_argument("--distinct", type=int, default=20)
parser.add_argument("--only", nargs="+", choices=["start", "nodes", "store", "peers", "quality"], default=["start", "nodes"])
parser.add_argument("--jpegs", help="for store and peers: a folder of shards with jpg and txt [default: made]")
parser.add_argument("--python", default=sys.executable, help="for peers: a Python with the tools")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=40, help="for store and peers: batches of 50")
parser.add_argument("--demo", default=".", help="for quality: where scripts/demo has run")
parser.add_argument("--epochs", type=int, default=7, help="for quality")
parser.add_argument("--windows", nargs="+", default=["whole", "8"], help="for quality")
args = parser.parse_args()


def png(number):
    """One pixel."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    row = bytes((0, number % 256, number // 256 % 256, number // 65536 % 256))
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row, 1)) + chunk(b"IEND", b"")


def shard(stem, first, pairs):
    """A shard of pairs with its index."""
    lines = []
    with tarfile.open(f"{stem}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(first, first + pairs):
            for field, data in (("png", png(number)), ("txt", f"image number {number}".encode())):
                entry = tarfile.TarInfo(f"{number:09}.{field}")
                entry.size = len(data)
                lines.append(f"{number:09}\t{field}\t{tar.offset + 512}\t{len(data)}\n")
                tar.addfile(entry, io.BytesIO(data))
    with open(f"{stem}.idx", "w") as file:
        file.writelines(lines)


def corpus(name, shards, pairs, distinct):
    """A folder of shards, which are hard links to few."""
    folder = os.path.join(args.work, f"{name}-{shards}-{pairs}-{distinct}")
    if os.path.isdir(folder):
        return folder
    part = folder + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    for number in range(shards):
        stem = os.path.join(part, f"{number:06}")
        if number < distinct:
            shard(stem, number * pairs, pairs)
        else:
            for ending in (".tar", ".idx"):
                os.link(os.path.join(part, f"{number % distinct:06}{ending}"), stem + ending)
    os.rename(part, folder)
    return folder


def run(folder, counts, batch, nodes, rank, steps):
    command = [args.example, folder, counts, *map(str, (batch, nodes, rank, steps))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)


def start():
    folder = corpus("start", args.shards, args.pairs, args.distinct)
    counts = os.path.join(args.work, "start.jsonl")
    if os.path.exists(counts):
        os.remove(counts)
    for label in ("first start", "counts kept", "counts kept"):
        begun = time.monotonic()
        found = run(folder, counts, 32_768, 8, 0, 1)
        print(f"{label}: {json.dumps(found)}; {time.monotonic() - begun:.1f} s in all; load {os.getloadavg()[0]:.1f}", flush=True)


def nodes():
    # 32 streams of 64 shards each.
    folder = corpus("nodes", 2048, 16, 2048)
    counts = os.path.join(args.work, "nodes.jsonl")
    one = run(folder, counts, 512, 1, 0, 0)["read_bytes"]
    shares = [run(folder, counts, 512, 8, rank, 0)["read_bytes"] / one for rank in range(8)]
    print(f"one node reads {one:,} bytes; each of 8 reads, in eighths of that: {[round(8 * share, 3) for share in shares]}")


def example(name):
    return os.path.join(os.path.dirname(args.example), name)


def jpegs(shards=80, pairs=30, image=(640, 480, 90)):
    """A folder of shards of photographs: of a width, a height and a quality."""
    if args.jpegs:
        return args.jpegs
    folder = os.path.join(args.work, "-".join(map(str, ("photos", shards, pairs, *image))))
    if not os.path.isdir(folder):
        shutil.rmtree(folder + ".part", ignore_errors=True)
        subprocess.run([example("photo_shards"), folder + ".part", *map(str, (shards, pairs, *image))], check=True)
        os.rename(folder + ".part", folder)
    return folder


def store():
    """Samples a second through a cache of a tenth of the shards in an S3 store, and of the same shards here."""
    import boto3

    folder = jpegs()
    files = sorted(os.listdir(folder))
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    for name in files:
        client.upload_file(os.path.join(folder, name), "clip-data", f"bench/{name}")
    tars = [name for name in files if name.endswith(".tar")]
    total = sum(os.path.getsize(os.path.join(folder, name)) for name in files)
    megabytes = total // 10 // 1_000_000
    # Two windows, the one in use and the next, are in the cache.
    side, batch, window, steps = 224, 50, max(1, len(tars) // 25), args.steps
    cache = os.path.join(args.work, "store-cache")
    rates = {"local": [], "store": []}
    for _ in range(args.rounds):
        for name, found in rates.items():
            shutil.rmtree(cache, ignore_errors=True)
            data, more = (folder, []) if name == "local" else ("s3://clip-data/bench/", [cache, str(megabytes)])
            command = [example("loader"), data, *map(str, (side, batch, 1, steps, window)), *more]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
            found.append(float(done.stdout))
    shutil.rmtree(cache, ignore_errors=True)
    local, remote = (statistics.median(found) for found in rates.values())
    print(
        f"{len(tars)} shards of {total / len(tars) / 1e6:.1f} MB, windows of {window}, a cache of {megabytes} MB: "
        f"{local:.0f} samples a second here, {remote:.0f} from the store ({100 * remote / local:.0f}%); "
        f"all: {rates}; load {os.getloadavg()[0]:.1f}"
    )


def spent(command):
    """Seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def peers():
    """Samples a second of processor time without the start, in alternating rounds."""
    # A photograph of COCO, and what img2dataset stores by default.
    images = {"its own": None} if args.jpegs else {"640 x 480": (640, 480, 90), "256 x 256": (256, 256, 95)}
    for name, image in images.items():
        compare(name, jpegs(image=image) if image else jpegs())


def compare(image, shards):
    side, batch, steps = 224, 50, args.steps
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stream_peers.py")
    plain = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    rates = {"ours": [], "webdataset": [], "mosaic": [], "decoded by Pillow": []}
    work = os.path.join(args.work, "peers-" + os.path.basename(shards.rstrip("/")))
    os.makedirs(work, exist_ok=True)
    for _ in range(args.rounds):
        for name, found in rates.items():
            if name == "ours":
                command = lambda steps: [example("loader"), shards, *map(str, (side, batch, 1, steps)), "8"]
                found.append((steps - 1) * batch / (spent(command(steps)) - spent(command(1))))
            else:
                command = [args.python, script, name.split()[0], shards, *map(str, (side, batch, steps)), work]
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=plain)
                found.append(float(done.stdout.split()[-1]))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in medians.items():
        print(
            f"JPEGs of {image}: {name}: {rate:.0f} samples a second of one core; ours {medians['ours'] / rate:.2f}x; "
            f"load {os.getloadavg()[0]:.1f}",
            flush=True,
        )


def sorted_shards(count=64):
    """The demo's corpus in shards sorted by label."""
    folder = os.path.join(args.work, f"sorted-{count}")
    if os.path.isdir(folder):
        return folder
    samples = {}
    for path in sorted(glob.glob(os.path.join(args.demo, "runs/emoji/shards/*.tar"))):
        with tarfile.open(path) as tar:
            for member in tar:
                key, field = member.name.split(".", 1)
                samples.setdefault(key, {})[field] = tar.extractfile(member).read()
    if not samples:
        sys.exit(f"{args.demo}: no runs/emoji/shards\nhint: run scripts/demo, or --demo FOLDER")
    label = lambda key: (str(json.loads(samples[key]["json"]).get("query")), key)
    ordered = sorted(samples, key=label)
    os.makedirs(folder + ".part", exist_ok=True)
    for number in range(count):
        with tarfile.open(os.path.join(folder + ".part", f"{number:05}.tar"), "w") as tar:
            for key in ordered[number * len(ordered) // count : (number + 1) * len(ordered) // count]:
                for field, data in samples[key].items():
                    entry = tarfile.TarInfo(f"{key}.{field}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
    os.rename(folder + ".part", folder)
    return folder


def quality():
    """Top-1 of the demo's model on shards sorted by label, shuffled as a whole and in windows."""
    program = os.path.join(os.path.dirname(os.path.dirname(args.example)), "clip-data")
    folder, logs = sorted_shards(), os.path.join(args.work, "quality")
    shutil.rmtree(logs, ignore_errors=True)
    rates = {window: [] for window in args.windows}
    for seed in range(args.rounds):
        for window, found in rates.items():
            name, scores = f"{window}-{seed}", os.path.join(args.work, "scores.json")
            train = ["--preset", "emoji", "--epochs", str(args.epochs), "--seed", str(seed), "--save-frequency", "0"]
            place = ["--train-data", folder, "--shuffle-window", window, "--logs", logs, "--name", name]
            evaluated = ["--model", os.path.join(logs, name), "--dataset", os.path.join(args.demo, "demo/twemoji")]
            for command in (["train", *train, *place], ["eval", "zero-shot", *evaluated, "--out", scores]):
                done = subprocess.run([program, *command], capture_output=True, text=True)
                if done.returncode != 0:
                    sys.exit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
            found.append(json.load(open(scores))["metrics"]["acc1"])
            shutil.rmtree(os.path.join(logs, name))
    for window, found in rates.items():
        spread = f", standard deviation {100 * statistics.stdev(found):.2f} points" if len(found) > 1 else ""
        print(
            f"windows of {window}: top-1 {100 * statistics.mean(found):.2f}%{spread}, "
            f"of each seed {[round(share, 4) for share in found]}",
            flush=True,
        )


os.makedirs(args.work, exist_ok=True)
for name in args.only:
    {"start": start, "nodes": nodes, "store": store, "peers": peers, "quality": quality}[name]()
