"""Runs clip-data for a long time and records its memory: see scripts/soak. Python's own library only."""

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVERY = 5.0
RATE = 40
PRESET = {
    "model_cfg": {
        "embed_dim": 32,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 2},
    },
    "train": {"batch_size": 32, "warmup": 10, "precision": "fp32", "augment": "small"},
}


def family(pid):
    """A process and all that it has started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def resident(pid):
    """MB of memory of a process and all that it has started, or None when it has ended."""
    total = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return total / 1024 if total else None


def fetch(args, folder):
    """A fetch of images of the tests' web site, and the site."""
    shards = sorted(Path(args.photos).glob("*.tar")) if args.photos else []
    tar = shards[0] if shards else photographs(folder)
    port = 8437
    site = subprocess.Popen(
        [args.bin / "clip-testkit", "photos", "--tar", tar, "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    site.stdout.readline()
    # One image of the site every 1/RATE s, for as long as it takes and a half more.
    count = int(args.minutes * 60 * RATE * 1.5)
    with open(folder / "urls.txt", "w") as out:
        out.writelines(f"http://127.0.0.1:{port}/{number}.jpg?{number}\n" for number in range(count))
    command = [args.bin / "clip-data", "fetch", "urls.txt", "--output_format", "webdataset", "--output_folder", "out"]
    command += ["--allow_private", "--image_size", "64", "--processes_count", "1", "--number_sample_per_shard", "1000"]
    command += ["--per_host", "1", "--host_delay_ms", str(1000 // RATE)]
    return command, site


def photographs(folder):
    """A tar of images for the site: a small build's would do, drawings of the training's data set do as well."""
    import tarfile
    import zlib
    from struct import pack

    def png(number, side=160):
        def chunk(kind, data):
            return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

        rows = b"".join(
            b"\0" + bytes((x * (number % 7 + 1) + y * c) & 255 for x in range(side) for c in (1, 2, 3)) for y in range(side)
        )
        head = pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)

    import io

    path = folder / "images.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(64):
            data = png(number)
            info = tarfile.TarInfo(f"{number:05}.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def train(args, folder):
    """A training of a small model that ends long after the time; checkpoints and evaluations are in it."""
    (folder / "tiny.json").write_text(json.dumps(PRESET))
    command = [args.bin / "clip-data", "train", "--dataset-type", "synthetic", "--train-num-samples", "20000"]
    command += ["--preset", "tiny.json", "--device", "cpu", "--workers", "1", "--epochs", "1000", "--name", "soak"]
    command += ["--save-steps", "500", "--save-frequency", "1"]
    return command, None


def slope(samples, warm):
    """Least squares: MB an hour, and the mean, of what comes after the warm-up."""
    kept = [(t, mb) for t, mb in samples if t >= warm]
    n = len(kept)
    mt, mm = sum(t for t, _ in kept) / n, sum(mb for _, mb in kept) / n
    spread = sum((t - mt) ** 2 for t, _ in kept)
    return (sum((t - mt) * (mb - mm) for t, mb in kept) / spread * 3600 if spread else 0.0), mm


def draw(path, samples, warm, title):
    """The curve, on axes with a few marks."""
    width, height, left, bottom, top = 720, 260, 60, 40, 34
    end = max(t for t, _ in samples) or 1.0
    most = max(mb for _, mb in samples) * 1.15
    x = lambda t: left + t / end * (width - left - 16)
    y = lambda mb: height - bottom - mb / most * (height - bottom - top)
    points = " ".join(f"{x(t):.1f},{y(mb):.1f}" for t, mb in samples)
    step = 10 ** (len(str(int(most))) - 1)
    step = step if most / step >= 3 else step / 2 if most / step >= 1.5 else step / 4
    marks = []
    level = 0.0
    while level <= most:
        marks.append(
            f'<line x1="{left}" y1="{y(level):.1f}" x2="{width - 16}" y2="{y(level):.1f}" stroke="#ddd"/>'
            f'<text x="{left - 6}" y="{y(level) + 4:.1f}" text-anchor="end">{level:.0f}</text>'
        )
        level += step
    minutes = max(1, round(end / 60 / 6))
    for minute in range(0, int(end / 60) + 1, minutes):
        marks.append(f'<text x="{x(minute * 60):.1f}" y="{height - bottom + 18}" text-anchor="middle">{minute}</text>')
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="{width}" height="{height}" fill="#fff"/>\n'
        f'<text x="{left}" y="20">{title}</text>\n{chr(10).join(marks)}\n'
        f'<line x1="{x(warm):.1f}" y1="{top}" x2="{x(warm):.1f}" y2="{height - bottom}" stroke="#999" '
        f'stroke-dasharray="4 3"/>\n'
        f'<polyline points="{points}" fill="none" stroke="#1565c0" stroke-width="1.5"/>\n'
        f'<text x="{width - 16}" y="{height - 6}" text-anchor="end">minutes</text>\n'
        f'<text x="{left - 6}" y="{top - 4}" text-anchor="end">MB</text>\n</svg>\n'
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["fetch", "train"])
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--photos", default="")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    samples, site, run = [], None, None
    try:
        command, site = (fetch if args.kind == "fetch" else train)(args, folder)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        log = open(folder / "log.txt", "w")
        run = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        started = time.monotonic()
        with open(args.out / f"soak-{args.kind}.csv", "w", newline="") as out:
            table = csv.writer(out, lineterminator="\n")
            table.writerow(["seconds", "rss_mb"])
            while (now := time.monotonic() - started) < args.minutes * 60 and run.poll() is None:
                if (mb := resident(run.pid)) is not None:
                    samples.append((now, mb))
                    table.writerow([f"{now:.0f}", f"{mb:.1f}"])
                    out.flush()
                time.sleep(max(0.0, EVERY - (time.monotonic() - started - now)))
        early = run.poll()
        if early is not None:
            sys.exit(f"it ended after {now:.0f} s with exit code {early}:\n{(folder / 'log.txt').read_text()[-2000:]}")
        run.send_signal(signal.SIGTERM)
        code = run.wait()
        warm = min(600.0, args.minutes * 15)
        rate, mean = slope(samples, warm)
        most = max(mb for _, mb in samples)
        done = work(args.kind, folder)
        title = f"{args.kind}: {args.minutes:.0f} min, {done}; mean {mean:.0f} MB, at most {most:.0f}, {rate:+.1f} MB an hour"
        draw(args.out / f"soak-{args.kind}.svg", samples, warm, title)
        print(f"{title}; stopped with exit code {code}")
    finally:
        for process in (run, site):
            if process and process.poll() is None:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def work(kind, folder):
    """How much was done."""
    if kind == "train":
        steps = folder / "logs/soak/steps.jsonl"
        return f"{len(steps.read_text().splitlines()) if steps.exists() else 0} steps"
    stats = [json.loads(path.read_text()) for path in (folder / "out").glob("*_stats.json")]
    return f"{sum(entry['successes'] for entry in stats)} images"


if __name__ == "__main__":
    main()
