"""An offline run of Weights & Biases, as its own classes encode it.

    scripts/golden/wandb

Writes crates/clip-train/tests/golden/wandb/run.wandb, the file that a test of clip-train must write, and beside it
run.jsonl, which is what W&B's own program reads in it. Fails unless `wandb sync` sends all of it to a server, which here
is one on loopback that answers as little as it must.
"""

import http.server
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import zlib

from wandb.proto import wandb_internal_pb2 as pb

out = sys.argv[1]
wandb = os.path.join(os.path.dirname(sys.executable), "wandb")
begun = 1_795_478_931.25
records = []


def record(**kind):
    records.append(pb.Record(num=len(records) + 1, **kind))


def items(row, at):
    every = row | {"_timestamp": repr(begun + at), "_runtime": repr(float(at))}
    return every, sorted(every.items())


def history(step, at, row):
    every, pairs = items(row | {"_step": str(step)}, at)
    summary.update(every)
    listed = [pb.HistoryItem(nested_key=[key], value_json=value) for key, value in pairs]
    record(history=pb.HistoryRecord(item=listed, step=pb.HistoryStep(num=step)))


def summarise():
    listed = [pb.SummaryItem(nested_key=[key], value_json=value) for key, value in sorted(summary.items())]
    record(summary=pb.SummaryRecord(update=listed))


summary = {}
settings = {"epochs": "3", "lr": "0.0005", "model": '"RN50"', "siglip": "false", "train_data": '"' + 40_000 * "x" + '"'}
config = pb.ConfigRecord(update=[pb.ConfigItem(key=key, value_json=value) for key, value in settings.items()])
run = pb.RunRecord(run_id="first", project="open-clip", config=config, display_name="first")
run.start_time.seconds, run.start_time.nanos = int(begun), int(begun % 1 * 1e9)
record(header=pb.HeaderRecord(version_info=pb.VersionInfo(producer="clip-data")))
record(run=run)
history(0, 0.5, {"train/loss": "1.5", "train/grad_norm": '"Infinity"'})
history(1, 1.5, {"train/loss": "1.25", "step": "1.0", "val/acc": "0.25", "val/x": '"NaN"'})
summarise()
history(300, 2.0, {"train/loss": "1e-12", "train/lr": '"-Infinity"'})
summarise()
record(exit=pb.RunExitRecord(exit_code=3, runtime=3))

# LevelDB's log: https://github.com/google/leveldb/blob/main/doc/log_format.md, with zlib's checksum unmasked, after
# seven bytes.
block, header = 32 * 1024, 7
data = bytearray(b":W&B" + struct.pack("<HB", 0xBEE1, 0))
for one in records:
    rest, first = one.SerializeToString(), True
    while True:
        left = block - len(data) % block
        if left < header:
            data += bytes(left)
            left = block
        chunk, rest = rest[: left - header], rest[left - header :]
        kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[first, not rest]
        data += struct.pack("<IHB", zlib.crc32(bytes([kind]) + chunk), len(chunk), kind) + chunk
        first = False
        if not rest:
            break

path = os.path.join(out, "run.wandb")
with open(path, "wb") as file:
    file.write(data)

class Server(http.server.BaseHTTPRequestHandler):
    """Takes runs as W&B's does."""

    rows, sent = [], {}

    def log_message(self, *_):
        pass

    def answer(self, body=b"{}"):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/file_stream"):
            stream = json.loads(body)
            files = stream.get("files", {})
            self.rows.extend(json.loads(line) for line in files.get("wandb-history.jsonl", {}).get("content", []))
            for line in files.get("wandb-summary.json", {}).get("content", []):
                self.sent["summary"] = json.loads(line)
            self.sent.update({key: stream[key] for key in ("complete", "exitcode") if key in stream})
        elif self.path.endswith("/graphql"):
            asked = json.loads(body)
            data = {"viewer": {"id": "v", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}}
            if asked.get("operationName") == "UpsertBucket":
                self.sent.setdefault("config", json.loads(asked["variables"]["config"]))
                project = {"id": "p", "name": asked["variables"]["project"], "entity": {"id": "e", "name": "me"}}
                bucket = {"id": "b", "name": "first", "displayName": "first", "config": "{}", "project": project}
                data = {"upsertBucket": {"bucket": bucket | {"historyLineCount": 0}, "inserted": True}}
            elif asked.get("operationName") == "CreateRunFiles":
                names = asked["variables"]["files"]
                files = [{"name": name, "uploadUrl": f"{url}/files/{name}"} for name in names]
                data = {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
            return self.answer(json.dumps({"data": data}).encode())
        self.answer()

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
url = f"http://127.0.0.1:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory() as home:
    folder = os.path.join(home, "wandb/offline-run-20261124_000851-first")
    os.makedirs(os.path.join(folder, "files"))
    copy = os.path.join(folder, "run-first.wandb")
    shutil.copy(path, copy)
    here = os.environ | {"HOME": home, "WANDB_BASE_URL": url, "WANDB_API_KEY": 40 * "a", "NO_PROXY": "*"}
    run = lambda *command: subprocess.run(
        [wandb, *command], cwd=home, env=here, check=True, capture_output=True, text=True, timeout=120
    )
    read = run("leet", "inspect", "--json", copy).stdout
    with open(os.path.join(out, "run.jsonl"), "w") as file:
        file.write(read.replace(40_000 * "x", "xxx"))
    print(run("leet", "inspect", "--summary", copy).stdout.replace(40_000 * "x", "xxx"))
    print(run("sync", folder).stderr)
assert len(read.splitlines()) == len(records), read
written = [json.loads(line)["history"]["item"] for line in read.splitlines() if '"type":"history"' in line]
assert Server.rows == written, (Server.rows, written)
assert {key: value["value"] for key, value in Server.sent["config"].items() if key != "_wandb"} == {
    key: json.loads(value) for key, value in settings.items()
}, Server.sent["config"]
assert Server.sent["summary"] == {key: json.loads(value) for key, value in summary.items()}, Server.sent["summary"]
assert (Server.sent["complete"], Server.sent["exitcode"]) == (True, 3), Server.sent
