"""The corpus of clip-data in Python.

`Dataset` and `DataLoader` need torch; everything else needs numpy alone.
"""

import json
import os
import tempfile

import numpy

from . import _native
from ._error import Error
from ._fetch import fetch

__all__ = [
    "DataLoader",
    "Dataset",
    "Error",
    "contamination",
    "fetch",
    "hash",
    "read_run",
    "read_shards",
    "tokenize",
    "transform",
]
__version__ = _native.__version__


def __getattr__(name):
    if name in ("Dataset", "DataLoader"):
        try:
            from . import _dataset
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            hint = "hint: pip install torch"
            raise ImportError(f"clip_data.{name} needs torch, which is not installed\n{hint}") from error

        return getattr(_dataset, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _many(values, one):
    """A list of what is one or many, and whether it is one."""
    single = isinstance(values, one)
    return ([values] if single else list(values)), single


_IMAGE = (bytes, bytearray, str, os.PathLike)


def hash(images, kind="phash", compat="imagededup", fast=False):
    """Perceptual hashes in hex, bit for bit those of imagededup, imagehash or pdqhash."""
    images, single = _many(images, _IMAGE)
    hashes = _native.hash(images, kind, compat, fast)
    return hashes[0] if single else hashes


def tokenize(texts, context_length=77):
    """Token ids of CLIP's tokenizer, int64 [texts, context_length], zero padded."""
    texts, _ = _many(texts, str)
    ids = numpy.frombuffer(_native.tokenize(texts, context_length), dtype=numpy.int64)
    return ids.reshape(len(texts), context_length)


def transform(images, image_size=224, *, preprocess=None, normalize=True):
    """The pixels that evaluation shows a model, bit for bit Pillow's and torchvision's.

    float32 [3, image_size, image_size], or bytes [image_size, image_size, 3] with `normalize=False`; of several
    images with one more axis in front.
    """
    images, single = _many(images, _IMAGE)
    pixels = _native.transform(images, image_size, json.dumps(preprocess or {}), normalize)
    if normalize:
        pixels = numpy.frombuffer(pixels, numpy.float32).reshape(len(images), 3, image_size, image_size)
    else:
        pixels = numpy.frombuffer(pixels, numpy.uint8).reshape(len(images), image_size, image_size, 3)
    return pixels[0] if single else pixels


def read_run(run, stage=None, *, rejects=False):
    """Rows that a stage of a build passed on, or rejected; of its last stage with rows, without a name."""
    return _native.read_run(run, stage, rejects)


def read_shards(shards, *, images=False):
    """Samples of shards: shard, key, caption and json, and with `images` extension and image, too."""
    shards, _ = _many(shards, (str, os.PathLike))
    return _native.read_shards([os.fspath(spec) for spec in shards], images)


def contamination(corpus, sets, *, out=None, threshold=None, thorough=False, index=None):
    """Which items of evaluation sets a corpus contains: what `contamination.json` has.

    `sets` are paths by name. With `out` the report, the pairs and what a later call reuses are kept there.
    """
    corpus, _ = _many(corpus, (str, os.PathLike))
    corpus = [os.fspath(spec) for spec in corpus]
    sets = [(name, os.fspath(path)) for name, path in sets.items()]

    def report(folder):
        return json.loads(_native.contamination(corpus, sets, folder, threshold, thorough, index))

    if out is not None:
        return report(out)
    with tempfile.TemporaryDirectory() as folder:
        return report(folder)
