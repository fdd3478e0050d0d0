"""An encoded image as RGB pixels, by Pillow: what clip-image's decoder is compared with."""
import io
import warnings

import numpy as np
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
# As many pixels as our decoder allows by default; Pillow refuses twice as many as this.
Image.MAX_IMAGE_PIXELS = 32_000_000


def pillow_rgb(data):
    """Pixels [h, w, 3] of the first frame, upright, over white; of 16 bits the upper 8.

    Pillow's own conversion of 16-bit grey clips at 255 in place of that, which no viewer does.
    """
    image = Image.open(io.BytesIO(data))
    image.load()
    netpbm = image.format == "PPM"
    try:
        image = ImageOps.exif_transpose(image)
    except SyntaxError:
        # What is called EXIF is none.
        pass
    if image.mode.startswith("I;16") or netpbm and image.mode == "I":
        grey = np.asarray(image)
        key = image.info.get("transparency")
        image = Image.fromarray((grey >> 8).astype(np.uint8))
        if key is not None:
            image.putalpha(Image.fromarray(np.where(grey == key, 0, 255).astype(np.uint8)))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return np.asarray(image.convert("RGB"))
