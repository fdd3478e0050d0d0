"""See scripts/bench_fetch."""
import glob, os, re, shutil, statistics, subprocess, sys, tarfile, tempfile, threading, time

release, img2dataset, photos = sys.argv[1:4]
rows = int(sys.argv[4]) if len(sys.argv) > 4 else 4000
rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
only = os.environ.get("ONLY", "images,pixels,network,memory,recipe").split(",")
clip_data, testkit = f"{release}/clip-data", f"{release}/clip-testkit"
work = tempfile.mkdtemp(prefix="bench-fetch-")
port = 8418
server = subprocess.Popen([testkit, "photos", "--tar", photos, "--port", str(port)], stdout=subprocess.PIPE)
count = int(server.stdout.readline().split()[1])


# In a process of its own: the peak memory of a child counts what its parent had when it was started.
LISTING = """
import sys, pyarrow as pa, pyarrow.parquet as pq
file, url, rows = sys.argv[1], sys.argv[2], range(int(sys.argv[3]))
pq.write_table(pa.table({"URL": [url.format(i) for i in rows], "TEXT": [f"caption {i}" for i in rows]}), file)
"""


def listing(name, rows, path):
    file = f"{work}/{name}.parquet"
    subprocess.run([sys.executable, "-c", LISTING, file, f"http://127.0.0.1:{port}/{path}", str(rows)], check=True)
    return file


