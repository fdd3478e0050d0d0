"""torchvision's colour adjustments of a small image, in Pillow's arithmetic: crates/clip-loader/tests/golden/colour.

scripts/golden/clip-venv has the interpreter.
"""

import numpy as np
from PIL import Image
from torchvision.transforms import functional

WIDTH, HEIGHT = 24, 16
place = np.arange(WIDTH * HEIGHT * 3, dtype=np.uint64)
pixels = ((place * np.uint64(2654435761)) % np.uint64(2**32) >> np.uint64(24)).astype(np.uint8)
pixels = pixels.reshape(HEIGHT, WIDTH, 3)
# Some without colour, some of full colour.
pixels[0, :, 1:] = pixels[0, :, :1]
pixels[1] = np.where(pixels[1] > 127, 255, 0)
image = Image.fromarray(pixels)
FACTORS = (0.0, 0.37, 1.0, 1.4, 2.0)
HUES = (-0.5, -0.08, 0.0, 0.031, 0.5)
results = [functional.adjust_brightness(image, factor) for factor in FACTORS]
results += [functional.adjust_contrast(image, factor) for factor in FACTORS]
results += [functional.adjust_saturation(image, factor) for factor in FACTORS]
results += [functional.adjust_hue(image, factor) for factor in HUES]
results.append(functional.to_grayscale(image, num_output_channels=3))
with open("crates/clip-loader/tests/golden/colour/results.bin", "wb") as file:
    for result in results:
        file.write(np.asarray(result.convert("RGB")).tobytes())
