"""The start, memory and reads of streamed training; see scripts/bench_stream."""

import argparse
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
parser.add_argument("--only", nargs="+", choices=["start", "nodes", "peers"], default=["start", "nodes"])
parser.add_argument("--jpegs", help="for peers: a folder of shards with jpg and txt")
parser.add_argument("--python", default=sys.executable, help="for peers: a Python with the tools")
parser.add_argument("--rounds", type=int, default=3)
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


def peers():
    """Samples a second of processor time, in alternating rounds."""
    if not args.jpegs:
        sys.exit("peers: --jpegs SHARDS")
    side, batch, steps = 224, 50, 40
    loader = os.path.join(os.path.dirname(args.example), "loader")
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stream_peers.py")
    plain = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    rates = {"ours": [], "webdataset": [], "mosaic": []}
    for _ in range(args.rounds):
        for name, found in rates.items():
            if name == "ours":
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                command = [loader, args.jpegs, *map(str, (side, batch, 1, steps)), "8"]
                subprocess.run(command, check=True, capture_output=True)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                # With the start, which the others' figures leave out.
                spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
                found.append(steps * batch / spent)
            else:
                command = [args.python, script, name, args.jpegs, *map(str, (side, batch, steps)), args.work]
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=plain)
                found.append(float(done.stdout.split()[-1]))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in medians.items():
        print(f"{name}: {rate:.0f} samples a second of one core; ours {medians['ours'] / rate:.2f}x", flush=True)


os.makedirs(args.work, exist_ok=True)
for name in args.only:
    {"start": start, "nodes": nodes, "peers": peers}[name]()