def timed(command):
    """Wall seconds, CPU seconds of all processes, peak MB of the largest, standard output."""
    started = time.perf_counter()
    log = open(f"{work}/log", "w+")
    child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    log.seek(0)
    text = log.read()
    if status != 0:
        sys.exit(f"{command} failed:\n{text[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


def own_rate(text):
    found = re.findall(r"total .*images per sec: (\d+)", text)
    return float(found[-1]) if found else float("nan")


common = ["--input_format", "parquet", "--url_col", "URL", "--caption_col", "TEXT", "--resize_mode", "keep_ratio",
          "--image_size", "256"]


def ours(file, out, extra=(), threads=256):
    shutil.rmtree(out, ignore_errors=True)
    return timed([clip_data, "fetch", "--url_list", file, "--output_folder", out, *common, "--thread_count", str(threads),
                  "--allow_private", "True", "--per_host", str(threads), "--host_delay_ms", "0", "--progress", "plain", *extra])


def theirs(file, out, extra=(), processes=4, threads=16):
    shutil.rmtree(out, ignore_errors=True)
    return timed([img2dataset, "--url_list", file, "--output_folder", out, *common, "--processes_count", str(processes),
                  "--thread_count", str(threads), *extra])


def versus(title, file, rows, extra, settings):
    print(f"\n{title}: {rows} rows, medians of {rounds} alternating rounds")
    results = {}
    for _ in range(rounds):
        for name, run in [("clip-data", lambda: ours(file, f"{work}/ours", extra))] + [
            (f"img2dataset {p}x{t}", lambda p=p, t=t: theirs(file, f"{work}/theirs", extra, p, t)) for p, t in settings
        ]:
            results.setdefault(name, []).append(run())
    lines = {}
    for name, runs in results.items():
        wall, cpu, rss = (statistics.median(run[i] for run in runs) for i in range(3))
        own = statistics.median(own_rate(run[3]) for run in runs)
        lines[name] = (rows / wall, own, cpu / rows)
        print(f"  {name:<20} {wall:7.2f} s  {rows / wall:7.0f} rows/s  (own count {own:6.0f}/s)  "
              f"{1000 * cpu / rows:6.2f} ms CPU/row  {rss:6.0f} MB")
    best = max((name for name in lines if name != "clip-data"), key=lambda name: lines[name][1])
    least = min((name for name in lines if name != "clip-data"), key=lambda name: lines[name][2])
    print(f"  rows/s of the whole command, against its best: {lines['clip-data'][0] / max(l[0] for n, l in lines.items() if n != 'clip-data'):.2f}x")
    print(f"  rows/s by its own count, against {best}: {lines['clip-data'][0] / lines[best][1]:.2f}x")
    print(f"  CPU seconds per row, against {least}: {lines['clip-data'][2] / lines[least][2]:.2f}x")


def pixels():
    import cv2
    import numpy as np

    file = listing("pixels", count, "{}.jpg")
    # PNG shows the pixels themselves; profiles are left alone, as img2dataset leaves them.
    png = ["--output_format", "webdataset", "--encode_format", "png", "--encode_quality", "1"]
    ours(file, f"{work}/ours", [*png, "--icc", "False", "--orient", "False"])
    theirs(file, f"{work}/theirs", png)

    def images(out):
        found = {}
        for name in sorted(n for n in os.listdir(out) if n.endswith(".tar")):
            with tarfile.open(f"{out}/{name}") as tar:
                for member in tar:
                    if member.name.endswith(".png"):
                        found[member.name] = cv2.imdecode(np.frombuffer(tar.extractfile(member).read(), np.uint8), cv2.IMREAD_COLOR)
        return found

    a, b = images(f"{work}/ours"), images(f"{work}/theirs")
    assert a.keys() == b.keys() and len(a) > 0, (len(a), len(b))
    mean, most, beyond, total = 0.0, 0, 0, 0
    for key in a:
        assert a[key].shape == b[key].shape, key
        far = np.abs(a[key].astype(np.int16) - b[key].astype(np.int16))
        mean += far.sum()
        most = max(most, int(far.max()))
        beyond += int((far > 2).sum())
        total += far.size
    print(f"\npixels of {len(a)} photographs in keep_ratio 256: mean difference {mean / total:.4f} levels, "
          f"largest {most}, {100 * beyond / total:.5f}% beyond 2 levels")


def memory():
    print("\nmemory of clip-data: list of addresses to statistics")
    for rows in (10_000, 1_000_000):
        file = listing(f"small-{rows}", rows, "small/{}")
        wall, cpu, rss, text = ours(file, f"{work}/ours", ["--output_format", "dummy", "--disable_all_reencoding", "True"])
        print(f"  {rows:>8} rows  {wall:7.2f} s  {rows / wall:7.0f} rows/s  {1000 * cpu / rows:6.3f} ms CPU/row  {rss:6.0f} MB")


PIPELINE = """
schema = 1
name = "recipe"
workdir = "{work}/runs"
[source]
kind = "list"
paths = ["{file}"]
url_col = "URL"
caption_col = "TEXT"
part_rows = 500
[fetch]
allow_private = true
per_host = 256
host_delay_ms = 0
concurrency = 256
[image]
image_size = 256
resize_mode = "keep_ratio"
[shards]
rows = 500
"""


def watched(run, folder, pattern):
    """What `run` gives, seconds until the first shard has its statistics, and most MB in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    started, first, most, done = time.perf_counter(), None, 0, threading.Event()

    def look():
        nonlocal first, most
        while not done.wait(0.05):
            if first is None and glob.glob(f"{folder}/{pattern}"):
                first = time.perf_counter() - started
            sizes = 0
            for path, _, names in os.walk(folder):
                for name in names:
                    try:
                        sizes += os.stat(f"{path}/{name}").st_size
                    except FileNotFoundError:
                        pass
            most = max(most, sizes / 1e6)

    thread = threading.Thread(target=look)
    thread.start()
    result = run()
    done.set()
    thread.join()
    return *result, first or result[0], most


def recipe():
    """The loop of `fetch` against the same rows as a recipe over the pipeline: a list, a fetch, shards."""
    file = listing("photos", rows, "{}.jpg")
    with open(f"{work}/pipeline.toml", "w") as out:
        out.write(PIPELINE.format(work=work, file=file))

    def build():
        shutil.rmtree(f"{work}/runs", ignore_errors=True)
        return timed([clip_data, "build", "-c", f"{work}/pipeline.toml", "--quiet"])

    print(f"\nfetch's own loop against a recipe over the pipeline: {rows} rows, medians of {rounds} alternating rounds")
    results = {"fetch": [], "recipe": []}
    for _ in range(rounds):
        results["fetch"].append(watched(lambda: ours(file, f"{work}/ours", ["--output_format", "webdataset", *shard]),
                                        f"{work}/ours", "*_stats.json"))
        results["recipe"].append(watched(build, f"{work}/runs", "recipe/*/shards/*_stats.json"))
    for name, runs in results.items():
        wall, cpu, rss, first, disk = (statistics.median(run[i] for run in runs) for i in (0, 1, 2, 4, 5))
        print(f"  {name:<8} {wall:7.2f} s  {1000 * cpu / rows:6.2f} ms CPU/row  {rss:6.0f} MB  "
              f"first shard after {first:6.2f} s  most on disk {disk:6.0f} MB")


try:
    shard = ["--number_sample_per_shard", "500"]
    if "images" in only:
        versus("photographs to webdataset, keep_ratio 256", listing("photos", rows, "{}.jpg"), rows,
               ["--output_format", "webdataset", *shard], [(2, 64), (4, 16)])
    if "network" in only:
        versus("network only (dummy, disable_all_reencoding)", listing("photos", rows, "{}.jpg"), rows,
               ["--output_format", "dummy", "--disable_all_reencoding", "True", *shard], [(2, 64), (4, 16)])
    if "memory" in only:
        memory()
    if "recipe" in only:
        recipe()
    # Last, for the libraries that it brings into this process.
    if "pixels" in only:
        pixels()
finally:
    server.kill()
    shutil.rmtree(work, ignore_errors=True)
