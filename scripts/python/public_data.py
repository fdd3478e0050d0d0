"""See scripts/public_data."""
import io
import random
import re
import sys
import tarfile
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
from PIL import Image, ImageFilter

import fashion_mnist

FOLDER = Path(sys.argv[1])
SIDES, COUNT, CROPS, LANGUAGES = (500, 375), 500, 20, 10


def add(tar, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def jpeg(image, quality=92):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def crops():
    """The crops with most detail, at most CROPS of one wallpaper: (detail, JPEG)."""
    largest = {}
    for path in sorted((FOLDER / "wallpapers").rglob("*")):
        if path.suffix not in (".jpg", ".png", ".webp") or path.is_symlink() or "screenshot" in path.name:
            continue
        # One size of each: wallpapers come in many.
        name = path.parents[2] if path.parent.name.startswith("images") else re.sub(r"[-_]?(\d+x\d+|[ld])?$", "", path.stem)
        with Image.open(path) as image:
            if image.width * image.height > largest.get(name, (0,))[0]:
                largest[name] = image.width * image.height, path
    found = []
    for _, path in largest.values():
        image = Image.open(path).convert("RGB")
        image.thumbnail((2560, 2560), Image.LANCZOS)
        own = []
        for top in range(0, image.height - SIDES[1] + 1, SIDES[1]):
            for left in range(0, image.width - SIDES[0] + 1, SIDES[0]):
                crop = image.crop((left, top, left + SIDES[0], top + SIDES[1]))
                detail = float(numpy.asarray(crop.convert("L").filter(ImageFilter.FIND_EDGES), dtype=float)[2:-2, 2:-2].mean())
                own.append((detail, jpeg(crop)))
        found += sorted(own, reverse=True)[:CROPS]
    best = sorted(found, reverse=True)[:COUNT]
    if len(best) < COUNT:
        sys.exit(f"{len(best)} crops of {len(largest)} wallpapers; {COUNT} are wanted")
    return [content for _, content in best]


def captions():
    """Short descriptions of packages, as many in each language, in mixed order."""
    every, draw = [], random.Random(0)
    lists = sorted((FOLDER / "lists").glob("*_dists_*_main_i18n_Translation-*"))
    of = {}
    for path in lists:
        language = path.name.rsplit("Translation-", 1)[1]
        found = re.findall(rf"^Description-{re.escape(language.replace('%5f', '_'))}: (.+)$", path.read_text(), re.M)
        of.setdefault(language, set()).update(found)
    if len(of) != LANGUAGES:
        sys.exit(f"{len(of)} languages of descriptions: {', '.join(of)}; {LANGUAGES} are wanted")
    for language, found in sorted(of.items()):
        every += draw.sample(sorted(found), min(len(found), 1000))
    english = sorted(of["en"] - set(every))
    every += draw.sample(english, 10_000 - len(every))
    draw.shuffle(every)
    return every


def classes(tar):
    for part, name in (("train", "train"), ("test", "t10k")):
        for number, (image, label) in enumerate(zip(*fashion_mnist.part(name))):
            add(tar, f"{part}/{label}/{number:05}.jpg", jpeg(Image.fromarray(image).convert("RGB"), 95))


def retrieval(tar, images, texts):
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as inner:
        for number, image in enumerate(images):
            add(inner, f"s{number:07}.jpg", image)
            add(inner, f"s{number:07}.txt", "\n".join(texts[2 * number : 2 * number + 2]).encode())
    for name, content in (("dataset_type.txt", b"retrieval"), ("test/nshards.txt", b"1"), ("test/0.tar", shard.getvalue())):
        add(tar, f"wds_retrieval/{name}", content)


images, texts = crops(), captions()
with tarfile.open(FOLDER / "images.tar", "w") as tar:
    for number, content in enumerate(images):
        add(tar, f"{number:05}.jpg", content)
pyarrow.parquet.write_table(pyarrow.table({"TEXT": texts}), FOLDER / "captions.parquet")
with tarfile.open(FOLDER / "classes.tar.gz", "w:gz", compresslevel=1) as tar:
    classes(tar)
with tarfile.open(FOLDER / "retrieval.tar", "w") as tar:
    retrieval(tar, images[:100], texts)
print(f"{len(images)} images, {len(texts)} captions, 70,000 images of 10 classes")
