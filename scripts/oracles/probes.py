# Golden values of the linear probe: scikit-learn's LogisticRegression and metrics, Pascal VOC's average precision.
# requires: numpy==2.3.5 scipy==1.16.3 scikit-learn==1.7.2
"""Writes crates/clip-eval/tests/golden/oracle/probes/*.json: made features, and what scikit-learn finds on them."""

import json
import pathlib
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (accuracy_score, average_precision_score, balanced_accuracy_score, roc_auc_score,
                             top_k_accuracy_score)

FOLDER = pathlib.Path("crates/clip-eval/tests/golden/oracle/probes")
LAMBDAS = [0.1, 1.0, 100.0]
# Classes that are predicted and nowhere true: what the made sets are for.
warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
RNG = np.random.default_rng(20210226)


def features(labels, width, spread):
    """Clusters that overlap, as numbers of three decimals, so that the file holds what was fitted."""
    centres = RNG.normal(size=(max(labels) + 1, width))
    return np.round(centres[labels] + spread * RNG.normal(size=(len(labels), width)), 3)


def fit(x, y, strength, **other):
    """The paper's probe at its optimum: the sum of losses plus strength / 2 of the squared weights, so C = 1 / strength.
    L-BFGS, which the paper used, stops short of it where the strength is low; Newton's method does not."""
    options = {"C": 1 / strength, "tol": 1e-12, "max_iter": 100_000, **other}
    found = LogisticRegression(solver="newton-cholesky", **options).fit(x, y)
    paper = LogisticRegression(solver="lbfgs", **options).fit(x, y)
    assert np.allclose(found.decision_function(x), paper.decision_function(x), rtol=1e-3, atol=1e-2)
    return found


def scores(model, x, classes):
    """[n, classes]: of two classes 0 and the margin; of a class that was not fitted nothing."""
    found = model.decision_function(x)
    if found.ndim == 1:
        found = np.stack([np.zeros_like(found), found], 1)
    every = np.full((len(x), classes), -np.inf)
    every[:, model.classes_] = found - found.mean(1, keepdims=True)
    return every


def objective(model, x, y, strength):
    places = np.searchsorted(model.classes_, y)
    logits = scores(model, x, max(model.classes_) + 1)[:, model.classes_]
    losses = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    losses -= logits[np.arange(len(y)), places]
    return losses.sum() + strength / 2 * (model.coef_ ** 2).sum()


def eleven_points(confidence, marks):
    """The devkit's VOCevalcls: items that are not judged are left out; precision and recall down the ranking; the mean
    over the recalls 0, 0.1, ..., 1 of the highest precision at that recall or more."""
    judged = marks != 0
    order = np.argsort(-confidence[judged], kind="stable")
    hit = marks[judged][order] == 1
    recall = np.cumsum(hit) / hit.sum()
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    tenths = [precision[recall >= tenth / 10 - 1e-12] for tenth in range(11)]
    return float(np.mean([found.max() if len(found) else 0.0 for found in tenths]))


def differs(wrong, right):
    """By how much the likeliest mistake misses the right value; a mistake that does not show tests nothing."""
    by = float(np.abs(np.asarray(wrong, float) - np.asarray(right, float)).max())
    assert by > 1e-3, by
    return by


def wrong_fits(x, y, test, classes, right):
    """The same probe with its strength turned over, its bias penalised, and the mean of the losses for their sum."""
    finite = np.isfinite(right)
    biased = np.hstack([x, np.ones((len(x), 1))]), np.hstack([test, np.ones((len(test), 1))])
    found = {
        "strength for C": scores(fit(x, y, 100.0, C=100.0), test, classes),
        "bias penalised": scores(fit(biased[0], y, 100.0, fit_intercept=False), biased[1], classes),
        "mean of losses": scores(fit(x, y, 100.0 * len(y)), test, classes),
    }
    return {name: differs(wrong[finite], right[finite]) for name, wrong in found.items()}


def plain(found):
    """JSON has no infinity."""
    return [[None if not np.isfinite(value) else round(float(value), 9) for value in row] for row in found]


def write(name, document):
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(document) + "\n")


def with_ties(x, rows):
    """Equal rows, so that scores tie."""
    x[rows[1]] = x[rows[0]]
    return x


