"""See scripts/bench_hosts."""
import csv, glob, hashlib, json, os, random, shutil, statistics, subprocess, sys, tempfile, threading, time, urllib.request

release = sys.argv[1]
repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 1
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 1
orders = os.environ.get("ORDERS", "mixed").split(",")
only = os.environ.get("ONLY", "default,unlimited").split(",")
programs = {"clip-data": f"{release}/clip-data"}
if os.environ.get("BEFORE"):
    programs["before"] = os.environ["BEFORE"]
port = 8419
work = tempfile.mkdtemp(prefix="bench-hosts-")

# Of 10,000 rows of LAION-400M: how many hosts have so many rows.
MIX = {
    1: 3685, 2: 346, 3: 129, 4: 67, 5: 48, 6: 28, 7: 27, 8: 12, 9: 13, 10: 13, 11: 14, 12: 3, 13: 9, 14: 5, 15: 4,
    16: 3, 17: 1, 18: 2, 19: 6, 20: 4, 21: 4, 22: 1, 23: 2, 24: 2, 25: 3, 26: 1, 27: 1, 28: 3, 29: 2, 30: 4, 32: 2,
    33: 1, 34: 1, 36: 1, 37: 1, 38: 2, 39: 1, 40: 1, 42: 2, 43: 1, 47: 1, 48: 1, 58: 1, 60: 2, 62: 1, 69: 1, 71: 1,
    73: 1, 75: 2, 84: 1, 88: 1, 89: 1, 100: 1, 130: 1, 194: 1, 196: 1, 641: 1,
}


def dead(host):
    return host % 5 == 4


def name(host):
    address = f"127-{10 + host // 65025}-{1 + host // 255 % 255}-{1 + host % 255}"
    return f"{f'dead-{host}' if dead(host) else address}.example.net"


def listing(order):
    """The list, its rows and those that can be fetched: hosts by falling number of rows, then their rows in the order that is
    asked for."""
    sizes = sorted((rows for rows, hosts in MIX.items() for _ in range(hosts)), reverse=True)
    owners = [host for host, rows in enumerate(sizes) for _ in range(rows)]
    assert (len(sizes), len(owners)) == (4474, 10_000)
    file = f"{work}/{order}.csv"
    shuffled = random.Random(1)
    with open(file, "w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["URL", "TEXT"])
        everything = owners * repeats
        if order == "mixed":
            everything = [host for _ in range(repeats) for host in shuffled.sample(owners, len(owners))]
        elif order == "sorted":
            everything.sort()
        elif order == "blocks":
            everything = [host for host in range(20) for _ in range(1000 * repeats)]
        elif order == "spread":
            everything = list(range(100_000)) * repeats
        for row, host in enumerate(everything):
            rows.writerow([f"http://{name(host)}:{port}/{row}.jpg", f"caption {row}"])
    return file, len(everything), sum(not dead(host) for host in everything)


def digest(name):
    """In pieces: the peak memory of a child counts what its parent had when it was started."""
    with open(name, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def memory(pid):
    """MB that a process has in memory."""
    try:
        with open(f"/proc/{pid}/status") as lines:
            return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0)
    except OSError:
        return 0


def on_disk(folder):
    """MB that a folder's files take, those that are not finished included."""
    blocks = 0
    for path, _, files in os.walk(folder):
        for file in files:
            try:
                blocks += os.stat(f"{path}/{file}").st_blocks
            except OSError:
                pass
    return blocks * 512 / 1e6


def count():
    return json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/__count"))


def fetched(program, file, order, alive, limits):
    out = f"{work}/out"
    shutil.rmtree(out, ignore_errors=True)
    before, started = count(), time.perf_counter()
    command = [program, "fetch", "--url_list", file, "--input_format", "csv", "--url_col", "URL", "--caption_col", "TEXT",
               "--output_folder", out, "--output_format", "dummy" if order == "spread" else "webdataset", "--image_size", "64",
               "--allow_private", "True", "--dns", names, "--progress", "plain"]
    if limits == "unlimited":
        command += ["--host_delay_ms", "0", "--per_host", "64"]
    log = open(f"{work}/log", "w+")
    child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    first, resident, disk, ended = [], [], [0], threading.Event()

    def watch():
        while not ended.wait(0.1 if not first else 1):
            if not first and glob.glob(f"{out}/*_stats.json"):
                first.append(time.perf_counter() - started)
            resident.append(memory(child.pid))
            disk[0] = max(disk[0], on_disk(out))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    ended.set()
    watcher.join()
    log.seek(0)
    text = log.read()
    stats = [json.load(open(name)) for name in glob.glob(f"{out}/*_stats.json")]
    good, count_of = sum(one["successes"] for one in stats), lambda kind: sum(one["error_kinds"].get(kind, 0) for one in stats)
    if status or good != alive or good + count_of("dns") != sum(one["count"] for one in stats):
        sys.exit(f"{command}: status {status}, {good} of {alive} rows\n{text[-3000:]}")
    shards = {os.path.basename(name): digest(name)
              for ending in ["tar", "parquet"] for name in glob.glob(f"{out}/*.{ending}")}
    asked = count()
    lines = [line for line in text.splitlines() if "limits the run" in line]
    return {
        "wall": wall, "first": (first + [wall])[0], "memory": usage.ru_maxrss / 1024, "cpu": usage.ru_utime + usage.ru_stime,
        "robots": asked["robots"] - before["robots"], "shards": shards, "lines": lines, "disk": disk[0],
        "quarters": [max(resident[len(resident) * at // 4:len(resident) * (at + 1) // 4] or [0]) for at in range(4)],
    }


server = subprocess.Popen([f"{release}/clip-testkit", "hosts", "--port", str(port)], stdout=subprocess.PIPE, text=True)
try:
    ready, names = server.stdout.readline().split()
    for order in orders:
        file, rows, alive = listing(order)
        hosts = {"blocks": 20, "spread": 100_000}.get(order, 4474)
        print(f"\n{order}: {rows} rows of {hosts} hosts, {alive} of them alive, medians of {rounds} alternating rounds", flush=True)
        results, shards = {}, None
        for _ in range(rounds):
            for limits in only:
                for name, program in programs.items():
                    result = fetched(program, file, order, alive, limits)
                    results.setdefault((limits, name), []).append(result)
                    if shards is not None and result["shards"] != shards:
                        sys.exit(f"{name} {limits}: other shards than before")
                    shards = result["shards"]
        for (limits, name), runs in results.items():
            median = {key: statistics.median(run[key] for run in runs) for key in ["wall", "first", "memory", "disk", "cpu", "robots"]}
            print(f"  {limits:<10} {name:<10} {rows / median['wall']:7.0f} rows/s  {median['wall']:7.2f} s, first shard "
                  f"{median['first']:6.2f} s, {median['cpu']:6.1f} s CPU, {median['memory']:5.0f} MB, at most "
                  f"{median['disk']:5.0f} MB on disk, "
                  f"robots.txt {median['robots'] / rows:.3f} a row", flush=True)
            print(f"             most memory in each quarter of the last run, MB: {[round(mb) for mb in runs[-1]['quarters']]}")
            for line in runs[-1]["lines"]:
                print(f"             {line}")
        print(f"  {len(shards)} files of shards, the same in every run")
finally:
    server.terminate()
    shutil.rmtree(work, ignore_errors=True)
