"""Finds copies of evaluation items with our executable, and says how well and how fast. See bench_overlap.

No threshold is reported on the items that it was calibrated on. One is the default, as it stands in the code; for the
other the items are cut in two, and each half is reported at the lowest threshold that is precise enough on the other
half. The halves: for CIFAR-10 the classes cat and deer against airplane, automobile and bird; for the others the first
half of the images by name against the second.
"""
import csv
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy
import pyarrow.parquet
from PIL import Image, ImageDraw, ImageOps

from overlap_alterations import ALTERATIONS, save, seeded

OURS, DATA, DETECTOR = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
ONLY = os.environ.get("ONLY", "cifar,faces,copies,placements,disc,imagededup").split(",")
DEFAULT = 0.8
LIST = "cifair10_pairs_5classes.csv"
SEEN = Path(__file__).with_name("bench_overlap_seen.csv")
CHANGES = ["resize64", "jpeg30", "crop70", "flip", "border", "caption", "grey", "rotate5"]


def unpack(into, *names):
    """The first of these archives that DATA has."""
    with tarfile.open(next((DATA / name for name in names if (DATA / name).exists()), DATA / names[0])) as tar:
        tar.extractall(into, filter="data")
    return into


def found(name, evaluation, corpus, work, detector="", more=()):
    """Every pair from a score of 0.5 on that shows something, and the seconds that it took, nothing kept from before."""
    out, index = work / f"out-{name}", work / "index"
    for folder in (out, index):
        shutil.rmtree(folder, ignore_errors=True)
    command = [OURS, "contamination", "--corpus", corpus, "--eval", f"{name}={evaluation}", "--out", out, "--index",
               index, "--list", "0", "--progress", "none", "--threshold", "0.5"]
    start = time.time()
    subprocess.run([*map(str, command), *(["--detector", detector] if detector else []), *more], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took = time.time() - start
    pairs = pyarrow.parquet.read_table(out / "pairs.parquet").to_pylist()
    return [pair for pair in pairs if pair["kind"] != "flat"], took


def threshold(pairs, right, precision):
    """The lowest from which on at least so many of the pairs are right."""
    good, best = 0, 1.0
    ranked = sorted(pairs, key=lambda pair: -pair["score"])
    for count, pair in enumerate(ranked, 1):
        good += right(pair)
        if good >= precision * count:
            best = pair["score"]
    return best


def crossed(pairs, right, half, precision):
    """The pairs that count at the threshold of the other half, and both thresholds."""
    thresholds = [threshold([p for p in pairs if half(p) == 1 - side], right, precision) for side in (0, 1)]
    return [p for p in pairs if p["score"] >= thresholds[half(p)]], thresholds


def both(pairs, right, half, precision):
    """What counts at the default threshold, and at those of the other half, each with its name."""
    over, at = crossed(pairs, right, half, precision)
    yield [p for p in pairs if p["score"] >= DEFAULT], "default threshold"
    yield over, f"threshold {at[0]:.3f} for the first half (calibrated on the second), {at[1]:.3f} for the second"


def bar(text, reached):
    print(f"  {'reached' if reached else 'MISSED '}  {text}")


def cifar(work):
    base = work / "cifar10"
    listed = {}
    with open(DATA / LIST) as file:
        for row in csv.DictReader(file):
            listed[row["test_file"].removeprefix("test/")] = row["class"]
    with open(SEEN) as file:
        seen = {(row["item"], row["image"]): (row["first"], row["second"]) for row in csv.DictReader(file)}
    classes = set(listed.values())
    print("\nCIFAR-10, test (10,000) against train (50,000), five classes with ciFAIR's judged pairs "
          f"({len(listed)} items).\nciFAIR's list is not complete: `of list` counts as false whatever is not on it, "
          f"`by eye` counts as\nright also the pairs that both judges of {SEEN.name} took for one photograph.\n"
          "They saw pairs of all scores and of the list in random order, and neither scores nor the list.")
    for detector in ["", DETECTOR] if DETECTOR else [""]:
        pairs, took = found("cifar10", base / "test", base / "train", work, detector)
        best = {}
        for pair in pairs:
            if pair["key"].split("/")[0] in classes and pair["score"] > best.get(pair["key"], {"score": 0})["score"]:
                best[pair["key"]] = pair
        pairs = list(best.values())
        by_list = lambda pair: pair["key"] in listed
        by_eye = lambda pair: by_list(pair) or seen.get((pair["key"], pair["id"])) == ("same", "same")
        half = lambda pair: int(pair["key"].split("/")[0] in ("cat", "deer"))
        print(f"\n with {'the detector' if detector else 'candidates and verification only'}, {took:.1f} s")
        print("  threshold  flagged  recall of list  precision of list  precision by eye  unseen")

        def line(flagged, label):
            recall = sum(map(by_list, flagged)) / len(listed)
            precise = [sum(map(rule, flagged)) / max(1, len(flagged)) for rule in (by_list, by_eye)]
            unseen = sum(not by_list(p) and (p["key"], p["id"]) not in seen for p in flagged)
            print(f"  {label:>9}  {len(flagged):7}  {recall:14.3f}  {precise[0]:17.3f}  {precise[1]:16.3f}  {unseen:6}")
            return recall, *precise

        for at in (0.8, 0.825, 0.85, 0.875, 0.9, 0.925, 0.95):
            line([p for p in pairs if p["score"] >= at], f"{at:.3f}")
        flagged, at = crossed(pairs, by_eye, half, 0.85)
        recall, of_list, eye = line(flagged, "crossed")
        print(f"  crossed: {at[1]:.3f} on cat and deer, {at[0]:.3f} on the other three")
        ranked = sorted(pairs, key=lambda pair: -pair["score"])
        needed, at = 0.8 * len(listed), 0
        for at, pair in enumerate(ranked, 1):
            needed -= by_list(pair)
            if needed <= 0:
                break
        print(f"  at the rank where recall of the list is 0.80: precision of list "
              f"{sum(map(by_list, ranked[:at])) / at:.3f}, by eye {sum(map(by_eye, ranked[:at])) / at:.3f}")
        bar(f"recall {recall:.3f} (>= 0.80) at precision {eye:.3f} by eye (>= 0.60)", recall >= 0.8 and eye >= 0.6)
        bar(f"the same by the list alone: {of_list:.3f}", recall >= 0.8 and of_list >= 0.6)


def faces(work):
    base = unpack(work / "faces", "caltech_faces.tar")
    (work / "faces-eval").mkdir()
    (work / "faces-eval/Faces").symlink_to(base / "Faces")
    number = lambda name: int(Path(name).stem.split("_")[-1])
    right = lambda pair: number(pair["key"]) == number(pair["id"])
    for detector in ["", DETECTOR] if DETECTOR else [""]:
        pairs, took = found("faces", work / "faces-eval", base / "Faces_easy", work, detector)
        print(f"\nCaltech-101, 435 Faces against the 435 crops of Faces_easy{', with the detector' if detector else ''}, "
              f"{took:.1f} s")
        for over, label in both(pairs, right, lambda pair: int(number(pair["key"]) > 217), 0.99):
            share = len({p["key"] for p in over if right(p)}) / 435
            false = sum(not right(p) for p in over) / max(1, len(over))
            print(f"  {label}")
            bar(f"{share:.1%} of the pairs (>= 95%) at {false:.2%} false (<= 1%)", share >= 0.95 and false <= 0.01)


def changed(image):
    """The copies of a photograph, in the order of CHANGES."""
    width, height = image.size
    small = image.copy()
    small.thumbnail((64, 64))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    # 70% of the area, off the centre.
    w, h = int(width * 0.7 ** 0.5), int(height * 0.7 ** 0.5)
    left, top = (width - w) * 2 // 3, (height - h) // 3
    bar = Image.new("RGB", (width, int(height * 1.15)), "white")
    bar.paste(image, (0, 0))
    ImageDraw.Draw(bar).text((width // 10, int(height * 1.05)), "when you see it", fill="black")
    return [small, Image.open(buffer), image.crop((left, top, left + w, top + h)), ImageOps.mirror(image),
            ImageOps.expand(image, max(4, min(width, height) // 12), "black"), bar,
            ImageOps.grayscale(image).convert("RGB"), image.rotate(5, resample=Image.BICUBIC)]


def copies(work):
    base = unpack(work / "photos/all", "imagenet_sample_500.tar", "images.tar")
    photographs = sorted(path for path in base.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg"))
    for kind in CHANGES:
        (work / "copies" / kind).mkdir(parents=True)
    for path in photographs:
        image = Image.open(path).convert("RGB")
        image.thumbnail((640, 640))
        for kind, copy in zip(CHANGES, changed(image)):
            copy.save(work / "copies" / kind / f"{path.stem}.jpg", quality=90)
    order = {path.stem: at for at, path in enumerate(photographs)}
    right = lambda pair: Path(pair["key"]).stem == Path(pair["id"]).stem
    half = lambda pair: int(order[Path(pair["key"]).stem] >= len(order) / 2)
    for detector in ["", DETECTOR] if DETECTOR else [""]:
        pairs, took = found("photos", work / "photos", work / "copies", work, detector)
        print(f"\n{len(order)} images against 8 copies of each{', with the detector' if detector else ''}, {took:.1f} s")
        for over, label in both(pairs, right, half, 0.99):
            named = {pair["id"] for pair in over if right(pair)}
            kinds = {kind: sum(name.split("/")[0] == kind for name in named) / len(order) for kind in CHANGES}
            print(f"  {label}\n  recall: " + ", ".join(f"{kind} {share:.3f}" for kind, share in kinds.items()))
            recall, precision = len(named) / (8 * len(order)), sum(map(right, over)) / max(1, len(over))
            reached = recall >= 0.98 and precision >= 0.99
            bar(f"recall {recall:.4f} (>= 0.98) at precision {precision:.4f} (>= 0.99)", reached)


def placements(work):
    """Every alteration of each photograph of the second half, and false pairs; the default and --thorough.

    Constants were set on the first half (HALF=first shows that one). COPIES limits how many are altered.
    """
    base = unpack(work / "placed/all", "imagenet_sample_500.tar", "images.tar")
    photographs = sorted(path for path in base.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg"))
    middle = len(photographs) // 2
    first = 0 if os.environ.get("HALF") == "first" else middle
    chosen = range(first, min(first + middle, first + int(os.environ.get("COPIES", middle)), len(photographs)))

    def load(at):
        image = Image.open(photographs[at % len(photographs)]).convert("RGB")
        image.thumbnail((640, 640))
        return image

    parts = {}
    for at in chosen:
        others = [at + step for step in (251, 97, 183)]
        images = [load(other) for other in others]
        for kind, altered in ALTERATIONS.items():
            (work / "altered" / kind).mkdir(parents=True, exist_ok=True)
            stem = photographs[at].stem
            save(altered(load(at), seeded(kind, stem), images), work / "altered" / kind / f"{stem}.jpg")
            # A collage shows four items; each of them is right.
            shown = [at, *others] if kind == "collage" else [at]
            parts[f"{kind}/{stem}.jpg"] = {photographs[one % len(photographs)].stem for one in shown}
    strangers = work / "cifar10" if (work / "cifar10").exists() else None
    print(f"\n{len(chosen)} photographs from number {first + 1} on, {len(ALTERATIONS)} alterations of each, "
          f"among {len(photographs)} items, at the default threshold")
    for mode, more in (("default", ()), ("--thorough", ("--thorough",))):
        pairs, took = found("placed", work / "placed", work / "altered", work, "", more)
        over = [pair for pair in pairs if pair["score"] >= DEFAULT]
        named = {pair["id"] for pair in over if Path(pair["key"]).stem == Path(pair["id"]).stem}
        recall = {kind: sum(name.startswith(kind + "/") for name in named) / len(chosen) for kind in ALTERATIONS}
        false = sum(Path(pair["key"]).stem not in parts[pair["id"]] for pair in over)
        print(f" {mode}, {took:.1f} s with the items' fingerprints, {len(parts)} images")
        for kind, share in recall.items():
            bar(f"{kind} {share:.3f} (>= 0.97)", share >= 0.97)
        print(f"  false pairs among these images: {false} of {len(parts) * len(photographs)}")
        if strangers:
            pairs, took = found("placed", work / "placed", strangers, work, "", more)
            false += sum(pair["score"] >= DEFAULT for pair in pairs)
            print(f"  CIFAR-10's images: {took:.1f} s")
            bar(f"{false} false pairs in all (<= 30)", false <= 30)


def disc(work):
    """Micro average precision as DISC21 has it, over queries of AugLy's augmentations: half of them show a reference.

    References are the second half of the photographs, queries one of each and one of each of the first half, which
    are strangers, as Caltech's faces are among the references.
    """
    base = unpack(work / "disc/all", "imagenet_sample_500.tar", "images.tar")
    photographs = sorted(path for path in base.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg"))
    first, second = photographs[:len(photographs) // 2], photographs[len(photographs) // 2:]
    references = work / "references/all"
    references.mkdir(parents=True)
    for path in second:
        shutil.copy(path, references / path.name)
    if (DATA / "caltech_faces.tar").exists():
        unpack(work / "references", "caltech_faces.tar")
    lists = [work / "queries.txt", work / "strangers.txt"]
    for file, paths in zip(lists, (second, first)):
        file.write_text("\n".join(map(str, paths)))
    queries = work / "queries"
    script = Path(__file__).with_name("overlap_augly.py")
    subprocess.run([os.environ["AUGLY_PYTHON"], script, queries, *lists], check=True)
    with open(queries / "truth.csv") as file:
        truth = {row["query"]: row for row in csv.DictReader(file)}
    shown = sum(row["reference"] != "" for row in truth.values())
    items = sum(path.is_file() for path in (work / "references").rglob("*"))
    print(f"\n{len(truth)} queries of AugLy's augmentations, {shown} of which show one of {items} references")
    for mode, more in (("default", ()), ("--thorough", ("--thorough",))):
        pairs, took = found("references", work / "references", queries, work, "", more)
        right = lambda pair: Path(pair["key"]).stem == truth[Path(pair["id"]).stem]["reference"]
        ranked, good, average = sorted(pairs, key=lambda pair: -pair["score"]), 0, 0.0
        for count, pair in enumerate(ranked, 1):
            if right(pair):
                good += 1
                average += good / count / shown
        over = [pair for pair in ranked if pair["score"] >= DEFAULT]
        named = {Path(pair["id"]).stem for pair in over if right(pair)}
        print(f" {mode}, {took:.1f} s: micro average precision {average:.3f}; at the default threshold recall "
              f"{len(named) / shown:.3f}, precision {sum(map(right, over)) / max(1, len(over)):.3f}")
        kinds = sorted({kind for row in truth.values() for kind in row["augmentations"].split("+")})
        for kind in kinds:
            own = [query for query, row in truth.items() if row["reference"] and kind in row["augmentations"].split("+")]
            print(f"  {kind} {sum(query in named for query in own)} of {len(own)}")
    print(" This is no figure of DISC21, whose images and distractors are others.")


def hashed_and_searched(base):
    """imagededup's codes of all 60,000 images, the seconds that they took, and those of its search among a sixth."""
    from imagededup.methods import PHash
    hasher, codes = PHash(verbose=False), {}
    start = time.time()
    for folder in sorted(base.glob("*/*")):
        own = hasher.encode_images(image_dir=folder, num_enc_workers=2)
        codes |= {f"{folder.parent.name}/{folder.name}/{name}": code for name, code in own.items()}
    hashed = time.time() - start
    some = dict(list(codes.items())[::6])
    start = time.time()
    hasher.find_duplicates(encoding_map=some, max_distance_threshold=10, num_dist_workers=2)
    return codes, hashed, time.time() - start


def imagededup(work):
    """Its pHash within 10 bits beside ours, alternately. The time of its search grows with the square."""
    base, ours, rounds = work / "cifar10", [], []
    for _ in range(int(os.environ.get("ROUNDS", 3))):
        ours.append(found("cifar10", base / "test", base / "train", work)[1])
        codes, *seconds = hashed_and_searched(base)
        rounds.append(seconds)
    ours, (hashed, searched) = median(ours), map(median, zip(*rounds))
    whole = hashed + searched * 36
    print(f"\nimagededup, pHash within 10 bits: {len(codes)} hashes in {hashed:.0f} s, search among a sixth in "
          f"{searched:.0f} s, so {whole:.0f} s for all")
    if (DATA / LIST).exists():
        flagged_by_hash(codes)
    bar(f"clip-data {ours:.1f} s, {whole / ours:.0f} times as fast (>= 50); medians of {len(rounds)} rounds", whole >= 50 * ours)


def flagged_by_hash(codes):
    bits = lambda part: {name: int(code, 16) for name, code in codes.items() if name.startswith(part)}
    train, test = numpy.array(list(bits("train/").values()), dtype=numpy.uint64), bits("test/")
    with open(DATA / LIST) as file:
        listed = {row["test_file"]: row["class"] for row in csv.DictReader(file)}
    classes = set(listed.values())
    flagged = {name for name, code in test.items() if name.split("/")[1] in classes
               and numpy.bitwise_count(train ^ numpy.uint64(code)).min() <= 10}
    hit = len(flagged & set(listed))
    print(f"  flagged {len(flagged)}, recall of list {hit / len(listed):.3f}, precision of list {hit / max(1, len(flagged)):.3f}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if {"cifar", "imagededup", "placements"} & set(ONLY) and any(
                (DATA / name).exists() for name in ("cifar10.tar.gz", "classes.tar.gz")):
            unpack(work / "cifar10", "cifar10.tar.gz", "classes.tar.gz")
        if "cifar" in ONLY:
            cifar(work)
        if "faces" in ONLY:
            faces(work)
        if "copies" in ONLY:
            copies(work)
        if "placements" in ONLY:
            placements(work)
        if "disc" in ONLY:
            disc(work)
        if "imagededup" in ONLY:
            imagededup(work)


main()
