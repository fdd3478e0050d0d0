"""See scripts/golden/photographs."""
import random
from pathlib import Path

from PIL import Image
from skimage import data

OUT = Path("testdata/photographs")
# Of these the photographers or agencies say that anyone may use them for anything; see NOTICE there.
FREE = ["astronaut", "brick", "camera", "chelsea", "coffee", "grass", "gravel", "rocket"]
# Sizes of img2dataset's own test images: taller, wider and smaller than what they are scaled to.
SIZES = [(123, 456), (208, 495), (321, 421), (389, 535), (416, 264), (456, 123), (524, 316)]


def crop(image, width, height, draw):
    """A part of the image with these sides, scaled where the image is smaller."""
    scale = max(1.0, width / image.width, height / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS)
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


draw = random.Random(0)
images = {name: Image.fromarray(getattr(data, name)()) for name in FREE}
for number, (width, height) in enumerate(SIZES):
    name = FREE[number]
    crop(images[name].convert("RGB"), width, height, draw).save(OUT / f"{width}_{height}.jpg", quality=88)
for number in range(32):
    name = FREE[number % len(FREE)]
    made = crop(images[name], draw.randint(120, 320), draw.randint(120, 320), draw)
    if number % 5 == 4:
        made = made.convert("L")
    made.save(OUT / f"{name}_{number:02}.jpg", quality=draw.choice([50, 75, 90, 95]), progressive=number % 4 == 3)
