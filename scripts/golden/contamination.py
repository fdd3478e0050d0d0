#!/usr/bin/env python3
"""Golden statistics of contamination (the paper's section 5), by SciPy.

    python3 -m venv V && V/bin/pip install scipy==1.17.1
    V/bin/python scripts/golden/contamination.py > crates/clip-stats/golden/contamination.json

The four cases are two that can be checked by hand, and two of the paper's sets with counts derived from its
printed figures (the real counts are not published).
"""

import json

from scipy.stats import beta, binom, sem, spearmanr, t

CASES = [
    ("hand-checkable A", 100, 10, 60, 9),
    ("hand-checkable B", 20, 4, 12, 4),
    ("Birdsnap, derived", 2149, 260, 1051, 139),
    ("Country211, derived", 21100, 4536, 6246, 1376),
]
INTERVALS = [(0, 10), (1, 10), (10, 10), (5, 10), (38100, 50000)]
TAILS = [(70, 100, 0.60), (6, 50, 0.05), (0, 12, 0.50), (12, 12, 0.70), (180, 242, 0.70), (37, 300, 0.10)]
TESTS = 35
MEANS = [[0.5, 0.7], [0.012, 0.015, 0.008], [1.0, 2.0, 4.0, 8.0, 16.0, -3.0], [0.1] * 4]

RANKED = [
    ([1, 2, 3, 4, 5], [0.1, 0.3, 0.2, 0.5, 0.4]),
    ([0, 0, 0, 2, 7, 7, 90], [0.0, 0.5, 0.5, 0.25, 1.0, 0.75, 0.75]),
    ([9, 8, 8, 1], [0.2, 0.2, 0.9, 1.0]),
]


def interval(k, n, alpha=0.005):
    low = 0.0 if k == 0 else beta.ppf(alpha / 2, k, n - k + 1)
    high = 1.0 if k == n else beta.ppf(1 - alpha / 2, k + 1, n - k)
    return [float(low), float(high)]


def tail(k, n, p):
    return float(binom.sf(k - 1, n, p))


def detectable(n, p):
    fits = [k for k in range(n + 1) if tail(k, n, p) * TESTS < 0.05]
    return fits[0] if fits else None


def case(name, rows, overlap, correct, correct_overlap):
    clean = (correct - correct_overlap) / (rows - overlap)
    p = tail(correct_overlap, overlap, clean)
    return {
        "name": name, "all": rows, "overlap": overlap, "correct": correct, "correct_overlap": correct_overlap,
        "clean": clean, "accuracy_overlap": correct_overlap / overlap, "inflation": correct / rows - clean,
        "p": p, "p_corrected": min(1.0, p * TESTS), "interval": interval(correct_overlap, overlap),
        "detectable": detectable(overlap, clean),
    }


def mean(values, confidence=0.95):
    middle, error, df = sum(values) / len(values), float(sem(values)), len(values) - 1
    low, high = t.interval(confidence, df, loc=middle, scale=error) if error > 0 else (middle, middle)
    return {"values": values, "mean": middle, "low": float(low), "high": float(high)}


print(json.dumps({
    "tests": TESTS,
    "cases": [case(*c) for c in CASES],
    "intervals": [[k, n, *interval(k, n)] for k, n in INTERVALS],
    "tails": [[k, n, p, tail(k, n, p), *interval(k, n)] for k, n, p in TAILS],
    "spearman": [{"x": x, "y": y, "r": float(spearmanr(x, y).statistic)} for x, y in RANKED],
    "means": [mean(values) for values in MEANS],
}, indent=1))
