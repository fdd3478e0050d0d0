#!/usr/bin/env python3
"""Runs DataComp's filters and ours in turn, and compares what they write.

    bench_filter.py CLIP_DATA DATACOMP POOL MODEL ROUNDS PRESET…
"""
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

executable, datacomp, pool, model, rounds, *presets = sys.argv[1:]
script = pathlib.Path(__file__).parent / "datacomp_filter.py"
NEEDS = {
    "basic_filter": ["--lid", model],
    "text_based": ["--lid", model, "--synsets", f"{pool}/synsets.txt"],
    "image_based": ["--lid", model, "--centroids", f"{pool}/centroids.npy", "--targets", f"{pool}/targets.npy"],
    "laion2b": ["--english-column", "gcld3"],
}
NEEDS["image_based_intersect_clip_score"] = NEEDS["image_based"]


def run(command):
    """Processor seconds, wall seconds and peak memory in MB of a command and its children."""
    # A process of its own for each run: the peak of children is that of all so far.
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        start = time.monotonic()
        code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = time.monotonic() - start
        os.write(write, f"{code} {used.ru_utime + used.ru_stime} {wall} {used.ru_maxrss / 1000}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    code, *numbers = os.read(read, 1000).decode().split()
    os.close(read)
    assert code == "0", f"{command}: {code}"
    return tuple(map(float, numbers))


totals, same = [0.0, 0.0], 0
print("| preset | pairs kept | same | DataComp CPU s | ours CPU s | times | wall s | peak MB (one process) |")
print("|---|---|---|---|---|---|---|---|")
with tempfile.TemporaryDirectory() as folder:
    for preset in presets:
        name, *options = preset.split()
        theirs, ours = f"{folder}/theirs.npy", f"{folder}/ours.npy"
        commands = [
            [sys.executable, str(script), datacomp, pool, model, "/usr/share/wordnet", theirs, name, *options],
            [executable, "filter", f"{pool}/metadata", "--preset", name, *options, *NEEDS.get(name, []), "-o", ours],
        ]
        measured = [[run(command) for command in commands] for _ in range(int(rounds))]
        (cpu, wall, peak), (own_cpu, own_wall, own_peak) = (
            [statistics.median(numbers) for numbers in zip(*(pair[side] for pair in measured))] for side in (0, 1))
        # NumPy's header of another version may differ in its blanks; the uids may not.
        bytes_of = [pathlib.Path(path).read_bytes() for path in (theirs, ours)]
        equal = bytes_of[0][128:] == bytes_of[1][128:]
        same += equal
        totals = [totals[0] + cpu, totals[1] + own_cpu]
        print(f"| `{name}` | {(len(bytes_of[1]) - 128) // 16:,} | {'yes' if equal else 'NO'} | {cpu:.1f} | {own_cpu:.2f} "
              f"| {cpu / own_cpu:.0f} | {wall:.1f}, {own_wall:.2f} | {peak:.0f}, {own_peak:.0f} |", flush=True)
print(f"\n{same} of {len(presets)} the same; processor time {totals[0]:.1f} s, ours {totals[1]:.2f} s: 1/{totals[0] / totals[1]:.1f}")
sys.exit(same != len(presets))
