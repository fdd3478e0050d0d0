"""Runs each task with our executable and with the Python tool, alternately, and prints a table. See bench_corpus."""
import contextlib
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

OURS, IMAGES = sys.argv[1:3]
ROUNDS = int(os.environ.get("ROUNDS", 3))
SAMPLES = 5000
os.environ["OMP_NUM_THREADS"] = "1"


def ours(*args, threads=1):
    """Items a second, and what was told beside them."""
    run = subprocess.run([OURS, *map(str, args)], check=True, capture_output=True, text=True,
                         env={**os.environ, "RAYON_NUM_THREADS": str(threads)})
    return float(run.stdout.split()[-3]), run.stderr.strip()


def theirs(task, *args):
    """The same task in a process of its own."""
    run = subprocess.run([sys.executable, __file__, OURS, IMAGES, task, *map(str, args)], check=True,
                         capture_output=True, text=True)
    last = run.stdout.strip().splitlines()[-1].split(maxsplit=1)
    return float(last[0]), last[1] if len(last) > 1 else ""


def files(path):
    with tarfile.open(path) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar if m.isfile()]


def python_phash(tar):
    import numpy
    from PIL import Image
    from imagededup.methods import PHash
    hasher, images = PHash(verbose=False), files(tar)
    start = time.perf_counter()
    for _, data in images:
        # What encode_image does with a file, without the file.
        image = Image.open(io.BytesIO(data))
        if image.mode != "RGB":
            image = image.convert("RGBA").convert("RGB")
        hasher.encode_image(image_array=numpy.array(image))
    print(len(images) / (time.perf_counter() - start))


def python_join(hashes, radius):
    from imagededup.methods import PHash
    lines = open(hashes).read().split()
    encodings = {f"{i}.jpg": h for i, h in enumerate(lines)}
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        found = PHash(verbose=False).find_duplicates(
            encoding_map=encodings, max_distance_threshold=int(radius), num_dist_workers=int(os.environ.get("WORKERS", 2)))
    seconds = time.perf_counter() - start
    print(len(lines) / seconds, sum(map(len, found.values())) // 2, "pairs")


def python_write(tar, out):
    import webdataset
    samples = list(webdataset.WebDataset(tar, shardshuffle=False))
    samples = [{k: v for k, v in s.items() if k == "__key__" or not k.startswith("__")} for s in samples]
    if os.path.exists(out):
        os.remove(out)
    start = time.perf_counter()
    with webdataset.TarWriter(out) as writer:
        for sample in samples:
            writer.write(sample)
    print(len(samples) / (time.perf_counter() - start))


def python_read(tar):
    import webdataset
    start = time.perf_counter()
    count = sum(1 for _ in webdataset.WebDataset(tar, shardshuffle=False))
    print(count / (time.perf_counter() - start))


def python_decode(tar):
    import numpy
    import webdataset
    from PIL import Image
    start = time.perf_counter()
    count = 0
    for sample in webdataset.WebDataset(tar, shardshuffle=False).decode("pil"):
        numpy.asarray(sample["jpg"].resize((256, 256), Image.BICUBIC))
        count += 1
    print(count / (time.perf_counter() - start))


def shard(path):
    """Samples as a build stores them: 256 pixels on the shorter side, with text and json."""
    from PIL import Image
    images = []
    for _, data in files(IMAGES)[:500]:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        scale = 256 / min(image.size)
        image = image.resize([round(side * scale) for side in image.size], Image.BOX)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=95)
        images.append(buffer.getvalue())
    with tarfile.open(path, "w") as tar:
        for number in range(SAMPLES):
            text = f"a caption of some length for image number {number}"
            meta = json.dumps({"url": f"https://example.org/{number}.jpg", "caption": text, "width": 256,
                               "sha256": "0" * 64, "status": "success"})
            for extension, data in [("jpg", images[number % len(images)]), ("json", meta.encode()),
                                    ("txt", text.encode())]:
                member = tarfile.TarInfo(f"{number:09d}.{extension}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def hashes(path, count):
    """Random hashes, a tenth of them within a few bits of another."""
    draw = random.Random(count)
    values = [draw.getrandbits(64) for _ in range(count - count // 10)]
    for _ in range(count // 10):
        value = draw.choice(values)
        for bit in draw.sample(range(64), draw.randrange(11)):
            value ^= 1 << bit
        values.append(value)
    draw.shuffle(values)
    with open(path, "w") as file:
        file.writelines(f"{value:016x}\n" for value in values)


def compare(name, ours_args, theirs_args, threads=1, rounds=ROUNDS):
    mine, other, told = [], [], ("", "")
    for _ in range(rounds):
        speed, mine_told = ours(*ours_args, threads=threads)
        mine.append(speed)
        if theirs_args:
            speed, other_told = theirs(*theirs_args)
            other.append(speed)
            told = (mine_told, other_told)
            if mine_told and mine_told != other_told:
                sys.exit(f"{name}: {mine_told!r} here, {other_told!r} there")
        else:
            told = (mine_told, "")
    mine = statistics.median(mine)
    cells = [name, f"{mine:,.0f}"]
    if other:
        cells += [f"{statistics.median(other):,.0f}", f"{mine / statistics.median(other):.1f}"]
    else:
        cells += ["", ""]
    print("|", " | ".join(cells), "|", flush=True)


def main():
    # In memory where that can be had: disks are not what is measured, and only ours waits for them when it writes.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        path = lambda name: os.path.join(folder, name)
        shard(path("shard.tar"))
        print("| task, items a second | ours | Python | ratio |\n|---|---|---|---|")
        compare("pHash, bit-exact (imagededup)", ["phash", IMAGES], ["phash", IMAGES])
        compare("pHash, fast", ["phash-fast", IMAGES], ["phash", IMAGES])
        compare("write a shard (webdataset TarWriter)", ["write", path("shard.tar"), path("ours.tar")],
                ["write", path("shard.tar"), path("theirs.tar")])
        compare("read a shard (webdataset)", ["read", path("shard.tar")], ["read", path("shard.tar")])
        compare("read, decode, 256 pixels (webdataset, Pillow)", ["decode", path("shard.tar")], ["decode", path("shard.tar")])
        for count in map(int, os.environ.get("JOIN", "5000 20000").split()):
            hashes(path(f"{count}.txt"), count)
            task = ["join", path(f"{count}.txt"), 10]
            compare(f"pairs within 10 bits of {count:,} hashes, two cores (imagededup)", task, task, threads=2, rounds=1)
        hashes(path("million.txt"), 1_000_000)
        task = ["join", path("million.txt"), 10]
        compare("pairs within 10 bits of 1,000,000 hashes, two cores", task, None, threads=2, rounds=1)


if len(sys.argv) > 3:
    globals()[f"python_{sys.argv[3]}"](*sys.argv[4:])
else:
    main()
