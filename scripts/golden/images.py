"""Golden pixels of open_clip's evaluation transform (Pillow, torchvision) for clip-image's tests.

Run by scripts/golden/clip, which makes the environment. A line each: name, encoded image, size, pixels.
"""
import base64
import gzip
import io
import json
import sys
from pathlib import Path

import numpy as np
from open_clip.transform import image_transform
from PIL import Image, ImageCms
from torchvision.transforms import Compose, Normalize, ToTensor

OUT = Path(sys.argv[1])


def noise(height, width, channels, seed):
    """Blocks of colour under fine noise: edges and texture."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 256, (height // 6 + 1, width // 6 + 1, channels))
    pixels = low.repeat(6, 0).repeat(6, 1)[:height, :width] + rng.integers(-12, 13, (height, width, channels))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def images():
    rgb = Image.fromarray(noise(45, 70, 3, 0))
    rgba = Image.fromarray(noise(50, 41, 4, 1))
    grey = Image.fromarray(noise(38, 38, 1, 2)[:, :, 0])
    yield "rgb.png", encoded(rgb, "PNG"), 24
    yield "enlarged.png", encoded(rgb.crop((0, 0, 17, 11)), "PNG"), 24
    yield "tall.png", encoded(rgb.crop((0, 0, 5, 45)), "PNG"), 24
    # Pillow 13 begins with the columns of the first two, and with the rows of the third.
    yield "tall_shrunk.png", encoded(Image.fromarray(noise(151, 40, 3, 4)), "PNG"), 24
    yield "tall_barely.png", encoded(Image.fromarray(noise(67, 25, 3, 5)), "PNG"), 24
    yield "twice_as_tall.png", encoded(Image.fromarray(noise(80, 40, 3, 6)), "PNG"), 24
    yield "same.png", encoded(rgb.crop((0, 0, 24, 24)), "PNG"), 24
    yield "odd.png", encoded(rgb.crop((0, 0, 31, 24)), "PNG"), 24
    yield "rgba.png", encoded(rgba, "PNG"), 24
    yield "rgba_enlarged.png", encoded(rgba.crop((0, 0, 9, 13)), "PNG"), 24
    yield "grey.png", encoded(grey, "PNG"), 24
    yield "grey_alpha.png", encoded(Image.merge("LA", (grey, Image.fromarray(noise(38, 38, 1, 3)[:, :, 0]))), "PNG"), 24
    yield "palette.png", encoded(rgb.quantize(37), "PNG"), 24
    yield "palette.gif", encoded(rgb.quantize(50), "GIF"), 24
    yield "two.png", encoded(grey.convert("1"), "PNG"), 24
    yield "key.png", encoded(rgb, "PNG", transparency=rgb.getpixel((3, 3))), 24
    yield "photo.jpg", encoded(rgb, "JPEG", quality=88), 24
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "turned.jpg", encoded(rgb, "JPEG", quality=88, exif=exif), 24
    # A profile with red and green exchanged: whoever applied it would see it.
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ")
    yield "profile.jpg", encoded(rgb, "JPEG", quality=88, icc_profile=exchanged), 24
    yield "profile.png", encoded(rgb, "PNG", icc_profile=exchanged), 24
    yield "grey.jpg", encoded(grey, "JPEG", quality=88), 24
    yield "rgb.webp", encoded(rgb, "WEBP", lossless=True), 24
    yield "rgba.webp", encoded(rgba, "WEBP", lossless=True, exact=True), 24
    yield "rgb.bmp", encoded(rgb, "BMP"), 24


with gzip.GzipFile(OUT / "pixels.jsonl.gz", "wb", mtime=0) as file:
    for name, data, size in images():
        whole = image_transform(size, is_train=False)
        pixels = Compose([step for step in whole.transforms if not isinstance(step, (ToTensor, Normalize))])
        out = np.asarray(pixels(Image.open(io.BytesIO(data))))
        assert out.shape == (size, size, 3), (name, out.shape)
        line = [name, base64.b64encode(data).decode(), size, base64.b64encode(out.tobytes()).decode()]
        file.write((json.dumps(line) + "\n").encode())
