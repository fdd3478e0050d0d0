"""Hashes of every image of the given tars, by imagededup, imagehash and pdqhash: tab-separated, with a head."""
import io
import sys
import tarfile

import imagehash
import numpy
import pdqhash
from imagededup.methods import AHash, DHash, PHash, WHash
from PIL import Image, UnidentifiedImageError

COLUMNS = "tar name phash dhash ahash whash imagehash.phash imagehash.dhash imagehash.ahash imagehash.whash pdq quality"
ours = [PHash(verbose=False), DHash(verbose=False), AHash(verbose=False), WHash(verbose=False)]
theirs = [imagehash.phash, imagehash.dhash, imagehash.average_hash, imagehash.whash]

print(*COLUMNS.split(), sep="\t")
for path in sys.argv[1:]:
    with tarfile.open(path) as tar:
        for member in sorted((m for m in tar if m.isfile()), key=lambda m: m.name):
            data = tar.extractfile(member).read()
            try:
                image = Image.open(io.BytesIO(data))
                image.load()
            except (UnidentifiedImageError, OSError):
                continue
            if image.mode != "RGB":
                image = image.convert("RGBA").convert("RGB")
            array = numpy.array(image)
            bits, quality = pdqhash.compute(array)
            pdq = format(int("".join(map(str, bits)), 2), "064x")
            row = [h.encode_image(image_array=array) for h in ours] + [str(h(image)) for h in theirs]
            print(path.split("/")[-1], member.name, *row, pdq, quality, sep="\t")
