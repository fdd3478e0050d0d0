"""Writes a WebDataset shard of made pairs: smooth 256-pixel JPEGs with the given captions. Needs no data of others."""

import io
import tarfile

from PIL import Image


def image(number):
    """A gradient between two colours that depend on `number`: decodes at the cost of a plain photograph."""
    first, second = ((number * 37 % 256, number * 91 % 256, number * 53 % 256) for number in (number, number + 7))
    gradient = Image.linear_gradient("L")
    bands = [gradient.point(lambda v, a=a, b=b: a + (b - a) * v // 255) for a, b in zip(first, second)]
    out = io.BytesIO()
    Image.merge("RGB", bands).save(out, "JPEG", quality=90)
    return out.getvalue()


def write_shard(path, captions):
    with tarfile.open(path, "w") as tar:
        for number, caption in enumerate(captions):
            for extension, data in (("jpg", image(number)), ("txt", caption.encode())):
                entry = tarfile.TarInfo(f"{number:09}.{extension}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
