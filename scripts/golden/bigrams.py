#!/usr/bin/env python3
"""Golden pairs of words: what NLTK's collocation finder says of WordNet's definitions.

    scripts/golden/bigrams

Writes crates/clip-query/data/golden/bigrams.tsv: the number of words, then pair, count and PMI of the 400 best
pairs that occur at least 8 times.
"""
import re
import sys

from nltk.collocations import BigramAssocMeasures, BigramCollocationFinder

folder, out = sys.argv[1:]
lines = []
for part in ("noun", "verb", "adj", "adv"):
    for line in open(f"{folder}/data.{part}", encoding="ascii"):
        if not line.startswith(" "):
            lines.append(line.split("| ", 1)[1])
# A pair is two words with nothing but spaces between them, so every other mark begins a document.
word = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")
documents = []
for line in lines:
    document, end = [], None
    for found in word.finditer(line.lower()):
        real = re.search("[a-z]", found[0]) and len(found[0]) <= 64
        if end is None or line[end:found.start()].strip(" \t") or not real:
            documents.append(document)
            document = []
        end = found.end() if real else None
        if real:
            document.append(found[0])
    documents.append(document)
finder = BigramCollocationFinder.from_documents(documents)
finder.apply_freq_filter(8)
scored = finder.score_ngrams(BigramAssocMeasures.pmi)
rows = [(-score, -finder.ngram_fd[pair], " ".join(pair)) for pair, score in scored]
with open(out, "w") as file:
    file.write(f"{finder.word_fd.N()}\n")
    for score, count, pair in sorted(rows)[:400]:
        file.write(f"{pair}\t{-count}\t{-score:.9f}\n")
