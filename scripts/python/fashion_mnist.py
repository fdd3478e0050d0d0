"""Fashion-MNIST of Debian's package dataset-fashion-mnist."""
import gzip
import sys
from pathlib import Path

import numpy

FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


def part(name):
    """Images, [n, 28, 28], and the name of each one's class; of `train` (60,000) or `t10k` (10,000)."""
    if not FOLDER.is_dir():
        sys.exit(f"no {FOLDER}: install dataset-fashion-mnist")
    read = lambda what: gzip.decompress((FOLDER / f"{name}-{what}-ubyte.gz").read_bytes())
    images = numpy.frombuffer(read("images-idx3")[16:], dtype=numpy.uint8).reshape(-1, 28, 28)
    return images, [CLASSES[label] for label in read("labels-idx1")[8:]]
