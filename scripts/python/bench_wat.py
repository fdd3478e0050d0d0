"""See scripts/bench_wat."""
import gzip, io, json, os, random, shutil, statistics, subprocess, sys, tempfile

clip_data = sys.argv[1]
pages = int(sys.argv[2]) if len(sys.argv) > 2 else 5400
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
work = tempfile.mkdtemp(prefix="bench-wat-")
words = "the a red old house river garden mountain view of in on with small large photo image cat dog city street".split()
draw = random.Random(1)


def text(n):
    return " ".join(draw.choice(words) for _ in range(n)) + (' "quoted" caf\u00e9' if draw.random() < 0.1 else "")


def record(kind, uri, body):
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as file:
        file.write(head.encode() + body + b"\r\n\r\n")
    return out.getvalue()


def page(number):
    uri = f"http://site{number % 700}.example.org/section/{number}/page.html"
    links = [{"path": "IMG@/src", "url": f"/images/{number}/{i}.jpg", "alt": text(6)} for i in range(14)]
    links += [{"path": "A@/href", "url": f"../{draw.randrange(10**6)}/other-page.html?ref={draw.randrange(10**9)}", "text": text(5)} for _ in range(90)]
    draw.shuffle(links)
    json_ = {"Container": {"Filename": "CC-MAIN.warc.gz", "Compressed": True, "Offset": "0"},
             "Envelope": {"Format": "WARC", "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": uri},
                          "Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {"Content-Type": "text/html"},
                                               "HTML-Metadata": {"Head": {"Title": text(8)}, "Links": links}}}}}
    return uri, json.dumps(json_).encode()


path = f"{work}/CC-MAIN.warc.wat.gz"
with open(path, "wb") as file:
    file.write(record("warcinfo", "CC-MAIN", b"software: bench"))
    for number in range(pages):
        uri, body = page(number)
        # Common Crawl has three records for a page; two of them say nothing of links.
        file.write(record("metadata", uri, b'{"Envelope":{"Payload-Metadata":{"Actual-Content-Type":"application/http; msgtype=request"}}}'))
        file.write(record("metadata", uri, body))
        file.write(record("metadata", uri, b'{"Envelope":{"Payload-Metadata":{"Actual-Content-Type":"application/metadata-fields"}}}'))
size = os.path.getsize(path)

theirs_code = f"""
import sys, types, io, resource
for name in ("pyspark", "pyspark.sql", "pyspark.sql.functions"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["pyspark"].SparkContext = sys.modules["pyspark.sql"].SparkSession = object
sys.modules["pyspark.sql.functions"].rand = None
from cc2dataset.main import extract_documents_from_wat
before = resource.getrusage(resource.RUSAGE_SELF)
links = extract_documents_from_wat(io.BytesIO(open({path!r}, "rb").read()), "image")
after = resource.getrusage(resource.RUSAGE_SELF)
print(len(links), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
"""


def theirs():
    """CPU seconds of the extractor alone, without Python's start."""
    out = subprocess.run([sys.executable, "-c", theirs_code], capture_output=True, text=True)
    if out.returncode:
        sys.exit(out.stderr)
    pairs, cpu = out.stdout.split()[-2:]
    return int(pairs), float(cpu)


def ours():
    """CPU seconds of the whole command: reading, extracting, identities, and writing Parquet."""
    shutil.rmtree(f"{work}/runs", ignore_errors=True)
    with open(f"{work}/pipeline.toml", "w") as file:
        file.write('schema = 1\nname = "wat"\n[source]\nkind = "wat"\npaths = ["CC-MAIN.warc.wat.gz"]\n')
    log = open(f"{work}/log", "w+")
    child = subprocess.Popen([clip_data, "build", "-c", f"{work}/pipeline.toml", "--until", "collect"], stdout=log, stderr=subprocess.STDOUT)
    _, status, usage = os.wait4(child.pid, 0)
    log.seek(0)
    shown = log.read()
    if status:
        sys.exit(shown)
    pairs = next(int(line.split()[2]) for line in shown.splitlines() if line.startswith("collect ") and len(line.split()) == 4)
    return pairs, usage.ru_utime + usage.ru_stime


try:
    runs = {"clip-data": [], "cc2dataset": []}
    for _ in range(rounds):
        runs["clip-data"].append(ours())
        runs["cc2dataset"].append(theirs())
    print(f"{pages} pages, {size / 1e6:.1f} MB gz, medians of {rounds} alternating rounds")
    rates = {}
    for name, found in runs.items():
        pairs, cpu = found[0][0], statistics.median(cpu for _, cpu in found)
        rates[name] = pairs / cpu
        print(f"  {name:<12} {pairs} pairs  {cpu:6.3f} CPU s  {pairs / cpu:9.0f} pairs/s/core  {size / 1e6 / cpu:6.1f} MB gz/s/core")
    print(f"  ratio {rates['clip-data'] / rates['cc2dataset']:.2f}x")
finally:
    shutil.rmtree(work, ignore_errors=True)
