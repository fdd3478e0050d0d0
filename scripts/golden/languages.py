#!/usr/bin/env python3
"""Golden labels of language identification: what C++ fastText says to 10,000 lines in some 100 languages.

    scripts/golden/languages

The lines are names and keywords of emoji from the Unicode CLDR (Unicode-3.0); the labels are those of
fasttext-wheel 0.9.2, which wraps the C++ program, with lid.176.ftz. Writes
crates/clip-text/data/golden/languages.tsv.gz: label, probability, line.
"""
import gzip
import hashlib
import json
import sys
import tarfile

import fasttext

package, model, out = sys.argv[1:]
lines = []
with tarfile.open(package) as tar:
    for member in sorted(tar.getmembers(), key=lambda m: m.name):
        if not member.name.endswith("/annotations.json"):
            continue
        language = member.name.split("/")[-2]
        annotations = json.load(tar.extractfile(member))["annotations"].get("annotations", {})
        for emoji, entry in sorted(annotations.items()):
            words = entry.get("default", entry.get("tts", []))
            # One line names the emoji, one goes on with some of its keywords, as captions differ in length.
            size = 1 + hashlib.sha256(f"{language} {emoji}".encode()).digest()[0] % 5
            line = " ".join(words[:size])[:36]
            if line and "\t" not in line and "\n" not in line:
                lines.append((hashlib.sha256(f"{language} {emoji} {line}".encode()).digest(), line))
lines = [line for _, line in sorted(lines)][:9_950]
# What is no language at all, or has white space and zeros in it.
lines += ["", " ", "12345", "!!!", "IMG_2041.JPG", "http://example.org/a?b=c", "a", "é", "</s>", "a </s> b",
          "__label__en", "one __label__fr two", "tab\u000bfeed\u000cback", "x" * 300, "🍎", "🍎 🍎", "zero\0byte", "ñ\u0303"]
lines += [word * n for word in ("the ", "der ", "les ", "的", "и ", "a-b_c.") for n in (1, 2, 5, 20)]
lines += [f"photo {n} of {n * 7}" for n in range(10_000 - len(lines))]
assert len(lines) == 10_000
model = fasttext.load_model(model)
rows = []
for line in lines:
    # The binding's own predict() refuses line ends and fails with NumPy 2; this is what it calls.
    (prob, label), = model.f.predict(line + "\n", 1, 0.0, "strict")
    rows.append(f"{label.removeprefix('__label__')}\t{prob:.5f}\t{line}\n")
text = "".join(rows).encode()
with open(out, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="", compresslevel=9) as packed:
    packed.write(text)
print(f"{len(rows)} lines, {len({row.split(chr(9))[0] for row in rows})} languages, {len(text)} bytes")
