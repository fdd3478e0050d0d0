"""Queries of AugLy's augmentations: OUT/N.jpg for each photograph, and OUT/truth.csv with what was done to it.

    overlap_augly.py OUT QUERIES DISTRACTORS    the photographs of QUERIES, and of DISTRACTORS, are lists of paths

Each query is a photograph after one to three augmentations that are drawn with their strengths. Those of DISTRACTORS
show none of the references.
"""
import csv
import random
import sys
from pathlib import Path

import augly.image as aug
import numpy
from augly.utils.constants import EMOJI_DIR
from PIL import Image

OUT, QUERIES, DISTRACTORS = Path(sys.argv[1]), *(Path(name).read_text().splitlines() for name in sys.argv[2:4])
WORDS = "the best day of my life when you see it look at this one never again so true every single time".split()
EMOJI = sorted(str(path) for path in Path(EMOJI_DIR).rglob("*.png"))


def load(path):
    image = Image.open(path).convert("RGB")
    image.thumbnail((640, 640))
    return image


def text(draw):
    return " ".join(draw.choices(WORDS, k=draw.randint(2, 6)))


def colour(draw):
    return tuple(draw.randrange(256) for _ in range(3))


def crop(image, draw):
    width, height = draw.uniform(0.4, 0.9), draw.uniform(0.4, 0.9)
    left, top = draw.uniform(0, 1 - width), draw.uniform(0, 1 - height)
    return aug.crop(image, x1=left, y1=top, x2=left + width, y2=top + height)


def emoji(image, draw):
    size, (left, top) = draw.uniform(0.2, 0.5), (draw.uniform(0, 0.6), draw.uniform(0, 0.6))
    return aug.overlay_emoji(image, emoji_path=draw.choice(EMOJI), emoji_size=size, x_pos=left, y_pos=top)


def onto(image, draw):
    size, (left, top) = draw.uniform(0.5, 0.8), (draw.uniform(0, 0.3), draw.uniform(0, 0.3))
    other = load(draw.choice(DISTRACTORS))
    return aug.overlay_onto_background_image(image, other, overlay_size=size, x_pos=left, y_pos=top)


def jitter(image, draw):
    strengths = [draw.uniform(0.5, 1.6) for _ in range(3)]
    return aug.color_jitter(image, brightness_factor=strengths[0], contrast_factor=strengths[1],
                            saturation_factor=strengths[2])


def words(image, draw):
    codes = [draw.randrange(1000) for _ in range(draw.randint(3, 8))]
    return aug.overlay_text(image, text=codes, font_size=draw.uniform(0.08, 0.2), color=colour(draw),
                            x_pos=draw.uniform(0, 0.4), y_pos=draw.uniform(0, 0.8))


def stripes(image, draw):
    return aug.overlay_stripes(image, line_width=draw.uniform(0.1, 0.4), line_color=colour(draw),
                               line_angle=draw.uniform(-90, 90), line_density=draw.uniform(0.1, 0.4))


AUGMENTATIONS = {
    "blur": lambda image, draw: aug.blur(image, radius=draw.uniform(1, 4)),
    "change_aspect_ratio": lambda image, draw: aug.change_aspect_ratio(image, ratio=draw.uniform(0.5, 2)),
    "color_jitter": jitter,
    "crop": crop,
    "encoding_quality": lambda image, draw: aug.encoding_quality(image, quality=draw.randint(8, 40)),
    "grayscale": lambda image, draw: aug.grayscale(image),
    "hflip": lambda image, draw: aug.hflip(image),
    "meme_format": lambda image, draw: aug.meme_format(image, text=text(draw), caption_height=draw.randint(60, 200)),
    "overlay_emoji": emoji,
    "overlay_onto_background_image": onto,
    "overlay_onto_screenshot": lambda image, draw: aug.overlay_onto_screenshot(image),
    "overlay_stripes": stripes,
    "overlay_text": words,
    "pad": lambda image, draw: aug.pad(image, w_factor=draw.uniform(0, 0.4), h_factor=draw.uniform(0, 0.4),
                                       color=colour(draw)),
    "perspective_transform": lambda image, draw: aug.perspective_transform(
        image, sigma=draw.uniform(20, 60), seed=draw.randrange(1 << 30)),
    "pixelization": lambda image, draw: aug.pixelization(image, ratio=draw.uniform(0.2, 0.6)),
    "random_noise": lambda image, draw: aug.random_noise(image, var=draw.uniform(0.01, 0.05),
                                                         seed=draw.randrange(1 << 30)),
    "rotate": lambda image, draw: aug.rotate(image, degrees=draw.uniform(-180, 180)),
    "scale": lambda image, draw: aug.scale(image, factor=draw.uniform(0.2, 0.7)),
    "sharpen": lambda image, draw: aug.sharpen(image, factor=draw.uniform(2, 10)),
    "shuffle_pixels": lambda image, draw: aug.shuffle_pixels(image, factor=draw.uniform(0.05, 0.2),
                                                             seed=draw.randrange(1 << 30)),
    "skew": lambda image, draw: aug.skew(image, skew_factor=draw.uniform(-0.5, 0.5), axis=draw.randrange(2)),
    "vflip": lambda image, draw: aug.vflip(image),
}

OUT.mkdir(parents=True)
with open(OUT / "truth.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["query", "reference", "augmentations"])
    wanted = [(path, Path(path).stem) for path in QUERIES] + [(path, "") for path in DISTRACTORS]
    for number, (path, reference) in enumerate(wanted):
        draw = random.Random(f"augly {Path(path).stem}")
        random.seed(draw.random())
        numpy.random.seed(draw.randrange(1 << 32))
        names = draw.sample(sorted(AUGMENTATIONS), draw.randint(1, 3))
        image = load(path)
        for name in names:
            image = AUGMENTATIONS[name](image, draw).convert("RGB")
            image.thumbnail((1600, 1600))
        image.save(OUT / f"{number:04}.jpg", quality=90)
        rows.writerow([f"{number:04}", reference, "+".join(names)])
