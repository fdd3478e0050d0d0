"""The Python side of scripts/bench_queries: makes the input, runs both sides in turns, compares what they find."""
import json
import os
import statistics
import subprocess
import sys
import time

what, argument, work, executables, model = sys.argv[1:]
RUNS = 5


def ours(name, *args):
    """An example's own measurement."""
    done = subprocess.run([f"{executables}/examples/{name}", *map(str, args)], check=True, capture_output=True)
    return json.loads(done.stdout)


def captions(path):
    import pyarrow.parquet
    texts = pyarrow.parquet.read_table(path, columns=["TEXT"])["TEXT"].to_pylist()
    texts = [" ".join((text or "").split("\n")).replace("\r", " ") for text in texts]
    with open(f"{work}/captions.txt", "w") as file:
        file.write("".join(text + "\n" for text in texts))
    # As the other side reads them, whatever else Python takes for a line end.
    return texts


def query_list():
    """500,000 queries as MetaCLIP's are made: numerals, WordNet's names, frequent words, pairs of words."""
    import wordfreq
    seen = dict.fromkeys(map(str, range(100)))
    for part in ("noun", "verb", "adj", "adv"):
        for line in open(f"/usr/share/wordnet/data.{part}", encoding="ascii"):
            if not line.startswith(" "):
                name = line.split(" ")[4]
                for mark in ("(a)", "(p)", "(ip)"):
                    name = name.removesuffix(mark)
                seen[name.split(".")[0].lower().replace("_", " ")] = None
    seen.pop("", None)
    wordnet = len(seen)
    words = wordfreq.top_n_list("en", 400_000, wordlist="large")
    seen.update(dict.fromkeys(words[:300_000]))
    # Of MetaCLIP's 500,000 the words that begin sentences are queries too: its match keeps case.
    seen.update(dict.fromkeys(word.capitalize() for word in words[:20_000]))
    frequent = words[:2_000]
    pairs = (f"{a} {b}" for total in range(len(frequent) * 2) for at, a in enumerate(frequent[:total + 1])
             if total - at < len(frequent) for b in [frequent[total - at]])
    while len(seen) < 500_000:
        seen[next(pairs)] = None
    queries = list(seen)[:500_000]
    with open(f"{work}/queries.txt", "w") as file:
        file.write("\n".join(queries) + "\n")
    print(f"list: {len(queries)} queries, {wordnet} of them numerals and WordNet's names")
    return queries


def spacing(text):
    """MetaCLIP's rule, from its paper: seven marks stand alone, white space becomes spaces."""
    text = f" {text} "
    for mark in ",.;:?!`":
        text = text.replace(mark, f" {mark} ")
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")


def match(path):
    import ahocorasick
    texts, queries = captions(path), query_list()
    start = time.perf_counter()
    automaton = ahocorasick.Automaton()
    for number, query in enumerate(queries):
        automaton.add_word(f" {query} ", number)
    automaton.make_automaton()
    built = time.perf_counter() - start

    def theirs():
        return [sorted({number for _, number in automaton.iter(spacing(text))}) for text in texts]

    speeds, other, fold = [], [], []
    for run in range(RUNS):
        speeds.append(ours("match_speed", f"{work}/queries.txt", f"{work}/captions.txt", "metaclip", 50,
                           f"{work}/found.txt"))
        start = time.perf_counter()
        for _ in range(3):
            found = theirs()
        other.append(3 * len(texts) / (time.perf_counter() - start))
        fold.append(ours("match_speed", f"{work}/queries.txt", f"{work}/captions.txt", "words", 50))
    mine = [list(map(int, line.split())) for line in open(f"{work}/found.txt").read().split("\n")[:-1]]
    differ = sum(a != b for a, b in zip(mine, found, strict=True))
    here = statistics.median(run["captions_per_second"] for run in speeds)
    there = statistics.median(other)
    words = statistics.median(run["captions_per_second"] for run in fold)
    mean = sum(map(len, found)) / len(found)
    print(f"captions: {len(texts)}, queries a caption: {mean:.2f}; captions whose queries differ: {differ}")
    print(f"pyahocorasick          {there:12,.0f} captions/s   build {built:.2f} s")
    print(f"ours, MetaCLIP's rules {here:12,.0f} captions/s   build {speeds[0]['build_seconds']:.2f} s, "
          f"{speeds[0]['megabytes']:.0f} MB   {here / there:.1f}x")
    print(f"ours, default rules    {words:12,.0f} captions/s   {words / there:.1f}x")
    assert differ == 0


