# The words that jieba cuts runs of Chinese characters into by a dictionary, without its model of unknown words.
# requires: jieba==0.42.1
"""Dictionary and runs are made up over few characters, so that words overlap, and counts are often equal, so that cuts tie.

The nearest wrong formula is the longest word from the left."""

import json
import pathlib
import random
import tempfile

import jieba

OUT = pathlib.Path("crates/clip-query/tests/golden/oracle/segmentation.json")
CHARACTERS = "一中人国大学生活水火山石田"
COUNTS = [1, 2, 2, 3, 5, 5, 5, 40, 40, 700]


def word(draw, longest):
    return "".join(draw.choice(CHARACTERS) for _ in range(draw.randint(1, longest)))


def longest_first(run, words):
    cut, at = [], 0
    while at < len(run):
        ends = [end for end in range(len(run), at, -1) if run[at:end] in words]
        end = ends[0] if ends else at + 1
        cut.append(run[at:end])
        at = end
    return cut


draw = random.Random(7)
words = {word(draw, 4): draw.choice(COUNTS) for _ in range(220)}
runs = [word(draw, 24) for _ in range(400)]
with tempfile.TemporaryDirectory() as folder:
    dictionary = pathlib.Path(folder, "words.txt")
    dictionary.write_text("".join(f"{text} {count} n\n" for text, count in words.items()), encoding="utf-8")
    tokenizer = jieba.Tokenizer(str(dictionary))
    tokenizer.tmp_dir = folder
    cuts = [list(tokenizer.cut(run, HMM=False)) for run in runs]
wrong = sum(longest_first(run, words) != cut for run, cut in zip(runs, cuts)) / len(runs)
golden = {
    "source": f"jieba {jieba.__version__}",
    "wrong_by": round(wrong, 3),
    "words": [[text, count] for text, count in words.items()],
    "cuts": [" ".join(cut) for cut in cuts],
}
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