def several_classes():
    classes = 8
    # Sizes from 36 to 2; class 7 is nowhere in train, class 5 nowhere in test.
    y = np.repeat([0, 1, 2, 3, 4, 5, 6], [36, 20, 12, 9, 6, 4, 2])
    t = np.repeat([0, 1, 2, 3, 4, 6, 7], [20, 6, 12, 3, 8, 2, 1])
    both = with_ties(features(np.concatenate([y, t]), 6, 2.2), (slice(90, 94), slice(110, 114)))
    x, test = both[:len(y)], both[len(y):]
    cases = []
    for strength in LAMBDAS:
        model = fit(x, y, strength)
        found = scores(model, test, classes)
        guess = found.argmax(1)
        cases.append({
            "lambda": strength, "objective": objective(model, x, y, strength), "scores": plain(found),
            "predictions": guess.tolist(), "acc1": accuracy_score(t, guess),
            "mean_per_class_recall": balanced_accuracy_score(t, guess),
            "acc5": top_k_accuracy_score(t, np.where(np.isfinite(found), found, -1e9), k=5, labels=range(classes)),
        })
    middle = cases[1]
    wrong = wrong_fits(x, y, test, classes, scores(fit(x, y, 100.0), test, classes))
    wrong["micro for mean per class"] = differs(middle["acc1"], middle["mean_per_class_recall"])
    wrong["top-4 for top-5"] = differs(
        top_k_accuracy_score(t, scores_for_rank(fit(x, y, 1.0), test, classes), k=4, labels=range(classes)),
        middle["acc5"])
    write("classes", {"classes": classes, "train": x.tolist(), "train_labels": y.tolist(), "test": test.tolist(),
                      "test_labels": t.tolist(), "cases": cases, "wrong_by": wrong})


def scores_for_rank(model, x, classes):
    found = scores(model, x, classes)
    return np.where(np.isfinite(found), found, -1e9)


def two_classes():
    y, t = np.repeat([0, 1], [41, 17]), np.repeat([0, 1], [13, 22])
    both = features(np.concatenate([y, t]), 5, 2.5)
    # Equal rows of both classes among those to score: their order must not matter to the area.
    both = with_ties(both, (slice(60, 65), slice(75, 80)))
    x, test = both[:len(y)], both[len(y):]
    cases = []
    for strength in LAMBDAS:
        model = fit(x, y, strength)
        found = scores(model, test, 2)
        guess = found.argmax(1)
        cases.append({
            "lambda": strength, "objective": objective(model, x, y, strength), "scores": plain(found),
            "predictions": guess.tolist(), "acc1": accuracy_score(t, guess),
            "mean_per_class_recall": balanced_accuracy_score(t, guess),
            "roc_auc": roc_auc_score(t, model.decision_function(test)),
        })
    right = scores(fit(x, y, 100.0), test, 2)
    wrong = wrong_fits(x, y, test, 2, right)
    # One vector of weights for each of the two classes, both penalised: half the strength on their difference.
    wrong["two vectors of weights"] = differs(scores(fit(x, y, 50.0), test, 2), right)
    model = fit(x, y, 1.0)
    wrong["area over predictions"] = differs(roc_auc_score(t, model.predict(test)), cases[1]["roc_auc"])
    write("binary", {"classes": 2, "train": x.tolist(), "train_labels": y.tolist(), "test": test.tolist(),
                     "test_labels": t.tolist(), "cases": cases, "wrong_by": wrong})


def marks():
    # A third of the items show the first class, a tenth the last; some are not judged.
    classes, n, m = 4, 70, 40
    x = np.round(RNG.normal(size=(n + m, 6)), 3)
    x = with_ties(x, (slice(75, 78), slice(90, 93)))
    directions = RNG.normal(size=(6, classes))
    signal = x @ directions + 2.0 * RNG.normal(size=(n + m, classes))
    limits = np.quantile(signal, [0.66, 0.75, 0.82, 0.9], axis=0).diagonal()
    truth = np.where(signal > limits, 1, -1)
    truth[RNG.random(truth.shape) < 0.12] = 0
    (x, test), (y, t) = (x[:n], x[n:]), (truth[:n], truth[n:])
    cases, full, unjudged = [], [], []
    for strength in LAMBDAS:
        columns, total = [], 0.0
        for c in range(classes):
            judged = y[:, c] != 0
            model = fit(x[judged], (y[judged, c] == 1).astype(int), strength)
            total += objective(model, x[judged], (y[judged, c] == 1).astype(int), strength)
            columns.append(model.decision_function(test))
        found = np.stack(columns, 1)
        by_class = [eleven_points(found[:, c], t[:, c]) for c in range(classes)]
        cases.append({"lambda": strength, "objective": total, "scores": plain(found),
                      "precision_by_class": by_class, "map_11_point": float(np.mean(by_class))})
        judged = [t[:, c] != 0 for c in range(classes)]
        full.append(np.mean([average_precision_score(t[j, c] == 1, found[j, c]) for c, j in enumerate(judged)]))
        unjudged.append(np.mean([eleven_points(found[:, c], np.where(t[:, c] == 0, -1, t[:, c]))
                                 for c in range(classes)]))
    eleven = [case["map_11_point"] for case in cases]
    counted = fit(x, (y[:, 0] == 1).astype(int), 1.0).decision_function(test)
    wrong = {
        "all points for eleven": differs(full, eleven),
        "unjudged as negative in test": differs(unjudged, eleven),
        "unjudged as negative in train": differs(counted, np.asarray(cases[1]["scores"], float)[:, 0]),
    }
    write("marks", {"classes": classes, "train": x.tolist(), "train_marks": y.tolist(), "test": test.tolist(),
                    "test_marks": t.tolist(), "cases": cases, "wrong_by": wrong})


several_classes()
two_classes()
marks()