def language(path):
    import fasttext
    texts = captions(path)
    loaded = fasttext.load_model(model)

    def one_by_one():
        return [loaded.f.predict(text + "\n", 1, 0.0, "strict")[0][1] for text in texts]

    def binding():
        # fasttext's own Python function, a line at a time, as DataComp's and MetaCLIP's code calls it.
        return [loaded.predict(text)[0][0] for text in texts]

    def batch():
        return [labels[0] for labels in loaded.predict(texts)[0]]

    here, there, fast, many = [], [], [], []
    for run in range(RUNS):
        here.append(ours("language_speed", model, f"{work}/captions.txt", 20, f"{work}/labels.txt")
                    ["lines_per_second"])
        for function, speeds in ((binding, there), (one_by_one, fast), (batch, many)):
            start = time.perf_counter()
            labels = function()
            speeds.append(len(texts) / (time.perf_counter() - start))
    mine = open(f"{work}/labels.txt").read().split("\n")[:-1]
    differ = sum(f"__label__{a}" != b for a, b in zip(mine, labels, strict=True))
    here = statistics.median(here)
    print(f"lines: {len(texts)}; labels that differ: {differ}")
    for name, speeds in (("fasttext predict(line)", there), ("its C++ call alone", fast), ("predict(list)", many)):
        speed = statistics.median(speeds)
        print(f"{name:24} {speed:10,.0f} lines/s   ours is {here / speed:.1f}x")
    print(f"{'ours':24} {here:10,.0f} lines/s")
    assert differ == 0


def generate(path, megabytes):
    """Text with the word frequencies of English, drawn independently: more different pairs than real text has."""
    import numpy
    import wordfreq
    words = wordfreq.top_n_list("en", 300_000, wordlist="large")
    weights = numpy.array([wordfreq.word_frequency(word, "en", "large") for word in words])
    edges = numpy.cumsum(weights / weights.sum())
    random = numpy.random.default_rng(2021)
    vocabulary = numpy.array(words, dtype=object)
    written = 0
    with open(path, "w") as file:
        while written < megabytes * 1_000_000:
            drawn = numpy.searchsorted(edges, random.random(1_000_000))
            drawn = vocabulary[numpy.minimum(drawn, len(words) - 1)]
            # One word in 200 is new, as in real text: names and misspellings that occur once.
            for at in random.integers(0, len(drawn), 5_000):
                drawn[at] = f"{drawn[at]}{random.integers(0, 1 << 30):x}z"
            lines = (" ".join(drawn[at:at + 18]) for at in range(0, len(drawn), 18))
            written += file.write(".\n".join(lines) + ".\n")


def build(megabytes):
    megabytes = int(megabytes or 1000)
    text = f"{work}/text-{megabytes}.txt"
    if not os.path.exists(text):
        generate(text, megabytes)
    size = os.path.getsize(text) / 1e6
    for threads in (1, 2):
        for memory in (2000, 400):
            start = time.perf_counter()
            command = [f"{executables}/clip-data", "queries", "build", "--text", text, "--threads", str(threads),
                       "--memory", str(memory), "--progress", "none", "--out", f"{work}/built.parquet"]
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(child.pid, 0)
            assert status == 0
            wall, cpu = time.perf_counter() - start, used.ru_utime + used.ru_stime
            peak = used.ru_maxrss / 1000
            print(f"{size:.0f} MB, {threads} threads, --memory {memory}: {wall:.1f} s, {size / wall:.1f} MB/s, "
                  f"{size / cpu:.1f} MB/s/core, peak {peak:.0f} MB")
    from nltk.collocations import BigramAssocMeasures, BigramCollocationFinder
    with open(text) as file:
        part = file.read(10_000_000)
    start = time.perf_counter()
    documents = [line.rstrip(".").split(" ") for line in part.lower().split("\n")]
    finder = BigramCollocationFinder.from_documents(documents)
    finder.apply_freq_filter(100)
    finder.score_ngrams(BigramAssocMeasures.pmi)
    print(f"NLTK's collocation finder on the first 10 MB: {10 / (time.perf_counter() - start):.2f} MB/s")


{"match": match, "language": language, "build": build}[what](argument)
