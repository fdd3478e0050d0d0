"""Hashes of every JPEG of a folder, by imagededup, imagehash and pdqhash: tab-separated, with a head."""
import sys
from pathlib import Path

import imagehash
import numpy
import pdqhash
from imagededup.methods import AHash, DHash, PHash, WHash
from PIL import Image

COLUMNS = "name phash dhash ahash whash imagehash.phash imagehash.dhash imagehash.ahash imagehash.whash pdq quality"
ours = [PHash(verbose=False), DHash(verbose=False), AHash(verbose=False), WHash(verbose=False)]
theirs = [imagehash.phash, imagehash.dhash, imagehash.average_hash, imagehash.whash]

print(*COLUMNS.split(), sep="\t")
for path in sorted(Path(sys.argv[1]).glob("*.jpg")):
    image = Image.open(path).convert("RGB")
    array = numpy.array(image)
    bits, quality = pdqhash.compute(array)
    pdq = format(int("".join(map(str, bits)), 2), "064x")
    row = [h.encode_image(image_array=array) for h in ours] + [str(h(image)) for h in theirs]
    print(path.name, *row, pdq, quality, sep="\t")
