"""Token ids of OpenAI's tokenizer against ours, on real and hostile lines, and the speed of both on one core.

Run by scripts/parity/text.
"""
import argparse
import json
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "golden"))
import hostile  # noqa: E402
from openai_tokenizer import OpenAITokenizer  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("--ours", required=True, help="the example's executable")
arguments.add_argument("--lines", type=int, default=20000)
arguments.add_argument("files", nargs="*", help=".txt, .parquet with a caption column, or .tar with .txt members")
a = arguments.parse_args()


def real(path):
    if path.endswith(".parquet"):
        import pandas

        table = pandas.read_parquet(path)
        column = next(c for c in table.columns if c.lower() in ("caption", "text"))
        yield from (text for text in table[column] if isinstance(text, str))
    elif path.endswith(".tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".txt"):
                    yield tar.extractfile(member).read().decode("utf-8", "replace")
    else:
        yield from Path(path).read_text().splitlines()


found = [text for path in a.files for text in real(path)][: a.lines * 3 // 4]
lines = found + hostile.lines(a.lines - len(found), seed=7)
stored = "".join(json.dumps(text) + "\n" for text in lines)
ours = subprocess.run([a.ours], input=stored, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
assert len(ours) == len(lines)
tokenizer = OpenAITokenizer()
wrong = []
for text, ids in zip(lines, ours):
    wanted = tokenizer.encode(text)
    if [int(x) for x in ids.split()] != wanted:
        wrong.append((text, tokenizer.decode([int(x) for x in ids.split()]), tokenizer.decode(wanted)))
for case in wrong[:20]:
    print(json.dumps(case), file=sys.stderr)


def speeds(lines):
    stored = "".join(json.dumps(text) + "\n" for text in lines)
    both = ([], [])
    for _ in range(5):
        # As a user has it: the class with its cache of words, over texts it has not seen.
        fresh = OpenAITokenizer()
        start = time.perf_counter()
        for text in lines:
            fresh.encode(text)
        both[0].append(len(lines) / (time.perf_counter() - start))
        done = subprocess.run([a.ours, "--time"], input=stored, stdout=subprocess.PIPE, text=True, check=True)
        both[1].append(float(done.stdout.split()[0]))
    theirs, ours = map(statistics.median, both)
    return {"lines": len(lines), "python_per_s": round(theirs), "ours_per_s": round(ours), "ratio": round(ours / theirs, 1)}


report = {"lines": len(lines), "real": len(found), "different": len(wrong), "all": speeds(lines)}
if found:
    report["real_only"] = speeds(found)
print(json.dumps(report))
sys.exit(bool(wrong))
